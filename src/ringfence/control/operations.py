"""Long-running operations: the value, and its rows. When one ends is decided by the reconciler.

An operation is stored in the transaction that accepts its request, and ended in the
transaction that makes the outcome visible on the resource.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa

from ringfence.control import store
from ringfence.model import deployment
from ringfence.model.ids import ResourceId

#: How many ended operations are kept for clients that still ask; the oldest go first.
KEPT = 10_000


class Kind(Enum):
    """What was asked."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class Status(Enum):
    """How far it is, in the words of Azure's status documents."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"

    @property
    def terminal(self) -> bool:
        return self is not Status.IN_PROGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One accepted request.

    resource: key (lower-case id) of what it is about; resource_id: the same, as spelled.
    revision: the version of the store that holds its write. code, message: why it failed, else "".
    covers: keys of the resources whose state ends with it. touches: keys of desired items that it added, changed or removed.
    events: what has happened so far, oldest first (read by `Engine.operation` only, else empty).
    """

    id: str
    resource: str
    resource_id: ResourceId
    kind: Kind
    status: Status
    code: str = ""
    message: str = ""
    revision: int
    covers: frozenset[str] = frozenset()
    touches: frozenset[str] = frozenset()
    created_at: dt.datetime
    ended_at: dt.datetime | None = None
    events: tuple[tuple[dt.datetime, str], ...] = ()

    @property
    def deploys(self) -> bool:
        """Whether it carries out a template: then it ends with the last of its resources, and not by what is seen."""
        return self.kind is not Kind.DELETE and self.resource_id.type.lower() == deployment.DEPLOYMENT


def insert(connection: sa.Connection, operation: Operation) -> None:
    """Store a new operation."""
    row = {
        "id": operation.id,
        "resource": operation.resource,
        "resource_id": str(operation.resource_id),
        "kind": operation.kind.value,
        "status": operation.status.value,
        "code": operation.code,
        "message": operation.message,
        "revision": operation.revision,
        "covers": sorted(operation.covers),
        "touches": sorted(operation.touches),
        "created_at": operation.created_at.isoformat(),
        "ended_at": operation.ended_at.isoformat() if operation.ended_at else None,
    }
    connection.execute(store.operations.insert(), [row])


def end(connection: sa.Connection, operation: Operation) -> None:
    """Store the outcome of an operation that was in progress."""
    values = {
        "status": operation.status.value,
        "code": operation.code,
        "message": operation.message,
        "ended_at": operation.ended_at.isoformat() if operation.ended_at else None,
    }
    connection.execute(store.operations.update().where(store.operations.c.id == operation.id).values(values))


def add_event(connection: sa.Connection, operation: str, at: dt.datetime, text: str) -> None:
    """Note that something happened during an operation."""
    connection.execute(store.operation_events.insert(), [{"operation": operation, "at": at.isoformat(), "text": text}])


def find(connection: sa.Connection, operation: str) -> Operation | None:
    """One operation with its events."""
    row = connection.execute(sa.select(store.operations).where(store.operations.c.id == operation)).first()
    if row is None:
        return None
    noted = store.operation_events
    query = sa.select(noted.c.at, noted.c.text).where(noted.c.operation == operation).order_by(noted.c.number)
    events = tuple((dt.datetime.fromisoformat(at), text) for at, text in connection.execute(query))
    return _operation(row, events)


def pending(connection: sa.Connection, resources: Iterable[str] | None = None) -> tuple[Operation, ...]:
    """Operations in progress, oldest first; with `resources`, those about one of these keys."""
    table = store.operations
    query = sa.select(table).where(table.c.status == Status.IN_PROGRESS.value).order_by(table.c.revision)
    wanted = None if resources is None else frozenset(resources)
    found = (_operation(row, ()) for row in connection.execute(query))
    return tuple(o for o in found if wanted is None or o.resource in wanted)


def is_pending(connection: sa.Connection, operation: str) -> bool:
    """Whether it is in progress at this moment."""
    query = sa.select(store.operations.c.status).where(store.operations.c.id == operation)
    return connection.execute(query).scalar_one_or_none() == Status.IN_PROGRESS.value


def latest(connection: sa.Connection, resource: str) -> Operation | None:
    """The newest operation about a resource."""
    table = store.operations
    query = sa.select(table).where(table.c.resource == resource).order_by(table.c.revision.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _operation(row, ())


def forget_old(connection: sa.Connection) -> None:
    """Keep the newest ended operations only."""
    table = store.operations
    ended = sa.select(table.c.id).where(table.c.status != Status.IN_PROGRESS.value)
    old = ended.order_by(table.c.revision.desc()).offset(KEPT)
    connection.execute(table.delete().where(table.c.id.in_(old)))


def _operation(row: sa.Row[tuple[object, ...]], events: Sequence[tuple[dt.datetime, str]]) -> Operation:
    return Operation(
        id=row.id,
        resource=row.resource,
        resource_id=ResourceId.parse(row.resource_id),
        kind=Kind(row.kind),
        status=Status(row.status),
        code=row.code,
        message=row.message,
        revision=row.revision,
        covers=frozenset(row.covers),
        touches=frozenset(row.touches),
        created_at=dt.datetime.fromisoformat(row.created_at),
        ended_at=dt.datetime.fromisoformat(row.ended_at) if row.ended_at else None,
        events=tuple(events),
    )
