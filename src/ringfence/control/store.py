"""The database: tables, transactions, the schema's version. Nothing here knows what a row means.

SQLite in WAL mode behind SQLAlchemy Core. Every write happens in `Store.begin()`, which
takes the writer's lock at once, so that what was read inside stays true until the commit.
`resources`, `operations` and `identities` turn rows into values; `migrations` brings an
older database to these tables.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event

from ringfence.control import migrations

#: Of the tables below. A change of them, or of what rows mean, is a migration; a table that is new is made when missing.
SCHEMA = migrations.SCHEMA

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True),
    sa.Column("schema", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)

resources = sa.Table(
    "resources",
    metadata,
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("id", sa.String, nullable=False),
    sa.Column("location", sa.String),
    sa.Column("properties", sa.JSON, nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("envelope", sa.JSON, nullable=False),
    sa.Column("managed_by", sa.String),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("etag", sa.String, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("changed_at", sa.String, nullable=False),
)

allocations = sa.Table(
    "allocations",
    metadata,
    sa.Column("owner", sa.String, sa.ForeignKey("resources.key", ondelete="CASCADE"), primary_key=True),
    sa.Column("purpose", sa.String, primary_key=True),
    sa.Column("scope", sa.String, nullable=False),
    sa.Column("value", sa.String, nullable=False),
    sa.UniqueConstraint("scope", "value"),
)

operations = sa.Table(
    "operations",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("resource", sa.String, nullable=False, index=True),
    sa.Column("resource_id", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("code", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("covers", sa.JSON, nullable=False),
    sa.Column("touches", sa.JSON, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.Column("ended_at", sa.String),
)

operation_events = sa.Table(
    "operation_events",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("operation", sa.String, sa.ForeignKey("operations.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("text", sa.String, nullable=False),
)

directory_objects = sa.Table(
    "directory_objects",
    metadata,
    sa.Column("object_id", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("created_at", sa.String, nullable=False),
    sa.UniqueConstraint("kind", "name"),
)

credentials = sa.Table(
    "credentials",
    metadata,
    sa.Column("key_id", sa.String, primary_key=True),
    sa.Column("owner", sa.String, sa.ForeignKey("directory_objects.object_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("label", sa.String),
    sa.Column("hint", sa.String, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("starts_at", sa.String, nullable=False),
    sa.Column("ends_at", sa.String, nullable=False),
)

directory_links = sa.Table(
    "directory_links",
    metadata,
    sa.Column("relation", sa.String, primary_key=True),
    sa.Column("holder", sa.String, sa.ForeignKey("directory_objects.object_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("target", sa.String, primary_key=True, index=True),
)

directory_roles = sa.Table(
    "directory_roles",
    metadata,
    sa.Column("role", sa.String, primary_key=True),
    sa.Column("principal", sa.String, sa.ForeignKey("directory_objects.object_id", ondelete="CASCADE"), primary_key=True),
)

grants = sa.Table(
    "grants",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("handle", sa.String, nullable=False, index=True),
    sa.Column("client_id", sa.String, nullable=False),
    sa.Column("user_id", sa.String, sa.ForeignKey("directory_objects.object_id", ondelete="CASCADE"), index=True),
    sa.Column("state", sa.String, nullable=False),
    sa.Column("document", sa.JSON, nullable=False),
    sa.Column("expires_at", sa.String, nullable=False, index=True),
)


class WrongSchema(Exception):
    """The database was made by another version of Ringfence."""


class Store:
    """One SQLite file (mode 0600), usable from any thread. `close()` when done."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises WrongSchema."""
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)
        self._path = path
        self._engine = sa.create_engine(
            f"sqlite:///{path}", pool_size=4, max_overflow=-1, connect_args={"check_same_thread": False}
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._reader = self._engine.execution_options(reading=True)
        self._prepare()

    def _prepare(self) -> None:
        with self.begin() as connection:
            if not sa.inspect(connection).has_table(meta.name):
                metadata.create_all(connection)
                connection.execute(meta.insert().values(id=1, schema=SCHEMA, version=0))
        for migration in migrations.MIGRATIONS:
            with self.begin() as connection:
                known = connection.execute(sa.select(meta.c.schema)).scalar_one()
                if known == migration.leads_from:
                    migration.carry_out(connection)
                    connection.execute(meta.update().values(schema=migration.leads_from + 1))
        with self.read() as connection:
            known = connection.execute(sa.select(meta.c.schema)).scalar_one()
        if known != SCHEMA:
            raise WrongSchema(
                f"{self._path} has schema {known}, this version of Ringfence reads schema {SCHEMA}; "
                "start with another --state folder, or remove this one with `ringfence down --purge`"
            )
        with self.begin() as connection:
            metadata.create_all(connection)

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction (BEGIN IMMEDIATE): committed at the end of the block, rolled back if it raises."""
        with self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that reads one state of the database and waits for no writer."""
        with self._reader.begin() as connection:
            yield connection

    def version(self) -> int:
        """How many times the set of resources has changed."""
        with self.read() as connection:
            return version(connection)

    def close(self) -> None:
        self._engine.dispose()


def version(connection: sa.Connection) -> int:
    """The version as this transaction sees it."""
    return int(connection.execute(sa.select(meta.c.version)).scalar_one())


def advance(connection: sa.Connection) -> int:
    """Count one change of the set of resources; returns the new version."""
    connection.execute(meta.update().values(version=meta.c.version + 1))
    return version(connection)


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own idea of when a transaction begins would defer the lock; `_begin` decides.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
