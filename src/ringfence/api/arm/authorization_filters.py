"""`$filter` of role assignments and role definitions: which principals, and how far from the scope.

    atScope() | atScopeAndBelow() | assignedTo('OID') | principalId eq 'OID' | roleName eq 'N' | type eq 'T'

joined by `and`. Without one, a list holds what is at the scope, above it and below it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ringfence.model import errors
from ringfence.policy import access

_CALL = re.compile(r"(?P<name>atScope|atScopeAndBelow|assignedTo)\(\s*(?:'(?P<value>[^']*)')?\s*\)\s*", re.IGNORECASE)
_EQUAL = re.compile(
    r"(?P<name>principalId|roleName|type)\s+eq\s+(?:'(?P<value>(?:[^']|'')*)'|(?P<bare>[0-9a-f-]{36}))\s*", re.IGNORECASE
)
_AND = re.compile(r"and\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """principal, assigned_to: object ids in lower case. role_name, kind: in lower case. "": any."""

    above: bool = True
    below: bool = True
    principal: str = ""
    assigned_to: str = ""
    role_name: str = ""
    kind: str = ""

    def reaches(self, assigned: str, scope: str) -> bool:
        """Whether an assignment at `assigned` belongs to the list of `scope`."""
        here, there = access.above(scope), access.above(assigned)
        if there[-1] == here[-1]:
            return True
        if access.place(assigned) in here:
            return self.above
        return self.below and access.place(scope) in there


def parse(text: str) -> Filter:
    """Raises Invalid (`InvalidFilter`)."""
    left, found = text.strip(), dict[str, str]()
    while left:
        match = _CALL.match(left) or _EQUAL.match(left)
        if match is None:
            raise _unreadable(text)
        groups = match.groupdict()
        name = match["name"].lower()
        found[name] = (groups.get("value") or groups.get("bare") or "").replace("''", "'").lower()
        left = left[match.end() :]
        if left:
            joined = _AND.match(left)
            if joined is None:
                raise _unreadable(text)
            left = left[joined.end() :]
    return Filter(
        above="atscopeandbelow" not in found,
        below="atscope" not in found,
        principal=found.get("principalid", ""),
        assigned_to=found.get("assignedto", ""),
        role_name=found.get("rolename", ""),
        kind=found.get("type", ""),
    )


def _unreadable(text: str) -> errors.Invalid:
    return errors.Invalid(
        "InvalidFilter",
        f"The filter '{text[:200]}' is not supported. Supported filters are 'atScope()', 'atScopeAndBelow()', "
        "'assignedTo('{objectId}')', 'principalId eq '{objectId}'', 'roleName eq '{name}'' and 'type eq '{type}''.",
        target="$filter",
    )
