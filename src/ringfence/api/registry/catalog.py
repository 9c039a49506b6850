"""Lists of a registry: repositories and tags as the OCI specification has them, and Azure's own `/acr/v1` documents."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from ringfence.api.registry import answers
from ringfence.api.registry.answers import RegistryError
from ringfence.control.images import Images, Manifest, Repository, Tag

_MOST, _DEFAULT = 1000, 100


class Catalog:
    """The handlers; each may block. registry: a `blobs.account_of` value; host: its login server."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def repositories(self, request: Request, registry: str) -> Response:
        after, most = _page(request)
        found = self._images.repositories(registry, after, most + 1)
        shown, headers = answers.page(found, most, request.url.path)
        return answers.document({"repositories": shown}, headers=headers)

    def tags(self, request: Request, at: Repository) -> Response:
        """`/v2/<name>/tags/list`."""
        self._exists(at)
        after, most = _page(request)
        found = [tag.name for tag in self._images.tags(at, after, most + 1)] if most else []
        shown, headers = answers.page(found, most, request.url.path)
        return answers.document({"name": at.name, "tags": shown}, headers=headers)

    def about(self, at: Repository, host: str) -> Response:
        """`/acr/v1/<name>`."""
        manifests = self._all(at)
        tags = self._images.tags(at, "", _MOST)
        times = [manifest.created_at for manifest in manifests]
        changed = [*times, *(tag.changed_at for tag in tags)]
        counts = {"manifestCount": len(manifests), "tagCount": len(tags)}
        lived = {"createdTime": _time(min(times)), "lastUpdateTime": _time(max(changed))}
        return answers.document(
            {"registry": host, "imageName": at.name, **lived, **counts, "changeableAttributes": _CHANGEABLE | _TELEPORT}
        )

    def delete(self, at: Repository) -> Response:
        """`DELETE /acr/v1/<name>`."""
        self._exists(at)
        manifests = [manifest.digest for manifest in self._images.manifests(at, "", _MOST)]
        tags = [tag.name for tag in self._images.tags(at, "", _MOST)]
        self._images.delete_repository(at)
        answer = answers.document({"manifestsDeleted": manifests, "tagsDeleted": tags})
        answer.status_code = 202
        return answer

    def tag_list(self, request: Request, at: Repository, host: str) -> Response:
        """`/acr/v1/<name>/_tags`."""
        self._exists(at)
        after, most = _page(request)
        wanted = request.query_params.get("digest")
        found = [tag for tag in self._images.tags(at, after, most + 1) if wanted in (None, f"sha256:{tag.sha256}")]
        found.sort(key=lambda tag: tag.changed_at, reverse=request.query_params.get("orderby") == "timedesc")
        if request.query_params.get("orderby") not in ("timedesc", "timeasc"):
            found.sort(key=lambda tag: tag.name)
        _, headers = answers.page([tag.name for tag in found], most, request.url.path)
        return answers.document({**_named(at, host), "tags": [_tag(tag) for tag in found[:most]]}, headers=headers)

    def tag(self, at: Repository, host: str, name: str) -> Response:
        found = self._images.tag(at, name)
        if found is None:
            raise _no_tag(name)
        return answers.document({**_named(at, host), "tag": _tag(found)})

    def untag(self, at: Repository, name: str) -> Response:
        if not self._images.untag(at, name):
            raise _no_tag(name)
        return answers.empty(202)

    def manifest_list(self, request: Request, at: Repository, host: str) -> Response:
        """`/acr/v1/<name>/_manifests`."""
        self._exists(at)
        after, most = _page(request)
        found = self._images.manifests(at, after.removeprefix("sha256:"), most + 1)
        _, headers = answers.page([manifest.digest for manifest in found], most, request.url.path)
        listed = [self._manifest(at, manifest) for manifest in found[:most]]
        return answers.document({**_named(at, host), "manifests": listed}, headers=headers)

    def manifest(self, at: Repository, host: str, digest: str) -> Response:
        found = self._images.manifest(at, digest)
        if found is None:
            raise RegistryError("MANIFEST_UNKNOWN", f"manifest {digest[:80]} is not found")
        return answers.document({**_named(at, host), "manifest": self._manifest(at, found)})

    def _manifest(self, at: Repository, manifest: Manifest) -> Mapping[str, object]:
        return {
            "digest": manifest.digest,
            "imageSize": manifest.image_size,
            "createdTime": _time(manifest.created_at),
            "lastUpdateTime": _time(manifest.created_at),
            "architecture": "amd64",
            "os": "linux",
            "mediaType": manifest.media_type,
            "tags": list(self._images.tags_of(at, manifest.sha256)),
            "changeableAttributes": _CHANGEABLE,
        }

    def _all(self, at: Repository) -> list[Manifest]:
        found = list(self._images.manifests(at, "", 1_000_000))
        if not found:
            raise _no_repository(at)
        return found

    def _exists(self, at: Repository) -> None:
        if not self._images.manifests(at, "", 1):
            raise _no_repository(at)


_CHANGEABLE = {"deleteEnabled": True, "writeEnabled": True, "readEnabled": True, "listEnabled": True}
_TELEPORT = {"teleportEnabled": False}


def _named(at: Repository, host: str) -> dict[str, object]:
    return {"registry": host, "imageName": at.name}


def _tag(tag: Tag) -> Mapping[str, object]:
    return {
        "name": tag.name,
        "digest": f"sha256:{tag.sha256}",
        "createdTime": _time(tag.created_at),
        "lastUpdateTime": _time(tag.changed_at),
        "signed": False,
        "changeableAttributes": _CHANGEABLE,
    }


def _time(when: dt.datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}0Z"


def _page(request: Request) -> tuple[str, int]:
    """`last` and `n`. Raises RegistryError (PAGINATION_NUMBER_INVALID)."""
    query = dict(parse_qsl(request.url.query))
    text = query.get("n", str(_DEFAULT))
    if not text.isdigit():
        raise RegistryError("PAGINATION_NUMBER_INVALID", "invalid number of results requested", {"n": text[:20]})
    return query.get("last", ""), min(int(text), _MOST)


def _no_repository(at: Repository) -> RegistryError:
    return RegistryError("NAME_UNKNOWN", f"repository {at.name} is not found", {"name": at.name})


def _no_tag(name: str) -> RegistryError:
    return RegistryError("TAG_UNKNOWN", f"the specified tag {name[:128]} does not exist", {"name": name[:128]})
