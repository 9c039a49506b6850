"""What goes when something is deleted: all below it, all it manages, the roles assigned on any of that; and what keeps it.

Decided against one snapshot; nothing is written here. Resources stay in the store in
state Deleting until the driver has removed what followed from them.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ringfence.control import wording
from ringfence.model import errors
from ringfence.model.ids import GROUP_TYPE
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import access, admission


@dataclass(frozen=True, slots=True)
class Removal:
    """resources: everything that goes, now in state Deleting. snapshot: with them so."""

    resources: tuple[Resource, ...]
    snapshot: Snapshot


def decide(snapshot: Snapshot, root: Resource) -> Removal:
    """Raises Conflict or Invalid with Azure's code when something that stays needs something that goes."""
    going = mark(snapshot, [root])
    after = snapshot.changed(going)
    problems = tuple(problem for resource in going for problem in admission.check_delete(after, resource))
    problems += admission.check_root(snapshot, root)
    if problems and root.id.type == GROUP_TYPE:
        raise wording.deletion_blocked(root.id, problems)
    if problems:
        raise worst(problems)
    return Removal(going, after)


def spared(snapshot: Snapshot, root: Resource, type: str | None) -> tuple[Resource, ...]:
    """What `root` manages of a lower-case type, as it stands without it."""
    mine = snapshot.of_type(type) if type is not None else ()
    return tuple(dataclasses.replace(r, managed_by=None) for r in mine if r.managed_by == root.key)


def mark(snapshot: Snapshot, roots: Iterable[Resource]) -> tuple[Resource, ...]:
    """The roots and what goes with them, in state Deleting, in the order of their keys."""
    todo = list(roots)
    if not todo:
        return ()
    keys = sorted(snapshot.resources)
    managed: dict[str, list[Resource]] = {}
    for resource in snapshot:
        if resource.managed_by is not None:
            managed.setdefault(resource.managed_by, []).append(resource)
    assigned = access.by_scope(snapshot)
    found: dict[str, Resource] = {}
    while todo:
        root = todo.pop()
        for key in (root.key, *_below(keys, root.key)):
            if key not in found:
                found[key] = dataclasses.replace(snapshot.need(key), state=ProvisioningState.DELETING)
                todo += managed.get(key, ())
                todo += assigned.get(key, ())
    return tuple(found[key] for key in sorted(found))


def _below(keys: Sequence[str], root: str) -> Sequence[str]:
    """The keys below a resource, at any depth. "0" is the character that follows "/"."""
    return keys[bisect.bisect_left(keys, f"{root}/") : bisect.bisect_left(keys, f"{root}0")]


def worst(problems: tuple[errors.Problem, ...]) -> errors.Problem:
    """One problem that carries the others as details."""
    first, *rest = problems
    if not rest:
        return first
    return type(first)(first.code, first.message, target=first.target, details=(*first.details, *rest))
