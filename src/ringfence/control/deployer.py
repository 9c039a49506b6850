"""The deployer: carries out templates, resource by resource, and ends their operations.

One thread. What has been done is read from the store and what is to be done from the
template, so a process that takes over goes on where the other ended; a resource that was
put and not yet noted is put once more, which changes nothing. Each goes the way of every
PUT. What templates mean is `policy.templates`; bodies are read by the face that has them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pydantic import JsonValue

from ringfence.control.acceptance import Request
from ringfence.control.judgement import Outcome
from ringfence.control.ledger import Ledger
from ringfence.control.operations import Operation, Status
from ringfence.model import errors
from ringfence.model.deployment import Deployment, Fault, Progress, Step
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy.access import Caller
from ringfence.policy.templates import planning

log = logging.getLogger(__name__)

#: Seconds between two looks while a deployment is under way; after a look that raised; while there is none.
_BUSY_S, _BACKOFF_S, _IDLE_S = 0.05, 1.0, 5.0
#: A refusal that passes: an earlier write of the same resource has to end first.
_PASSING = "AnotherOperationInProgress"
FAILED = "DeploymentFailed"
_FAILED_MESSAGE = (
    "At least one resource deployment operation failed. Please list deployment operations for details. "
    "Please see https://aka.ms/arm-deployment-operations for usage details."
)


class Reader(Protocol):
    """How bodies become drafts, and resources documents."""

    @property
    def tenant(self) -> str: ...

    def read(self, snapshot: Snapshot, id: ResourceId, body: Mapping[str, JsonValue]) -> Request:
        """Raises errors.Problem."""
        ...

    def show(self, snapshot: Snapshot, id: ResourceId) -> Mapping[str, JsonValue] | None:
        """The document of a resource; None when there is none."""
        ...


class Deployer:
    """put: as a PUT does; answers with the operation, and whether the resource is new. Waits for a `reader`."""

    def __init__(
        self, ledger: Ledger, put: Callable[[Request], tuple[Operation, bool]], clock: Callable[[], dt.datetime]
    ) -> None:
        self._ledger = ledger
        self._put = put
        self._clock = clock
        self._reader: Reader | None = None
        self._wakened, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="deployer", daemon=True)

    def read_with(self, reader: Reader) -> None:
        """Deployments are carried out from now on."""
        self._reader = reader
        self.wake()

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """There may be something to deploy."""
        self._wakened.set()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stopped.set()
        self._wakened.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        last = ""
        while not self._stopped.is_set():
            self._wakened.clear()
            try:
                busy = self._reader is not None and self.advance(self._reader)
            except Exception as error:  # whatever one deployment meets, the thread lives and tries again
                if str(error) != last:
                    log.exception("deployments could not be carried on; it will be tried again")
                last = str(error)
                self._stopped.wait(_BACKOFF_S)
                continue
            last = ""
            self._wakened.wait(_BUSY_S if busy else _IDLE_S)

    def advance(self, reader: Reader) -> bool:
        """Carry every unfinished deployment as far as it goes now. Returns whether there is one."""
        pending = [operation for operation in self._ledger.pending() if operation.deploys]
        for operation in pending:
            snapshot = self._ledger.snapshot()
            found = snapshot.get(operation.resource)
            if found is not None and found.state is not ProvisioningState.DELETING and operation.revision <= snapshot.version:
                self._carry(operation, found, reader)
        return bool(pending)

    def _carry(self, operation: Operation, found: Resource, reader: Reader) -> None:
        """One deployment: note what has ended, begin what can begin, and end it when nothing is left."""
        asked = found.properties
        assert isinstance(asked, Deployment)
        steps, fault, outputs = [self._seen(step) for step in asked.steps], None, None
        outcome = None
        try:
            if not any(step.progress is Progress.FAILED for step in steps):
                steps = self._begun(found, asked, steps, reader)
            if all(step.progress is Progress.SUCCEEDED for step in steps):
                outputs = self._plan(found, asked, steps, reader).outputs
                outcome = Outcome(operation, Status.SUCCEEDED)
        except errors.Problem as problem:
            # What an expression refers to at run time is not there, or not as the template takes it to be.
            fault = Fault(code=problem.code, message=problem.message, target=problem.target)
        failed = fault is not None or any(step.progress is Progress.FAILED for step in steps)
        if failed and not any(step.progress is Progress.RUNNING for step in steps):
            outcome = Outcome(operation, Status.FAILED, FAILED, _FAILED_MESSAGE)
        if outcome is not None or tuple(steps) != asked.steps:
            changed = {"steps": tuple(steps), "outputs": outputs, "fault": fault}
            self._record(found, asked.model_copy(update=changed), outcome)

    def _seen(self, step: Step) -> Step:
        """A step that runs, as its operation is now."""
        if step.progress is not Progress.RUNNING or step.operation is None:
            return step
        operation = self._ledger.operation(step.operation)
        if operation is not None and not operation.status.terminal:
            return step
        ended = (operation.ended_at if operation is not None else None) or self._clock()
        if operation is None or operation.status is Status.SUCCEEDED:
            return step.model_copy(update={"progress": Progress.SUCCEEDED, "ended": ended.isoformat()})
        fault = Fault(code=operation.code or "OperationCanceled", message=operation.message, target=step.id)
        return step.model_copy(update={"progress": Progress.FAILED, "ended": ended.isoformat(), "fault": fault})

    def _begun(self, found: Resource, asked: Deployment, steps: Sequence[Step], reader: Reader) -> list[Step]:
        """The steps with everything begun whose needs are met. Raises Problem."""
        if not any(step.progress is Progress.WAITING for step in steps):
            return list(steps)
        planned = {p.id.key: p for p in self._plan(found, asked, steps, reader).resources}
        done = _done(steps)
        result, ready = [], 0
        for step in steps:
            plan = planned.get(step.id.lower())
            if step.progress is Progress.WAITING and plan is not None and plan.body is not None and plan.needs <= done:
                ready += 1
                step = self._begin(step, plan.id, plan.body, reader, _caller(asked))
            result.append(step)
        if not ready and not any(step.progress is Progress.RUNNING for step in steps):
            raise errors.Invalid("InvalidTemplate", "The resources that are left wait for one another through 'reference'.")
        return result

    def _begin(self, step: Step, id: ResourceId, body: Mapping[str, JsonValue], reader: Reader, caller: Caller | None) -> Step:
        now = self._clock().isoformat()
        try:
            request = reader.read(self._ledger.snapshot(), id, body)
            operation, created = self._put(dataclasses.replace(request, caller=caller))
        except errors.Problem as problem:
            if problem.code == _PASSING:
                return step
            fault = Fault(code=problem.code, message=problem.message, target=problem.target)
            return step.model_copy(update={"progress": Progress.FAILED, "started": now, "ended": now, "fault": fault})
        return self._seen(
            step.model_copy(update={"progress": Progress.RUNNING, "operation": operation.id, "created": created, "started": now})
        )

    def _plan(self, found: Resource, asked: Deployment, steps: Sequence[Step], reader: Reader) -> planning.Plan:
        snapshot = self._ledger.snapshot()
        request = planning.Request(
            deployment=found.id, tenant=reader.tenant, template=asked.template, parameters=asked.parameters
        )
        return planning.plan(snapshot, request, lambda id: reader.show(snapshot, id), _done(steps))

    def _record(self, found: Resource, properties: Deployment, outcome: Outcome | None) -> None:
        """Store how far it is, unless it is on its way out by now."""
        with self._ledger.write() as change:
            current = change.before.get(found.key)
            if current is None or current.state is ProvisioningState.DELETING:
                return
            new = dataclasses.replace(current, properties=properties, changed_at=self._clock())
            change.become(change.before.changed([new]), [new], ())
            if outcome is not None:
                change.end(outcome)


def _caller(asked: Deployment) -> Caller | None:
    """Whose rights the resources of a deployment need."""
    by = asked.caller
    if by is None:
        return None
    return Caller(
        object_id=by.object_id, client_id=by.client_id, name=by.name, groups=frozenset(by.groups), tenant_id=by.tenant_id
    )


def _done(steps: Sequence[Step]) -> frozenset[str]:
    return frozenset(step.id.lower() for step in steps if step.progress is Progress.SUCCEEDED)
