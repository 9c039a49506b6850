"""Putting drafts to the engine: records that are there at once, and versions that count upwards."""

from __future__ import annotations

from collections.abc import Callable

from ringfence.control.engine import Accepted, Engine
from ringfence.model import errors, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Resource, Snapshot
from ringfence.policy.access import Caller

#: Seconds that a record may take until nothing about it is in progress.
_SETTLE_S = 2.0
_ATTEMPTS = 20


def creator(caller: Caller) -> serving.Creator:
    """Who made something, as documents show it."""
    return serving.Creator(user_object_id=caller.object_id, user_tenant_id=caller.tenant_id, user_name=caller.client_id)


class Writer:
    """Writes resources of a workspace that have nothing behind them but their row."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def draft(self, id: ResourceId, properties: Properties) -> Resource:
        """What the engine takes; times and state are its own to set."""
        now = self._engine.clock()
        return Resource(id=id, properties=properties, created_at=now, changed_at=now)

    def create(self, id: ResourceId, properties: Properties) -> Resource:
        """A new resource. Raises errors.PreconditionFailed when it exists, and whatever admission says."""
        return self._settled(self._engine.put(self.draft(id, properties), if_none_match="*"))

    def replace(self, old: Resource, properties: Properties) -> Resource:
        """New properties for what was read before; raises errors.PreconditionFailed if it has changed since."""
        return self._settled(self._engine.put(self.draft(old.id, properties), if_match=old.etag))

    def next_version(
        self,
        latest: Callable[[Snapshot], int],
        make: Callable[[int], tuple[ResourceId, Properties]],
    ) -> Resource:
        """Create the version after the latest one.

        Two that come at the same time both want the same number; the later one sees the
        other's and takes the next.
        """
        for _ in range(_ATTEMPTS):
            id, properties = make(latest(self._engine.snapshot()) + 1)
            try:
                return self.create(id, properties)
            except errors.PreconditionFailed:
                continue
        raise errors.Conflict("VersionConflict", "Other clients kept taking the next version; try again.")

    def _settled(self, accepted: Accepted) -> Resource:
        self._engine.wait(accepted.operation.id, _SETTLE_S)
        return accepted.resource
