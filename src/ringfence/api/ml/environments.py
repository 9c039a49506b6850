"""Registered environments: definitions under a name, in numbered versions (contract section 7.6).

A definition is stored as sent, with the names of its parts in one spelling. Building
happens when a service needs the environment, or when `images` is asked to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api.ml import answers, reading
from ringfence.api.ml.routing import Asked, Route
from ringfence.api.ml.writing import Writer
from ringfence.control.engine import Engine
from ringfence.model import errors, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Resource, Snapshot

#: The parts of a definition, in the spelling of documents, by lower-case name.
_PARTS: Mapping[str, str] = {
    part.lower(): part
    for part in ("python", "environmentVariables", "docker", "spark", "inferencingStackVersion", "r", "databricks")
}
_IGNORED = frozenset({"name", "version", "assetid", "autorebuild", "labels"})


class Environments:
    """The environment service."""

    def __init__(self, engine: Engine, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    def routes(self) -> Sequence[Route]:
        service = "environment"
        one, version = "environments/{name}", "environments/{name}/versions/{version}"
        return (
            Route("GET", service, "environments", self._list),
            Route("PUT", service, one, self._register),
            Route("PUT", service, version, self._register),
            Route("GET", service, one, self._get),
            Route("GET", service, version, self._get),
            Route("GET", service, "environments/{name}/labels/{label}", self._get_label),
        )

    def definition(self, workspace: Resource, named: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        """The definition behind `{name, version}`. Raises errors.NotFound."""
        name, version = reading.text(named.get("name"), "environment.name"), named.get("version")
        return document(self.find(workspace.id, name, None if version is None else str(version)))

    def find(self, workspace: ResourceId, name: str, version: str | None) -> Resource:
        """A version, or the latest one. Raises errors.NotFound."""
        found = [r for r in self._versions(self._engine.snapshot(), workspace, name) if version in (None, _of(r).version)]
        if not found:
            shown = name[:200] if version is None else f"{name[:200]}:{version[:50]}"
            raise errors.NotFound("EnvironmentNotFound", f"There is no environment {shown} in the workspace {workspace.name}.")
        return max(found, key=lambda r: (r.created_at, r.key))

    def register(self, workspace: ResourceId, name: str, version: str | None, sent: Mapping[str, JsonValue]) -> Resource:
        """Register a definition; the same one again is the version that has it already.

        Raises errors.Conflict for a version that exists with another definition: versions do not change.
        """
        definition = _definition(sent)
        for known in self._versions(self._engine.snapshot(), workspace, name):
            if version in (None, _of(known).version) and _of(known).definition == definition:
                return known
        if version is not None:
            return self._one(workspace, name, version, definition)

        def make(number: int) -> tuple[ResourceId, Properties]:
            properties = serving.EnvironmentVersion(name=name, version=str(number), definition=definition)
            return _id(workspace, name, str(number)), properties

        def latest(snapshot: Snapshot) -> int:
            taken = (_of(r).version for r in self._versions(snapshot, workspace, name))
            return max((int(v) for v in taken if v.isascii() and v.isdigit()), default=0)

        return self._writer.next_version(latest, make)

    def _one(self, workspace: ResourceId, name: str, version: str, definition: Mapping[str, JsonValue]) -> Resource:
        properties = serving.EnvironmentVersion(name=name, version=version, definition=definition)
        try:
            return self._writer.create(_id(workspace, name, version), properties)
        except errors.PreconditionFailed as error:
            message = f"The environment {name}:{version} exists with another definition; register a new version."
            raise errors.Conflict("EnvironmentVersionExists", message) from error

    def _register(self, asked: Asked) -> Response:
        sent = reading.mapping(asked.body, "The body")
        registered = self.register(asked.workspace.id, asked.params["name"], asked.params.get("version"), sent)
        return answers.document(document(registered))

    def _get(self, asked: Asked) -> Response:
        return answers.document(document(self.find(asked.workspace.id, asked.params["name"], asked.params.get("version"))))

    def _get_label(self, asked: Asked) -> Response:
        if asked.params["label"].lower() != "latest":
            raise errors.NotFound("LabelNotFound", "The only label of an environment here is `latest`.")
        return answers.document(document(self.find(asked.workspace.id, asked.params["name"], None)))

    def _list(self, asked: Asked) -> Response:
        """The latest version of each environment."""
        workspace = asked.workspace.id
        found = [r for r in self._engine.snapshot().of_type(serving.ENVIRONMENT_VERSION) if r.id.within(workspace)]
        latest = {_of(r).name.lower(): r for r in sorted(found, key=lambda r: (r.created_at, r.key))}
        return answers.document({"value": [document(r) for r in latest.values()], "continuationToken": None})

    def _versions(self, snapshot: Snapshot, workspace: ResourceId, name: str) -> list[Resource]:
        parent = reading.child(workspace, "environments", name)
        return [r for r in snapshot.of_type(serving.ENVIRONMENT_VERSION) if r.id.parent == parent]


def document(environment: Resource) -> Mapping[str, JsonValue]:
    """What the SDK reads as an Environment."""
    properties = _of(environment)
    return {"name": properties.name, "version": properties.version, **properties.definition}


def _definition(sent: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    for name, value in sent.items():
        if name.lower() in _IGNORED:
            continue
        if name.lower() not in _PARTS:
            raise errors.Invalid("BadRequest", f"An environment has no part {name[:100]!r}.", target=name[:100])
        found[_PARTS[name.lower()]] = value
    if not isinstance(found.get("python"), dict):
        raise errors.Invalid("BadRequest", "An environment needs `python`, an object.", target="python")
    return found


def _id(workspace: ResourceId, name: str, version: str) -> ResourceId:
    return reading.child(reading.child(workspace, "environments", name), "versions", version)


def _of(environment: Resource) -> serving.EnvironmentVersion:
    assert isinstance(environment.properties, serving.EnvironmentVersion)
    return environment.properties
