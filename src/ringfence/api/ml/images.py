"""Building a registered environment by itself, ahead of any deployment (contract section 7.6).

What is built is the image that services of the same specification share, in the workspace's
registry. Status and log are those of the engine's operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.responses import PlainTextResponse, Response

from ringfence.api.ml import answers
from ringfence.api.ml.environments import Environments
from ringfence.api.ml.links import Links
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.writing import Writer
from ringfence.control.engine import Engine
from ringfence.control.operations import Status
from ringfence.desired import ml as desired
from ringfence.model import errors, serving
from ringfence.model.resource import ProvisioningState, Resource

_STATES: Mapping[Status, str] = {
    Status.IN_PROGRESS: "Running",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.CANCELED: "Canceled",
}
_ONE = "environments/{name}/versions/{version}/image"


class Images:
    """The build part of the environment service."""

    def __init__(self, engine: Engine, environments: Environments, writer: Writer, links: Links) -> None:
        self._engine = engine
        self._environments = environments
        self._writer = writer
        self._links = links

    def routes(self) -> Sequence[Route]:
        service = "environment"
        return (
            Route("POST", service, _ONE, self._build),
            Route("GET", service, _ONE, self._details),
            Route("GET", service, "environments/{name}/image", self._details),
            Route("GET", service, _ONE + "/status/{operation}", self._status),
            Route("GET", service, _ONE + "/log", self._log),
        )

    def _build(self, asked: Asked) -> Response:
        """Building again what is built is the operation that finds it ready."""
        old = self._find(asked)
        wanted = _of(old).model_copy(update={"build": True})
        accepted = self._engine.put(self._writer.draft(old.id, wanted), if_match=old.etag)
        return answers.document({"location": f"{asked.base}{asked.path}/status/{accepted.operation.id}"}, 202)

    def _status(self, asked: Asked) -> Response:
        environment, operation = self._find(asked), self._engine.operation(asked.params["operation"])
        if operation.resource_id != environment.id:
            raise errors.NotFound("OperationNotFound", "There is no such build of this environment.")
        log = self._links.sign(asked.base, asked.path.rpartition("/status/")[0] + "/log")
        shown: dict[str, object] = {"status": _STATES[operation.status], "logUrl": log}
        if operation.status is Status.FAILED:
            shown["error"] = {"code": operation.code, "message": operation.message}
        return answers.document(shown)

    def _log(self, asked: Asked) -> Response:
        environment = self._find(asked)
        latest = self._engine.latest(environment.id)
        failed = f"{latest.code}: {latest.message}\n" if latest is not None and latest.status is Status.FAILED else ""
        return PlainTextResponse(self._engine.build_log(environment.id) + failed)

    def _details(self, asked: Asked) -> Response:
        environment = self._find(asked)
        built = _of(environment).build and environment.state is ProvisioningState.SUCCEEDED
        made = desired.image(self._engine.snapshot(), environment) if built else None
        address = made.registry if made is not None else None
        image = {
            "name": made.repository if made is not None else None,
            "registry": {"address": address, "username": None, "password": None},
        }
        return answers.document({"imageExistsInRegistry": built, "dockerImage": image, "ingredients": {}})

    def _find(self, asked: Asked) -> Resource:
        return self._environments.find(asked.workspace.id, asked.params["name"], asked.params.get("version"))


def _of(environment: Resource) -> serving.EnvironmentVersion:
    assert isinstance(environment.properties, serving.EnvironmentVersion)
    return environment.properties
