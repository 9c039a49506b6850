"""Assets: names for uploaded artifacts, resolved to contents when they are made (contract section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api.ml import answers, reading
from ringfence.api.ml.artifacts import Artifact, Artifacts
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.writing import Writer, creator
from ringfence.control.engine import Engine
from ringfence.model import errors, serving
from ringfence.model.resource import Resource

_MOST = 255
_READ_ONLY = frozenset({"id", "createdtime", "modifiedtime", "createdby", "version", "blobs", "etag"})


class Assets:
    """The asset part of model management."""

    def __init__(self, engine: Engine, artifacts: Artifacts, writer: Writer) -> None:
        self._engine = engine
        self._artifacts = artifacts
        self._writer = writer

    def routes(self) -> Sequence[Route]:
        service = "modelmanagement"
        return (
            Route("POST", service, "assets", self._create),
            Route("GET", service, "assets", self._list),
            Route("GET", service, "assets/{id}", self._get),
        )

    def find(self, workspace: Resource, id: str) -> Resource:
        """Raises errors.NotFound."""
        found = self._engine.snapshot().get(reading.child(workspace.id, "assets", id))
        if found is None:
            raise errors.NotFound("AssetNotFound", f"There is no asset {id} in the workspace {workspace.id.name}.")
        return found

    def _create(self, asked: Asked) -> Response:
        sent = reading.present(reading.mapping(asked.body, "The body"))
        fields = {_spelled(name): value for name, value in sent.items() if name.lower() not in _READ_ONLY | {"type"}}
        properties = reading.properties(serving.Asset, fields)
        blobs = tuple(blob for ref in properties.artifacts for blob in self._resolve(asked.workspace, ref))
        if properties.artifacts and not blobs:
            raise errors.NotFound("ArtifactNotFound", "None of the artifacts that the asset names was uploaded.")
        filled = properties.model_copy(update={"blobs": blobs, "created_by": creator(asked.caller)})
        id = asked.workspace.id.child("assets", self._engine.new_id())
        return answers.document(document(self._writer.create(id, filled)))

    def _resolve(self, workspace: Resource, ref: serving.ArtifactRef) -> Sequence[serving.Blob]:
        if ref.id is not None:
            artifact = Artifact.parse(ref.id)
            found = self._artifacts.find(workspace, artifact)
            return (serving.Blob(path=artifact.path.rpartition("/")[2], sha256=found.content.sha256),)
        prefix = Artifact.parse((ref.prefix or "").rstrip("/")).id
        # A folder keeps its own name below the asset's root, as it has in the model's folder on a cluster.
        root = len(prefix.rpartition("/")[0]) + 1
        found_below = self._artifacts.below(workspace, prefix)
        return [serving.Blob(path=blob.name[root:], sha256=blob.content.sha256) for blob in found_below]

    def _get(self, asked: Asked) -> Response:
        return answers.document(document(self.find(asked.workspace, asked.params["id"])))

    def _list(self, asked: Asked) -> Response:
        name, run = asked.query.get("name"), asked.query.get("runid")
        found = [r for r in self._engine.snapshot().of_type(serving.ASSET) if r.id.parent == asked.workspace.id]
        kept = [r for r in found if _fits(r, name, run)]
        kept.sort(key=lambda r: (r.created_at, r.key), reverse=True)
        count = reading.number(asked.query.get("count"), _MOST, _MOST)
        return answers.page([document(r) for r in kept[:count]])


def document(asset: Resource) -> Mapping[str, object]:
    """What the SDK reads as an Asset."""
    properties = asset.properties
    assert isinstance(properties, serving.Asset)
    shown: dict[str, JsonValue] = properties.model_dump(mode="json", by_alias=True, exclude={"blobs", "run_id"})
    shown["artifacts"] = [reading.present(ref.model_dump(mode="json", by_alias=True)) for ref in properties.artifacts]
    times = {"createdTime": answers.instant(asset.created_at), "modifiedTime": answers.instant(asset.changed_at)}
    return {"id": asset.id.name, **shown, "runid": properties.run_id, **times}


def _spelled(name: str) -> str:
    return "runId" if name.lower() == "runid" else name


def _fits(asset: Resource, name: str | None, run: str | None) -> bool:
    assert isinstance(asset.properties, serving.Asset)
    return (name is None or asset.properties.name == name) and (run is None or asset.properties.run_id == run)
