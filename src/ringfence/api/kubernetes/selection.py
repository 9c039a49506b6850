"""Label and field selectors, and pages of a list."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ringfence.api.kubernetes.kinds import Kind
from ringfence.api.kubernetes.statuses import invalid

Document = Mapping[str, Any]
Test = Callable[[Document], bool]

#: Fields that each kind can be selected by, beside its name and namespace.
_FIELDS: Mapping[str, frozenset[str]] = {
    "Pod": frozenset({"spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"}),
    "Event": frozenset(
        {f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")}
        | {"reason", "type", "reportingComponent", "source"}
    ),
    "Node": frozenset({"spec.unschedulable"}),
    "Namespace": frozenset({"status.phase"}),
    "Secret": frozenset({"type"}),
    "Service": frozenset({"spec.clusterIP", "spec.type"}),
    "ReplicaSet": frozenset({"status.replicas"}),
}
_LABEL = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_SET = re.compile(rf"\s*({_LABEL})\s+(in|notin)\s*\(([^()]*)\)\s*", re.ASCII)
_EQUAL = re.compile(rf"\s*({_LABEL})\s*(==|=|!=)\s*([A-Za-z0-9._-]*)\s*", re.ASCII)
_EXISTS = re.compile(rf"\s*(!?)\s*({_LABEL})\s*", re.ASCII)


def labels(selector: str) -> Test:
    """`a=b,c!=d,e in (f,g),h,!i` as a test of an object. Raises Refusal (400)."""
    tests = [_label_test(part) for part in _split(selector)]
    return lambda document: all(test(document["metadata"].get("labels", {})) for test in tests)


def fields(kind: Kind, selector: str) -> Test:
    """`metadata.name=x,status.phase!=Running` as a test of an object. Raises Refusal (400) for a field that is none."""
    known = {"metadata.name", *(("metadata.namespace",) if kind.namespaced else ())} | _FIELDS.get(kind.kind, frozenset())
    tests: list[Test] = []
    for part in filter(None, (piece.strip() for piece in selector.split(","))):
        name, operator, value = _field(part)
        if name not in known:
            raise invalid(f'Unable to find "{kind.api_version}, Resource={kind.plural}" that match label selector "", '
                          f'field selector "{selector[:200]}": field label not supported: {name}')  # fmt: skip
        tests.append(_field_test(name, value, equal=operator != "!="))
    return lambda document: all(test(document) for test in tests)


def page(documents: Sequence[Document], limit: str, after: str) -> tuple[Sequence[Document], str, int]:
    """One page: what is on it, the token of the next ("" for none), how many are left. Raises Refusal (400)."""
    begin = _begin(documents, after) if after else 0
    if limit and not limit.isdecimal():
        raise invalid(f'strconv.ParseInt: parsing "{limit[:50]}": invalid syntax')
    most = int(limit or 0) or len(documents)
    shown, left = documents[begin : begin + most], documents[begin + most :]
    return shown, _token(shown[-1]) if left else "", len(left)


def _token(document: Document) -> str:
    return base64.urlsafe_b64encode("\n".join(place(document)).encode()).decode()


def _begin(documents: Sequence[Document], token: str) -> int:
    try:
        namespace, name = base64.urlsafe_b64decode(token.encode()).decode().split("\n")
    except ValueError as error:
        raise invalid("continue key is not valid: it is the metadata.continue of an earlier page") from error
    return sum(1 for document in documents if place(document) <= (namespace, name))


def place(document: Document) -> tuple[str, str]:
    """Namespace and name: the order of lists."""
    about = document["metadata"]
    return about.get("namespace", ""), about["name"]


def _split(selector: str) -> list[str]:
    """At commas that are in no parentheses."""
    return [part for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def _label_test(part: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.fullmatch(part):
        name, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        return lambda given: (given.get(name) in values) == (operator == "in")
    if found := _EQUAL.fullmatch(part):
        name, operator, value = found[1], found[2], found[3]
        return lambda given: (given.get(name) == value) == (operator != "!=")
    if found := _EXISTS.fullmatch(part):
        name, absent = found[2], bool(found[1])
        return lambda given: (name in given) != absent
    raise invalid(f'unable to parse requirement: "{part[:100]}" is no label selector (a=b, a!=b, a in (b,c), a, !a)')


def _field(part: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"([A-Za-z.]+)\s*(==|=|!=)\s*(.*)", part, re.ASCII)
    if found is None:
        raise invalid(f'invalid selector: "{part[:100]}"; can\'t understand it (metadata.name=x, status.phase!=Running)')
    return found[1], found[2], found[3]


def _field_test(name: str, value: str, *, equal: bool) -> Test:
    def test(document: Document) -> bool:
        found: Any = document
        for step in name.split("."):
            found = found.get(step, "") if isinstance(found, Mapping) else ""
        shown = str(found).lower() if isinstance(found, bool) else str(found)
        return (shown == (value or ("false" if name == "spec.unschedulable" else ""))) == equal

    return test
