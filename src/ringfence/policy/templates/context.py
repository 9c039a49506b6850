"""Where an expression stands: parameters, variables, the scope it is deployed to, and what it may look up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from ringfence.model import errors
from ringfence.model.ids import ResourceId
from ringfence.policy.templates import expressions, functions
from ringfence.policy.templates.expressions import Call, invalid

#: What a resource looks like: (its id or its name, whether the whole document is wanted). Raises Later.
Lookup = Callable[[str, bool], JsonValue]

_SITUATED = frozenset(
    {
        "parameters",
        "variables",
        "if",
        "reference",
        "resourceid",
        "subscriptionresourceid",
        "subscription",
        "resourcegroup",
        "tenant",
        "deployment",
    }
)


class Later(Exception):
    """A value depends on a resource that is yet to be deployed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """deployment: what is being deployed. at: the group, or the subscription, that resources go to. groups: location by key."""

    deployment: ResourceId
    at: ResourceId
    tenant: str
    locations: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class Context:
    """parameters: their values, by lower-case name. variables: as they stand in the template."""

    scope: Scope
    lookup: Lookup
    parameters: Mapping[str, JsonValue] = field(default_factory=dict)
    variables: Mapping[str, JsonValue] = field(default_factory=dict)
    _known: dict[str, JsonValue] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def value(self, given: JsonValue) -> JsonValue:
        """A JSON value with its expressions worked out. Raises Invalid, Later."""
        return expressions.resolved(given, self._work_out)

    def _work_out(self, text: str) -> JsonValue:
        return expressions.evaluate(expressions.parse(text), self._apply)

    def _apply(self, call: Call) -> JsonValue:
        if call.name == "if":
            return self._if(call)
        values = [expressions.evaluate(argument, self._apply) for argument in call.arguments]
        if call.name in functions.PLAIN:
            return functions.plain(call.name, values)
        match call.name, values:
            case "parameters", [str(name)]:
                return self._parameter(name)
            case "variables", [str(name)]:
                return self._variable(name)
            case "reference", [str(target), *rest]:
                return self.lookup(target, len(rest) > 1 and str(rest[1]).lower() == "full")
            case "resourceid" | "subscriptionresourceid", [_, *_]:
                return self._id(call.name, values)
            case "subscription" | "resourcegroup" | "tenant" | "deployment", []:
                return self._here(call.name)
        if call.name not in _SITUATED:
            raise unknown(call.name)
        raise invalid(f"The arguments of the template function '{call.name}' are not valid")

    def _if(self, call: Call) -> JsonValue:
        """Works out the chosen branch only."""
        if len(call.arguments) != 3:
            raise invalid("The template function 'if' takes 3 arguments")
        condition, yes, no = call.arguments
        chosen = yes if functions.truth(expressions.evaluate(condition, self._apply)) else no
        return expressions.evaluate(chosen, self._apply)

    def _parameter(self, name: str) -> JsonValue:
        if name.lower() not in self.parameters:
            raise invalid(f"The template parameter '{name[:100]}' is not found")
        return self.parameters[name.lower()]

    def _variable(self, name: str) -> JsonValue:
        key = name.lower()
        found = next((value for known, value in self.variables.items() if known.lower() == key), self)
        if isinstance(found, Context):
            raise invalid(f"The template variable '{name[:100]}' is not found")
        if key in self._open:
            raise invalid(f"The template variable '{name[:100]}' refers to itself")
        if key not in self._known:
            self._open.append(key)
            try:
                self._known[key] = self.value(found)
                functions.size(self._known[key])
            finally:
                self._open.pop()
        return self._known[key]

    def _id(self, function: str, values: list[JsonValue]) -> JsonValue:
        """`[subscription,] [group,] type, name…`: the type is the first argument with a slash in it."""
        first = next((n for n, value in enumerate(values) if isinstance(value, str) and "/" in value), len(values))
        before = [functions.text(value) for value in values[:first]]
        group = None if function == "subscriptionresourceid" else self.scope.at.group
        if group is not None or (function == "resourceid" and before):
            group = before.pop() if before else group
        subscription = before.pop() if before else self.scope.at.subscription
        if before:
            raise invalid(f"The arguments of the template function '{function}' are not valid")
        return functions.resource_id(str(ResourceId(subscription, group)), values[first:])

    def _here(self, function: str) -> JsonValue:
        at = self.scope.at
        subscription = f"/subscriptions/{at.subscription}"
        if function == "subscription":
            names: dict[str, JsonValue] = {"subscriptionId": at.subscription, "tenantId": self.scope.tenant}
            return {"id": subscription, **names, "displayName": "Ringfence"}
        if function == "tenant":
            return {"tenantId": self.scope.tenant}
        if function == "deployment":
            return {"name": self.scope.deployment.name, "properties": {"mode": "Incremental", "provisioningState": "Running"}}
        if at.group is None:
            raise invalid("The template function 'resourceGroup' is not allowed in a deployment to a subscription")
        known: dict[str, JsonValue] = {"id": str(at), "name": at.group, "type": "Microsoft.Resources/resourceGroups"}
        location = self.scope.locations.get(at.key)
        return {**known, "location": location, "properties": {"provisioningState": "Succeeded"}}


def check(template: JsonValue) -> None:
    """Every expression can be read and every function is known. Raises Invalid (`InvalidTemplate`)."""
    for text in expressions.strings(template):
        if expressions.is_expression(text):
            for call in expressions.calls(expressions.parse(text)):
                if call.name not in _SITUATED and call.name not in functions.PLAIN:
                    raise unknown(call.name)


def unknown(function: str) -> errors.Invalid:
    return invalid(
        f"The template function '{function[:100]}' is not known to Ringfence. It knows "
        f"{', '.join(sorted({*_SITUATED, *functions.PLAIN}))}"
    )
