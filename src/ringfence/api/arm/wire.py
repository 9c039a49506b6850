"""Reading what clients send: JSON with limits, the envelope, properties with every fault collected, inline children.

Faults carry Azure's codes and the wire path they were found at. Whether what was asked
is allowed is admission's question; documents that go out are `documents`.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from pydantic import JsonValue, ValidationError

from ringfence.api.arm import identity_blocks
from ringfence.api.arm.registry import Inline, Row
from ringfence.model import catalog, errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, ProvisioningState, Resource, Snapshot

#: Bytes of a request's body, as Azure Resource Manager limits them.
MOST_BYTES = 4 * 1024 * 1024
#: Depth of nested objects and lists; nothing that is served comes near.
_DEEPEST = 64
_MOST_DETAILS = 50

_Object = Mapping[str, JsonValue]

#: Members of the envelope that mean something, and those that are read-only or decided elsewhere.
_MEANT = frozenset({"location", "tags", "sku", "identity", "kind", "properties"})
_IGNORED = frozenset({"id", "name", "type", "etag", "systemdata", "managedby"})
#: Members that would change how a resource is placed or paid, and that nothing here can honour.
_UNSERVED = frozenset({"zones", "plan", "extendedlocation", "placement"})


@dataclass(frozen=True, slots=True)
class Put:
    """A PUT as the engine takes it."""

    draft: Resource
    also: tuple[Resource, ...]
    remove: tuple[ResourceId, ...]


def parse(content: bytes) -> _Object:
    """A JSON object. Raises Invalid (`InvalidRequestContent`)."""
    try:
        value = json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise _content(f"The request content was invalid and could not be deserialized: '{_reason(error)}'.") from error
    if not isinstance(value, dict):
        raise _content("The request content was invalid and could not be deserialized: a JSON object is expected.")
    _check(value, 0)
    return value


def put(row: Row, id: ResourceId, body: _Object, snapshot: Snapshot, now: dt.datetime) -> Put:
    """A body as drafts: the resource, the children it shows inline, and those it no longer shows."""
    envelope = _envelope(body)
    properties = _object(envelope.get("properties"), "properties")
    children: list[Resource] = []
    gone: list[ResourceId] = []
    for inline in row.inline:
        properties, listed = _taken(properties, inline.property)
        if listed is None and inline.kept:
            continue
        found = _children(row, inline, id, listed, now)
        named, type = {child.id.key for child in found}, f"{row.type}/{inline.kind}".lower()
        standing = (r for r in snapshot.children(id) if r.type == type and r.state is not ProvisioningState.DELETING)
        children += found
        gone += [] if inline.flat else [r.id for r in standing if r.key not in named]
    return Put(_resource(id, envelope, properties, now), tuple(children), tuple(gone))


def patch(row: Row, old: Resource, body: _Object, now: dt.datetime) -> Resource:
    """A merge patch (RFC 7396) on what is stored. Raises Invalid for members that this type does not let be patched."""
    envelope = _envelope(body)
    allowed = {"tags"} if row.tags_only else {"tags", "properties", "sku", "identity", "kind"}
    surplus = sorted(name for name in envelope.keys() - allowed if not (name == "location" and envelope[name] == old.location))
    if surplus:
        raise _content(f"The member '{surplus[0]}' of '{row.type}' cannot be changed by PATCH. Use PUT.", surplus[0])
    stored = old.properties.model_dump(mode="json", by_alias=True, exclude_unset=True)
    before: dict[str, JsonValue] = {"tags": dict(old.tags), "properties": stored}
    before |= {name: value for name in ("sku", "identity", "kind") if (value := getattr(old, name)) is not None}
    after = _object(merge(before, envelope), "")
    return _resource(old.id, {"location": old.location, **after}, _object(after.get("properties"), "properties"), now)


def merge(target: JsonValue, change: JsonValue | _Object) -> JsonValue:
    """RFC 7396: objects merge, null removes, everything else replaces."""
    if not isinstance(change, Mapping):
        return change
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def properties_of(type: str, data: _Object, path: str) -> Properties:
    """The properties of a type, all faults collected. path: where they stand in the body. Raises Invalid."""
    try:
        return catalog.PROPERTIES[type.lower()].model_validate(dict(data))
    except ValidationError as error:
        faults = [_fault(fault["type"], fault["msg"], fault["loc"], path) for fault in error.errors(include_url=False)]
        raise _unreadable(type, faults[:_MOST_DETAILS]) from error


def _resource(id: ResourceId, envelope: _Object, properties: _Object, now: dt.datetime, path: str = "properties") -> Resource:
    location, kind = (_text(envelope.get(name), name) for name in ("location", "kind"))
    tags, identity = _tags(envelope.get("tags")), _identity(envelope.get("identity"))
    sku = _object(envelope["sku"], "sku") if envelope.get("sku") is not None else None
    return Resource(
        id=id,
        location=location,
        properties=properties_of(id.type, properties, path),
        tags=tags,
        sku=sku,
        identity=identity,
        kind=kind,
        created_at=now,
        changed_at=now,
    )


def _envelope(body: _Object) -> _Object:
    """The members that mean something, in their spelling. Null counts as absent."""
    found: dict[str, JsonValue] = {}
    for name, value in body.items():
        known = name.lower()
        if known in _MEANT:
            found[known] = value
        elif known in _UNSERVED and value is not None and value != []:
            raise errors.Unsupported("NotSupported", f"Ringfence does not serve '{name}'. Remove it.", target=name)
        elif known not in _IGNORED and known not in _UNSERVED:
            raise _content(
                "The request content was invalid and could not be deserialized: "
                f"'Could not find member '{name[:100]}' on object of type 'ResourceDefinition'. Path '{name[:100]}'.'",
                name[:100],
            )
    return found


def _children(row: Row, inline: Inline, parent: ResourceId, listed: JsonValue, now: dt.datetime) -> tuple[Resource, ...]:
    if listed is None:
        return ()
    path = f"properties.{inline.property}"
    if not isinstance(listed, list):
        raise _unreadable(row.type, [_json_fault(f"{path} has to be a list.", path)])
    found: dict[str, Resource] = {}
    for number, entry in enumerate(listed):
        here = f"{path}[{number}]"
        child = _object(entry, here)
        name = _child_name({"name": child.get("name", "")} if inline.flat else child, here)
        id = ResourceId.parse(str(parent.child(inline.kind, name)))
        if len(id.names) != len(parent.names) + 1:
            raise errors.invalid_resource_id(name)
        if id.key in found:
            message = f"Resource {parent}/{inline.kind}/ has two child resources with the same name ({name})."
            raise errors.Invalid("DuplicateResourceName", message, target=here)
        if inline.flat:
            found[id.key] = _resource(id, {}, {k: v for k, v in child.items() if k != "name"}, now, here)
            continue
        found[id.key] = _resource(id, {}, _object(child.get("properties"), f"{here}.properties"), now, f"{here}.properties")
    return tuple(found.values())


def _child_name(child: _Object, path: str) -> str:
    """By `name`, else the last segment of `id`."""
    for member in child:
        if member.lower() not in ("id", "name", "type", "etag", "properties"):
            message = f"Could not find member '{member[:100]}'. Path '{path}.{member[:100]}'."
            raise errors.Invalid("InvalidRequestFormat", message, target=f"{path}.{member[:100]}")
    name = child.get("name") or str(child.get("id") or "").rpartition("/")[2]
    if not isinstance(name, str) or not name:
        raise errors.Invalid("InvalidRequestFormat", f"Cannot parse the request: {path} has no name.", target=f"{path}.name")
    return name


def _taken(properties: _Object, name: str) -> tuple[_Object, JsonValue]:
    """The properties without one of them (in any casing), and that one."""
    rest = {k: v for k, v in properties.items() if k.lower() != name.lower()}
    return rest, next((v for k, v in properties.items() if k.lower() == name.lower()), None)


def _tags(value: JsonValue) -> dict[str, str]:
    tags = _object(value, "tags")
    found = {}
    for name, text in tags.items():
        if not isinstance(text, str):
            raise _content(f"The tag '{name[:100]}' has to be a string.", f"tags.{name[:100]}")
        found[name] = text
    return found


def _identity(value: JsonValue) -> _Object | None:
    return None if value is None else identity_blocks.read(_object(value, "identity"))


def _text(value: JsonValue, path: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _content(f"'{path}' has to be a string.", path)
    return value


def _object(value: JsonValue | _Object, path: str) -> _Object:
    """A JSON object; {} for null."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _content(f"The request content was invalid and could not be deserialized: '{path}' has to be an object.", path)
    return value


def _fault(kind: str, message: str, location: Sequence[int | str], path: str) -> errors.Invalid:
    """One of pydantic's findings; a kind that begins with a capital letter is Azure's own code."""
    where = path + "".join(f"[{part}]" if isinstance(part, int) else f".{str(part)[:100]}" for part in location)
    if kind[:1].isupper():
        return errors.Invalid(kind, message, target=where)
    if kind == "extra_forbidden":
        message = f"Could not find member '{str(location[-1])[:100]}' on object of this type."
    return _json_fault(f"{message} Path '{where}'.", where)


def _json_fault(message: str, path: str) -> errors.Invalid:
    return errors.Invalid("InvalidJson", message, target=path)


def _unreadable(type: str, faults: Sequence[errors.Invalid]) -> errors.Invalid:
    """The one answer for all faults of a body, in the words of the type's provider."""
    first = faults[0]
    if len(faults) == 1 and first.code != "InvalidJson":
        return first
    if type.lower().startswith("microsoft.network/"):
        return errors.Invalid(
            "InvalidRequestFormat", f"Cannot parse the request. {first.message}", target=first.target, details=faults
        )
    message = f"The request content was invalid and could not be deserialized: '{first.message}'"
    return errors.Invalid("InvalidRequestContent", message, target=first.target, details=faults)


def _content(message: str, target: str | None = None) -> errors.Invalid:
    return errors.Invalid("InvalidRequestContent", message, target=target or None)


def _check(value: JsonValue, depth: int) -> None:
    """Refuse what could be read but never be written again: halves of characters, and bottomless nesting."""
    if depth > _DEEPEST:
        raise _content(f"The request content was invalid: it nests deeper than {_DEEPEST} levels.")
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise _content("The request content was invalid: it holds half of a surrogate pair.")
    elif isinstance(value, list):
        for entry in value:
            _check(entry, depth + 1)
    elif isinstance(value, dict):
        for name, entry in value.items():
            _check(name, depth + 1)
            _check(entry, depth + 1)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:50]} is out of range")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it nests too deeply"
    return str(error)[:200]
