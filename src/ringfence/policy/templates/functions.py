"""What an expression of a template can say: one function each, in Azure's meaning. Others are refused by name.

`uniqueString` and `guid` are deterministic; only `guid` gives the very values that Azure gives.
Functions that need to know where they stand (`parameters`, `reference`, …) are in `planning`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from ringfence.policy.templates.expressions import invalid

Values = Sequence[JsonValue]

#: Characters of a text, and values in an array or object, that a function may make; as Azure limits a template's values.
_LONGEST = 131_072

#: The namespace of ARM's `guid()`.
_GUIDS = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_ENVIRONMENT: JsonValue = {
    "name": "AzureCloud",
    "gallery": "https://gallery.azure.com/",
    "graph": "https://graph.windows.net/",
    "portal": "https://portal.azure.com",
    "graphAudience": "https://graph.windows.net/",
    "resourceManager": "https://management.azure.com/",
    "authentication": {
        "loginEndpoint": "https://login.microsoftonline.com/",
        "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
        "tenant": "common",
        "identityProvider": "AAD",
    },
    "suffixes": {
        "storage": "core.windows.net",
        "keyvaultDns": ".vault.azure.net",
        "acrLoginServer": ".azurecr.io",
        "sqlServerHostname": ".database.windows.net",
    },
}


def resource_id(base: str, values: Values) -> str:
    """base: what stands before `/providers`. values: the type, then a name for each of its segments. Raises Invalid."""
    type, *names = (text(value) for value in values) if values else ("",)
    provider, *kinds = type.split("/")
    if not kinds or len(kinds) != len(names):
        raise invalid(f"Unable to evaluate the function resourceId: the type '{type}' and {len(names)} names do not match")
    return f"{base}/providers/{provider}" + "".join(f"/{kind}/{name}" for kind, name in zip(kinds, names, strict=True))


def text(value: JsonValue) -> str:
    """A string. Raises Invalid for anything else."""
    if not isinstance(value, str):
        raise invalid(f"A function expects a string and was given {json.dumps(value)[:100]}")
    return value


def _printed(value: JsonValue) -> str:
    if isinstance(value, bool):
        return "True" if value else "False"
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _number(value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"-?\d{1,18}", str(value), re.ASCII):
        raise invalid(f"A function expects an integer and was given {json.dumps(value)[:100]}")
    return int(value)


def _truth(value: JsonValue) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, int):
        return value != 0
    raise invalid(f"A function expects a Boolean and was given {json.dumps(value)[:100]}")


def _concat(values: Values) -> JsonValue:
    if values and all(isinstance(value, list) for value in values):
        return [entry for value in values if isinstance(value, list) for entry in value]
    return "".join(_printed(value) for value in values)


def _format(values: Values) -> JsonValue:
    pattern, *rest = values
    found = text(pattern).replace("{{", "\0").replace("}}", "\1")

    def put(match: re.Match[str]) -> str:
        number = int(match[1])
        if number >= len(rest):
            raise invalid(f"Unable to evaluate the function format: there is no argument {number}")
        return _printed(rest[number])

    _within_limits(len(found) + found.count("{") * max((len(_printed(value)) for value in rest), default=0))
    return re.sub(r"\{(\d{1,4})\}", put, found, flags=re.ASCII).replace("\0", "{").replace("\1", "}")


def _replace(values: Values) -> JsonValue:
    whole, old, new = (text(value) for value in values)
    if not old:
        raise invalid("Unable to evaluate the function replace: there is nothing to replace")
    _within_limits(len(whole) + whole.count(old) * len(new))
    return whole.replace(old, new)


def _split(values: Values) -> JsonValue:
    marks = values[1] if isinstance(values[1], list) else [values[1]]
    pattern = "|".join(re.escape(text(mark)) for mark in marks)
    return [part for part in re.split(pattern, text(values[0]))] if pattern else [values[0]]


def _substring(values: Values) -> JsonValue:
    whole, start = text(values[0]), _number(values[1])
    length = _number(values[2]) if len(values) > 2 else len(whole) - start
    if start < 0 or length < 0 or start + length > len(whole):
        raise invalid(f"Unable to evaluate the function substring: {start}, {length} is not within a text of {len(whole)}")
    return whole[start : start + length]


def _same(a: JsonValue, b: JsonValue) -> bool:
    return type(a) is type(b) and a == b


def _empty(values: Values) -> JsonValue:
    return values[0] is None or values[0] in ("", [], {})


def _unique(values: Values) -> JsonValue:
    digest = hashlib.sha256("|".join(text(value) for value in values).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


def _json(values: Values) -> JsonValue:
    try:
        found: JsonValue = json.loads(text(values[0]))
    except ValueError as error:
        raise invalid(f"Unable to evaluate the function json: {error}") from error
    return found


def _length(values: Values) -> JsonValue:
    value = values[0]
    if not isinstance(value, str | list | dict):
        raise invalid("Unable to evaluate the function length: it takes a text, an array or an object")
    return len(value)


def _contains(values: Values) -> JsonValue:
    whole, part = values
    if isinstance(whole, dict):
        return text(part).lower() in {name.lower() for name in whole}
    if isinstance(whole, list):
        return any(_same(entry, part) for entry in whole)
    return _printed(part) in text(whole)


def _coalesce(values: Values) -> JsonValue:
    return next((value for value in values if value is not None), None)


def _end(values: Values, last: bool) -> JsonValue:
    value = values[0]
    if not isinstance(value, str | list) or not value:
        return "" if isinstance(value, str) else None
    return value[-1] if last else value[0]


Function = Callable[[Values], JsonValue]
#: By lower-case name: the least and the most arguments, and the meaning.
PLAIN: Mapping[str, tuple[int, int, Function]] = {
    "and": (2, 99, lambda v: all([_truth(value) for value in v])),
    "or": (2, 99, lambda v: any([_truth(value) for value in v])),
    "not": (1, 1, lambda v: not _truth(v[0])),
    "bool": (1, 1, lambda v: _truth(v[0])),
    "true": (0, 0, lambda v: True),
    "false": (0, 0, lambda v: False),
    "null": (0, 0, lambda v: None),
    "equals": (2, 2, lambda v: _same(v[0], v[1])),
    "empty": (1, 1, _empty),
    "coalesce": (1, 99, _coalesce),
    "concat": (1, 999, _concat),
    "format": (1, 99, _format),
    "tolower": (1, 1, lambda v: text(v[0]).lower()),
    "toupper": (1, 1, lambda v: text(v[0]).upper()),
    "trim": (1, 1, lambda v: text(v[0]).strip()),
    "string": (1, 1, lambda v: _printed(v[0])),
    "int": (1, 1, lambda v: _number(v[0])),
    "replace": (3, 3, _replace),
    "split": (2, 2, _split),
    "substring": (2, 3, _substring),
    "startswith": (2, 2, lambda v: text(v[0]).lower().startswith(text(v[1]).lower())),
    "endswith": (2, 2, lambda v: text(v[0]).lower().endswith(text(v[1]).lower())),
    "length": (1, 1, _length),
    "contains": (2, 2, _contains),
    "first": (1, 1, lambda v: _end(v, last=False)),
    "last": (1, 1, lambda v: _end(v, last=True)),
    "createarray": (0, 999, list),
    "array": (1, 1, lambda v: v[0] if isinstance(v[0], list) else [v[0]]),
    "json": (1, 1, _json),
    "add": (2, 2, lambda v: _number(v[0]) + _number(v[1])),
    "sub": (2, 2, lambda v: _number(v[0]) - _number(v[1])),
    "uniquestring": (1, 99, _unique),
    "guid": (1, 99, lambda v: str(uuid.uuid5(_GUIDS, "-".join(text(value) for value in v)))),
    "environment": (0, 0, lambda v: _ENVIRONMENT),
}


def plain(name: str, values: Values) -> JsonValue:
    """The value of a function that depends on its arguments only. Raises Invalid."""
    least, most, meaning = PLAIN[name]
    if not least <= len(values) <= most:
        raise invalid(f"The template function '{name}' does not take {len(values)} arguments")
    found = meaning(values)
    _within_limits(size(found))
    return found


def size(value: JsonValue) -> int:
    """Characters and values in a value. Raises Invalid as soon as they are more than a template's value may have."""
    found, todo = 0, [value]
    while todo:
        one = todo.pop()
        found += len(one) if isinstance(one, str) else 1
        _within_limits(found)
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            found += sum(len(name) for name in one)
            todo += one.values()
    return found


def _within_limits(length: int) -> None:
    if length > _LONGEST:
        raise invalid(f"A value of the template is longer than {_LONGEST} characters")


def truth(value: JsonValue) -> bool:
    """A Boolean, as conditions take it. Raises Invalid."""
    return _truth(value)
