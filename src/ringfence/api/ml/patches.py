"""JSON patches (RFC 6902) as the SDK sends them: `add`, `replace` and `remove` of members of objects.

Only paths that the noun opens may be written. Arrays are replaced as a whole.
"""

from __future__ import annotations

import copy
from collections.abc import Collection

from pydantic import JsonValue

from ringfence.model import errors

_MOST = 256


def apply(document: dict[str, JsonValue], patch: JsonValue, writable: Collection[str]) -> dict[str, JsonValue]:
    """The patched document; the one given stays as it is.

    writable: first segments of the paths that may be written. Raises errors.Invalid.
    """
    if not isinstance(patch, list) or len(patch) > _MOST:
        raise errors.Invalid("BadRequest", f"A patch is a list of at most {_MOST} operations.")
    patched = copy.deepcopy(document)
    for operation in patch:
        if not isinstance(operation, dict):
            raise errors.Invalid("BadRequest", "An operation of a patch is an object with op, path and value.")
        _one(patched, operation, writable)
    return patched


def _one(document: dict[str, JsonValue], operation: dict[str, JsonValue], writable: Collection[str]) -> None:
    op, path = operation.get("op"), operation.get("path")
    if not isinstance(path, str) or not path.startswith("/") or len(path) > 1024:
        raise errors.Invalid("BadRequest", "The path of an operation begins with a slash.")
    keys = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    if keys[0] not in writable:
        raise errors.Invalid("BadRequest", f"{path!r} cannot be changed.", target=path)
    holder = document
    for key in keys[:-1]:
        inner = holder.get(key)
        if inner is None and op != "remove":
            inner = holder[key] = {}
        if not isinstance(inner, dict):
            raise errors.Invalid("BadRequest", f"{path!r} leads nowhere.", target=path)
        holder = inner
    if op == "remove":
        if keys[-1] not in holder:
            raise errors.Invalid("BadRequest", f"There is nothing at {path!r} to remove.", target=path)
        del holder[keys[-1]]
    elif op in ("add", "replace"):
        if "value" not in operation:
            raise errors.Invalid("BadRequest", f"The operation on {path!r} has no value.", target=path)
        holder[keys[-1]] = operation["value"]
    else:
        raise errors.Invalid("BadRequest", f"{op!r} is not add, replace or remove.", target=path)
