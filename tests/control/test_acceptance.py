"""PUT: what is written, what is kept, what is refused, and that a refusal changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests import clouds
from tests.control.engine_world import COMPUTE, NSG, OTHER, VNET, WORKSPACE, World

from ringfence.control.operations import Kind, Status
from ringfence.model import compute, errors, ml, network
from ringfence.model.resource import ProvisioningState, Resource


def test_a_new_resource_gets_its_envelope_from_the_engine(world: World) -> None:
    accepted = world.accept("mygroup", {})
    assert accepted.created and accepted.operation.kind is Kind.CREATE
    assert accepted.operation.status is Status.SUCCEEDED, "nothing follows from a group, so it ends at once"
    stored = world.engine.get(world.id("mygroup"))
    assert stored.state is ProvisioningState.SUCCEEDED and stored.etag and stored.created_at == stored.changed_at


def test_an_update_keeps_the_time_of_creation_and_the_spelling(world: World) -> None:
    world.put("MyGroup", {})
    first = world.engine.get(world.id("mygroup"))
    accepted = world.accept("MYGROUP", {})
    assert not accepted.created and accepted.operation.kind is Kind.UPDATE
    stored = world.engine.get(world.id("mygroup"))
    assert stored.id.name == "MyGroup" and stored.created_at == first.created_at and stored.etag != first.etag
    world.put("mygroup/Microsoft.Network/virtualNetworks/V", clouds.network("10.0.0.0/16"))
    assert "/resourceGroups/MyGroup/" in str(world.engine.get(world.id("mygroup/microsoft.network/virtualnetworks/v")).id)


def test_children_are_written_with_their_parent(world: World) -> None:
    world.network()
    subnet = world.engine.get(world.id(f"{VNET}/subnets/default"))
    assert subnet.state is ProvisioningState.SUCCEEDED
    done = world.put(VNET, clouds.network("10.1.0.0/16", "10.9.0.0/16"), also={"subnets/default": clouds.subnet("10.1.0.0/22")})
    assert done.status is Status.SUCCEEDED
    assert world.engine.get(subnet.id) == subnet, "a child that says the same again keeps its etag"


def test_a_child_that_changes_changes_the_etag_of_the_document_that_shows_it(world: World) -> None:
    world.network()
    before = world.engine.get(world.id(VNET)).etag
    world.put(f"{VNET}/subnets/second", clouds.subnet("10.1.8.0/24"))
    after = world.engine.get(world.id(VNET)).etag
    assert before != after
    world.delete(f"{VNET}/subnets/second")
    assert world.engine.get(world.id(VNET)).etag not in (before, after)


def test_companions_come_and_go_with_their_owner(world: World) -> None:
    assert world.cluster().status is Status.SUCCEEDED
    (cluster,) = (r for r in world.engine.snapshot() if r.managed_by == world.id(COMPUTE).key)

    def made() -> dict[str, Resource]:
        snapshot = world.engine.snapshot()
        return {r.key: r for r in snapshot if r.managed_by == cluster.key or r.id.within(cluster.id)}

    before = made()
    assert {r.type for r in before.values()} == {
        compute.MANAGED_CLUSTER,
        compute.AGENT_POOL,
        "microsoft.resources/resourcegroups",
    }
    world.put(COMPUTE, clouds.aks(VNET, agentCount=4))
    changed = [r for key, r in made().items() if r.etag != before[key].etag]
    assert [r.type for r in changed] == [compute.AGENT_POOL]
    world.delete(COMPUTE)
    assert made() == {}
    world.consistent()


def test_absent_fields_of_a_compute_stay(world: World) -> None:
    world.cluster()
    body = {"computeType": "AKS", "properties": {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"}}
    assert world.put(COMPUTE, body).status is Status.SUCCEEDED
    stored = world.engine.get(world.id(COMPUTE)).properties
    assert isinstance(stored, ml.Compute) and stored.properties.internal
    assert stored.properties.networking.service_cidr == "10.0.0.0/16"
    assert not any(key.endswith("-public-80") for key in world.driver.observe())


def test_etags_guard_writes(world: World) -> None:
    world.network()
    stored = world.engine.get(world.id(VNET))
    again = dataclasses.replace(stored)
    with pytest.raises(errors.PreconditionFailed):
        world.engine.put(again, if_match="something-else")
    with pytest.raises(errors.PreconditionFailed):
        world.engine.put(again, if_none_match="*")
    with pytest.raises(errors.PreconditionFailed):
        world.engine.put(clouds.resource(OTHER, clouds.network("10.3.0.0/16")), if_match="*")
    with pytest.raises(errors.PreconditionFailed):
        world.engine.delete(stored.id, if_match="something-else")
    accepted = world.engine.put(again, if_match=stored.etag)
    assert accepted.resource.etag != stored.etag
    assert world.engine.put(again, if_match="*").resource.etag != accepted.resource.etag


REFUSED: list[tuple[str, str, clouds.Body, str]] = [
    ("no group", "nogroup/Microsoft.Network/virtualNetworks/v", clouds.network("10.1.0.0/16"), "ResourceGroupNotFound"),
    (
        "no parent",
        f"{clouds.vnet_path('ghost')}/subnets/s",
        clouds.subnet("10.1.0.0/24"),
        "ParentResourceNotFound",
    ),
    ("overlap", f"{VNET}/subnets/s", clouds.subnet("10.1.1.0/24"), "NetcfgSubnetRangesOverlap"),
    ("no CIDR", f"{VNET}/subnets/s", clouds.subnet("ten"), "InvalidAddressPrefixFormat"),
    ("no room", COMPUTE, clouds.aks(VNET, agentCount=99), "InsufficientSubnetSize"),
    ("clash", COMPUTE, clouds.aks(OTHER), "ServiceCidrOverlapExistingSubnetsCidr"),
    ("no subnet", COMPUTE, clouds.aks(VNET, "nosuch"), "InvalidResourceReference"),
    ("name", f"{WORKSPACE}/computes/-bad-", clouds.aks(VNET), "InvalidComputeName"),
]


@pytest.mark.parametrize(("path", "body", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_refusal_changes_nothing(world: World, path: str, body: clouds.Body, code: str) -> None:
    world.network()
    world.workspace()
    world.network(OTHER, "10.0.0.0/16", "10.0.8.0/22")
    before, state = world.engine.snapshot(), world.engine.state()
    with pytest.raises(errors.Problem) as raised:
        world.accept(path, body, location=None if "/subnets/" in path else "eastus2")
    assert raised.value.code == code
    assert world.engine.snapshot() is before and world.engine.state() is state
    assert world.store.version() == before.version
    assert world.engine.pending() == ()


def test_several_problems_are_told_at_once(world: World) -> None:
    world.put("mygroup", {})
    with pytest.raises(errors.Problem) as raised:
        world.accept(VNET, clouds.network("ten", "eleven"))
    assert len(raised.value.details) == 1 and raised.value.details[0].target != raised.value.target


def test_a_network_operation_supersedes_the_one_before(world: World) -> None:
    world.network()
    world.driver.refuse("net/", "Later", "not now")
    world.engine.close()
    first = world.accept(VNET, clouds.network("10.1.0.0/16", "10.9.0.0/16")).operation
    second = world.accept(VNET, clouds.network("10.1.0.0/16", "10.8.0.0/16")).operation
    canceled = world.engine.operation(first.id)
    assert canceled.status is Status.CANCELED and canceled.code == "CanceledAndSupersededDueToAnotherOperation"
    assert first.touches <= second.touches
    world.driver.recover()
    world.restart()
    assert world.ended(second).status is Status.SUCCEEDED
    world.consistent()


def test_other_operations_have_to_end_first(world: World) -> None:
    world.network()
    world.workspace()
    world.driver.slow_down("router/", 60.0)
    running = world.accept(COMPUTE, clouds.aks(VNET)).operation
    with pytest.raises(errors.Conflict, match="in progress"):
        world.accept(COMPUTE, clouds.aks(VNET))
    world.driver.recover()
    assert world.ended(running).status is Status.SUCCEEDED


def test_nothing_is_put_onto_what_is_being_deleted(world: World) -> None:
    world.network()
    world.driver.refuse("net/", "Busy", "still in use")
    world.engine.delete(world.id("mygroup"))
    for path, body in (("mygroup", {}), (VNET, clouds.network("10.1.0.0/16")), (NSG, {})):
        with pytest.raises(errors.Conflict):
            world.accept(path, body)


def test_concurrent_creations_get_different_addresses(world: World) -> None:
    world.network(subnet="10.1.0.0/24")

    def make(number: int) -> None:
        nic = {"ipConfigurations": [{"name": "one", "properties": {"subnet": {"id": str(world.id(f"{VNET}/subnets/default"))}}}]}
        for part in range(4):
            world.accept(f"mygroup/Microsoft.Network/networkInterfaces/nic{number}-{part}", nic)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    assert world.engine.wait_settled(5.0)
    addresses = [world.engine.snapshot().value(r.key, "address") for r in world.engine.snapshot().of_type(network.INTERFACE)]
    assert len(addresses) == len(set(addresses)) == 32
    world.consistent()


def test_the_snapshot_in_memory_is_the_one_on_disk(world: World) -> None:
    world.cluster()
    world.put(NSG, {}, also={"securityRules/one": clouds.rule(100)})
    world.delete(f"{NSG}/securityRules/one")
    before = world.engine.snapshot()
    world.restart()
    after = world.engine.snapshot()
    assert dict(after.resources) == dict(before.resources) and dict(after.allocations) == dict(before.allocations)
    assert after.version == before.version and _shapes(after.resources.values()) == _shapes(before.resources.values())


def _shapes(found: Iterable[Resource]) -> list[tuple[str, list[str]]]:
    """Which fields were given, for each resource: an update that keeps what is absent depends on it."""
    return sorted((r.key, sorted(r.properties.model_fields_set)) for r in found)
