"""OData's system query options over documents: `$filter`, `$select`, `$top`, `$orderby`, `$count`, pages.

`$filter` has eq, ne, ge, gt, le, lt, in, startsWith, endsWith, any, and, or, not and
parentheses (OData 4.01 section 5.1.1). What is not understood is refused, for a filter that is
not understood would filter nothing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from ringfence.api.graph import wording

Document = Mapping[str, Any]
Test = Callable[[Document], bool]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[(),:])|(?P<word>[^\s'(),:]+(?::\d\d[^\s'(),]*)?))")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}
_LONGEST, _DEEPEST = 8192, 32
_DEFAULT_TOP, _MOST = 100, 999
_KNOWN = frozenset({"$filter", "$select", "$top", "$count", "$orderby", "$skiptoken", "$format"})


def predicate(text: str) -> Test:
    """Raises Invalid (`Request_UnsupportedQuery`, `BadRequest`)."""
    if len(text) > _LONGEST:
        raise wording.unsupported_query("The filter is too long.")
    reader = _Reader(list(_tokens(text)))
    found = reader.alternatives(0)
    reader.end()
    return found


def page(query: Mapping[str, str], found: Sequence[Document], url: str, context: str) -> dict[str, Any]:
    """The answer of a list. url: of the request, without its query. Raises Invalid."""
    surplus = sorted(name for name in query if name.startswith("$") and name not in _KNOWN)
    if surplus:
        raise wording.unsupported_query(f"The query option '{surplus[0][:50]}' is not served.")
    test = predicate(query["$filter"]) if query.get("$filter") else None
    rows = [document for document in found if test is None or test(document)]
    rows = _ordered(rows, query.get("$orderby", ""))
    first, top = _number(query.get("$skiptoken", "0"), "$skiptoken", 0), _number(query.get("$top", str(_DEFAULT_TOP)), "$top", 1)
    top = min(top, _MOST)
    answer: dict[str, Any] = {"@odata.context": context}
    if query.get("$count", "").lower() == "true":
        answer["@odata.count"] = len(rows)
    if first + top < len(rows):
        answer["@odata.nextLink"] = f"{url}?{urlencode({**query, '$skiptoken': str(first + top)})}"
    answer["value"] = [selected(query, row) for row in rows[first : first + top]]
    return answer


def selected(query: Mapping[str, str], document: Document) -> Document:
    """The properties that `$select` names; every one that is shown unless told. Names that start with `@` or `_` are apart."""
    wanted = {name.strip().lower() for name in query.get("$select", "").split(",") if name.strip()}
    hidden = document.get("_unselected", frozenset())
    if not wanted or "*" in wanted:
        return {name: value for name, value in document.items() if not name.startswith("_") and name not in hidden}
    return {name: value for name, value in document.items() if name.lower() in wanted or name == "@odata.type"}


def _ordered(rows: list[Document], text: str) -> list[Document]:
    if not text:
        return rows
    name, _, direction = text.strip().partition(" ")
    if name not in ("displayName", "userPrincipalName", "createdDateTime") or direction.strip().lower() not in (
        "",
        "asc",
        "desc",
    ):
        raise wording.unsupported_query(f"Sorting by '{text[:100]}' is not supported for this resource.")
    down = direction.strip().lower() == "desc"
    return sorted(rows, key=lambda row: str(row.get(name) or "").lower(), reverse=down)


def _number(text: str, name: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and int(text) >= least):
        raise wording.bad(f"Invalid value '{text[:50]}' of the query option '{name}'.")
    return int(text)


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise _invalid(text[place : place + 50])
        yield match["text"] or match["mark"] or match["word"]
        place = match.end()


class _Reader:
    """Recursive descent over the tokens of a filter."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def end(self) -> None:
        if self._place < len(self._tokens):
            raise _invalid(self._tokens[self._place])

    def alternatives(self, depth: int) -> Test:
        tests = [self._both(depth)]
        while self._taken("or"):
            tests.append(self._both(depth))
        return tests[0] if len(tests) == 1 else lambda d: any(test(d) for test in tests)

    def _both(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._taken("and"):
            tests.append(self._one(depth))
        return tests[0] if len(tests) == 1 else lambda d: all(test(d) for test in tests)

    def _one(self, depth: int) -> Test:
        if depth > _DEEPEST:
            raise wording.unsupported_query("The filter nests too deeply.")
        if self._taken("not"):
            inner = self._one(depth + 1)
            return lambda d: not inner(d)
        if self._taken("("):
            found = self.alternatives(depth + 1)
            self._need(")")
            return found
        name = self._next()
        lowered = name.lower()
        if lowered in ("startswith", "endswith"):
            return self._function(lowered)
        if lowered.endswith("/any"):
            return self._any(name[:-4])
        return self._comparison(name)

    def _function(self, name: str) -> Test:
        self._need("(")
        path = self._next()
        self._need(",")
        value = _literal(self._next())
        self._need(")")
        if not isinstance(value, str):
            raise _invalid(str(value))
        wanted, compare = value.lower(), str.startswith if name == "startswith" else str.endswith
        return lambda d: any(isinstance(v, str) and compare(v.lower(), wanted) for v in [_value(d, path)])

    def _any(self, path: str) -> Test:
        """`path/any(x:x eq 'value')`, and startsWith of it."""
        self._need("(")
        variable = self._next()
        self._need(":")
        start = self._place
        inner = self.alternatives(0)
        self._need(")")
        if not any(t == variable or t.startswith(variable + "/") for t in self._tokens[start : self._place]):
            raise _invalid(variable)

        def test(document: Document) -> bool:
            values = _value(document, path)
            return isinstance(values, Sequence) and not isinstance(values, str) and any(inner({variable: v}) for v in values)

        return test

    def _comparison(self, path: str) -> Test:
        word = self._next().lower()
        if word == "in":
            self._need("(")
            values = [_folded(_literal(self._next()))]
            while self._taken(","):
                values.append(_folded(_literal(self._next())))
            self._need(")")
            return lambda d: _folded(_value(d, path)) in values
        compare = _COMPARE.get(word)
        if compare is None:
            raise _invalid(word)
        wanted = _folded(_literal(self._next()))

        def test(document: Document) -> bool:
            value = _folded(_value(document, path))
            if word in ("eq", "ne"):
                return compare(value, wanted)
            return isinstance(value, str) and isinstance(wanted, str) and compare(value, wanted)

        return test

    def _taken(self, word: str) -> bool:
        if self._place < len(self._tokens) and self._tokens[self._place].lower() == word:
            self._place += 1
            return True
        return False

    def _need(self, mark: str) -> None:
        if not self._taken(mark):
            raise _invalid(self._tokens[self._place] if self._place < len(self._tokens) else "the end")

    def _next(self) -> str:
        if self._place >= len(self._tokens):
            raise _invalid("the end")
        self._place += 1
        return self._tokens[self._place - 1]


_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


def _value(document: Document, path: str) -> Any:
    """A property by its path. Raises Invalid for one that the resource does not have."""
    if not _NAMES.fullmatch(path):
        raise _invalid(path)
    found: Any = document
    for part in path.split("/"):
        if found is None:
            return None
        if not isinstance(found, Mapping) or part not in found or part.startswith("_"):
            raise wording.unsupported_query(
                f"Unsupported or invalid query filter clause specified for property '{path}' of resource."
            )
        found = found[part]
    return found


def _literal(token: str) -> str | bool | None:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    words: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
    if token.lower() in words:
        return words[token.lower()]
    if re.fullmatch(r"[0-9A-Fa-f-]{36}|\d{4}-\d\d-\d\d(T[0-9:.]+(Z|[+-]\d\d:\d\d))?", token):
        return token
    raise _invalid(token)


def _folded(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _invalid(near: str) -> Exception:
    return wording.unsupported_query(f"Invalid filter clause: there is a syntax error at '{near[:100]}'.")
