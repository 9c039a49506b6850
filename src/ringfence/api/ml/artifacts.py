"""Artifacts: where clients put files, and where they find them again.

An artifact `origin/container/path` is the blob of that name in the container `azureml`
of the workspace's storage account; there is no record of it besides the blob. Clients
upload and download with signatures made here (contract section 6).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api.blob import sas
from ringfence.api.ml import answers, reading
from ringfence.api.ml.routing import Asked, Route
from ringfence.control.blobs import Address, Blob, Blobs, account_of
from ringfence.model import errors, serving
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import names

#: The container of a workspace's artifacts.
CONTAINER = "azureml"
_READ, _WRITE = "r", "rcw"
_BEFORE, _HOLDS = dt.timedelta(minutes=10), dt.timedelta(hours=8)
_MOST_PATHS = 500
_PAGE = 5000
_SEGMENT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where one artifact is: `LocalUpload`, a container made up by the client, a path of plain segments."""

    origin: str
    container: str
    path: str

    @classmethod
    def of(cls, origin: str, container: str, path: str) -> Artifact:
        """Raises errors.Invalid for names that would not be plain segments."""
        if not _SEGMENT.match(origin) or not _SEGMENT.match(container):
            raise errors.Invalid("UserError", "Origin and container of an artifact are letters, digits, `.`, `_` and `-`.")
        try:
            serving.check_path(path)
        except ValueError as error:
            raise errors.Invalid("UserError", f"The artifact's path: {error}.") from error
        if not path.isprintable():
            raise errors.Invalid("UserError", "The artifact's path holds a control character.")
        return cls(origin, container, path)

    @classmethod
    def parse(cls, id: str) -> Artifact:
        """`origin/container/path`. Raises errors.Invalid."""
        origin, _, rest = id.partition("/")
        container, _, path = rest.partition("/")
        return cls.of(origin, container, path)

    @property
    def id(self) -> str:
        return f"{self.origin}/{self.container}/{self.path}"


class Artifacts:
    """The artifact service, and what other nouns ask of it."""

    def __init__(self, blobs: Blobs, snapshot: Callable[[], Snapshot], clock: Callable[[], dt.datetime]) -> None:
        self._blobs = blobs
        self._snapshot = snapshot
        self._clock = clock

    def routes(self) -> Sequence[Route]:
        service, one = "artifact", "{origin}/{container}/{path*}"
        return (
            Route("POST", service, "artifacts/batch/metadata/{origin}/{container}", self._create),
            Route("GET", service, "artifacts/contentinfo/" + one, self._content),
            Route("GET", service, "artifacts/prefix/contentinfo/" + one, self._contents),
            Route("GET", service, "artifacts/prefix/contentinfo/{origin}/{container}", self._contents),
            Route("GET", service, "artifacts/metadata/" + one, self._metadata),
            Route("GET", service, "artifacts/{origin}/{container}", self._list),
            Route("GET", service, "artifacts/" + one, self._list),
        )

    def find(self, workspace: Resource, artifact: Artifact) -> Blob:
        """The blob of an artifact. Raises errors.NotFound."""
        _, account = self._storage(workspace)
        found = self._blobs.find(Address(account, CONTAINER, artifact.id))
        if found is None:
            raise errors.NotFound("UserError", f"The artifact {artifact.id} was not uploaded to this workspace.")
        return found

    def below(self, workspace: Resource, prefix: str) -> Sequence[Blob]:
        """The blobs whose artifact id is `prefix` or lies below it, by path segment."""
        _, account = self._storage(workspace)
        if not self._blobs.has_container(account, CONTAINER):
            return ()
        found: list[Blob] = []
        while more := self._blobs.list(account, CONTAINER, prefix, found[-1].name if found else "", _PAGE):
            found += more
        folder = prefix.rstrip("/") + "/"
        return [blob for blob in found if blob.name == prefix.rstrip("/") or blob.name.startswith(folder)]

    def _create(self, asked: Asked) -> Response:
        """Names for files to come, each with a signature to write it. Nothing exists until it is uploaded."""
        command = reading.mapping(asked.body, "The body")
        wanted = command.get("paths")
        if not isinstance(wanted, list) or len(wanted) > _MOST_PATHS:
            raise errors.Invalid("UserError", f"`paths` has to be a list of at most {_MOST_PATHS} objects with a path.")
        name, account = self._storage(asked.workspace)
        self._blobs.ensure_container(account, CONTAINER)
        made: dict[str, object] = {}
        information: dict[str, object] = {}
        faults: dict[str, object] = {}
        for entry in wanted:
            path = _path(entry)
            try:
                artifact = Artifact.of(asked.params["origin"], asked.params["container"], path)
            except errors.Problem as problem:
                faults[path] = {"error": {"code": problem.code, "message": problem.message}}
                continue
            made[path] = self._described(artifact, self._clock())
            information[path] = self._signed(name, account, artifact, _WRITE)
        return answers.document({"artifacts": made, "artifactContentInformation": information, "errors": faults})

    def _content(self, asked: Asked) -> Response:
        artifact = _asked_for(asked)
        self.find(asked.workspace, artifact)
        return answers.document(self._signed(*self._storage(asked.workspace), artifact, _READ))

    def _contents(self, asked: Asked) -> Response:
        name, account = self._storage(asked.workspace)
        found, token = self._page(asked)
        value = [self._signed(name, account, Artifact.parse(blob.name), _READ) for blob in found]
        return answers.document({"value": value, "continuationToken": token})

    def _list(self, asked: Asked) -> Response:
        found, token = self._page(asked)
        value = [self._described(Artifact.parse(blob.name), blob.created_at) for blob in found]
        return answers.document({"value": value, "continuationToken": token})

    def _metadata(self, asked: Asked) -> Response:
        artifact = _asked_for(asked)
        return answers.document(self._described(artifact, self.find(asked.workspace, artifact).created_at))

    def _page(self, asked: Asked) -> tuple[Sequence[Blob], str | None]:
        _, account = self._storage(asked.workspace)
        prefix = "/".join([asked.params["origin"], asked.params["container"], asked.params.get("path", "")])
        try:
            after = base64.urlsafe_b64decode(asked.query.get("continuationtoken", "").encode()).decode()
        except (binascii.Error, ValueError) as error:
            raise errors.Invalid("UserError", "The continuation token is not one that a listing gave.") from error
        if not self._blobs.has_container(account, CONTAINER):
            return (), None
        found = self._blobs.list(account, CONTAINER, prefix, after, _PAGE + 1)
        token = base64.urlsafe_b64encode(found[_PAGE - 1].name.encode()).decode() if len(found) > _PAGE else None
        return found[:_PAGE], token

    def _described(self, artifact: Artifact, created: dt.datetime) -> Mapping[str, object]:
        where = {"origin": artifact.origin, "container": artifact.container, "path": artifact.path}
        return {"artifactId": artifact.id, **where, "createdTime": answers.instant(created), "dataPath": None, "tags": {}}

    def _signed(self, name: str, account: str, artifact: Artifact, permissions: str) -> Mapping[str, object]:
        now = self._clock()
        scope = sas.Scope(name, CONTAINER, artifact.id)
        query = sas.sign(self._blobs.key(account), scope, permissions, now - _BEFORE, now + _HOLDS)
        uri = f"https://{names.blob_host(name)}/{CONTAINER}/{quote(artifact.id)}?{query}"
        return {"contentUri": uri, "origin": artifact.origin, "container": artifact.container, "path": artifact.path}

    def _storage(self, workspace: Resource) -> tuple[str, str]:
        """Name and identity of the workspace's storage account. Raises errors.NotFound."""
        found = names.storage_of(self._snapshot(), workspace)
        if found is None:
            raise errors.NotFound(
                "StorageAccountNotFound",
                f"The storage account of the workspace {workspace.id.name} does not exist any more.",
                target=str(workspace.id),
            )
        return found.id.name.lower(), account_of(found)


def _path(entry: JsonValue) -> str:
    return reading.text(reading.mapping(entry, "Each of `paths`").get("path"), "path")


def _asked_for(asked: Asked) -> Artifact:
    return Artifact.of(asked.params["origin"], asked.params["container"], asked.params["path"])
