"""Documents of secrets on the wire, and what clients send about them. Azure Key Vault REST reference, api-version 7.x."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from ringfence.control.vault_secrets import About, Secret
from ringfence.model import errors

_MOST_BYTES = 25 * 1024
Document = dict[str, Any]


def bundle(base: str, secret: Secret, days: int, *, value: bool) -> Document:
    """One version; its value only where it was asked for."""
    shown: Document = {"id": f"{base}/secrets/{secret.name}/{secret.version}", "attributes": _attributes(secret, days)}
    if value:
        shown["value"] = secret.value
    if secret.about.content_type is not None:
        shown["contentType"] = secret.about.content_type
    if secret.about.tags:
        shown["tags"] = dict(secret.about.tags)
    return shown


def item(base: str, secret: Secret, days: int, *, versioned: bool) -> Document:
    """An entry of a list: without the value, and without a version in lists of names."""
    shown = bundle(base, secret, days, value=False)
    return shown if versioned else {**shown, "id": f"{base}/secrets/{secret.name}"}


def deleted(base: str, secret: Secret, days: int) -> Document:
    assert secret.deleted_at is not None
    return {
        **bundle(base, secret, days, value=False),
        "recoveryId": f"{base}/deletedsecrets/{secret.name}",
        "deletedDate": int(secret.deleted_at.timestamp()),
        "scheduledPurgeDate": int((secret.deleted_at + dt.timedelta(days=days)).timestamp()),
    }


def _attributes(secret: Secret, days: int) -> Document:
    shown: Document = {
        "enabled": secret.about.enabled,
        "created": int(secret.created_at.timestamp()),
        "updated": int(secret.changed_at.timestamp()),
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": days,
    }
    for name, when in (("nbf", secret.about.begins), ("exp", secret.about.ends)):
        if when is not None:
            shown[name] = when
    return shown


def parsed(body: bytes) -> Mapping[str, JsonValue]:
    """Raises Invalid (`BadParameter`)."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad("The request body is not JSON.") from error
    if not isinstance(found, dict):
        raise bad("The request body is not a JSON object.")
    return found


def value_in(sent: Mapping[str, JsonValue]) -> str:
    value = sent.get("value")
    if not isinstance(value, str):
        raise bad("Required property 'value' is missing or is no string.")
    if len(value.encode()) > _MOST_BYTES:
        raise bad("The secret value is longer than 25k bytes.")
    return value


def about_in(sent: Mapping[str, JsonValue], old: About | None = None) -> About:
    """What a body says beside the value; what it leaves out stays as in `old`. Raises Invalid (`BadParameter`)."""
    old = old or About()
    attributes, tags, kind = sent.get("attributes") or {}, sent.get("tags"), sent.get("contentType", old.content_type)
    if not isinstance(attributes, dict) or not isinstance(kind, str | None):
        raise bad("Property 'attributes' or 'contentType' has an invalid value.")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(text, str) for text in tags.values())):
        raise bad("Property 'tags' has an invalid value.")
    enabled = attributes.get("enabled", old.enabled)
    begins, ends = attributes.get("nbf", old.begins), attributes.get("exp", old.ends)
    if not isinstance(enabled, bool) or not isinstance(begins, int | None) or not isinstance(ends, int | None):
        raise bad("Property 'attributes' has an invalid value.")
    kept = dict(old.tags) if tags is None else {str(name): str(text) for name, text in tags.items()}
    return About(content_type=kind, tags=kept, enabled=enabled, begins=begins, ends=ends)


def bad(message: str) -> errors.Invalid:
    return errors.Invalid("BadParameter", message)
