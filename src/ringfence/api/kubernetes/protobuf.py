"""The reviews that `kubectl auth` posts, which its client writes in protocol buffers and in nothing else.

Only what those three kinds hold is read (k8s.io/api, generated.proto); answers are JSON, which
the client takes as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_RAW, _SPEC = 2, 2
#: Field numbers of `ResourceAttributes` and `NonResourceAttributes`.
_RESOURCE: Mapping[int, str] = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}
_OTHER: Mapping[int, str] = {1: "path", 2: "verb"}


def review(content: bytes, kind: str) -> dict[str, Any]:
    """A review as its JSON would be. Raises ValueError for what is none."""
    if not content.startswith(_MAGIC):
        raise ValueError("the body does not begin as Kubernetes' protocol buffers do")
    raw = next((value for number, value in _fields(content[len(_MAGIC) :]) if number == _RAW), b"")
    spec = next((value for number, value in _fields(raw) if number == _SPEC), b"")
    if kind == "SelfSubjectRulesReview":
        return {"spec": _named(spec, {1: "namespace"})}
    if kind == "SelfSubjectReview":
        return {}
    found: dict[str, Any] = {}
    for number, value in _fields(spec):
        if number == 1:
            found["resourceAttributes"] = _named(value, _RESOURCE)
        elif number == 2:
            found["nonResourceAttributes"] = _named(value, _OTHER)
    return {"spec": found}


def _named(content: bytes, names: Mapping[int, str]) -> dict[str, str]:
    return {names[number]: value.decode() for number, value in _fields(content) if number in names}


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that hold bytes, by number; others are passed over. Raises ValueError."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            _, at = _varint(content, at)
        elif wire in (_FIXED64, _FIXED32):
            at += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            length, at = _varint(content, at)
            if at + length > len(content):
                raise ValueError(f"field {number} is longer than the message")
            yield number, content[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {wire} is not known")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 64:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise ValueError("a number does not end")
