"""Who may do what where: Azure's role-based access control, over role assignments of a snapshot.

An action is permitted when some role, assigned to the caller or to a group of theirs at the scope
or above it, has it in `actions` and not in `notActions`; `dataActions` are a plane apart (RULES.md
section 9). A scope lies above another by path segment. What is compiled from the assignments is
kept for as long as the snapshot's own tuples are the same. Who a caller is, tokens say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ringfence.model import authorization, errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import roles
from ringfence.policy.builtin.role import Permission

#: Answers that are kept for each role, and for each scope of each principal.
_MOST_ANSWERS = 4096
#: Snapshots whose assignments are kept compiled: the present one, and those of requests under way.
_MOST_INDEXES = 4
_MANAGEMENT_GROUPS = "/providers/microsoft.management/managementgroups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. name: a user's principal name, "" for an application. groups: object ids."""

    object_id: str
    client_id: str
    name: str = ""
    groups: frozenset[str] = frozenset()
    tenant_id: str = ""


def permits(snapshot: Snapshot, caller: Caller | str, action: str, scope: ResourceId | str, *, data: bool = False) -> bool:
    """Whether the caller (an object id alone has no groups) may do this at this scope. data: on the data plane."""
    index, wanted = _index(snapshot), action.lower()
    chain = _upwards(scope.key if isinstance(scope, ResourceId) else scope)
    for principal in _principals(caller):
        granted = index.by_principal.get(principal)
        if granted is not None:
            for at in chain:
                grant = granted.get(at)
                if grant is not None and grant.permits(wanted, data):
                    return True
    return False


def require(snapshot: Snapshot, caller: Caller, action: str, scope: ResourceId | str, *, data: bool = False) -> None:
    """Raises Forbidden (`AuthorizationFailed`) in Azure's words, whether or not the scope exists."""
    if not permits(snapshot, caller, action, scope, data=data):
        raise errors.Forbidden(
            "AuthorizationFailed",
            f"The client '{caller.name or caller.client_id}' with object id '{caller.object_id}' does not have authorization to "
            f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please "
            "refresh your credentials.",
        )


def require_linked(
    snapshot: Snapshot,
    caller: Caller,
    action: str,
    scope: ResourceId | str,
    linked_action: str,
    linked_scope: ResourceId | str,
) -> None:
    """What a write does to a resource it refers to. Raises Forbidden (`LinkedAuthorizationFailed`)."""
    if not permits(snapshot, caller, linked_action, linked_scope):
        shown = caller.name or caller.client_id
        raise linked_failure(shown, caller.object_id, action, scope, linked_action, linked_scope)


def linked_failure(
    client_id: str,
    object_id: str,
    action: str,
    scope: ResourceId | str,
    linked_action: str,
    linked_scope: ResourceId | str,
) -> errors.Forbidden:
    """The refusal of a linked check (RULES.md section 10), also of an identity that a cluster acts with."""
    return errors.Forbidden(
        "LinkedAuthorizationFailed",
        f"The client '{client_id}' with object id '{object_id}' has permission to perform action '{action}' on scope '{scope}'; "
        f"however, it does not have permission to perform action '{linked_action}' on the linked scope(s) '{linked_scope}' or "
        "the linked scope(s) are invalid.",
    )


def visible(snapshot: Snapshot, caller: Caller | str, scope: ResourceId | str) -> bool:
    """Whether anything is assigned to the caller at this scope, above it or anywhere below it."""
    index, text = _index(snapshot), scope.key if isinstance(scope, ResourceId) else scope
    chain, lies = _upwards(text), place(text)
    for principal in _principals(caller):
        granted = index.by_principal.get(principal)
        if granted is not None and (lies in index.above[principal] or any(at in granted for at in chain)):
            return True
    return False


def permits_within(snapshot: Snapshot, caller: Caller | str, action: str, scope: ResourceId | str) -> bool:
    """Whether the caller may do this at the scope or at anything below it."""
    index, lies, wanted = _index(snapshot), place(scope.key if isinstance(scope, ResourceId) else scope), action.lower()
    return permits(snapshot, caller, action, scope) or any(
        grant.permits(wanted, False)
        for principal in _principals(caller)
        if lies in index.above.get(principal, frozenset())
        for at, grant in index.by_principal[principal].items()
        if lies in _upwards(at)
    )


def granted(snapshot: Snapshot, caller: Caller | str, scope: ResourceId | str) -> tuple[Permission, ...]:
    """The permissions of every role that the caller has at a scope: what the permissions endpoint shows."""
    index, found = _index(snapshot), dict[str, tuple[Permission, ...]]()
    for principal in _principals(caller):
        for place in _upwards(scope.key if isinstance(scope, ResourceId) else scope):
            grant = index.by_principal.get(principal, {}).get(place)
            found |= {role.guid: role.permissions for role in (grant.roles if grant is not None else ())}
    return tuple(permission for _, permissions in sorted(found.items()) for permission in permissions)


def by_scope(snapshot: Snapshot) -> Mapping[str, Sequence[Resource]]:
    """Role assignments by the key of their scope."""
    found: dict[str, list[Resource]] = {}
    for assignment in snapshot.of_type(authorization.ROLE_ASSIGNMENT):
        assert isinstance(assignment.properties, authorization.RoleAssignment)
        scope = _upwards(assignment.properties.scope)[-1]
        found.setdefault(scope, []).append(assignment)
    return found


def above(scope: ResourceId | str) -> tuple[str, ...]:
    """The scope and everything above it, in lower case, the widest first; the tenant's root is ""."""
    return _upwards(scope.key if isinstance(scope, ResourceId) else scope)


def _principals(caller: Caller | str) -> Iterator[str]:
    if isinstance(caller, str):
        yield caller.lower()
        return
    yield caller.object_id.lower()
    for group in caller.groups:
        yield group.lower()


@lru_cache(maxsize=16_384)
def _upwards(scope: str) -> tuple[str, ...]:
    """Scopes that a scope inherits from, and itself. A subscription lies in the tenant's one management group."""
    parts = [part for part in scope.lower().split("/") if part]
    places = ["", *("/" + "/".join(parts[:length]) for length in range(1, len(parts) + 1))]
    if parts[:1] == ["subscriptions"]:
        places.insert(1, _MANAGEMENT_GROUPS)
    return tuple(places)


def place(scope: str) -> str:
    """Where an assignment is filed, as `above` spells it. There is one management group, the tenant's root."""
    places = _upwards(scope)
    return _MANAGEMENT_GROUPS if len(places) == 5 and places[3] == _MANAGEMENT_GROUPS else places[-1]


class _Role:
    """A role made quick: names that are looked up, patterns that are matched, answers that are kept."""

    __slots__ = ("_answers", "_planes", "guid", "permissions")

    def __init__(self, guid: str, permissions: Sequence[Permission]) -> None:
        self.guid = guid
        self.permissions = tuple(permissions)
        control = tuple((_Names(p.actions), _Names(p.not_actions)) for p in permissions)
        data = tuple((_Names(p.data_actions), _Names(p.not_data_actions)) for p in permissions)
        self._planes = (control, data)
        self._answers: dict[tuple[str, bool], bool] = {}

    def permits(self, action: str, data: bool) -> bool:
        answer = self._answers.get((action, data))
        if answer is None:
            answer = any(action in allowed and action not in excepted for allowed, excepted in self._planes[data])
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[action, data] = answer
        return answer


class _Names:
    """A list of actions. `*` stands for anything, across segments; case does not matter.

    Between two slashes it also stands for nothing: AzureML Data Scientist could not read its workspace
    (`workspaces/*/read`), nor Managed Identity Operator assign one (`userAssignedIdentities/*/assign/action`), if it did not.
    """

    __slots__ = ("_all", "_exact", "_pattern")

    def __init__(self, names: Iterable[str]) -> None:
        lower = [name.lower() for name in names]
        self._all = "*" in lower
        self._exact = frozenset(name for name in lower if "*" not in name)
        parts = ["/(?:.*/)?".join(map(_pattern, name.split("/*/"))) for name in lower if "*" in name]
        self._pattern = re.compile("|".join(parts), re.DOTALL) if parts else None

    def __contains__(self, action: str) -> bool:
        return self._all or action in self._exact or (self._pattern is not None and self._pattern.fullmatch(action) is not None)


def _pattern(text: str) -> str:
    return ".*".join(map(re.escape, text.split("*")))


class _Grant:
    """The roles of one principal at one scope."""

    __slots__ = ("_answers", "roles")

    def __init__(self) -> None:
        self.roles: list[_Role] = []
        self._answers: dict[tuple[str, bool], bool] = {}

    def permits(self, action: str, data: bool) -> bool:
        if len(self.roles) == 1:
            return self.roles[0].permits(action, data)
        answer = self._answers.get((action, data))
        if answer is None:
            answer = any(role.permits(action, data) for role in self.roles)
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[action, data] = answer
        return answer


@dataclass(frozen=True, slots=True)
class _Index:
    """by_principal: grants by scope. above: for each principal, every scope that something of theirs lies at or below."""

    by_principal: Mapping[str, Mapping[str, _Grant]]
    above: Mapping[str, frozenset[str]]


_Key = tuple[tuple[Resource, ...], tuple[Resource, ...]]
_indexes: dict[tuple[int, int], tuple[_Key, _Index]] = {}


def _index(snapshot: Snapshot) -> _Index:
    """Compiled once for each set of assignments and roles: an untouched set is the very same tuple in the next snapshot."""
    key = (snapshot.of_type(authorization.ROLE_ASSIGNMENT), snapshot.of_type(authorization.ROLE_DEFINITION))
    name = (id(key[0]), id(key[1]))
    found = _indexes.get(name)
    # The tuples are held with the index, so that another one cannot come to have the same address.
    if found is not None and found[0][0] is key[0] and found[0][1] is key[1]:
        return found[1]
    index = _compiled(*key)
    while len(_indexes) >= _MOST_INDEXES:
        _indexes.pop(next(iter(_indexes), name), None)
    _indexes[name] = (key, index)
    return index


@lru_cache(maxsize=1)
def _built_in() -> Mapping[str, _Role]:
    return {guid: _Role(guid, role.permissions) for guid, role in roles.BUILT_IN.items()}


def _compiled(assignments: Iterable[Resource], definitions: Iterable[Resource]) -> _Index:
    known = dict(_built_in())
    for definition in definitions:
        assert isinstance(definition.properties, authorization.RoleDefinition)
        guid = definition.id.name.lower()
        known[guid] = _Role(guid, [roles.permission(entry) for entry in definition.properties.permissions])
    found: dict[str, dict[str, _Grant]] = {}
    above: dict[str, set[str]] = {}
    for assignment in assignments:
        asked = assignment.properties
        assert isinstance(asked, authorization.RoleAssignment)
        role, where = known.get(asked.role), place(asked.scope)
        if role is None:
            continue
        grant = found.setdefault(asked.principal_id, {}).setdefault(where, _Grant())
        if role not in grant.roles:
            grant.roles.append(role)
        above.setdefault(asked.principal_id, set()).update(_upwards(where))
    return _Index(found, {principal: frozenset(places) for principal, places in above.items()})
