"""From what a client sends to a service: payloads and patches become `serving.Service` values.

On this plane null means `not given`. Files are resolved to contents here, at the time
of the request; whether the service may exist is admission's question.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from pydantic import JsonValue

from ringfence.api.ml import patches, reading, service_tokens
from ringfence.api.ml.artifacts import Artifact, Artifacts
from ringfence.api.ml.environments import Environments
from ringfence.model import errors, serving
from ringfence.model.resource import Resource

#: Parts of a payload that are not properties of the service.
_AROUND = frozenset({"name", "keys", "overwrite", "location"})
#: Objects of whose fields null means `not given` as well.
_NESTED = ("autoScaler", "containerResourceRequirements", "dataCollection", "livenessProbeRequirements")
_WRITABLE = frozenset(
    {
        "description",
        "kvTags",
        "properties",
        "namespace",
        "numReplicas",
        "autoScaler",
        "containerResourceRequirements",
        "livenessProbeRequirements",
        "dataCollection",
        "authEnabled",
        "aadAuthEnabled",
        "appInsightsEnabled",
        "maxConcurrentRequestsPerContainer",
        "maxQueueWaitMs",
        "scoringTimeoutMs",
        "environmentImageRequest",
        "sslEnabled",
        "sslCertificate",
        "sslKey",
        "cname",
    }
)
#: What follows from other properties, and what only the operations for keys may change.
_DERIVED = frozenset(
    {"files", "primaryKey", "secondaryKey", "tokenKey", "tokenPublicKey", "scale", "createdTime", "updatedTime", "nonce"}
)
#: Where services run: on a cluster, or in a container group of their own.
_KINDS = ("AKS", "ACI")
_ARTIFACT = "aml://artifact/"
_KEY_LENGTHS = range(1, 513)


class Drafts:
    """Reads payloads with the help of the nouns they refer to."""

    def __init__(self, artifacts: Artifacts, environments: Environments) -> None:
        self._artifacts = artifacts
        self._environments = environments

    def created(self, workspace: Resource, payload: Mapping[str, JsonValue], old: serving.Service | None) -> serving.Service:
        """The service that `POST services` asks for. old: what it overwrites; its keys stay unless new ones are given."""
        kind = payload.get("computeType") or "AKS"
        if not isinstance(kind, str) or kind.upper() not in _KINDS:
            message = f"Services of compute type {str(kind)[:40]!r} are not served; {' and '.join(_KINDS)} are."
            raise errors.Unsupported("BadRequest", message, target="computeType")
        hosted = kind.upper() == "ACI"
        fields = {name: value for name, value in payload.items() if name not in _AROUND or (hosted and name == "location")}
        if forbidden := sorted(_DERIVED & fields.keys()):
            raise errors.Invalid("BadRequest", f"{forbidden[0]} cannot be given.", target=forbidden[0])
        given = reading.mapping(payload.get("keys") or {}, "keys")
        kept = old or serving.Service()
        keys = {
            "primaryKey": _key(given.get("primaryKey")) or kept.primary_key or new_key(),
            "secondaryKey": _key(given.get("secondaryKey")) or kept.secondary_key or new_key(),
        }
        given_fields = {"authEnabled": False, **_without_nulls(fields)} if hosted else _defaulted(_without_nulls(fields))
        scale = None if old is None or old.scale is None else old.scale.model_dump(mode="json", by_alias=True)
        made = self._resolved(
            workspace, {**given_fields, **keys, "computeType": kind.upper(), **({"scale": scale} if scale else {})}
        )
        return _with_tokens(made, old)

    def patched(self, workspace: Resource, old: serving.Service, patch: JsonValue) -> serving.Service:
        """The service after `PATCH services/{name}`."""
        before = old.model_dump(mode="json", by_alias=True)
        if before["livenessProbeRequirements"] is None:
            before["livenessProbeRequirements"] = serving.LivenessProbe().model_dump(mode="json", by_alias=True)
        after = patches.apply(before, patch, _WRITABLE)
        _follow(before, after, patch, old)
        if after["livenessProbeRequirements"] == before["livenessProbeRequirements"]:
            after["livenessProbeRequirements"] = before["livenessProbeRequirements"] if old.liveness_probe_requirements else None
        if after["environmentImageRequest"] == before["environmentImageRequest"]:
            return _with_tokens(reading.properties(serving.Service, _without_nulls(after)), old)
        return _with_tokens(self._resolved(workspace, _without_nulls({**after, "files": []})), old)

    def _resolved(self, workspace: Resource, fields: Mapping[str, JsonValue]) -> serving.Service:
        service = reading.properties(serving.Service, fields)
        request = service.environment_image_request
        files = tuple(self._file(workspace, asset) for asset in request.assets)
        if request.environment is not None and "python" not in request.environment:
            named = self._environments.definition(workspace, request.environment)
            request = request.model_copy(update={"environment": named})
        return service.model_copy(update={"files": files, "environment_image_request": request})

    def _file(self, workspace: Resource, asset: serving.ImageAsset) -> serving.ServiceFile:
        if not asset.url.startswith(_ARTIFACT):
            message = f"The asset {asset.id[:200]!r} is not an uploaded artifact (aml://artifact/…)."
            raise errors.Unsupported("BadRequest", message, target="environmentImageRequest.assets")
        blob = self._artifacts.find(workspace, Artifact.parse(asset.url.removeprefix(_ARTIFACT)))
        about: dict[str, JsonValue] = {"path": asset.id, "blob": blob.content.sha256, "unpack": bool(asset.unpack)}
        return reading.properties(serving.ServiceFile, about)


def _defaulted(fields: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """What follows from what was not said: without a number of replicas they follow the load, and one kind of
    authentication switches the other off (`AksWebservice.deploy_configuration`). Raises errors.Invalid."""
    scaler = fields.get("autoScaler")
    asked = dict(scaler) if isinstance(scaler, dict) else {}
    if asked.get("autoscaleEnabled") is True and "numReplicas" in fields:
        message = "autoScaler.autoscaleEnabled and numReplicas are given; the autoscaler decides the number, or you do."
        raise errors.Invalid("BadRequest", message, target="numReplicas")
    if "numReplicas" not in fields and asked.get("autoscaleEnabled") is not False:
        asked["autoscaleEnabled"] = True
    found: dict[str, JsonValue] = {**fields, "autoScaler": asked}
    if fields.get("aadAuthEnabled") is True and "authEnabled" not in fields:
        found["authEnabled"] = False
    return found


def _follow(before: dict[str, JsonValue], after: dict[str, JsonValue], patch: JsonValue, old: serving.Service) -> None:
    """The same for a patch, in place. Raises errors.Invalid."""
    named = {str(one.get("path")) for one in patch if isinstance(one, dict)} if isinstance(patch, list) else set()
    for one, other in (("authEnabled", "aadAuthEnabled"), ("aadAuthEnabled", "authEnabled")):
        if after[one] is True and before[one] is not True and f"/{other}" not in named:
            after[other] = False
    scaler = after.get("autoScaler")
    enabled = isinstance(scaler, dict) and scaler.get("autoscaleEnabled") is True
    if enabled and "/numReplicas" in named:
        message = "The autoscaler decides the number of replicas of this service. Switch autoscaleEnabled off to set numReplicas."
        raise errors.Invalid("BadRequest", message, target="numReplicas")
    if enabled:
        after["numReplicas"] = None
    elif after.get("numReplicas") is None:
        after["numReplicas"] = old.replicas
        after["scale"] = None


def _with_tokens(service: serving.Service, old: serving.Service | None) -> serving.Service:
    """With a pair of keys for tokens if it takes them: the old one, else a new one."""
    if not service.aad_auth_enabled:
        return service.model_copy(update={"token_key": "", "token_public_key": ""})
    kept = (old.token_key, old.token_public_key) if old is not None and old.token_key else service_tokens.key_pair()
    return service.model_copy(update={"token_key": kept[0], "token_public_key": kept[1]})


def new_key() -> str:
    """A scoring key: 32 characters, 192 random bits."""
    return secrets.token_urlsafe(24)


def chosen_key(value: JsonValue) -> str:
    """The key of `regenerateKeys`: the one given, else a new one. Raises errors.Invalid."""
    return _key(value) or new_key()


def _key(value: JsonValue) -> str | None:
    if value is None or value == "":
        return None
    # It has to travel in a header, after `Bearer `.
    if not isinstance(value, str) or len(value) not in _KEY_LENGTHS or not value.isascii() or any(c <= " " for c in value):
        raise errors.Invalid("BadRequest", "A scoring key has 1 to 512 printable ASCII characters and no space.", target="keys")
    return value


def _without_nulls(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    found = reading.present(fields)
    for name in _NESTED:
        inner = found.get(name)
        if isinstance(inner, dict):
            found[name] = reading.present(inner)
    return found
