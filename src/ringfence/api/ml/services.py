"""Web services: validate, deploy, read, update, delete, logs and keys (contract section 7)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api.ml import answers, reading, service_documents, service_tokens
from ringfence.api.ml.environments import Environments
from ringfence.api.ml.models import matches
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.service_drafts import Drafts, chosen_key
from ringfence.api.ml.transcripts import Transcripts
from ringfence.api.ml.writing import Writer
from ringfence.control import acceptance, removal
from ringfence.control.engine import Engine
from ringfence.control.operations import Operation
from ringfence.desired import ml as desired
from ringfence.desired.state import Readiness
from ringfence.model import errors, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import places

_MOST_LINES = 5000


class Services:
    """The service part of model management."""

    def __init__(
        self, engine: Engine, drafts: Drafts, environments: Environments, writer: Writer, transcripts: Transcripts
    ) -> None:
        self._engine = engine
        self._drafts = drafts
        self._environments = environments
        self._writer = writer
        self._transcripts = transcripts

    def routes(self) -> Sequence[Route]:
        service, one = "modelmanagement", "services/{name}"
        return (
            Route("POST", service, "services/validate", self._validate),
            Route("POST", service, "services/validate/resource", self._validate_resource),
            Route("POST", service, "services/validate/name/{name}", self._validate_name),
            Route("POST", service, "services", self._create),
            Route("GET", service, "services", self._list),
            Route("GET", service, one, self._get),
            Route("PATCH", service, one, self._update),
            Route("DELETE", service, one, self._delete),
            Route("GET", service, one + "/logs", self._logs),
            Route("POST", service, one + "/listkeys", self._list_keys),
            Route("POST", service, one + "/regenerateKeys", self._regenerate_keys),
            Route("POST", service, one + "/token", self._token),
        )

    def _validate_name(self, asked: Asked) -> Response:
        return _verdict(lambda: self._free(service_id(asked.workspace, asked.params["name"])))

    def _validate_resource(self, asked: Asked) -> Response:
        payload = reading.mapping(asked.body, "The body")
        return _verdict(lambda: self._judge_create(asked.workspace, payload))

    def _validate(self, asked: Asked) -> Response:
        """200 whatever comes out: the SDK ends a deployment with exactly the message of `error`."""
        body = reading.mapping(asked.body, "The body")
        id = service_id(asked.workspace, reading.text(body.get("serviceName"), "serviceName"))
        kind = body.get("type")
        if kind == "Create":
            return _verdict(
                lambda: self._judge_create(asked.workspace, reading.mapping(body.get("createRequest"), "createRequest"))
            )
        if kind == "Update":
            return _verdict(lambda: self._judge_update(asked.workspace, id, body.get("updateRequest")))
        if kind == "Delete":
            return _verdict(lambda: self._judge_delete(id))
        raise errors.Invalid("BadRequest", f"The type {str(kind)[:40]!r} is not Create, Update or Delete.", target="type")

    def _create(self, asked: Asked) -> Response:
        payload = reading.mapping(asked.body, "The body")
        id, properties, old = self._draft(asked.workspace, payload)
        self._register_environment(id.parent, properties)
        return self._started(asked, self._writer.draft(id, properties), old)

    def _list(self, asked: Asked) -> Response:
        query = asked.query
        kept = [s for s in self._all(asked.workspace) if _fits(s, query.get("computetype"), query.get("modelname"))]
        tagged = [s for s in kept if matches(service_documents.of(s).kv_tags, query.get("tags", ""))]
        found = [s for s in tagged if matches(service_documents.of(s).properties, query.get("properties", ""))]
        wanted = query.get("modelid")
        found = [s for s in found if wanted in (None, *service_documents.of(s).environment_image_request.model_ids)]
        return answers.page([self._document(service) for service in found])

    def _get(self, asked: Asked) -> Response:
        return answers.document(self._document(self._find(asked)))

    def _update(self, asked: Asked) -> Response:
        old = self._find(asked)
        properties = self._drafts.patched(asked.workspace, service_documents.of(old), asked.body)
        self._register_environment(old.id.parent, properties)
        return self._started(asked, self._writer.draft(old.id, properties), old)

    def _delete(self, asked: Asked) -> Response:
        operation = self._engine.delete(service_id(asked.workspace, asked.params["name"]), caller=asked.caller)
        if operation is None:
            return Response(status_code=204)
        return Response(status_code=202, headers=_location(asked, operation))

    def _logs(self, asked: Asked) -> Response:
        service = self._find(asked)
        if asked.query.get("init", "").lower() == "true":
            content = self._engine.build_log(service.id)
        else:
            content = self._engine.logs(service.id)
        tail = reading.number(asked.query.get("tail"), _MOST_LINES, _MOST_LINES)
        lines = content.splitlines(keepends=True)
        return answers.document({"content": "".join(lines[len(lines) - min(tail, len(lines)) :])})

    def _list_keys(self, asked: Asked) -> Response:
        service = self._keyed(asked)
        return answers.document({"primaryKey": service.primary_key, "secondaryKey": service.secondary_key})

    def _regenerate_keys(self, asked: Asked) -> Response:
        body = reading.mapping(asked.body, "The body")
        field = {"Primary": "primary_key", "Secondary": "secondary_key"}.get(str(body.get("keyType")))
        if field is None:
            raise errors.Invalid("BadRequest", "keyType has to be Primary or Secondary.", target="keyType")
        service, old = self._keyed(asked), self._find(asked)
        properties = service.model_copy(update={field: chosen_key(body.get("keyValue"))})
        return self._started(asked, self._writer.draft(old.id, properties), old)

    def _token(self, asked: Asked) -> Response:
        """Signed for whoever may call this operation; the router checks nothing but the signature and the claims."""
        caller, now = asked.caller, self._engine.clock()
        found = service_tokens.issue(asked.workspace, self._find(asked), caller.object_id, now, self._engine.new_id())
        return answers.document(found)

    def _find(self, asked: Asked) -> Resource:
        found = self._engine.snapshot().get(service_id(asked.workspace, asked.params["name"]))
        if found is None or found.state is ProvisioningState.DELETING:
            message = f"Service {asked.params['name'][:100]} was not found in the workspace {asked.workspace.id.name}."
            raise errors.NotFound("ServiceNotFound", message)
        return found

    def _keyed(self, asked: Asked) -> serving.Service:
        service = service_documents.of(self._find(asked))
        if not service.auth_enabled:
            message = f"Key authentication is switched off for the service {asked.params['name']}."
            raise errors.Invalid("KeyAuthDisabled", message, target="authEnabled")
        return service

    def _all(self, workspace: Resource) -> list[Resource]:
        found = self._engine.snapshot().of_type(serving.SERVICE)
        return [s for s in found if s.id.parent == workspace.id and s.state is not ProvisioningState.DELETING]

    def _document(self, service: Resource) -> dict[str, object]:
        down = self._engine.endpoint_fault(places.compute_of(service))
        return service_documents.document(self._engine.snapshot(), service, self._engine.latest(service.id), down)

    def _draft(self, workspace: Resource, payload: dict[str, JsonValue]) -> tuple[ResourceId, serving.Service, Resource | None]:
        id = service_id(workspace, reading.text(payload.get("name"), "name"))
        old = self._engine.snapshot().get(id)
        if old is not None and payload.get("overwrite") is not True:
            raise _taken(id)
        before = None if old is None else service_documents.of(old)
        return id, self._drafts.created(workspace, payload, before), old

    def _register_environment(self, workspace: ResourceId, service: serving.Service) -> None:
        """An environment that came with a deployment can be found by its name afterwards."""
        inline = service.environment_image_request.environment
        name = inline.get("name") if inline is not None else None
        if inline is not None and isinstance(name, str) and name and not name.startswith("AzureML-"):
            self._environments.register(workspace, name, None, inline)

    def _started(self, asked: Asked, draft: Resource, old: Resource | None) -> Response:
        """Put the draft onto what was read before, and answer with the operation."""
        built_before = self._is_built(service_documents.of(draft))
        fresh, same = ("*", None) if old is None else (None, old.etag)
        accepted = self._engine.put(draft, if_none_match=fresh, if_match=same, caller=asked.caller)
        self._transcripts.begin(accepted.operation.id, built_before=built_before, now=self._engine.clock())
        return answers.document(self._document(accepted.resource), 202, _location(asked, accepted.operation))

    def _is_built(self, service: serving.Service) -> bool:
        try:
            seen = self._engine.observed().get(desired.environment(service).key)
        except errors.Problem:
            return False  # admission says it, with everything else that is wrong
        return seen is not None and seen.readiness is Readiness.READY

    def _free(self, id: ResourceId) -> None:
        if self._engine.snapshot().get(id) is not None:
            raise _taken(id)

    def _judge_create(self, workspace: Resource, payload: dict[str, JsonValue]) -> None:
        id, properties, _ = self._draft(workspace, payload)
        self._judge(id, properties)

    def _judge_update(self, workspace: Resource, id: ResourceId, patch: JsonValue) -> None:
        old = self._engine.get(id)
        self._judge(id, self._drafts.patched(workspace, service_documents.of(old), patch))

    def _judge(self, id: ResourceId, properties: serving.Service) -> None:
        """What `Engine.put` would say, without writing."""
        request = acceptance.Request(draft=self._writer.draft(id, properties))
        acceptance.decide(self._engine.snapshot(), request, acceptance.Moment(self._engine.clock(), self._engine.new_id))

    def _judge_delete(self, id: ResourceId) -> None:
        snapshot = self._engine.snapshot()
        found = snapshot.get(id)
        if found is not None:
            removal.decide(snapshot, found)


def service_id(workspace: Resource, name: str) -> ResourceId:
    """Raises errors.Invalid for a name that is none."""
    return reading.child(workspace.id, "services", name)


def _fits(service: Resource, compute_type: str | None, model: str | None) -> bool:
    properties = service_documents.of(service)
    if compute_type is not None and properties.compute_type.lower() != compute_type.lower():
        return False
    names = {id.rpartition(":")[0] for id in properties.environment_image_request.model_ids}
    return model is None or model in names


def _taken(id: ResourceId) -> errors.Conflict:
    way_out = "please use a different service name or delete the existing service."
    message = f"Service {id.name} with the same name already exists, {way_out}"
    return errors.Conflict("ServiceNameConflict", message, target="name")


def _location(asked: Asked, operation: Operation) -> dict[str, str]:
    """The SDK takes the last segment only, and adds it to its own base."""
    base = asked.base + asked.path[: asked.path.lower().index("/services")]
    return {"Operation-Location": f"{base}/operations/{operation.id}"}


def _verdict(judge: Callable[[], None]) -> Response:
    try:
        judge()
    except errors.Problem as problem:
        return answers.document({"error": {"code": problem.code, "message": problem.message}})
    return answers.document({})
