"""The engine: what the faces call. Requests become resources and operations here, or are refused.

A request is decided against one snapshot (`acceptance`, `removal`) and stored in one
transaction; the reconciler makes it true and ends the operation. The engine is the only
writer of resources, so the snapshot in memory is the store's, and is checked against
the store's version at each write. Usable from any thread; every call may block.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from ringfence.control import acceptance, endpoints, explanations, judgement, ledger, removal, store, wording
from ringfence.control.autoscaler import Autoscaler
from ringfence.control.deployer import Deployer
from ringfence.control.identities import Identities
from ringfence.control.operations import Kind, Operation, Status
from ringfence.control.reconciler import Reconciler
from ringfence.control.vouching import vouched
from ringfence.desired.state import INTERNET, Container, Environment, Key, Network, Observed, Readiness, State, Workload
from ringfence.drivers.base import Driver, Instance, RuleCount
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import authority, container_groups
from ringfence.policy.access import Caller


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was stored. warnings: what Azure advises against but allows."""

    resource: Resource
    operation: Operation
    created: bool
    warnings: tuple[str, ...]


class Engine:
    """One per process. `start()` begins to reconcile, `close()` ends it.

    clock: the time, with a zone. new_id: a new GUID. identities: who may sign in.
    """

    def __init__(
        self,
        opened: store.Store,
        driver: Driver,
        *,
        clock: Callable[[], dt.datetime],
        new_id: Callable[[], str],
        identities: Identities,
    ) -> None:
        self.clock = clock
        self.new_id = new_id
        self.identities = identities
        self._driver = driver
        self._ledger = ledger.Ledger(opened, clock)
        self._reconciler = Reconciler(self._ledger, driver, time.monotonic)
        self._autoscaler = Autoscaler(
            self._ledger, driver, self.observed, self._reconciler.wake, clock=clock, monotonic=time.monotonic
        )
        self.deployer = Deployer(self._ledger, self._deploy, clock)

    def start(self) -> None:
        """Take up what an earlier process left, and everything that comes."""
        self._reconciler.start()
        self.deployer.start()
        self._autoscaler.start()

    def close(self) -> None:
        """Stop reconciling. What exists goes on existing."""
        self._autoscaler.stop()
        self.deployer.stop()
        self._reconciler.stop()

    def snapshot(self) -> Snapshot:
        """All resources and allocations, as of the last commit."""
        return self._ledger.snapshot()

    def state(self) -> State:
        """What shall exist, by the last commit."""
        return self._ledger.wanted()[1]

    def observed(self) -> Mapping[Key, Observed]:
        """What the reconciler saw last."""
        return self._reconciler.observed

    @property
    def settled(self) -> bool:
        """Whether the last pass found everything as wanted."""
        return self._reconciler.settled

    def get(self, id: ResourceId) -> Resource:
        """Raises NotFound in ARM's words (`ResourceGroupNotFound`, `ResourceNotFound`, `NotFound`)."""
        snapshot = self.snapshot()
        found = snapshot.get(id)
        if found is not None:
            return found
        missing = id
        while len(missing.names) > 1 and snapshot.get(missing.parent) is None:
            missing = missing.parent
        if id.group is not None and snapshot.get(id.group_id) is None:
            missing = id.group_id
        raise wording.not_found(missing)

    def put(
        self,
        draft: Resource,
        *,
        also: Sequence[Resource] = (),
        remove: Sequence[ResourceId] = (),
        if_match: str | None = None,
        if_none_match: str | None = None,
        caller: Caller | None = None,
    ) -> Accepted:
        """Create or replace, in one transaction. The draft's state, etag and times are the engine's to set.

        also, remove: children written and removed together with it. if_match, if_none_match: without quotes.
        caller: whose rights the write needs; None for the platform itself.
        Raises errors.Problem; a refusal changes nothing.
        """
        return self._put(
            acceptance.Request(
                draft=draft,
                also=tuple(also),
                remove=tuple(remove),
                if_match=if_match,
                if_none_match=if_none_match,
                caller=caller,
            )
        )

    def patch(self, draft: Resource, *, etag: str, caller: Caller | None) -> Accepted:
        """Replace the resource of an etag by itself with a few members changed: only new references are the caller's.

        Raises errors.Problem; PreconditionFailed when somebody else was quicker.
        """
        return self._put(acceptance.Request(draft=draft, if_match=etag, caller=caller, patched=True))

    def _put(self, request: acceptance.Request) -> Accepted:
        request = dataclasses.replace(request, draft=vouched(self.identities, request.draft))
        with self._ledger.write() as change:
            decision = acceptance.decide(change.before, request, acceptance.Moment(self.clock(), self.new_id))
            operation = self._operation(decision.resource, Kind.CREATE if decision.created else Kind.UPDATE)
            change.become(decision.snapshot, decision.written + decision.touched, decision.allocations)
            operation = change.begin(operation, frozenset(r.key for r in decision.written))
        self._reconciler.wake()
        if operation.deploys:
            self.deployer.wake()
        stored = self.snapshot().get(decision.resource.key) or decision.resource
        return Accepted(stored, operation, decision.created, decision.warnings)

    def delete(
        self, id: ResourceId, *, if_match: str | None = None, caller: Caller | None = None, spare: str | None = None
    ) -> Operation | None:
        """Begin to delete a resource with all below it and all it manages. None: there is none.

        spare: a lower-case type; what the resource manages of it stays, and is nobody's from then on.

        Deleting what is being deleted already answers with the operation that does it. Raises errors.Problem.
        """
        with self._ledger.write() as change:
            if caller is not None:
                authority.require_delete(change.before, caller, id)
            root = change.before.get(id)
            if root is None:
                return None
            if root.state is ProvisioningState.DELETING:
                return change.deleting(root)
            acceptance.check_etag(root, if_match)
            spared = removal.spared(change.before, root, spare)
            found = removal.decide(change.before.changed(spared), root)
            parent = acceptance.parent_touched(change.before, root.id, acceptance.Moment(self.clock(), self.new_id))
            touched = spared if parent is None else (*spared, parent)
            change.become(found.snapshot.changed(touched), found.resources + touched, ())
            operation = change.begin(self._operation(root, Kind.DELETE), frozenset(r.key for r in found.resources))
        self._reconciler.wake()
        return operation

    def operation(self, id: str) -> Operation:
        """With its events. Raises NotFound."""
        found = self._ledger.operation(id)
        if found is None:
            raise wording.operation_not_found(id)
        return found

    def latest(self, id: ResourceId) -> Operation | None:
        """The newest operation about a resource, without its events; None when it is forgotten."""
        return self._ledger.latest(id.key)

    def pending(self) -> tuple[Operation, ...]:
        """Operations in progress, oldest first."""
        return self._ledger.pending()

    def wait(self, operation_id: str, timeout_s: float) -> Operation:
        """Block until the operation has ended or the time is up; either way, the operation as it is then. Raises NotFound."""
        found = self._ledger.await_end(operation_id, timeout_s)
        if found is None:
            raise wording.operation_not_found(operation_id)
        return found

    def wait_ready(self, keys: Collection[Key], timeout_s: float) -> bool:
        """Block until all these items stand as wanted, or the time is up. Returns whether they do."""

        def ready() -> bool:
            state, observed = self.state(), self.observed()
            return all(judgement.stands(state.items.get(key), observed.get(key)) for key in keys)

        if ready():
            return True
        self._reconciler.wake()
        return self._reconciler.wait_for(ready, timeout_s)

    def wait_settled(self, timeout_s: float) -> bool:
        """Block until no operation is in progress and everything stands as wanted, or the time is up."""

        def settled() -> bool:
            return self._reconciler.settled and not self.pending()

        self._reconciler.wake()
        return self._reconciler.wait_for(settled, timeout_s)

    def logs(self, id: ResourceId) -> str:
        """What the replicas of a service have printed, one after the other."""
        found = [item.key for item in self.state() if isinstance(item, Workload) and id.key in item.owners]
        parts = [(key, self._driver.logs(key) + self._not_pulled(key)) for key in sorted(found)]
        if len(parts) == 1:
            return parts[0][1]
        return "\n".join(f"==> replica {key.rpartition('-')[2]} <==\n{text}" for key, text in parts)

    def log(self, key: Key) -> str:
        """What one workload or router has printed."""
        return self._driver.logs(key)

    def _not_pulled(self, workload: Key) -> str:
        """Why the image of a workload is not there, as kubectl would tell it of the pod; "" when it is."""
        item = self.state().items.get(workload)
        assert isinstance(item, Workload)
        seen = explanations.explained(self.snapshot(), self.observed()).get(item.image)
        if seen is None or seen.readiness is not Readiness.FAILED:
            return ""
        return f"Waiting: {seen.code}. {seen.message}\n"

    def containers(self, id: ResourceId) -> Mapping[str, Key]:
        """The items of a container group that run, by the container's name; a web service's group has one, its process."""
        group, found = self.snapshot().get(id), {}
        for item in self.state():
            if isinstance(item, Container) and id.key in item.owners:
                found[item.container] = item.key
            elif isinstance(item, Workload) and id.key in item.owners and group is not None:
                found[container_groups.of(group).containers[0].name] = item.key
        return found

    def instances(self, id: ResourceId) -> Mapping[str, Instance]:
        """What is seen of the containers of a group, by name; those of which nothing was started are left out."""
        seen = {name: self._driver.instance(key) for name, key in self.containers(id).items()}
        return {name: instance for name, instance in seen.items() if instance is not None}

    def container_log(self, id: ResourceId, name: str) -> str:
        """What one container of a group has printed."""
        key = self.containers(id).get(name)
        return "" if key is None else self._driver.logs(key)

    def terminal(self, id: ResourceId, name: str, command: Sequence[str], rows: int, columns: int) -> socket.socket:
        """Run a command in one container of a group. Raises KeyError when it does not run, OSError when it cannot start."""
        return self._driver.terminal(self.containers(id)[name], command, rows, columns)

    def build_log(self, id: ResourceId) -> str:
        """What the build of a service's environment has printed."""
        found = [item.key for item in self.state() if isinstance(item, Environment) and id.key in item.owners]
        return "".join(self._driver.build_log(key) for key in found)

    def counters(self) -> Mapping[Key, tuple[RuleCount, ...]]:
        """Packets decided by each rule, by network; the edge counts under INTERNET."""
        keys = [item.key for item in self.state() if isinstance(item, Network) and item.key in self.observed()]
        return {key: self._driver.counters(key) for key in (INTERNET, *sorted(keys))}

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        """Which targets answer their probe, by balancer."""
        return self._driver.health()

    def endpoint_fault(self, compute: ResourceId | None) -> endpoints.Fault | None:
        """Why the scoring endpoint of a compute lets nobody in, or None."""
        snapshot = self.snapshot()
        found = snapshot.get(compute) if compute is not None else None
        return None if found is None else endpoints.fault(snapshot, self.health(), found, self.clock())

    def _deploy(self, request: acceptance.Request) -> tuple[Operation, bool]:
        """One resource of a template: admitted and stored as any PUT is."""
        accepted = self._put(request)
        return accepted.operation, accepted.created

    def _operation(self, resource: Resource, kind: Kind) -> Operation:
        return Operation(
            id=self.new_id(),
            resource=resource.key,
            resource_id=resource.id,
            kind=kind,
            status=Status.IN_PROGRESS,
            revision=0,
            created_at=self.clock(),
        )
