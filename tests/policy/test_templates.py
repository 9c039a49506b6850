"""ARM templates: the truth table of expressions, order, nesting, and every refusal by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests import clouds

from ringfence.model import errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Snapshot
from ringfence.policy.templates import planning
from ringfence.policy.templates.planning import Plan

GROUP = f"{clouds.SUBSCRIPTION}/resourceGroups/mygroup"
DEPLOYMENT = ResourceId.parse(f"{GROUP}/providers/Microsoft.Resources/deployments/main")
STORAGE = "Microsoft.Storage/storageAccounts"
ACCOUNT = f"{GROUP}/providers/{STORAGE}"


#: Sixty variables, each an array of the one before, twice.
DOUBLING = {"v0": "x"} | {f"v{n}": f"[createArray(variables('v{n - 1}'), variables('v{n - 1}'))]" for n in range(1, 61)}


def plan(template: Mapping[str, Any], parameters: Any = None, done: tuple[str, ...] = ()) -> Plan:
    request = planning.Request(deployment=DEPLOYMENT, tenant="tenant", template=dict(template), parameters=parameters)
    keys = frozenset(key.lower() for key in done)
    return planning.plan(Snapshot(), request, lambda id: {"name": id.name, "properties": {"says": ["hello"]}}, keys)


def value(expression: str, **more: Any) -> object:
    found = plan({"outputs": {"it": {"type": "string", "value": expression}}, **more}).outputs
    assert found is not None
    output = found["it"]
    assert isinstance(output, dict)
    return output["value"]


def account(name: str, **more: Any) -> dict[str, Any]:
    return {"type": STORAGE, "apiVersion": "2023-01-01", "name": name, "location": "eastus2", **more}


def names(found: Plan) -> list[str]:
    return [planned.id.name for planned in found.resources]


def refused(template: Mapping[str, Any], parameters: Any = None) -> str:
    with pytest.raises(errors.Invalid) as caught:
        plan(template, parameters)
    assert caught.value.code == "InvalidTemplate"
    return caught.value.message


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("plain", "plain"),
        ("[[not one]", "[not one]"),
        ("['it''s']", "it's"),
        ("[concat('a', 1, 'b')]", "a1b"),
        ("[concat(createArray(1), createArray(2))]", [1, 2]),
        ("[toLower('ABC')]", "abc"),
        ("[TOUPPER('abc')]", "ABC"),
        ("[format('{0}-{1}', 'x', 7)]", "x-7"),
        ("[format('{{0}}{0}', 'x')]", "{0}x"),
        ("[replace('a.b', '.', '-')]", "a-b"),
        ("[split('a,b;c', createArray(',', ';'))[2]]", "c"),
        ("[substring('abcdef', 1, 3)]", "bcd"),
        ("[if(equals('a', 'a'), 'yes', reference('nowhere'))]", "yes"),
        ("[if(false(), parameters('nowhere'), 'no')]", "no"),
        ("[and(true(), not(false()))]", True),
        ("[or(false(), equals(1, 2))]", False),
        ("[equals(1, '1')]", False),
        ("[empty('')]", True),
        ("[empty(createArray(1))]", False),
        ("[json('{\"a\": [1, 2]}').A[1]]", 2),
        ("[length('abc')]", 3),
        ("[contains(createArray('a'), 'a')]", True),
        ("[environment().NAME]", "AzureCloud"),
        ("[environment().suffixes.storage]", "core.windows.net"),
        ("[subscription().subscriptionId]", clouds.SUBSCRIPTION.rpartition("/")[2]),
        ("[resourceGroup().name]", "mygroup"),
        ("[deployment().name]", "main"),
        (f"[resourceId('{STORAGE}', 'one')]", f"{ACCOUNT}/one"),
        (f"[resourceId('other', '{STORAGE}', 'one')]", f"{ACCOUNT}/one".replace("mygroup", "other")),
        (f"[subscriptionResourceId('{STORAGE}', 'one')]", f"{clouds.SUBSCRIPTION}/providers/{STORAGE}/one"),
        ("[guid('a', 'b')]", ""),
        (f"[reference(resourceId('{STORAGE}', 'one')).says[0]]", "hello"),
        (f"[reference(resourceId('{STORAGE}', 'one'), '2023-01-01', 'Full').name]", "one"),
    ],
)
def test_expressions(expression: str, expected: object) -> None:
    found = value(expression)
    if expression.startswith("[guid"):
        assert found == value(expression) and len(str(found)) == 36
    else:
        assert found == expected and type(found) is type(expected)


def test_unique_strings_are_of_their_arguments_alone() -> None:
    one, same, other = (value(f"[uniqueString('{text}')]") for text in ("a", "a", "b"))
    assert one == same != other and len(str(one)) == 13


def test_parameters_and_variables() -> None:
    more = {
        "parameters": {"Name": {"type": "string", "defaultValue": "[toLower('ABC')]"}},
        "variables": {"twice": "[concat(variables('once'), variables('once'))]", "once": "[parameters('name')]"},
    }
    assert value("[variables('TWICE')]", **more) == "abcabc"
    given = {"resources": [account("[parameters('Name')]")], **more}
    assert names(plan(given, {"name": {"value": "xyz"}})) == ["xyz"]


@pytest.mark.parametrize(
    ("template", "parameters", "said"),
    [
        ({"variables": {"never": "[listKeys('x', 'y')]"}}, None, "'listkeys' is not known"),
        ({"resources": [account("[utcNow()]")]}, None, "'utcnow' is not known"),
        ({"variables": {"a": "[concat('x']"}}, None, "Unable to parse"),
        ({"variables": {"a": "['x' 'y']"}}, None, "Unable to parse"),
        ({"variables": {"a": "[concat(" + "concat(" * 60 + "'x'" + ")" * 61 + "]"}}, None, "Unable to parse"),
        ({"resources": [account("[variables('a')]")], "variables": {"a": "[variables('a')]"}}, None, "refers to itself"),
        ({"resources": [account("[parameters('a')]")]}, None, "'a' is not found"),
        ({"parameters": {"a": {"type": "string"}}}, None, "'a' is not provided"),
        ({"parameters": {"a": {"type": "int"}}}, {"a": {"value": "x"}}, "not of the type 'int'"),
        ({"parameters": {"a": {"type": "string", "allowedValues": ["x"]}}}, {"a": {"value": "y"}}, "allowed values"),
        ({}, {"a": {"value": 1}}, "not present"),
        ({"resources": [account("a", dependsOn=["b"]), account("b", dependsOn=["a"])]}, None, "Circular dependency"),
        ({"resources": [account("a", dependsOn=["a"])]}, None, "Circular dependency"),
        ({"resources": [account("a", dependsOn=["nowhere"])]}, None, "'nowhere' is not defined"),
        ({"variables": DOUBLING, "resources": [account("[variables('v60')]")]}, None, "longer than"),
        ({"resources": [account("[replace('aaaa', '', 'x')]")]}, None, "nothing to replace"),
        ({"resources": [account("a"), account("A")]}, None, "multiple times"),
        ({"resources": [account("a/b")]}, None, "incorrect segment lengths"),
        ({"resources": [{"type": "Microsoft.Resources/resourceGroups", "name": "g"}]}, None, "this scope"),
    ],
)
def test_refusals(template: Mapping[str, Any], parameters: Any, said: str) -> None:
    assert said in refused(template, parameters)


def test_loops_and_linked_templates_are_refused_as_not_served() -> None:
    nested = {"type": "Microsoft.Resources/deployments", "name": "n", "properties": {"templateLink": {"uri": "https://x"}}}
    for raw in (account("a", copy={"name": "n", "count": 2}), nested):
        with pytest.raises(errors.Unsupported):
            plan({"resources": [raw]})


def test_what_is_needed_comes_first() -> None:
    first = f"[resourceId('{STORAGE}', 'first')]"
    template = {"resources": [account("third", dependsOn=["second"]), account("second", dependsOn=[first]), account("first")]}
    found = plan(template)
    assert names(found) == ["first", "second", "third"]
    assert found.resources[1].needs == {f"{ACCOUNT}/first".lower()}


def test_a_false_condition_leaves_out_and_may_be_depended_on() -> None:
    off = account("off", condition="[equals('a', 'b')]")
    found = plan({"resources": [account("on", dependsOn=["off"]), off]})
    assert names(found) == ["on"] and found.resources[0].needs == frozenset()


def test_nulls_and_directions_are_no_part_of_a_body() -> None:
    found = plan({"resources": [account("a", tags=None, properties={"x": None, "y": "[concat('b')]"}, comments="c")]})
    assert found.resources[0].body == {"location": "eastus2", "properties": {"y": "b"}}


def test_children_stand_below_their_parents() -> None:
    child = {"type": "subnets", "name": "default", "properties": {"addressPrefix": "10.0.0.0/24"}}
    vnet = {"type": "Microsoft.Network/virtualNetworks", "name": "v", "location": "eastus2", "resources": [child]}
    alone = {"type": "Microsoft.Network/virtualNetworks/subnets", "name": "v/more", "dependsOn": ["v"]}
    found = plan({"resources": [alone, vnet]})
    assert names(found)[0] == "v" and sorted(names(found)) == ["default", "more", "v"]
    assert {str(p.id).rpartition("/virtualNetworks/")[2] for p in found.resources} == {"v", "v/subnets/default", "v/subnets/more"}


def test_nested_deployments_are_laid_out_where_they_go() -> None:
    def nested(name: str, resource: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        properties = {"mode": "Incremental", "template": {"resources": [resource]}}
        return {"type": "Microsoft.Resources/deployments", "name": name, "properties": properties, **more}

    subscription = clouds.SUBSCRIPTION.rpartition("/")[2]
    group = {"type": "Microsoft.Resources/resourceGroups", "name": "other", "location": "eastus2"}
    template = {
        "variables": {"name": "inside"},
        "resources": [
            account("last", dependsOn=["filling"]),
            nested("filling", account("[variables('name')]"), resourceGroup="other", dependsOn=["making"]),
            nested("making", group, subscriptionId=subscription, location="eastus2"),
        ],
    }
    found = plan(template)
    other = f"{clouds.SUBSCRIPTION}/resourceGroups/other"
    assert [str(p.id) for p in found.resources] == [other, f"{other}/providers/{STORAGE}/inside", f"{ACCOUNT}/last"]
    assert [p.within.name if p.within else None for p in found.resources] == ["making", "filling", None]


def test_inner_scope_has_parameters_of_its_own() -> None:
    inner = {
        "parameters": {"p": {"type": "string"}},
        "resources": [account("[parameters('p')]")],
    }
    properties = {
        "mode": "Incremental",
        "expressionEvaluationOptions": {"scope": "inner"},
        "parameters": {"p": {"value": "[concat('from', 'outer')]"}},
        "template": inner,
    }
    found = plan({"resources": [{"type": "Microsoft.Resources/deployments", "name": "n", "properties": properties}]})
    assert names(found) == ["fromouter"]


def test_a_reference_waits_for_what_is_to_come() -> None:
    template = {
        "resources": [account("b", tags={"t": "[reference('a').says[0]]"}), account("a")],
        "outputs": {"o": {"type": "string", "value": "[reference('a').says[0]]"}},
    }
    before = plan(template)
    assert names(before) == ["a", "b"] and before.resources[1].body is None and before.outputs is None
    after = plan(template, done=(f"{ACCOUNT}/a",))
    by_name = {p.id.name: p.body for p in after.resources}
    assert by_name["b"] == {"location": "eastus2", "tags": {"t": "hello"}}
    assert after.outputs == {"o": {"type": "string", "value": "hello"}}


def test_references_in_a_circle() -> None:
    resources = [account("a", tags={"t": "[reference('b').x]"}), account("b", tags={"t": "[reference('a').x]"})]
    assert "Circular dependency" in refused({"resources": resources})
