"""Operations of the data plane: the engine's, in its own words (contract section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import PlainTextResponse, Response

from ringfence.api.ml import answers, reading
from ringfence.api.ml.links import Links
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.transcripts import Transcripts
from ringfence.control.engine import Engine
from ringfence.control.operations import Operation, Status
from ringfence.model import errors, serving

_STATES: Mapping[Status, str] = {
    Status.IN_PROGRESS: "Running",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.CANCELED: "Cancelled",
}
#: Codes of failures that happened while the environment was built; their log is the build's.
_BUILD_FAILURES = frozenset({"ImageBuildFailure"})


class Operations:
    """The operation part of model management."""

    def __init__(self, engine: Engine, transcripts: Transcripts, links: Links) -> None:
        self._engine = engine
        self._transcripts = transcripts
        self._links = links

    def routes(self) -> Sequence[Route]:
        service = "modelmanagement"
        return (
            Route("GET", service, "operations/{id}", self._get),
            Route("GET", service, "operations/{id}/log", self._log),
        )

    def _get(self, asked: Asked) -> Response:
        operation = self._find(asked)
        building = operation.code in _BUILD_FAILURES
        shown: dict[str, object] = {
            "id": operation.id,
            "operationType": "Service",
            "state": _STATES[operation.status],
            "createdTime": answers.instant(operation.created_at),
            "endTime": answers.instant(operation.ended_at) if operation.ended_at else None,
            "error": _error(operation),
            "resourceLocation": f"{asked.path.rpartition('/operations/')[0]}/services/{operation.resource_id.name}",
            "operationDetails": {
                "subOperationType": "BuildEnvironment" if building else "DeployService",
                "subOperationState": _STATES[operation.status],
            },
            "operationLog": self._links.sign(asked.base, f"{asked.path}/log"),
        }
        if "offset" in asked.query:
            offset = reading.number(asked.query["offset"], 0, 10**9)
            now = self._engine.clock()
            log = self._transcripts.read(operation, self._engine.build_log(operation.resource_id), now, offset)
            shown["streamingOperationLog"] = log
        return answers.document(shown)

    def _log(self, asked: Asked) -> Response:
        operation = self._find(asked)
        lines = [f"{when:%Y-%m-%d %H:%M:%S} {text}" for when, text in operation.events]
        return PlainTextResponse("\n".join([*lines, self._engine.build_log(operation.resource_id)]))

    def _find(self, asked: Asked) -> Operation:
        operation = self._engine.operation(asked.params["id"])
        about = operation.resource_id
        if about.type.lower() != serving.SERVICE or about.parent != asked.workspace.id:
            raise errors.NotFound("OperationNotFound", f"There is no operation {asked.params['id'][:100]} in this workspace.")
        return operation


def _error(operation: Operation) -> dict[str, object] | None:
    if operation.status is not Status.FAILED:
        return None
    return {"code": operation.code, "statusCode": 400, "message": operation.message, "details": []}
