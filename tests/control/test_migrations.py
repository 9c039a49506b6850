"""A database of an earlier version becomes one of this version, whole, also when the process dies on the way."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from tests.control.engine_world import World

from ringfence.control import blobs, images, migrations, registry_passwords, store
from ringfence.control.identities import Principal
from ringfence.control.store import Store
from ringfence.model.ids import ResourceId

_SCHEMA_1 = Path(__file__).parent / "data" / "schema1.sql"
_CLIENT, _OBJECT = "11111111-aaaa-4bbb-8ccc-222222222222", "33333333-aaaa-4bbb-8ccc-444444444444"


def _old(folder: Path) -> Path:
    """A state folder's database with schema 1: one application, one group with an allocation."""
    path = folder / "ringfence.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(_SCHEMA_1.read_text())
    connection.close()
    return path


def _shape(path: Path) -> dict[str, list[str]]:
    """Every table's columns and keys, every index, whatever the order and way they were written in."""
    with sqlite3.connect(path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'index')")]
        asked = ("table_info", "foreign_key_list", "index_list", "index_info")
        found = {
            f"{ask} {name}": sorted(map(str, (row[1:] for row in connection.execute(f'PRAGMA {ask}("{name}")'))))
            for name in names
            for ask in asked
        }
    connection.close()
    return found


#: Whoever keeps tables beside those of `store`: they are known once their modules are.
_KEEPERS = (blobs, images, registry_passwords)


def test_every_older_database_gets_the_tables_of_a_new_one(tmp_path: Path) -> None:
    Store(_old(tmp_path)).close()
    Store(tmp_path / "new.db").close()
    assert _shape(tmp_path / "ringfence.db") == _shape(tmp_path / "new.db")


def test_what_an_older_version_kept_is_there_and_goes_on(tmp_path: Path) -> None:
    _old(tmp_path)
    world = World(tmp_path)
    identities = world.engine.identities
    expected = Principal(client_id=_CLIENT, object_id=_OBJECT, display_name="ringfence-admin")
    assert identities.authenticate(_CLIENT, "first-secret") == expected
    assert identities.directory().administers(_OBJECT)
    group = world.engine.snapshot().need(ResourceId.parse("/subscriptions/s/resourceGroups/old"))
    assert dict(group.tags) == {"a": "b"} and world.engine.snapshot().value(group.key, "p") == "1"
    world.close()


def test_a_process_that_dies_while_migrating_leaves_the_one_or_the_other(tmp_path: Path) -> None:
    for number in range(1, 100):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = _old(folder)
        lived = _opened_until(path, number)
        with sqlite3.connect(path) as connection:
            schema = connection.execute("SELECT schema FROM meta").fetchone()[0]
            tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        connection.close()
        assert ("identities" in tables) == (schema == 1) and ("grants" in tables) == (schema > 1)
        opened = Store(path)
        assert opened.version() == 7
        opened.close()
        if lived:
            return
    pytest.fail("migrating takes more statements than were tried")


def _opened_until(path: Path, number: int) -> bool:
    """Open the database in a fork that kills itself before its n-th statement or commit. Returns whether it lived."""
    pid = os.fork()
    if pid == 0:
        seen = 0

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen >= number:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(sa.Engine, "before_cursor_execute", count)
        event.listen(sa.Engine, "commit", count)
        try:
            Store(path)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_table_that_is_new_is_made_in_an_older_database(tmp_path: Path) -> None:
    opened = Store(_old(tmp_path))
    with opened.read() as connection:
        assert sa.inspect(connection).has_table("blobs"), blobs.__doc__
    opened.close()


def test_the_migrations_lead_from_each_schema_to_the_next() -> None:
    assert [migration.leads_from for migration in migrations.MIGRATIONS] == list(range(1, store.SCHEMA))
    assert not re.search(r"\bstore\.", Path(migrations.__file__).read_text()), "migrations outlive the tables of `store`"
