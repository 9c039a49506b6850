"""The database: modes, pragmas, the schema's version, transactions."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from ringfence.control import store
from ringfence.control.store import Store, WrongSchema


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    (tmp_path / "old.db").touch(mode=0o666)
    for name in ("new.db", "old.db"):
        Store(tmp_path / name).close()
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_writes_are_durable_and_checked(tmp_path: Path) -> None:
    opened = Store(tmp_path / "a.db")
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}
    with opened.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in wanted}
    opened.close()
    assert found == wanted


def test_a_block_that_raises_leaves_nothing(tmp_path: Path) -> None:
    opened = Store(tmp_path / "a.db")
    with pytest.raises(RuntimeError), opened.begin() as connection:
        store.advance(connection)
        raise RuntimeError
    assert opened.version() == 0
    with opened.begin() as connection:
        assert store.advance(connection) == 1
    assert opened.version() == 1
    opened.close()


def test_another_schema_is_refused_with_the_way_out(tmp_path: Path) -> None:
    opened = Store(tmp_path / "a.db")
    with opened.begin() as connection:
        connection.execute(store.meta.update().values(schema=store.SCHEMA + 1))
    opened.close()
    with pytest.raises(WrongSchema, match="down --purge"):
        Store(tmp_path / "a.db")


def test_a_value_of_a_scope_belongs_to_one_owner(tmp_path: Path) -> None:
    opened = Store(tmp_path / "a.db")
    row = {
        "id": "/a",
        "properties": {},
        "tags": {},
        "envelope": {},
        "state": "Succeeded",
        "etag": "",
        "created_at": "",
        "changed_at": "",
    }
    with opened.begin() as connection:
        connection.execute(store.resources.insert(), [{"key": key, **row} for key in ("a", "b")])
        connection.execute(store.allocations.insert(), [{"owner": "a", "purpose": "p", "scope": "s", "value": "1"}])
    for twin in (("b", "p", "s", "1"), ("a", "p", "s", "2"), ("nobody", "p", "s", "3")):
        with pytest.raises(sa.exc.IntegrityError), opened.begin() as connection:
            connection.execute(store.allocations.insert(), [dict(zip(("owner", "purpose", "scope", "value"), twin, strict=True))])
    with opened.begin() as connection:
        connection.execute(store.resources.delete())
        assert connection.execute(sa.select(store.allocations)).all() == []
    opened.close()


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    opened = Store(tmp_path / "a.db")
    with ThreadPoolExecutor(1) as other:
        with opened.begin() as connection:
            store.advance(connection)
            assert other.submit(opened.version).result(2.0) == 0
        assert other.submit(opened.version).result(2.0) == 1
    opened.close()
