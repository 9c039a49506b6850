"""What data planes ask before they answer: whose data a name stands for, and whether it answers where the request comes from."""

from __future__ import annotations

from ringfence.control import blobs
from ringfence.control.engine import Engine
from ringfence.model import storage
from ringfence.model.resource import Resource
from ringfence.policy import arrivals


def account(engine: Engine, name: str, source: str) -> str | None:
    """The storage account of a name, as the blob service knows it. Raises Forbidden where it does not answer `source`."""
    snapshot = engine.snapshot()
    found = next((r for r in snapshot.of_type(storage.STORAGE_ACCOUNT) if r.id.name.lower() == name.lower()), None)
    if found is None:
        return None
    arrivals.require(snapshot, found, source)
    return blobs.account_of(found)


def let_in(engine: Engine, resource: Resource, source: str) -> None:
    """Raises Forbidden where a resource does not answer `source`."""
    arrivals.require(engine.snapshot(), resource, source)
