"""What one authorization decision costs, in memory: the compiled index beside a plain loop over the assignments.

    python bench/access.py [ASSIGNMENTS]

One principal with so many assignments, each at another scope, of all built-in roles in turn. Questions
are asked of scopes and actions in a fixed shuffled order, half of them about nothing assigned. Prints one
JSON document; times in microseconds. Both answer alike, which is checked.
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Sequence

from ringfence.model import authorization
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import access, roles

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
WHO = "aaaaaaaa-0000-4000-8000-000000000001"
WHEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ACTIONS = (
    "Microsoft.Network/virtualNetworks/read",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
    "Microsoft.MachineLearningServices/workspaces/computes/write",
    "Microsoft.ContainerRegistry/registries/pull/read",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Storage/storageAccounts/listKeys/action",
)

Question = tuple[str, str]


def group(number: int) -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/group{number}"


def assignments(count: int) -> list[Resource]:
    guids = [guid for guid in roles.BUILT_IN if roles.BUILT_IN[guid].name not in ("Owner", "Contributor")]
    return [
        Resource(
            id=authorization.assignment_id(SUBSCRIPTION, str(uuid.UUID(int=number + 1))),
            properties=authorization.RoleAssignment(scope=group(number), role=guids[number % len(guids)], principal_id=WHO),
            created_at=WHEN,
            changed_at=WHEN,
        )
        for number in range(count)
    ]


def questions(count: int, asked: int) -> list[Question]:
    shuffled = random.Random(1)
    found = []
    for _ in range(asked):
        scope = f"{group(shuffled.randrange(2 * count))}/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
        found.append((shuffled.choice(ACTIONS), scope))
    return found


def plainly(rows: Sequence[Resource], action: str, scope: str) -> bool:
    """Every assignment in turn, every pattern in turn."""
    here = [part for part in scope.lower().split("/") if part]
    for row in rows:
        asked = row.properties
        assert isinstance(asked, authorization.RoleAssignment)
        there = [part for part in asked.scope.lower().split("/") if part]
        if asked.principal_id != WHO or here[: len(there)] != there:
            continue
        for entry in roles.BUILT_IN[asked.role].permissions:
            if _any(entry.actions, action) and not _any(entry.not_actions, action):
                return True
    return False


def _any(patterns: Sequence[str], action: str) -> bool:
    """`/*/` stands for nothing as well."""
    lower = action.lower()
    return any(
        fnmatch.fnmatchcase(lower, pattern.lower()) or fnmatch.fnmatchcase(lower, pattern.lower().replace("/*/", "/"))
        for pattern in patterns
    )


def microseconds(decide: Callable[[str, str], bool], asked: Sequence[Question]) -> float:
    begun = time.perf_counter()
    for action, scope in asked:
        decide(action, scope)
    return (time.perf_counter() - begun) / len(asked) * 1e6


def measure(count: int = 1000) -> dict[str, float]:
    """Microseconds for each decision: the first round of questions, and the same ones again; of the loop."""
    rows = assignments(count)
    snapshot = Snapshot.of(rows)

    def indexed(action: str, scope: str) -> bool:
        return access.permits(snapshot, WHO, action, scope)

    def looped(action: str, scope: str) -> bool:
        return plainly(rows, action, scope)

    asked = questions(count, 20_000)
    begun = time.perf_counter()
    indexed(*asked[0])
    compiled = (time.perf_counter() - begun) * 1000
    few = asked[:50]
    assert [indexed(*one) for one in few] == [looped(*one) for one in few]
    first, again = microseconds(indexed, asked), microseconds(indexed, asked)
    found = {"assignments": count, "compile_ms": round(compiled, 2), "first_us": round(first, 2), "again_us": round(again, 2)}
    return {**found, "loop_us": round(microseconds(looped, few), 1)}


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:]))))
