"""Resources and allocations as rows: read all of them, write some, remove some.

Properties are stored in their wire form, so that a row can be read by a later version
of their model. When a row may be written is decided by the engine.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from ringfence.control import store
from ringfence.model import catalog
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Allocation, ProvisioningState, Resource, Snapshot


def load(connection: sa.Connection) -> Snapshot:
    """Everything, as this transaction sees it."""
    found = [_resource(row) for row in connection.execute(sa.select(store.resources))]
    held = connection.execute(sa.select(store.allocations))
    allocations = [Allocation(owner=r.owner, purpose=r.purpose, scope=r.scope, value=r.value) for r in held]
    return Snapshot(
        version=store.version(connection),
        resources={resource.key: resource for resource in found},
        allocations={(a.owner, a.purpose): a for a in allocations},
    )


def write(connection: sa.Connection, written: Iterable[Resource]) -> None:
    """Insert or replace rows."""
    rows = [_row(resource) for resource in written]
    if rows:
        insert = sqlite.insert(store.resources)
        changed = {c.name: c for c in insert.excluded if c.name not in ("key", "id", "created_at")}
        connection.execute(insert.on_conflict_do_update(index_elements=["key"], set_=changed), rows)


def remove(connection: sa.Connection, keys: Iterable[str]) -> None:
    """Delete rows; what they hold goes with them."""
    rows = [{"gone": key} for key in keys]
    if rows:
        connection.execute(store.resources.delete().where(store.resources.c.key == sa.bindparam("gone")), rows)


def allocate(connection: sa.Connection, allocations: Iterable[Allocation]) -> None:
    """Store allocations. Two of one value in a scope end the transaction with IntegrityError."""
    rows = [{"owner": a.owner, "purpose": a.purpose, "scope": a.scope, "value": a.value} for a in allocations]
    if rows:
        connection.execute(store.allocations.insert(), rows)


def release(connection: sa.Connection, held: Iterable[tuple[str, str]]) -> None:
    """Give back allocations, by (owner, purpose)."""
    rows = [{"o": owner, "p": purpose} for owner, purpose in held]
    if rows:
        table = store.allocations
        mine = (table.c.owner == sa.bindparam("o")) & (table.c.purpose == sa.bindparam("p"))
        connection.execute(table.delete().where(mine), rows)


_ENVELOPE = ("sku", "identity", "kind")


def _row(resource: Resource) -> Mapping[str, object]:
    return {
        "key": resource.key,
        "id": str(resource.id),
        "location": resource.location,
        "properties": resource.properties.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "tags": dict(resource.tags),
        "envelope": {name: value for name in _ENVELOPE if (value := getattr(resource, name)) is not None},
        "managed_by": resource.managed_by,
        "state": resource.state.value,
        "etag": resource.etag,
        "created_at": resource.created_at.isoformat(),
        "changed_at": resource.changed_at.isoformat(),
    }


def _resource(row: sa.Row[tuple[object, ...]]) -> Resource:
    id = ResourceId.parse(row.id)
    return Resource(
        id=id,
        location=row.location,
        properties=catalog.PROPERTIES[id.type.lower()].model_validate(row.properties),
        tags=row.tags,
        sku=row.envelope.get("sku"),
        identity=row.envelope.get("identity"),
        kind=row.envelope.get("kind"),
        managed_by=row.managed_by,
        state=ProvisioningState(row.state),
        etag=row.etag,
        created_at=dt.datetime.fromisoformat(row.created_at),
        changed_at=dt.datetime.fromisoformat(row.changed_at),
    )
