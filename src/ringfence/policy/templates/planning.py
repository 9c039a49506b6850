"""From a template to resources in their order: conditions, children, nested deployments, `dependsOn`, outputs.

A plan can be made again and again: what depends on a resource that is yet to come has no
body until `done` says that it has. Nested deployments are laid out flat, each resource
knowing the one it came from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from ringfence.model import deployment, errors
from ringfence.model.ids import GROUP_TYPE, ResourceId
from ringfence.model.resource import Snapshot
from ringfence.policy.templates import context, functions
from ringfence.policy.templates.context import Context, Later, Scope
from ringfence.policy.templates.expressions import invalid, without_nulls

#: Deployments within one another, and resources in all, as Azure limits them.
_DEEPEST, _MOST = 8, 800
#: What says how to deploy and is no part of the resource.
_DIRECTIONS = frozenset({"apiversion", "dependson", "condition", "comments", "resources", "resourcegroup", "subscriptionid"})

_Object = Mapping[str, JsonValue]
#: The document of a resource; None when there is none.
Show = Callable[[ResourceId], _Object | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked. parameters: `{name: {"value": …}}`."""

    deployment: ResourceId
    tenant: str
    template: JsonValue
    parameters: JsonValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """body: as a PUT would send it; None while it depends on what is to come. needs: keys. within: the nested deployment."""

    id: ResourceId
    body: _Object | None
    needs: frozenset[str]
    within: ResourceId | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """resources: none before what it needs. outputs: None while they depend on what is to come."""

    resources: tuple[Planned, ...]
    outputs: _Object | None


@dataclass(slots=True, kw_only=True)
class _Node:
    id: ResourceId
    raw: _Object
    context: Context
    within: ResourceId | None
    needs: set[str]


@dataclass(slots=True, kw_only=True)
class _Entry:
    """One element of `resources`. nodes: itself, those of the nested deployment that it is, or none (its condition is false)."""

    id: ResourceId
    depends: tuple[str, ...]
    nodes: tuple[_Node, ...]


def plan(snapshot: Snapshot, request: Request, show: Show, done: frozenset[str] = frozenset()) -> Plan:
    """done: keys of what has been deployed. Raises Invalid (`InvalidTemplate`), Unsupported."""
    template = _object(request.template, "template")
    context.check(request.template)
    context.check(request.parameters)
    at = request.deployment.group_id
    locations = {r.key: r.location for r in snapshot.of_type(GROUP_TYPE) if r.location is not None}
    scope = Scope(deployment=request.deployment, at=at, tenant=request.tenant, locations=locations)
    looking = _Looking(show, done)
    main = _context(scope, looking.up, template, _object(request.parameters, "parameters"))
    nodes = _laid_out(template, main, None, 0)
    if len(nodes) > _MOST:
        raise invalid(f"The template has {len(nodes)} resources; {_MOST} are allowed")
    looking.known = {node.id.key: node.id for node in nodes}
    if len(looking.known) < len(nodes):
        raise invalid(f"The resource '{_twice(nodes)}' is defined multiple times in a template")
    found = [_planned(node, looking) for node in nodes]
    return Plan(_ordered(found), _outputs(main, template))


class _Looking:
    """What `reference` finds; `met` is what it was asked for that is to come."""

    def __init__(self, show: Show, done: frozenset[str]) -> None:
        self._show, self._done = show, done
        self.known: Mapping[str, ResourceId] | None = None
        self.met: set[str] = set()

    def up(self, target: str, whole: bool) -> JsonValue:
        if self.known is None:
            raise invalid("The template function 'reference' is not expected at this location")
        id = self._id(target, self.known)
        if id.key in self.known and id.key not in self._done:
            self.met.add(id.key)
            raise Later
        found = self._show(id)
        if found is None:
            raise errors.NotFound("ResourceNotFound", f"The Resource '{id}' that the template refers to was not found.")
        return dict(found) if whole else found.get("properties", {})

    def _id(self, target: str, known: Mapping[str, ResourceId]) -> ResourceId:
        if target.startswith("/"):
            return ResourceId.parse(target)
        named = [id for id in known.values() if _is_named(id, target)]
        if not named:
            raise invalid(f"The resource '{target[:200]}' is not defined in the template")
        return named[0]


def _context(scope: Scope, lookup: context.Lookup, template: _Object, given: _Object) -> Context:
    """Of a template with its parameters. Raises Invalid."""
    declared = _object(_of(template, "parameters"), "parameters")
    names = {name.lower() for name in declared}
    surplus = [name for name in given if name.lower() not in names]
    if surplus:
        raise invalid(
            f"The template parameters '{', '.join(surplus)[:300]}' in the parameters file are not valid; they are not present "
            "in the original template and can therefore not be provided at deployment time"
        )
    found: dict[str, JsonValue] = {}
    here = Context(scope=scope, lookup=lookup, parameters=found)
    for name, declaration in declared.items():
        found[name.lower()] = _parameter(here, name, _object(declaration, f"parameters.{name}"), _of(given, name))
    variables = _object(_of(template, "variables"), "variables")
    return Context(scope=scope, lookup=lookup, parameters=found, variables=variables)


def _parameter(here: Context, name: str, declaration: _Object, given: JsonValue) -> JsonValue:
    if given is not None:
        value = _of(_object(given, f"parameters.{name}"), "value")
    elif any(member.lower() == "defaultvalue" for member in declaration):
        value = here.value(_of(declaration, "defaultValue"))
    else:
        raise invalid(f"The value for the template parameter '{name[:100]}' is not provided")
    kind = str(_of(declaration, "type") or "").lower()
    types = _TYPES.get(kind)
    if types is None:
        raise invalid(f"The template parameter '{name[:100]}' has the type '{kind[:50]}', which does not exist")
    if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        raise invalid(f"The value of the template parameter '{name[:100]}' is not of the type '{kind}'")
    allowed = _of(declaration, "allowedValues")
    if isinstance(allowed, list) and value not in allowed:
        raise invalid(f"The provided value for the template parameter '{name[:100]}' is not one of its allowed values")
    return value


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "securestring": (str,),
    "int": (int,),
    "bool": (bool,),
    "array": (list,),
    "object": (dict,),
    "secureobject": (dict,),
}


def _laid_out(template: _Object, here: Context, within: ResourceId | None, depth: int) -> list[_Node]:
    """Every resource of a template and of those nested in it; what each needs within the template is resolved."""
    if depth > _DEEPEST:
        raise invalid(f"Deployments nest deeper than {_DEEPEST} levels")
    listed = _of(template, "resources")
    if listed is not None and not isinstance(listed, list):
        raise errors.Unsupported("NotSupported", "Ringfence reads templates whose resources are a list.", target="resources")
    entries = [e for raw in listed or [] for e in _entries(_object(raw, "resources"), here, None, (within, depth))]
    index = _index(entries)
    for entry in entries:
        for wanted in entry.depends:
            needed = index.get(wanted.lower().strip("/"), [])
            # A name may be that of resources of several types, its own among them.
            needed = [other for other in needed if other is not entry] or needed
            if not needed:
                raise invalid(f"The resource '{wanted[:300]}' is not defined in the template")
            keys = {node.id.key for other in needed for node in other.nodes}
            for node in entry.nodes:
                node.needs |= keys
    return [node for entry in entries for node in entry.nodes]


def _entries(raw: _Object, here: Context, above: _Entry | None, level: tuple[ResourceId | None, int]) -> list[_Entry]:
    """A resource and the children that stand in it."""
    if _of(raw, "copy") is not None:
        raise errors.Unsupported("NotSupported", "Ringfence does not deploy copy loops. Write the resources out.", target="copy")
    id = _id(raw, here, above.id if above else None)
    given = here.value(_of(raw, "dependsOn"))
    depends = tuple(functions.text(entry) for entry in given) if isinstance(given, list) else ()
    if above is not None:
        depends = (*depends, str(above.id))
    condition = here.value(_of(raw, "condition"))
    if condition is not None and not functions.truth(condition):
        nodes: list[_Node] = []
    elif id.type.lower() == deployment.DEPLOYMENT:
        nodes = _nested(raw, here, id, level[1])
    else:
        if (here.scope.at.group is None) != (id.type.lower() == GROUP_TYPE.lower()):
            raise invalid(f"The resource '{id}' cannot be deployed at this scope")
        nodes = [_Node(id=id, raw=raw, context=here, within=level[0], needs=set())]
    entry = _Entry(id=id, depends=depends, nodes=tuple(nodes))
    children = _of(raw, "resources")
    found = [entry]
    for child in children if isinstance(children, list) and nodes else []:
        found += _entries(_object(child, "resources"), here, entry, level)
    return found


def _id(raw: _Object, here: Context, above: ResourceId | None) -> ResourceId:
    """By type and name; those of a child that stands in its parent continue the parent's."""
    type, name = (functions.text(here.value(_of(raw, member) or "")) for member in ("type", "name"))
    if not type or not name:
        raise invalid("A resource has no type or no name")
    names = name.split("/")
    if above is not None:
        names = [*above.names, *names]
        type = type if type.lower().startswith(above.type.lower() + "/") else f"{above.type}/{type}"
    if type.lower() == GROUP_TYPE.lower() and here.scope.at.group is None:
        return ResourceId.parse(f"/subscriptions/{here.scope.at.subscription}/resourceGroups/{name}")
    provider, *kinds = type.split("/")
    if not kinds or len(kinds) != len(names):
        raise invalid(
            f"The template resource '{name[:200]}' for type '{type[:200]}' has incorrect segment lengths. A nested resource type "
            "must have identical number of segments as its resource name"
        )
    base = str(here.scope.at)
    return ResourceId.parse(f"{base}/providers/{provider}" + "".join(f"/{k}/{n}" for k, n in zip(kinds, names, strict=True)))


def _nested(raw: _Object, here: Context, id: ResourceId, depth: int) -> list[_Node]:
    """The resources of a deployment in a template: they go where it says, and by default speak its outer template's language."""
    properties = _object(_of(raw, "properties"), "properties")
    template = _of(properties, "template")
    if template is None:
        raise errors.Unsupported("NotSupported", "Ringfence deploys templates that are given inline only.", target=str(id))
    if str(_of(properties, "mode") or "incremental").lower() != "incremental":
        raise invalid("The nested deployment has a mode other than 'Incremental'")
    scope = dataclasses.replace(here.scope, at=_target(raw, here))
    whole = _object(template, "template")
    options = _object(_of(properties, "expressionEvaluationOptions"), "expressionEvaluationOptions")
    if str(_of(options, "scope") or "outer").lower() == "inner":
        given = _object(here.value(_of(properties, "parameters")), "parameters")
        inner = _context(dataclasses.replace(scope, deployment=id), here.lookup, whole, given)
    else:
        inner = Context(scope=scope, lookup=here.lookup, parameters=here.parameters, variables=here.variables)
    return _laid_out(whole, inner, id, depth + 1)


def _target(raw: _Object, here: Context) -> ResourceId:
    """Another group, a subscription (it is named, and a location is), or the same."""
    subscription = here.value(_of(raw, "subscriptionId"))
    group = here.value(_of(raw, "resourceGroup"))
    if subscription is not None and functions.text(subscription).lower() != here.scope.at.subscription.lower():
        raise errors.NotFound("SubscriptionNotFound", f"The subscription '{str(subscription)[:100]}' could not be found.")
    if group is not None:
        return ResourceId.parse(f"/subscriptions/{here.scope.at.subscription}/resourceGroups/{functions.text(group)}")
    if subscription is not None and _of(raw, "location") is not None:
        return ResourceId(here.scope.at.subscription)
    return here.scope.at


def _index(entries: Sequence[_Entry]) -> Mapping[str, list[_Entry]]:
    """By id, by name, and by type and name: the ways in which `dependsOn` names them."""
    found: dict[str, list[_Entry]] = {}
    for entry in entries:
        name = "/".join(entry.id.names) or entry.id.name
        for key in {entry.id.key.strip("/"), name.lower(), entry.id.key.rpartition("/providers/")[2].strip("/")}:
            found.setdefault(key, []).append(entry)
    return found


def _is_named(id: ResourceId, name: str) -> bool:
    """By its name, or by type and name."""
    return name.lower() == "/".join(id.names or (id.name,)).lower() or id.key.endswith("/providers/" + name.lower().strip("/"))


def _planned(node: _Node, looking: _Looking) -> Planned:
    looking.met = set()
    body: dict[str, JsonValue] | None = {}
    for member, value in node.raw.items():
        if member.lower() in _DIRECTIONS or member.lower() in ("type", "name"):
            continue
        try:
            found = node.context.value(value)
        except Later:
            body = None
            continue
        if body is not None and found is not None:
            body[member] = without_nulls(found)
    needs = frozenset(node.needs | looking.met)
    return Planned(id=node.id, body=body, needs=needs, within=node.within)


def _ordered(found: Iterable[Planned]) -> tuple[Planned, ...]:
    """None before what it needs. Raises Invalid for a circle."""
    waiting, ordered, known = list(found), list[Planned](), set[str]()
    while waiting:
        ready = [p for p in waiting if p.needs <= known]
        if not ready:
            raise invalid(f"Circular dependency detected on resource: '{waiting[0].id}'")
        ordered += ready
        known |= {p.id.key for p in ready}
        waiting = [p for p in waiting if p.id.key not in known]
    return tuple(ordered)


def _outputs(here: Context, template: _Object) -> _Object | None:
    found: dict[str, JsonValue] = {}
    for name, given in _object(_of(template, "outputs"), "outputs").items():
        output = _object(given, f"outputs.{name}")
        condition = here.value(_of(output, "condition"))
        if condition is not None and not functions.truth(condition):
            continue
        try:
            found[name] = {"type": _of(output, "type"), "value": here.value(_of(output, "value"))}
        except Later:
            return None
    return found


def _twice(nodes: Iterable[_Node]) -> ResourceId:
    keys: set[str] = set()
    for node in nodes:
        if node.id.key in keys:
            return node.id
        keys.add(node.id.key)
    raise AssertionError("nothing is there twice")


def _of(value: _Object, name: str) -> JsonValue:
    return next((found for known, found in value.items() if known.lower() == name.lower()), None)


def _object(value: JsonValue | _Object, path: str) -> _Object:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(f"'{path[:200]}' has to be an object")
    return value
