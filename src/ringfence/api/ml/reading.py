"""Reading what clients send: JSON with limits, properties with their faults collected, names that stay names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn, TypeVar

from pydantic import JsonValue, ValidationError
from starlette.requests import Request

from ringfence.model import errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties

#: Bytes of a request's body.
MOST_BYTES = 4 * 1024 * 1024

_P = TypeVar("_P", bound=Properties)


async def body(request: Request) -> JsonValue:
    """The JSON of a request, None without a body. Raises errors.TooLarge, errors.Invalid."""
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > MOST_BYTES:
            raise errors.TooLarge("RequestTooLarge", f"The request body has more than {MOST_BYTES} bytes.")
    if not taken:
        return None
    try:
        parsed: JsonValue = json.loads(taken, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise errors.Invalid("BadRequest", "The request body is not JSON.") from error
    return parsed


def mapping(value: JsonValue, what: str) -> dict[str, JsonValue]:
    """A JSON object. Raises errors.Invalid."""
    if not isinstance(value, dict):
        raise errors.Invalid("BadRequest", f"{what} has to be a JSON object.")
    return value


def text(value: JsonValue, what: str) -> str:
    """A string that is not empty. Raises errors.Invalid."""
    if not isinstance(value, str) or not value:
        raise errors.Invalid("BadRequest", f"{what} has to be a string that is not empty.", target=what)
    return value


def properties(kind: type[_P], data: Mapping[str, JsonValue]) -> _P:
    """The properties of a type, every fault collected. Raises errors.Invalid (`BadRequest`)."""
    try:
        return kind.model_validate(dict(data))
    except ValidationError as error:
        details = [
            errors.Invalid("BadArgument", fault["msg"], target=".".join(str(part) for part in fault["loc"]))
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        first = f" {details[0].target}: {details[0].message}." if details else ""
        raise errors.Invalid("BadRequest", f"The request is invalid.{first}", details=details[:50]) from error


def present(data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The entries that are not null: on this plane null means `not given`."""
    return {name: value for name, value in data.items() if value is not None}


def child(parent: ResourceId, kind: str, name: str) -> ResourceId:
    """The id of a child by a name that came from outside. Raises errors.Invalid for a name that is no segment of an id."""
    parsed = ResourceId.parse(str(parent.child(kind, name)))
    if parsed.names != (*parent.names, name):
        raise errors.Invalid("BadRequest", f"{name[:200]!r} is no name.", target=kind)
    return parsed


def number(value: str | None, default: int, most: int) -> int:
    """A count or an offset in a query. Raises errors.Invalid."""
    if value is None or value == "":
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise errors.Invalid("BadRequest", f"{value[:50]!r} is no number.")
    return min(int(value), most)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
