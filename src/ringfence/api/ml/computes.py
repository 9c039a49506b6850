"""Computes as the data plane shows them: the documents of Resource Manager, read only (contract section 5)."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from ringfence.api.arm import documents
from ringfence.api.ml import answers, reading
from ringfence.api.ml.routing import Asked, Route
from ringfence.control.engine import Engine
from ringfence.control.operations import Status
from ringfence.model import errors, ml
from ringfence.model.resource import Resource, Snapshot


class Computes:
    """`/rp/workspaces…/computes`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> Sequence[Route]:
        return (Route("GET", "rp", "computes", self._list), Route("GET", "rp", "computes/{name}", self._get))

    def _list(self, asked: Asked) -> Response:
        snapshot = self._engine.snapshot()
        found = [r for r in snapshot.of_type(ml.COMPUTE) if r.id.parent == asked.workspace.id]
        return answers.page([self._document(snapshot, r) for r in found])

    def _get(self, asked: Asked) -> Response:
        snapshot = self._engine.snapshot()
        found = snapshot.get(reading.child(asked.workspace.id, "computes", asked.params["name"]))
        if found is None:
            message = f"The compute {asked.params['name'][:100]} was not found in the workspace {asked.workspace.id.name}."
            raise errors.NotFound("ComputeNotFound", message)
        return answers.document(self._document(snapshot, found))

    def _document(self, snapshot: Snapshot, compute: Resource) -> documents.Document:
        latest = self._engine.latest(compute.id)
        failure = None
        if latest is not None and latest.status is Status.FAILED:
            failure = errors.Problem(latest.code, latest.message)
        shown = documents.compute_document(snapshot, compute, failure)
        down = self._engine.endpoint_fault(compute.id)
        if down is not None:
            shown["properties"]["provisioningWarnings"] = [{"code": down.code, "message": down.message}]
        return shown
