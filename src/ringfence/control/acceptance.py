"""What a PUT means, against one snapshot: everything that would be written, or Azure's refusal.

Order: the right to write, preconditions, parents, other operations, companions, rights on what is referred to, the
documented rules, addresses.
Nothing is written here; the engine stores the decision in the transaction in which the snapshot
was read.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ringfence.control import removal, wording
from ringfence.desired import alloc
from ringfence.model import catalog, errors, private_link
from ringfence.model.ids import GROUP_TYPE, ResourceId
from ringfence.model.resource import Allocation, ProvisioningState, Resource, Snapshot, region_of
from ringfence.policy import admission, authority, cluster_access
from ringfence.policy.access import Caller
from ringfence.policy.companions import companions
from ringfence.policy.private_companions import accompanied

#: A later operation on these replaces the one before, which ends Canceled (RULES.md section 1); others answer 409.
_SUPERSEDABLE = "microsoft.network/"
#: Types whose documents show their children: a child that changes changes the parent's etag.
_SHOWS_CHILDREN = frozenset({"microsoft.network/virtualnetworks", "microsoft.network/networksecuritygroups"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """also, remove: children of the draft. The etags as sent, without quotes. caller: None is the platform itself.

    patched: the draft is what is stored with a few members changed, so that what else it refers to was not asked for.
    """

    draft: Resource
    also: tuple[Resource, ...] = ()
    remove: tuple[ResourceId, ...] = ()
    if_match: str | None = None
    if_none_match: str | None = None
    caller: Caller | None = None
    patched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """resource: the draft as it will be stored. written: it, its children and companions, and what goes (state Deleting).

    snapshot: after all of it. touched: the parent, when only its etag changes.
    """

    resource: Resource
    written: tuple[Resource, ...]
    touched: tuple[Resource, ...]
    allocations: tuple[Allocation, ...]
    snapshot: Snapshot
    created: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """Time and ids, which thinking takes as arguments. new_etag: another one at each call."""

    now: dt.datetime
    new_etag: Callable[[], str]


def decide(snapshot: Snapshot, request: Request, moment: Moment) -> Decision:
    """Raises errors.Problem."""
    id = spelled(snapshot, request.draft.id)
    old = snapshot.get(id)
    if request.caller is not None:
        authority.require_write(snapshot, request.caller, dataclasses.replace(request.draft, id=id))
    _preconditions(id, old, request)
    _parents(snapshot, id)
    main = _stored(old, dataclasses.replace(request.draft, id=id), moment)
    children = _children(snapshot, main, request.also, moment)
    gone = removal.mark(snapshot, [r for r in map(snapshot.get, request.remove) if r is not None])
    for resource in (old, *(snapshot.get(child.id) for child in children), *(snapshot.get(r.key) for r in gone)):
        check_idle(resource)
    after = snapshot.changed([main, *children, *gone])
    made = _companions(snapshot, after, (main, *children), moment)
    after = after.changed(made)
    if request.caller is not None:
        authority.require_links(snapshot, after, request.caller, main, children, request.patched)
    warnings = _admitted(snapshot, after, [main, *children], gone)
    allocations = alloc.plan_all(after, [*made, main, *children, *cluster_access.unblocked(after, main)])
    # Records of new endpoints hold addresses that were only just given.
    groups = [resource for resource in made if resource.type == private_link.ZONE_GROUP]
    made = (*made, *_accompanied(snapshot, after.changed(allocated=allocations), groups, moment))
    after = after.changed(made)
    parent = parent_touched(snapshot, main.id, moment)
    touched = () if parent is None else (parent,)
    return Decision(
        resource=main,
        written=(main, *children, *made, *gone),
        touched=touched,
        allocations=allocations,
        snapshot=after.changed(touched, allocated=allocations),
        created=old is None,
        warnings=warnings,
    )


def spelled(snapshot: Snapshot, id: ResourceId) -> ResourceId:
    """The id with everything that exists already in the spelling of its creation."""
    known = snapshot.get(id)
    if known is not None:
        return known.id
    if id.group is None or id.type == GROUP_TYPE:
        return id
    parent = spelled(snapshot, id.parent)
    return parent.child(id.types[-1], id.names[-1]) if len(id.names) > 1 else dataclasses.replace(id, group=parent.group)


def check_idle(old: Resource | None) -> None:
    """Raises Conflict when an operation has to end first."""
    if old is None or old.state.terminal:
        return
    if old.state is ProvisioningState.DELETING:
        raise wording.group_being_deleted(old.id) if old.id.type == GROUP_TYPE else wording.busy(old.id)
    if not old.type.startswith(_SUPERSEDABLE):
        raise wording.busy(old.id)


def check_etag(old: Resource, if_match: str | None) -> None:
    """Raises PreconditionFailed."""
    if if_match is not None and if_match not in ("*", old.etag):
        raise wording.etag_differs(old.id)


def parent_touched(snapshot: Snapshot, id: ResourceId, moment: Moment) -> Resource | None:
    """The parent with a new etag, if its document shows the child `id`."""
    parent = snapshot.get(id.parent) if len(id.names) > 1 else None
    if parent is None or parent.type not in _SHOWS_CHILDREN:
        return None
    return dataclasses.replace(parent, etag=moment.new_etag())


def _preconditions(id: ResourceId, old: Resource | None, request: Request) -> None:
    if old is None:
        if request.if_match is not None:
            raise wording.etag_differs(id)
        return
    if request.if_none_match == "*":
        raise wording.exists_already(id)
    check_etag(old, request.if_match)


def _parents(snapshot: Snapshot, id: ResourceId) -> None:
    """Everything above has to exist and stay. Levels that are no resources of their own are passed over."""
    if id.group is None or id.type == GROUP_TYPE:
        return
    group = snapshot.get(id.group_id)
    if group is None:
        raise wording.not_found(id.group_id)
    if group.state is ProvisioningState.DELETING:
        raise wording.group_being_deleted(group.id)
    parent = id.parent
    while parent.provider is not None:
        if parent.type.lower() in catalog.PROPERTIES:
            found = snapshot.get(parent)
            if found is None:
                raise wording.parent_not_found(id, parent)
            if found.state is ProvisioningState.DELETING:
                raise wording.busy(found.id)
        parent = parent.parent


def _stored(old: Resource | None, draft: Resource, moment: Moment) -> Resource:
    """The draft as a row: what it leaves out keeps its value where Azure keeps it."""
    fresh = dataclasses.replace(
        draft, etag=moment.new_etag(), state=ProvisioningState.CREATING, created_at=moment.now, changed_at=moment.now
    )
    if old is None:
        return fresh
    if old.location and draft.location and region_of(old.location) != region_of(draft.location):
        raise wording.moved(old.id, old.location, draft.location)
    creating = old.state in (ProvisioningState.CREATING, ProvisioningState.ACCEPTED)
    return dataclasses.replace(
        fresh,
        id=old.id,
        location=old.location or draft.location,
        properties=draft.properties.merged(old.properties),
        sku=draft.sku if draft.sku is not None else old.sku,
        identity=draft.identity if draft.identity is not None else old.identity,
        kind=draft.kind if draft.kind is not None else old.kind,
        managed_by=old.managed_by,
        state=ProvisioningState.CREATING if creating else ProvisioningState.UPDATING,
        created_at=old.created_at,
    )


def _children(snapshot: Snapshot, main: Resource, also: Iterable[Resource], moment: Moment) -> list[Resource]:
    """The children that are new or differ from what is stored; the others keep their etags."""
    found = []
    for draft in also:
        id = main.id.child(draft.id.types[-1], draft.id.name)
        old = snapshot.get(id)
        if old is None or not _same(old, draft):
            found.append(_stored(old, dataclasses.replace(draft, id=id), moment))
    return found


def _same(old: Resource, draft: Resource) -> bool:
    """Whether storing the draft would change nothing of a sound resource."""
    return (
        old.state is not ProvisioningState.FAILED
        and old.state is not ProvisioningState.DELETING
        and old.properties == draft.properties.merged(old.properties)
        and old.tags == draft.tags
        and draft.sku in (None, old.sku)
        and draft.identity in (None, old.identity)
    )


def _companions(before: Snapshot, after: Snapshot, written: Iterable[Resource], moment: Moment) -> tuple[Resource, ...]:
    """What has to stand beside, where it does not yet."""
    made: list[Resource] = []
    for resource in written:
        for draft in companions(after, resource):
            old = before.get(draft.id)
            if old is None or not _same(old, draft):
                check_idle(old)
                made.append(_stored(old, draft, moment))
        made += _accompanied(before, after.changed(made), (resource, *made), moment)
    return tuple(made)


def _accompanied(before: Snapshot, after: Snapshot, written: Iterable[Resource], moment: Moment) -> list[Resource]:
    """What has to stand beside private endpoints, zones and private clusters, and beside what comes with those."""
    made: list[Resource] = []
    todo = list(written)
    while todo:
        for draft in accompanied(after, todo.pop(0)):
            old = before.get(draft.id)
            if old is None or not _same(old, draft):
                check_idle(old)
                made.append(_stored(old, draft, moment))
                todo.append(made[-1])
                after = after.changed((made[-1],))
    return made


def _admitted(before: Snapshot, after: Snapshot, written: Iterable[Resource], gone: Iterable[Resource]) -> tuple[str, ...]:
    """Ask every documented rule. Raises the first problem with the others as its details; returns warnings."""
    problems: list[errors.Problem] = []
    warnings: list[str] = []
    for resource in written:
        found, advised = admission.check(after, resource, before.get(resource.id))
        problems += found
        warnings += advised
    for resource in gone:
        problems += admission.check_delete(after, resource)
    if problems:
        raise removal.worst(tuple(problems))
    return tuple(warnings)
