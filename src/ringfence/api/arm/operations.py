"""Operations as clients follow them: the status document, and the result that `Location` leads to."""

from __future__ import annotations

from starlette.responses import Response

from ringfence.api import errors as table
from ringfence.api.arm import asked as answers
from ringfence.api.arm import deployment_documents, documents
from ringfence.api.arm.asked import Asked
from ringfence.control.deployer import FAILED
from ringfence.control.engine import Engine
from ringfence.control.operations import Kind, Operation, Status
from ringfence.model import errors
from ringfence.model.resource import ProvisioningState
from ringfence.policy import access, authority


class Operations:
    """tenant: of the one subscription."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._tenant = tenant

    def status(self, asked: Asked, name: str) -> Response:
        """`{id, name, status, startTime, endTime?, error?}`: always 200, whatever became of it. Raises Forbidden, NotFound."""
        operation = self._seen(asked, name)
        found: dict[str, object] = {
            "id": asked.path,
            "name": operation.id,
            "status": "Running" if operation.deploys and not operation.status.terminal else operation.status.value,
            "startTime": operation.created_at.isoformat(),
        }
        if operation.ended_at is not None:
            found["endTime"] = operation.ended_at.isoformat()
        if operation.code:
            found["error"] = table.entry(self._problem(operation))
        headers = {} if operation.status.terminal else {"Retry-After": answers.RETRY_AFTER}
        return answers.document(found, headers=headers)

    def result(self, asked: Asked, name: str) -> Response:
        """202 while it runs; then the resource, nothing for a deletion, or the error. Raises Forbidden, NotFound, Invalid."""
        operation = self._seen(asked, name)
        if not operation.status.terminal:
            location = f"{answers.ORIGIN}{asked.path}?api-version={asked.version}"
            return answers.nothing(202, {"Location": location, "Retry-After": answers.RETRY_AFTER})
        if operation.status is not Status.SUCCEEDED:
            raise errors.Conflict(operation.code or "OperationCanceled", operation.message)
        resource = self._engine.snapshot().get(operation.resource)
        if operation.kind is Kind.DELETE or resource is None:
            return answers.nothing(204)
        return answers.document(documents.document(self._engine.snapshot(), resource, tenant=self._tenant))

    def _seen(self, asked: Asked, name: str) -> Operation:
        """For who may do anything to what it is about. Once that is gone, its name is enough: nobody else was told it.

        Raises Forbidden, NotFound.
        """
        operation, snapshot = self._engine.operation(name), self._engine.snapshot()
        id = operation.resource_id
        verbs = (authority.READ, authority.WRITE, authority.DELETE)
        gone = operation.kind is Kind.DELETE and snapshot.get(id) is None
        if not gone and not any(access.permits(snapshot, asked.caller, authority.action(id.type, verb), id) for verb in verbs):
            access.require(snapshot, asked.caller, authority.action(id.type, authority.READ), id)
        return operation

    def _problem(self, operation: Operation) -> errors.Problem:
        """With what went wrong in a deployment, for as long as that is its last."""
        found = self._engine.snapshot().get(operation.resource)
        failed = found is not None and found.state is ProvisioningState.FAILED
        if found is not None and failed and operation.deploys and operation.code == FAILED:
            return deployment_documents.failure(found)
        return errors.Problem(operation.code, operation.message)
