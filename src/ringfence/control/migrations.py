"""How a database of an earlier version becomes one of this version: a migration for each change of the schema.

Each is one transaction together with the new schema number, so that a process that dies
in between finds the database before it or after it. A migration speaks SQL of its own
and never the tables of `store`, which go on changing after it was written. Data that must
change its meaning (rows of resources) is migrated here too. A new database has the
present tables from the start and is not migrated; a table that only comes as new needs no
migration, since `store` makes what is missing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from ringfence.control import ownership


@dataclass(frozen=True, slots=True)
class Migration:
    """From one schema to the next. leads_from: the schema it finds. carry_out: inside one transaction (BEGIN IMMEDIATE)."""

    leads_from: int
    carry_out: Callable[[sa.Connection], None]


def _keep_a_directory(connection: sa.Connection) -> None:
    """Schema 1 had applications with one secret each. They become objects of the directory, and administrators of it."""
    for statement in _DIRECTORY:
        connection.exec_driver_sql(statement)
    now = connection.exec_driver_sql("SELECT strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now')").scalar_one()
    for row in connection.exec_driver_sql("SELECT client_id, object_id, display_name, salt, digest FROM identities").all():
        application = str(uuid.uuid5(uuid.NAMESPACE_OID, f"application {row.client_id}"))
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"secret {row.client_id}"))
        for object_id, kind in ((application, "application"), (row.object_id, "servicePrincipal")):
            connection.execute(
                sa.text("INSERT INTO directory_objects VALUES (:id, :kind, :name, json_object('displayName', :shown), :now)"),
                {"id": object_id, "kind": kind, "name": row.client_id, "shown": row.display_name, "now": now},
            )
        connection.execute(
            sa.text("INSERT INTO credentials VALUES (:key, :owner, NULL, '', :salt, :digest, :now, '9999-12-31T00:00:00+00:00')"),
            {"key": key, "owner": application, "salt": row.salt, "digest": row.digest, "now": now},
        )
        connection.execute(
            sa.text("INSERT INTO directory_roles VALUES ('62e90394-69f5-4237-9190-012177145e10', :id)"), {"id": row.object_id}
        )
    connection.exec_driver_sql("DROP TABLE identities")


_DIRECTORY = (
    """CREATE TABLE directory_objects (
        object_id VARCHAR NOT NULL, kind VARCHAR NOT NULL, name VARCHAR NOT NULL, document JSON NOT NULL,
        created_at VARCHAR NOT NULL, PRIMARY KEY (object_id), UNIQUE (kind, name))""",
    """CREATE TABLE credentials (
        key_id VARCHAR NOT NULL, owner VARCHAR NOT NULL, label VARCHAR, hint VARCHAR NOT NULL, salt BLOB NOT NULL,
        digest BLOB NOT NULL, starts_at VARCHAR NOT NULL, ends_at VARCHAR NOT NULL, PRIMARY KEY (key_id),
        FOREIGN KEY(owner) REFERENCES directory_objects (object_id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_credentials_owner ON credentials (owner)",
    """CREATE TABLE directory_links (
        relation VARCHAR NOT NULL, holder VARCHAR NOT NULL, target VARCHAR NOT NULL,
        PRIMARY KEY (relation, holder, target),
        FOREIGN KEY(holder) REFERENCES directory_objects (object_id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_directory_links_target ON directory_links (target)",
    """CREATE TABLE directory_roles (
        role VARCHAR NOT NULL, principal VARCHAR NOT NULL, PRIMARY KEY (role, principal),
        FOREIGN KEY(principal) REFERENCES directory_objects (object_id) ON DELETE CASCADE)""",
    """CREATE TABLE grants (
        digest BLOB NOT NULL, kind VARCHAR NOT NULL, handle VARCHAR NOT NULL, client_id VARCHAR NOT NULL, user_id VARCHAR,
        state VARCHAR NOT NULL, document JSON NOT NULL, expires_at VARCHAR NOT NULL, PRIMARY KEY (digest),
        FOREIGN KEY(user_id) REFERENCES directory_objects (object_id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_grants_handle ON grants (handle)",
    "CREATE INDEX ix_grants_user_id ON grants (user_id)",
    "CREATE INDEX ix_grants_expires_at ON grants (expires_at)",
)


def _keep_images(connection: sa.Connection) -> None:
    """Schema 3 had registries without images."""
    for statement in _IMAGES:
        connection.exec_driver_sql(statement)


_IN = "registry TEXT NOT NULL, repository TEXT NOT NULL"
_IMAGES = (
    f"""CREATE TABLE registry_blobs (
        {_IN}, sha256 TEXT NOT NULL, size INTEGER NOT NULL, created_at TEXT NOT NULL,
        PRIMARY KEY (registry, repository, sha256))""",
    f"""CREATE TABLE registry_manifests (
        {_IN}, sha256 TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL, artifact_type TEXT NOT NULL,
        subject TEXT NOT NULL, annotations JSON NOT NULL, image_size INTEGER NOT NULL, created_at TEXT NOT NULL,
        PRIMARY KEY (registry, repository, sha256))""",
    f"""CREATE TABLE registry_links (
        {_IN}, manifest TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (registry, repository, manifest, sha256))""",
    f"""CREATE TABLE registry_tags (
        {_IN}, tag TEXT NOT NULL, sha256 TEXT NOT NULL, created_at TEXT NOT NULL, changed_at TEXT NOT NULL,
        PRIMARY KEY (registry, repository, tag))""",
    f"""CREATE TABLE registry_uploads (
        {_IN}, upload TEXT NOT NULL, created_at TEXT NOT NULL, PRIMARY KEY (registry, repository, upload))""",
    f"""CREATE TABLE registry_chunks (
        {_IN}, upload TEXT NOT NULL, "begin" INTEGER NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
        PRIMARY KEY (registry, repository, upload, "begin"))""",
    """CREATE TABLE registry_passwords (
        registry TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (registry, name))""",
)

#: In order; the n-th leads from schema n.
MIGRATIONS = tuple(
    Migration(number, carry_out)
    for number, carry_out in enumerate(
        (_keep_a_directory, ownership.move, _keep_images),
        start=1,
    )
)
#: The schema that this version reads and writes.
SCHEMA = 1 + len(MIGRATIONS)
