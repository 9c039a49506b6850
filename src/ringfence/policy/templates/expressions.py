"""The language between brackets of an ARM template: `[concat(parameters('a'), '-x').b[0]]`, read and worked out.

What a function means is in `functions`. Names of functions, parameters and properties match
in any casing, as Azure's do. Every fault is Azure's `InvalidTemplate`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from ringfence.model import errors

#: Calls and brackets within one another; templates that people write have a handful.
_DEEPEST = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>[()\[\],.]))", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int


@dataclass(frozen=True, slots=True)
class Call:
    """name: in lower case."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """A property or an element: `base.key`, `base[key]`."""

    base: Node
    key: Node


Node = Literal | Call | Access


def invalid(message: str) -> errors.Invalid:
    """The code that Azure has for every fault of a template."""
    return errors.Invalid("InvalidTemplate", f"Deployment template validation failed: '{message}'.")


def is_expression(text: str) -> bool:
    """`[…]` is one; `[[…` is a text that begins with a bracket."""
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """text: with its brackets. Raises Invalid."""
    reader = _Reader(text)
    found = reader.expression(0)
    if reader.token != "":
        raise reader.fault()
    return found


def calls(node: Node) -> Iterator[Call]:
    """Every call in an expression, outermost first."""
    match node:
        case Call(_, arguments):
            yield node
            for argument in arguments:
                yield from calls(argument)
        case Access(base, key):
            yield from calls(base)
            yield from calls(key)


def strings(value: JsonValue) -> Iterator[str]:
    """Every text in a JSON value, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for entry in value:
            yield from strings(entry)
    elif isinstance(value, dict):
        for name, entry in value.items():
            yield name
            yield from strings(entry)


Apply = Callable[[Call], JsonValue]


def evaluate(node: Node, apply: Apply) -> JsonValue:
    """The value of an expression; `apply` is asked for that of each call. Raises Invalid."""
    match node:
        case Literal(value):
            return value
        case Call():
            return apply(node)
        case Access(base, key):
            return member(evaluate(base, apply), evaluate(key, apply))


def member(value: JsonValue, key: JsonValue) -> JsonValue:
    """A property by name in any casing, or an element by number. Raises Invalid."""
    if isinstance(value, dict) and isinstance(key, str):
        if key in value:
            return value[key]
        for name, found in value.items():
            if name.lower() == key.lower():
                return found
        known = ", ".join(value)[:300]
        raise invalid(f"The language expression property '{key}' does not exist, available properties are '{known}'")
    if isinstance(value, list) and isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(value):
        return value[key]
    raise invalid(f"The language expression cannot read '{str(key)[:100]}' of {_shown(value)}")


def resolved(value: JsonValue, work_out: Callable[[str], JsonValue]) -> JsonValue:
    """A JSON value with every expression in it worked out."""
    if isinstance(value, str):
        if is_expression(value):
            return work_out(value)
        return value[1:] if value.startswith("[[") else value
    if isinstance(value, list):
        return [resolved(entry, work_out) for entry in value]
    if isinstance(value, dict):
        return {_name(name, work_out): resolved(entry, work_out) for name, entry in value.items()}
    return value


def without_nulls(value: JsonValue) -> JsonValue:
    """A null in a template is a member left out."""
    if isinstance(value, list):
        return [without_nulls(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: without_nulls(entry) for name, entry in value.items() if entry is not None}
    return value


def _name(text: str, work_out: Callable[[str], JsonValue]) -> str:
    return str(work_out(text)) if is_expression(text) else text


def _shown(value: JsonValue) -> str:
    return "null" if value is None else f"a value of type {type(value).__name__}"


class _Reader:
    """One token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._body = text[1:-1]
        self._at = 0
        self.kind, self.token = "", ""
        self._next()

    def expression(self, depth: int) -> Node:
        if depth > _DEEPEST:
            raise self.fault()
        found = self._primary(depth)
        while self.kind == "sign" and self.token in ".[":
            if self._taken() == ".":
                if self.kind != "name":
                    raise self.fault()
                found = Access(found, Literal(self._taken()))
            else:
                found = Access(found, self.expression(depth + 1))
                self._expect("]")
        return found

    def fault(self) -> errors.Invalid:
        return invalid(f"Unable to parse language expression {self._text[:300]!r}: unexpected {self.token[:50]!r}")

    def _primary(self, depth: int) -> Node:
        kind, token = self.kind, self._taken()
        if kind == "string":
            return Literal(token[1:-1].replace("''", "'"))
        if kind == "number":
            return Literal(int(token[:20]))
        if kind != "name":
            raise invalid(f"Unable to parse language expression {self._text[:300]!r}: unexpected {token[:50]!r}")
        self._expect("(")
        arguments: list[Node] = []
        while self.token != ")":
            arguments.append(self.expression(depth + 1))
            if self.token != ")":
                self._expect(",")
        self._expect(")")
        return Call(token.lower(), tuple(arguments))

    def _expect(self, sign: str) -> None:
        if self.kind != "sign" or self.token != sign:
            raise self.fault()
        self._next()

    def _taken(self) -> str:
        token = self.token
        self._next()
        return token

    def _next(self) -> None:
        found = _TOKEN.match(self._body, self._at)
        if found is not None:
            self.kind, self.token, self._at = str(found.lastgroup), found[str(found.lastgroup)], found.end()
        elif self._body[self._at :].strip():
            self.kind, self.token = "", self._body[self._at :].strip()
        else:
            self.kind, self.token, self._at = "end", "", len(self._body)
