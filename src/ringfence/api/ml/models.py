"""Registered models: register, get, list, patch, delete (contract section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api.ml import answers, patches, reading
from ringfence.api.ml.assets import Assets
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.writing import Writer, creator
from ringfence.control.engine import Engine
from ringfence.model import errors, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Resource, Snapshot

_MOST = 255
_READ_ONLY = frozenset({"id", "version", "createdtime", "modifiedtime", "createdby", "tags", "etag"})
_WRITABLE = frozenset({"description", "kvTags", "properties", "sampleInputData", "sampleOutputData", "resourceRequirements"})


class Models:
    """The model part of model management."""

    def __init__(self, engine: Engine, assets: Assets, writer: Writer) -> None:
        self._engine = engine
        self._assets = assets
        self._writer = writer

    def routes(self) -> Sequence[Route]:
        service = "modelmanagement"
        return (
            Route("POST", service, "models", self._register),
            Route("GET", service, "models", self._list),
            Route("GET", service, "models/{id}", self._get),
            Route("PATCH", service, "models/{id}", self._patch),
            Route("DELETE", service, "models/{id}", self._delete),
        )

    def find(self, workspace: Resource, id: str) -> Resource:
        """By `name:version`. Raises errors.NotFound."""
        found = self._engine.snapshot().get(model_id(workspace.id, id))
        if found is None:
            raise errors.NotFound("ModelNotFound", f"Model with id {id[:300]} not found in the workspace {workspace.id.name}.")
        return found

    def _register(self, asked: Asked) -> Response:
        sent = reading.present(reading.mapping(asked.body, "The body"))
        fields = {name: value for name, value in sent.items() if name.lower() not in _READ_ONLY}
        properties = reading.properties(serving.ModelVersion, {**fields, "version": 0})
        if properties.asset_id is None:
            raise errors.Unsupported(
                "BadRequest", "A model's url has to be aml://asset/{id} of an asset of this workspace.", target="url"
            )
        self._assets.find(asked.workspace, properties.asset_id)
        workspace, name = asked.workspace.id, properties.name
        made_by = creator(asked.caller)

        def make(version: int) -> tuple[ResourceId, Properties]:
            numbered = properties.model_copy(update={"version": version, "created_by": made_by})
            return model_id(workspace, f"{name}:{version}"), numbered

        def latest(snapshot: Snapshot) -> int:
            return max((_of(r).version for r in _all(snapshot, workspace) if _of(r).name.lower() == name.lower()), default=0)

        return answers.document(document(self._writer.next_version(latest, make)))

    def _get(self, asked: Asked) -> Response:
        return answers.document(document(self.find(asked.workspace, asked.params["id"])))

    def _list(self, asked: Asked) -> Response:
        """Newest first, so that the first of a name is its latest version."""
        query = asked.query
        found = [r for r in _all(self._engine.snapshot(), asked.workspace.id) if _fits(_of(r), query)]
        found.sort(key=lambda r: (r.created_at, _of(r).version), reverse="asc" not in query.get("orderby", "").lower())
        if query.get("latestversiononly", "").lower() == "true":
            found = _latest_only(found)
        count = reading.number(query.get("count"), _MOST, _MOST) or _MOST
        start = reading.number(query.get("$skiptoken") or query.get("offset"), 0, 10**9)
        more = None
        if len(found) > start + count:
            rest = {name: value for name, value in query.items() if name not in ("$skiptoken", "offset")}
            more = f"{asked.base}{asked.path}?{urlencode({**rest, '$skipToken': str(start + count)})}"
        return answers.page([document(r) for r in found[start : start + count]], more)

    def _patch(self, asked: Asked) -> Response:
        old = self.find(asked.workspace, asked.params["id"])
        before: dict[str, JsonValue] = old.properties.model_dump(mode="json", by_alias=True)
        after = patches.apply(before, asked.body, _WRITABLE)
        return answers.document(document(self._writer.replace(old, reading.properties(serving.ModelVersion, after))))

    def _delete(self, asked: Asked) -> Response:
        operation = self._engine.delete(model_id(asked.workspace.id, asked.params["id"]), caller=asked.caller)
        if operation is None:
            return Response(status_code=204)
        self._engine.wait(operation.id, 2.0)
        return Response(status_code=200)


def model_id(workspace: ResourceId, id: str) -> ResourceId:
    """The resource behind `name:version`. Raises errors.Invalid for another form."""
    name, colon, version = id.rpartition(":")
    if not colon or not version.isascii() or not version.isdigit() or len(version) > 9:
        raise errors.Invalid("BadRequest", f"A model's id is name:version, which {id[:200]!r} is not.")
    return reading.child(reading.child(workspace, "models", name), "versions", str(int(version)))


def document(model: Resource) -> Mapping[str, object]:
    """What the SDK reads as a Model; `tags` repeats `kvTags` for the reader of service documents."""
    properties = _of(model)
    shown: dict[str, JsonValue] = properties.model_dump(mode="json", by_alias=True)
    times = {"createdTime": answers.instant(model.created_at), "modifiedTime": answers.instant(model.changed_at)}
    return {"id": f"{properties.name}:{properties.version}", **shown, "tags": shown["kvTags"], **times}


def _all(snapshot: Snapshot, workspace: ResourceId) -> list[Resource]:
    return [r for r in snapshot.of_type(serving.MODEL_VERSION) if r.id.within(workspace)]


def _of(model: Resource) -> serving.ModelVersion:
    assert isinstance(model.properties, serving.ModelVersion)
    return model.properties


def _latest_only(found: Sequence[Resource]) -> list[Resource]:
    highest: dict[str, int] = {}
    for model in found:
        name = _of(model).name.lower()
        highest[name] = max(highest.get(name, 0), _of(model).version)
    return [model for model in found if _of(model).version == highest[_of(model).name.lower()]]


def _fits(model: serving.ModelVersion, query: Mapping[str, str]) -> bool:
    exact = {"name": model.name, "framework": model.framework, "description": model.description, "runid": model.run_id}
    if any(name in query and query[name] != value for name, value in exact.items()):
        return False
    tagged = matches(model.kv_tags, query.get("tags") or query.get("tag", ""))
    return tagged and matches(model.properties, query.get("properties", ""))


def matches(values: Mapping[str, str], wanted: str) -> bool:
    """Whether all of `key` and `key=value`, with commas between, are there."""
    for entry in filter(None, wanted.split(",")):
        key, equals, value = entry.partition("=")
        if key not in values or (equals and values[key] != value):
            return False
    return True
