"""A cluster acts with its own identity in networks that it did not make: refused by Azure's code, granted, and done again."""

from __future__ import annotations

import pytest
from tests import clouds
from tests.control.engine_world import COMPUTE, VNET, World

from ringfence.control.operations import Operation, Status
from ringfence.desired.state import Balancer
from ringfence.model import errors
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import clusters, places

INTERNAL = {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"}
PATIENCE_S = 8.0


def cluster_of(world: World) -> Resource:
    found = clusters.cluster_of(world.engine.snapshot(), world.engine.get(world.id(COMPUTE)))
    assert found is not None
    return found


def balancers(world: World) -> list[Balancer]:
    return [item for item in world.engine.state() if isinstance(item, Balancer)]


def created(world: World) -> Operation:
    """Snippet 2, by an identity that has no role yet."""
    world.network()
    world.workspace()
    accepted = world.accept(COMPUTE, clouds.aks(VNET, **INTERNAL))
    return world.engine.wait(accepted.operation.id, PATIENCE_S)


def test_created_without_the_role_the_cluster_stands_and_has_no_frontend(world: World) -> None:
    done = created(world)
    assert (done.status, done.code) == (Status.FAILED, "LinkedAuthorizationFailed")
    cluster, subnet = cluster_of(world), f"{world.id(VNET)}/subnets/default"
    for words in (cluster.guid("identity"), cluster.guid("identity-client"), "Microsoft.Network/loadBalancers/write", subnet):
        assert words in done.message
    assert "subnets/join/action" in done.message and "--role 'Network Contributor'" in done.message
    assert world.engine.get(world.id(COMPUTE)).state is ProvisioningState.FAILED
    assert cluster.state is ProvisioningState.SUCCEEDED
    # azure-docs#77654: no public address was ever made.
    assert balancers(world) == []
    assert not [a for a in world.engine.snapshot().allocated(world.id(COMPUTE).key) if "frontend" in a.purpose]
    with pytest.raises(errors.Forbidden) as again:
        world.accept(COMPUTE, clouds.aks(VNET, **INTERNAL))
    assert again.value.code == "LinkedAuthorizationFailed"
    world.let_in()
    assert world.put(COMPUTE, clouds.aks(VNET, **INTERNAL)).status is Status.SUCCEEDED
    (balancer,) = balancers(world)
    assert not balancer.public and balancer.address.startswith("10.1.")


def test_a_role_that_is_granted_while_the_cluster_is_made_is_seen(world: World) -> None:
    world.network()
    world.workspace()
    accepted = world.accept(COMPUTE, clouds.aks(VNET, **INTERNAL))
    world.let_in(scope=f"{world.id(VNET)}/subnets/default")
    done = world.engine.wait(accepted.operation.id, PATIENCE_S)
    assert done.status is Status.SUCCEEDED, done
    assert [b.public for b in balancers(world)] == [False]


def test_a_public_frontend_needs_no_role_and_a_refused_update_leaves_it(world: World) -> None:
    world.network()
    world.workspace()
    assert world.put(COMPUTE, clouds.aks(VNET)).status is Status.SUCCEEDED
    before, version = balancers(world), world.engine.snapshot().version
    for body in (clouds.aks(VNET, **INTERNAL), clouds.aks(VNET, agentCount=4)):
        with pytest.raises(errors.Forbidden) as refusal:
            world.accept(COMPUTE, body)
        assert refusal.value.code == "LinkedAuthorizationFailed"
    assert balancers(world) == before and world.engine.snapshot().version == version
    world.let_in()
    assert world.put(COMPUTE, clouds.aks(VNET, **INTERNAL)).status is Status.SUCCEEDED
    assert world.put(COMPUTE, clouds.aks(VNET, agentCount=4)).status is Status.SUCCEEDED


def test_a_frontend_stays_when_the_role_is_taken_away(world: World) -> None:
    assert world.cluster().status is Status.SUCCEEDED
    assert world.put(COMPUTE, clouds.aks(VNET, **INTERNAL)).status is Status.SUCCEEDED
    (before,) = balancers(world)
    grant = clouds.contributor(cluster_of(world), str(world.id(VNET)))
    gone = world.engine.delete(grant.id)
    assert gone is not None and world.ended(gone).status is Status.SUCCEEDED
    # azure-cli-extensions#2988: the address is the same in every document from the start.
    assert balancers(world) == [before]
    assert places.frontend_address(world.engine.snapshot(), world.engine.get(world.id(COMPUTE))) == before.address
    same = {"computeType": "AKS", "description": "as it was", "properties": INTERNAL}
    assert world.put(COMPUTE, same).status is Status.SUCCEEDED
    assert world.put(COMPUTE, clouds.aks(VNET, loadBalancerType="PublicIp")).status is Status.SUCCEEDED
    with pytest.raises(errors.Forbidden):
        world.accept(COMPUTE, clouds.aks(VNET, **INTERNAL))


def test_a_role_elsewhere_says_nothing(world: World) -> None:
    """A grant on `mygroup` says nothing about `mygroup1`, nor reading about joining."""
    world.network()
    world.workspace()
    world.put(COMPUTE, clouds.aks(VNET))
    world.put("mygroup1", {})
    world.let_in(scope=f"{clouds.SUBSCRIPTION}/resourceGroups/mygroup1")
    with pytest.raises(errors.Forbidden):
        world.accept(COMPUTE, clouds.aks(VNET, **INTERNAL))
    world.let_in(scope=str(world.id("mygroup")))
    assert world.put(COMPUTE, clouds.aks(VNET, **INTERNAL)).status is Status.SUCCEEDED


def test_a_network_of_its_own_needs_no_role(world: World) -> None:
    world.workspace()
    assert world.put(COMPUTE, clouds.aks(loadBalancerType="InternalLoadBalancer")).status is Status.SUCCEEDED
    assert world.put(COMPUTE, clouds.aks(agentCount=5)).status is Status.SUCCEEDED
