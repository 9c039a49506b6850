"""`policy.access` against an evaluator that reads Azure's rules word by word, over random worlds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.access import grants

from ringfence.model.authorization import RoleAssignment, RoleDefinition
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import access
from ringfence.policy.access import Caller

_S = grants.SUBSCRIPTION
SCOPES = (
    "/",
    "/providers/Microsoft.Management/managementGroups/root",
    _S,
    f"{_S}/resourceGroups/rg1",
    f"{_S}/resourceGroups/rg10",
    f"{_S}/resourceGroups/rg1/providers/P.X/a/one",
    f"{_S}/resourceGroups/rg1/providers/P.X/a/one2",
    f"{_S}/resourceGroups/rg1/providers/P.X/a/one/b/two",
)
ACTIONS = ("P.X/a/read", "P.X/a/write", "P.X/a/b/read", "P.X/a/b/join/action", "P.XY/a/read", "P.Y/c/delete")
PATTERNS = (*ACTIONS, "*", "*/read", "P.X/*", "P.X/a/*", "P.X/*/read", "P.X/a/*/action", "*/b/*", "P.*/delete", "p.x/A/b/READ")
PEOPLE, GROUPS = ("ann", "ben"), ("team", "all")

patterns = st.lists(st.sampled_from(PATTERNS), max_size=3)
entries = st.fixed_dictionaries(
    {"actions": patterns, "notActions": patterns, "dataActions": patterns, "notDataActions": patterns}
)
roles = st.lists(st.lists(entries, min_size=1, max_size=2), min_size=1, max_size=4)
callers = st.builds(
    Caller,
    object_id=st.sampled_from(PEOPLE),
    client_id=st.just("app"),
    groups=st.frozensets(st.sampled_from(GROUPS)),
)


def _within(scope: str, above: str) -> bool:
    if above == "/":
        return True
    if "managementgroups" in above.lower() and scope.lower().startswith("/subscriptions/"):
        return True
    here, there = scope.lower().strip("/").split("/"), above.lower().strip("/").split("/")
    return here[: len(there)] == there


def _matches(pattern: str, action: str) -> bool:
    text = "".join(".*" if c == "*" else re.escape(c) for c in pattern.lower())
    shorter = "".join(".*" if c == "*" else re.escape(c) for c in pattern.lower().replace("/*/", "/"))
    return re.fullmatch(text, action.lower()) is not None or re.fullmatch(shorter, action.lower()) is not None


def _plainly(rows: Sequence[Resource], caller: Caller, action: str, scope: str, data: bool) -> bool:
    defined = {r.id.name: r.properties for r in rows if isinstance(r.properties, RoleDefinition)}
    for row in rows:
        asked = row.properties
        if not isinstance(asked, RoleAssignment) or asked.principal_id not in {caller.object_id, *caller.groups}:
            continue
        if not _within(scope, asked.scope):
            continue
        for entry in defined[asked.role].permissions:
            allowed = entry.data_actions if data else entry.actions
            excepted = entry.not_data_actions if data else entry.not_actions
            if any(_matches(p, action) for p in allowed) and not any(_matches(p, action) for p in excepted):
                return True
    return False


@settings(max_examples=120, deadline=None)
@given(
    roles,
    st.lists(st.tuples(st.sampled_from(PEOPLE + GROUPS), st.integers(0, 3), st.sampled_from(SCOPES)), max_size=8),
    callers,
    st.booleans(),
)
def test_decisions_are_those_of_a_plain_reading(
    defined: list[list[dict[str, list[str]]]], assigned: list[tuple[str, int, str]], caller: Caller, data: bool
) -> None:
    guids = [f"aaaaaaaa-0000-0000-0000-00000000000{n}" for n in range(len(defined))]
    rows = [grants.definition(guid, *entries) for guid, entries in zip(guids, defined, strict=True)]
    rows += [grants.assignment(who, guids[number % len(guids)], where) for who, number, where in assigned]
    snapshot = Snapshot.of(rows)
    for scope in SCOPES:
        for action in ACTIONS:
            expected = _plainly(rows, caller, action, scope, data)
            assert access.permits(snapshot, caller, action, scope, data=data) is expected, (action, scope)
        seen = any(
            who in {caller.object_id, *caller.groups} and (_within(scope, where) or _within(where, scope))
            for who, _, where in assigned
        )
        assert access.visible(snapshot, caller, scope) is seen, scope
