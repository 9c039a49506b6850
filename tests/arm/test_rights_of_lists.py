"""Who gets which list, which references a PATCH does not take, and what is refused before it is unknown (RULES.md section 9)."""

from __future__ import annotations

import pytest
from tests.arm.arm_world import GROUP, NIC, NSG, SUBSCRIPTION, VNET, Arm, error
from tests.arm.test_access import OTHER, SUBNET, alice, grant, interface, linked, refused
from tests.arm.test_role_assignments import custom, guid

_NETWORKS = "providers/Microsoft.Network/virtualNetworks"
_READ = "Microsoft.Network/virtualNetworks/read"


def names(arm: Arm, path: str) -> list[str]:
    answer = arm.get(path)
    assert answer.status_code == 200, answer.text
    return [one["name"] for one in answer.json()["value"]]


@pytest.mark.parametrize(
    "role", ["AcrPull", "Storage Blob Data Owner", "Private DNS Zone Contributor", "Managed Identity Operator"]
)
def test_a_role_that_reads_nothing_of_a_type_lists_nothing_of_it(arm: Arm, role: str) -> None:
    arm.network()
    grant(arm, role, GROUP)
    action = "Microsoft.Network/networkSecurityGroups/read"
    with alice(arm):
        refused(
            arm.get(f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups"), action, f"{GROUP}/providers/Microsoft.Network"
        )
        refused(arm.get(f"{SUBSCRIPTION}/providers/Microsoft.Network/networkSecurityGroups"), action, SUBSCRIPTION)
        readable = role == "Private DNS Zone Contributor"
        assert names(arm, f"{SUBSCRIPTION}/resources") == (["mynetwork"] if readable else [])


def test_lists_of_a_subscription_hold_what_is_readable_in_it(arm: Arm) -> None:
    arm.network()
    arm.made(OTHER, {"location": "eastus2"})
    other = VNET.replace("/mygroup/", "/mygroup0/")
    arm.made(other, {"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": ["10.9.0.0/16"]}}})
    grant(arm, "Network Contributor", OTHER)
    with alice(arm):
        found = arm.get(f"{SUBSCRIPTION}/{_NETWORKS}").json()["value"]
        assert [one["id"] for one in found] == [other]
        refused(arm.get(f"{GROUP}/{_NETWORKS}"), _READ, f"{GROUP}/providers/Microsoft.Network")
        assert names(arm, f"{SUBSCRIPTION}/resourcegroups") == ["mygroup0"]


def test_children_are_listed_with_the_right_to_all_of_them(arm: Arm) -> None:
    arm.network()
    grant(arm, "Reader", SUBNET)
    with alice(arm):
        assert arm.get(SUBNET).status_code == 200
        refused(arm.get(f"{VNET}/subnets"), "Microsoft.Network/virtualNetworks/subnets/read", VNET)
    grant(arm, "Reader", VNET)
    with alice(arm):
        assert names(arm, f"{VNET}/subnets") == ["default"]


def test_a_patch_takes_no_action_on_what_it_leaves_as_it_is(arm: Arm) -> None:
    """Its body names no other resource; a PUT names all of them."""
    arm.network()
    arm.made(NIC, interface())
    grant(arm, "Network Contributor", NIC)
    write, join = "Microsoft.Network/networkInterfaces/write", "Microsoft.Network/virtualNetworks/subnets/join/action"
    with alice(arm):
        patched = arm.send("PATCH", NIC, {"tags": {"team": "a"}})
        assert patched.status_code == 200 and patched.json()["tags"] == {"team": "a"}, patched.text
        linked(arm.put(NIC, interface()), write, NIC, join, SUBNET)


def test_an_action_is_refused_before_it_is_said_to_be_unknown(arm: Arm) -> None:
    arm.network()
    arm.made(NSG, {"location": "eastus2"})
    grant(arm, "Reader", GROUP)
    with alice(arm):
        refused(arm.send("POST", f"{NSG}/explode", {}), "Microsoft.Network/networkSecurityGroups/explode/action", NSG)
    error(arm.send("POST", f"{NSG}/explode", {}), 405, "MethodNotAllowed")


@pytest.mark.parametrize("kind", ["roleAssignments", "roleDefinitions"])
@pytest.mark.parametrize("scope", ["", SUBSCRIPTION, GROUP, VNET])
def test_lists_of_access_are_refused_over_their_provider(arm: Arm, scope: str, kind: str) -> None:
    arm.network()
    grant(arm, "AcrPull", SUBSCRIPTION)
    at = f"{scope}/providers/Microsoft.Authorization"
    with alice(arm):
        refused(arm.get(f"{at}/{kind}"), f"Microsoft.Authorization/{kind}/read", at)
    grant(arm, "Private DNS Zone Contributor", scope or "/")
    with alice(arm):
        assert arm.get(f"{at}/{kind}").status_code == 200


def test_a_custom_role_is_assignable_where_its_writer_may_write_roles(arm: Arm) -> None:
    arm.group()
    arm.made(OTHER, {"location": "eastus2"})
    grant(arm, "Owner", GROUP)
    write, role = "Microsoft.Authorization/roleDefinitions/write", guid()
    at = f"{GROUP}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    with alice(arm):
        linked(arm.put(at, custom(assignableScopes=[GROUP, OTHER])), write, GROUP, write, OTHER)
        assert arm.put(at, custom(assignableScopes=[GROUP])).status_code == 201
    elsewhere = "/subscriptions/22222222-2222-3333-4444-555555555555"
    error(arm.put(at, custom(assignableScopes=[elsewhere])), 403, "LinkedAuthorizationFailed")
