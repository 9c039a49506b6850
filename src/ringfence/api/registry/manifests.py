"""Reading manifests: OCI image manifests and indexes, Docker's schema 2 and its lists, and what they name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.api.registry import scopes
from ringfence.api.registry.answers import RegistryError

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"
_IMAGES, _INDEXES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT}), frozenset({OCI_INDEX, DOCKER_LIST})
#: Layers that may lie elsewhere, so that a registry need not hold them.
_FOREIGN = ("application/vnd.oci.image.layer.nondistributable.", "application/vnd.docker.image.rootfs.foreign.")
_MOST_LAYERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a manifest says. blobs, manifests: the sha256 of what it names and the registry has to hold. size: of all it names."""

    media_type: str
    artifact_type: str
    subject: str
    annotations: dict[str, str]
    blobs: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    size: int = 0


def read(body: bytes, content_type: str) -> Read:
    """Raises RegistryError (MANIFEST_INVALID) for what is no manifest of a kind that is kept."""
    media_type = content_type.partition(";")[0].strip()
    if media_type not in _IMAGES | _INDEXES:
        raise _invalid(f"media type {media_type[:200]!r} is not one of {', '.join(sorted(_IMAGES | _INDEXES))}")
    value = _object(body)
    if value.get("schemaVersion", 2) != 2:
        raise _invalid("schemaVersion has to be 2")
    if value.get("mediaType", media_type) != media_type:
        raise _invalid(f"mediaType {str(value.get('mediaType'))[:200]!r} is not that of the request, {media_type}")
    subject = _descriptor(value["subject"])[0] if value.get("subject") is not None else ""
    config = value.get("config") if isinstance(value.get("config"), dict) else {}
    assert isinstance(config, dict)
    common = Read(
        media_type=media_type,
        artifact_type=str(value.get("artifactType") or (config.get("mediaType") if subject else "") or ""),
        subject=f"sha256:{subject}" if subject else "",
        annotations=_annotations(value.get("annotations")),
    )
    if media_type in _INDEXES:
        named = [_descriptor(one) for one in _list(value.get("manifests"), "manifests")]
        return dataclasses.replace(
            common, manifests=tuple(digest for digest, _, _ in named), size=sum(size for _, size, _ in named)
        )
    layers = _list(value.get("blobs" if media_type == OCI_ARTIFACT else "layers", []), "layers")
    named = [*([_descriptor(value.get("config"))] if media_type != OCI_ARTIFACT else []), *map(_descriptor, layers)]
    held = tuple(digest for digest, _, kind in named if not kind.startswith(_FOREIGN))
    return dataclasses.replace(common, blobs=held, size=sum(size for _, size, _ in named))


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _invalid("the manifest is no JSON") from error
    if not isinstance(value, dict):
        raise _invalid("the manifest is no JSON object")
    return value


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list) or len(value) > _MOST_LAYERS:
        raise _invalid(f"{name} has to be a list of at most {_MOST_LAYERS}")
    return value


def _descriptor(value: object) -> tuple[str, int, str]:
    """Digest without its algorithm, size, media type."""
    if not isinstance(value, dict):
        raise _invalid("a descriptor is missing or no object")
    size, kind = value.get("size"), value.get("mediaType")
    if not isinstance(size, int) or size < 0 or not isinstance(kind, str):
        raise _invalid("a descriptor has to have mediaType, digest and size")
    return scopes.digest(str(value.get("digest"))), size, kind


def _annotations(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(name): str(text) for name, text in value.items()}


def _invalid(why: str) -> RegistryError:
    return RegistryError("MANIFEST_INVALID", f"manifest invalid: {why}")
