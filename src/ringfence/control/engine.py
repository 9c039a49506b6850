"""The engine: what the faces call. Requests become resources and operations here, or are refused.

A request is decided against one snapshot (`acceptance`, `removal`) and stored in one
transaction; the reconciler makes it true and ends the operation. The engine is the only
writer of resources, so the snapshot in memory is the store's, and is checked against
the store's version at each write. Usable from any thread; every call may block.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ringfence.control import acceptance, operations, removal, resources, store
from ringfence.control.identities import Identities
from ringfence.control.operations import Operation, Status
from ringfence.control.reconciler import Reconciler
from ringfence.desired.state import Environment, Key, Network, State, Workload
from ringfence.drivers.base import Driver, RuleCount
from ringfence.model import errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was stored. warnings: what Azure advises against but allows."""

    resource: Resource
    operation: Operation
    created: bool
    warnings: tuple[str, ...]


class Engine:
    """One per process. `start()` begins to reconcile, `close()` ends it."""

    identities: Identities
    clock: Callable[[], dt.datetime]
    new_id: Callable[[], str]

    def snapshot(self) -> Snapshot:
        """All resources and allocations, as of the last commit."""
        raise NotImplementedError

    def state(self) -> State:
        """What shall exist, by the last commit."""
        raise NotImplementedError

    def get(self, id: ResourceId) -> Resource:
        """Raises NotFound in ARM's words (`ResourceGroupNotFound`, `ParentResourceNotFound`, `ResourceNotFound`)."""
        raise NotImplementedError

    def put(
        self,
        draft: Resource,
        *,
        also: Sequence[Resource] = (),
        remove: Sequence[ResourceId] = (),
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Accepted:
        """Create or replace, in one transaction. The draft's state, etag and times are the engine's to set.

        also, remove: children written and removed together with it.
        Raises errors.Problem; a refusal changes nothing.
        """
        raise NotImplementedError

    def delete(self, id: ResourceId, *, if_match: str | None = None) -> Operation | None:
        """Begin to delete a resource with all below it and all it manages. None: there is none. Raises errors.Problem."""
        raise NotImplementedError

    def operation(self, id: str) -> Operation:
        """Raises NotFound."""
        raise NotImplementedError

    def wait(self, operation_id: str, timeout_s: float) -> Operation:
        """Block until the operation has ended or the time is up; whichever it is, the operation as it is then."""
        raise NotImplementedError

    def logs(self, id: ResourceId) -> str:
        """What the replicas of a service have printed."""
        raise NotImplementedError

    def build_log(self, id: ResourceId) -> str:
        """What the build of a service's environment has printed."""
        raise NotImplementedError

    def counters(self) -> Mapping[Key, tuple[RuleCount, ...]]:
        """Packets decided by each rule, by network."""
        raise NotImplementedError

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        """Which targets answer their probe, by balancer."""
        raise NotImplementedError
