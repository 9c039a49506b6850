"""The directory's rows as values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import get_args

import sqlalchemy as sa

from ringfence.control import store
from ringfence.model.directory import Credential, Directory, Kind, Object, Relation

_KINDS: Mapping[str, Kind] = {kind: kind for kind in get_args(Kind)}
_RELATIONS: Mapping[str, Relation] = {relation: relation for relation in get_args(Relation)}


def load(connection: sa.Connection) -> Directory:
    """Everything, as this transaction sees it."""
    held = _credentials(connection)
    rows = connection.execute(sa.select(store.directory_objects).order_by(sa.text("created_at, object_id")))
    objects = {
        row.object_id: Object(
            object_id=row.object_id,
            kind=_KINDS[row.kind],
            name=row.name,
            document=row.document,
            created_at=dt.datetime.fromisoformat(row.created_at),
            credentials=tuple(held.get(row.object_id, ())),
        )
        for row in rows
    }
    links: dict[tuple[Relation, str], list[str]] = {}
    for link in connection.execute(sa.select(store.directory_links).order_by(sa.text("rowid"))):
        links.setdefault((_RELATIONS[link.relation], link.holder), []).append(link.target)
    roles: dict[str, set[str]] = {}
    for given in connection.execute(sa.select(store.directory_roles)):
        roles.setdefault(given.principal, set()).add(given.role)
    return Directory(
        objects,
        {key: tuple(targets) for key, targets in links.items()},
        {principal: frozenset(found) for principal, found in roles.items()},
    )


def _credentials(connection: sa.Connection) -> Mapping[str, list[Credential]]:
    table, found = store.credentials, dict[str, list[Credential]]()
    columns = (table.c.key_id, table.c.owner, table.c.label, table.c.hint, table.c.starts_at, table.c.ends_at)
    for row in connection.execute(sa.select(*columns).order_by(table.c.starts_at, table.c.key_id)):
        credential = Credential(
            key_id=row.key_id,
            label=row.label,
            hint=row.hint,
            starts_at=dt.datetime.fromisoformat(row.starts_at),
            ends_at=dt.datetime.fromisoformat(row.ends_at),
        )
        found.setdefault(row.owner, []).append(credential)
    return found
