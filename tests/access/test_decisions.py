"""Truth tables of `policy.access` (RULES.md section 9): planes, wildcards, exceptions, inheritance, groups, case."""

from __future__ import annotations

import pytest
from tests.access import grants
from tests.access.grants import SUBSCRIPTION, world

from ringfence.model import errors
from ringfence.model.ids import ResourceId
from ringfence.policy import access
from ringfence.policy.access import Caller

GROUP = f"{SUBSCRIPTION}/resourceGroups/rg1"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v"
SUBNET = f"{VNET}/subnets/s"
JOIN = "Microsoft.Network/virtualNetworks/subnets/join/action"
ROOT_GROUP = "/providers/Microsoft.Management/managementGroups/99999999-8888-7777-6666-555555555555"


@pytest.mark.parametrize("scope", ["/", ROOT_GROUP, SUBSCRIPTION, GROUP, VNET, SUBNET])
def test_a_grant_holds_below_its_scope(scope: str) -> None:
    snapshot = world([("alice", "Reader", scope)])
    assert access.permits(snapshot, "alice", "Microsoft.Network/virtualNetworks/subnets/read", SUBNET)
    assert not access.permits(snapshot, "bob", "Microsoft.Network/virtualNetworks/subnets/read", SUBNET)


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        (GROUP, GROUP + "0"),
        (GROUP, GROUP + "0/providers/Microsoft.Network/virtualNetworks/v"),
        (VNET, VNET + "2"),
        (VNET, VNET + "2/subnets/s"),
        (SUBNET, SUBNET + "x"),
        (SUBNET, VNET),
        (VNET, GROUP),
        (GROUP, SUBSCRIPTION),
        (SUBSCRIPTION, "/"),
        (SUBSCRIPTION, "/subscriptions/11111111-2222-3333-4444-5555555555556"),
    ],
)
def test_a_grant_says_nothing_beside_or_above_its_scope(granted: str, asked: str) -> None:
    snapshot = world([("alice", "Owner", granted)])
    assert access.permits(snapshot, "alice", "a/b/read", granted)
    assert not access.permits(snapshot, "alice", "a/b/read", asked)


@pytest.mark.parametrize(
    "spelling", [GROUP.upper(), GROUP.lower(), GROUP + "/", GROUP.replace("/resourceGroups", "//resourcegroups")]
)
def test_scopes_and_actions_and_principals_match_in_any_casing(spelling: str) -> None:
    snapshot = world([("alice", "Network Contributor", spelling)])
    for action in (JOIN, JOIN.upper(), JOIN.lower()):
        assert access.permits(snapshot, "ALICE", action, SUBNET.upper())
        assert access.permits(snapshot, "alice", action, ResourceId.parse(SUBNET))


_CUSTOM = "aaaaaaaa-0000-0000-0000-000000000001"
_OTHER = "aaaaaaaa-0000-0000-0000-000000000002"


@pytest.mark.parametrize(
    ("pattern", "action", "matches"),
    [
        ("*", "Microsoft.Network/virtualNetworks/read", True),
        ("*/read", "Microsoft.Network/virtualNetworks/read", True),
        ("*/read", "Microsoft.Network/virtualNetworks/subnets/read", True),
        ("*/read", "Microsoft.Network/virtualNetworks/reader", False),
        ("*/read", "Microsoft.Network/virtualNetworks/read/action", False),
        ("Microsoft.Network/*", "Microsoft.Network/virtualNetworks/subnets/join/action", True),
        ("Microsoft.Network/*", "Microsoft.NetworkFunction/x/read", False),
        ("Microsoft.Network/*/join/action", "Microsoft.Network/virtualNetworks/subnets/join/action", True),
        ("Microsoft.Network/virtualNetworks/*/read", "Microsoft.Network/virtualNetworks/read", True),
        ("Microsoft.Network/virtualNetworks/*/read", "Microsoft.Network/virtualNetworksX/read", False),
        ("*/virtualNetworks/*", "Microsoft.Network/virtualNetworks/read", True),
        ("Microsoft.Network/virtualNetworks/*/read", "Microsoft.Network/virtualNetworks/subnets/read", True),
        ("Microsoft.Network/virtualNetworks*", "Microsoft.Network/virtualNetworkGateways/read", False),
        ("Microsoft.Network/virtualNetworks/read", "microsoft.network/VIRTUALNETWORKS/Read", True),
        ("Microsoft.Network/virtualNetworks/read", "Microsoft.Network/virtualNetworks/subnets/read", False),
        ("Microsoft.Network", "Microsoft.Network/virtualNetworks/read", False),
        ("Microsoft.*/read", "MicrosoftX/read", False),
        ("Microsoft.*/read", "Microsoft.X/y/read", True),
    ],
)
def test_wildcards_reach_across_segments(pattern: str, action: str, matches: bool) -> None:
    granting = world([("alice", _CUSTOM, GROUP)], grants.definition(_CUSTOM, {"actions": [pattern]}))
    assert access.permits(granting, "alice", action, GROUP) is matches
    excepting = world([("alice", _CUSTOM, GROUP)], grants.definition(_CUSTOM, {"actions": ["*"], "notActions": [pattern]}))
    assert access.permits(excepting, "alice", action, GROUP) is not matches


def test_an_exception_of_one_role_takes_nothing_from_another() -> None:
    contributor = world([("alice", "Contributor", GROUP)])
    assert not access.permits(contributor, "alice", "Microsoft.Authorization/roleAssignments/write", GROUP)
    both = world([("alice", "Contributor", GROUP), ("alice", "User Access Administrator", GROUP)])
    assert access.permits(both, "alice", "Microsoft.Authorization/roleAssignments/write", GROUP)
    apart = world([("alice", "Contributor", GROUP), ("alice", "User Access Administrator", SUBSCRIPTION)])
    assert access.permits(apart, "alice", "Microsoft.Authorization/roleAssignments/write", VNET)


def test_entries_of_one_role_are_each_their_own_difference() -> None:
    role = grants.definition(
        _CUSTOM, {"actions": ["A/*"], "notActions": ["A/x/delete"]}, {"actions": ["A/x/*"], "notActions": ["A/x/write"]}
    )
    snapshot = world([("alice", _CUSTOM, GROUP)], role)
    assert access.permits(snapshot, "alice", "A/x/delete", GROUP)
    assert access.permits(snapshot, "alice", "A/x/write", GROUP)
    assert not access.permits(snapshot, "alice", "B/x/write", GROUP)


def test_the_planes_are_apart() -> None:
    role = grants.definition(_CUSTOM, {"actions": ["*"], "dataActions": ["S/blobs/*"], "notDataActions": ["S/blobs/delete"]})
    snapshot = world([("alice", _CUSTOM, GROUP), ("owner", "Owner", GROUP)], role)
    assert access.permits(snapshot, "alice", "S/blobs/read", GROUP, data=True)
    assert not access.permits(snapshot, "alice", "S/blobs/delete", GROUP, data=True)
    assert access.permits(snapshot, "alice", "S/blobs/delete", GROUP)
    assert not access.permits(snapshot, "owner", "S/blobs/read", GROUP, data=True)


def test_groups_count_and_an_object_id_alone_has_none() -> None:
    snapshot = world([("team", "Reader", GROUP)])
    member = Caller(object_id="alice", client_id="app", groups=frozenset({"TEAM"}))
    assert access.permits(snapshot, member, "a/read", GROUP)
    assert not access.permits(snapshot, "alice", "a/read", GROUP)
    assert not access.permits(snapshot, Caller(object_id="alice", client_id="app"), "a/read", GROUP)


def test_what_is_granted_is_seen_at_once_and_no_longer_after() -> None:
    before = world([("alice", "Reader", GROUP)])
    assert not access.permits(before, "alice", "a/write", GROUP)
    more = grants.assignment("alice", grants.role("Owner"), GROUP)
    after = before.changed([more])
    assert access.permits(after, "alice", "a/write", GROUP)
    assert not access.permits(before, "alice", "a/write", GROUP)
    assert not access.permits(after.changed(gone=[more.key]), "alice", "a/write", GROUP)


def test_a_custom_role_that_changes_changes_what_is_permitted() -> None:
    before = world([("alice", _CUSTOM, GROUP)], grants.definition(_CUSTOM, {"actions": ["a/read"]}))
    after = before.changed([grants.definition(_CUSTOM, {"actions": ["a/write"]})])
    assert access.permits(before, "alice", "a/read", GROUP) and not access.permits(after, "alice", "a/read", GROUP)


def test_an_assignment_of_an_unknown_role_grants_nothing() -> None:
    assert not access.permits(world([("alice", _OTHER, "/")]), "alice", "a/read", GROUP)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("/", True), (SUBSCRIPTION, True), (GROUP, True), (VNET, True), (SUBNET, True), (GROUP + "0", False), (VNET + "2", False)],
)
def test_a_scope_is_visible_from_above_and_from_below(scope: str, expected: bool) -> None:
    assert access.visible(world([("alice", "Reader", VNET)]), "alice", scope) is expected


def test_the_refusals_are_azures() -> None:
    snapshot = world([("oid", "Reader", GROUP)])
    caller = Caller(object_id="oid", client_id="app")
    with pytest.raises(errors.Forbidden) as plain:
        access.require(snapshot, caller, "Microsoft.Network/virtualNetworks/write", VNET)
    assert plain.value.code == "AuthorizationFailed"
    assert plain.value.message == (
        "The client 'app' with object id 'oid' does not have authorization to perform action "
        f"'Microsoft.Network/virtualNetworks/write' over scope '{VNET}' or the scope is invalid. If access was recently granted, "
        "please refresh your credentials."
    )
    with pytest.raises(errors.Forbidden) as linked:
        access.require_linked(snapshot, caller, "Microsoft.Network/networkInterfaces/write", GROUP, JOIN, SUBNET)
    assert linked.value.code == "LinkedAuthorizationFailed"
    assert linked.value.message == (
        "The client 'app' with object id 'oid' has permission to perform action 'Microsoft.Network/networkInterfaces/write' on "
        f"scope '{GROUP}'; however, it does not have permission to perform action '{JOIN}' on the linked scope(s) '{SUBNET}' or "
        "the linked scope(s) are invalid."
    )
    named = Caller(object_id="oid", client_id="app", name="alice@ringfence.onmicrosoft.com")
    with pytest.raises(errors.Forbidden, match=r"The client 'alice@ringfence\.onmicrosoft\.com' with"):
        access.require(snapshot, named, "a/write", VNET)
