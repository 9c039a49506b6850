"""Container groups with real packets: who reaches one in a subnet and one on the internet, and whom it reaches itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.clouds import Cloud, network, nsg_path, rid, rule, seed_cloud, subnet, vnet_path
from tests.policy.test_container_groups import GROUP, delegated, group

from ringfence.desired.build import build
from ringfence.desired.state import Balancer, Endpoint, Filter, Network
from ringfence.policy import container_groups

if TYPE_CHECKING:
    from tests.fabric.fabric_world import Answer, World, eventually
else:
    from fabric_world import Answer, eventually

VNET, OTHER, GUARD = vnet_path("mynetwork"), vnet_path("elsewhere"), nsg_path("guard")
ASKING = "198.19.255.4"


def put(world: World, cloud: Cloud) -> dict[str, str]:
    """Make what follows from a snapshot; keys of interfaces by address."""
    items = [item for item in build(cloud.snapshot) if isinstance(item, Network | Endpoint | Filter | Balancer)]
    world.put(*sorted(items, key=lambda item: item.rank))
    return {item.address: item.key for item in items if isinstance(item, Endpoint)}


def jump(cloud: Cloud, where: str) -> str:
    """The address of a jump host in a subnet."""
    cloud.put(f"{where}/locations/jump", {}, location=None)
    found = cloud.snapshot.allocated(rid(f"{where}/locations/jump"))
    return found[0].value


def guarded() -> Cloud:
    """A delegated subnet with a group of rules on it, a plain one beside it, and a network that overlaps theirs."""
    cloud = seed_cloud()
    cloud.put(GUARD, {})
    aci = delegated("10.1.8.0/24") | {"networkSecurityGroup": {"id": str(rid(GUARD))}}
    cloud.put(f"{VNET}/subnets/aci", aci, location=None)
    cloud.put(f"{VNET}/subnets/plain", subnet("10.1.9.0/24"), location=None)
    cloud.put(OTHER, network("10.1.0.0/16"), also={"subnets/plain": subnet("10.1.7.0/24")})
    return cloud


def test_a_group_in_a_subnet_is_reached_from_inside_only_at_its_port_and_by_the_rules(world: World) -> None:
    cloud = guarded()
    cloud.put(GROUP, group())
    own, beside = jump(cloud, f"{VNET}/subnets/aci"), jump(cloud, f"{VNET}/subnets/plain")
    stranger = jump(cloud, f"{OTHER}/subnets/plain")
    keys = put(world, cloud)
    address = "10.1.8.4"
    world.listen(keys[address], 80, 5001)
    for asking in (own, beside):
        assert world.reach(keys[asking], address, 80) == Answer(keys[address], asking)
        assert world.blocked(keys[asking], address, 5001)
    for asking in (keys[stranger], "nic/internet"):
        assert world.blocked(asking, address, 80)
    deny = rule(100, "Deny", sourceAddressPrefix="10.1.9.0/24", protocol="Tcp", destinationPortRange="80")
    cloud.put(f"{GUARD}/securityRules/deny", deny, location=None)
    put(world, cloud)
    assert world.blocked(keys[beside], address, 80)
    assert world.reach(keys[own], address, 80).server == keys[address]


def test_outbound_rules_hold_for_what_runs_in_the_group(world: World) -> None:
    cloud = guarded()
    cloud.put(GROUP, group())
    keys = put(world, cloud)
    world.listen("nic/internet", 443, 80)
    assert world.reach(keys["10.1.8.4"], ASKING, 443).server == "nic/internet"
    cloud.put(f"{GUARD}/securityRules/out", rule(200, "Deny", "Outbound"), location=None)
    only = rule(100, "Allow", "Outbound", protocol="Tcp", destinationPortRange="443")
    cloud.put(f"{GUARD}/securityRules/https", only, location=None)
    put(world, cloud)
    assert world.blocked(keys["10.1.8.4"], ASKING, 80)
    assert world.reach(keys["10.1.8.4"], ASKING, 443).server == "nic/internet"


def test_a_group_without_a_subnet_is_reached_at_its_public_address(world: World) -> None:
    cloud = seed_cloud()
    cloud.put(GROUP, group(None))
    keys = put(world, cloud)
    public = container_groups.address(cloud.snapshot, cloud.snapshot.need(rid(GROUP)))
    private = cloud.snapshot.value(rid(GROUP), container_groups.ADDRESS)
    assert public is not None and private is not None
    world.listen(keys[private], 80, 5001)
    eventually(lambda: not world.blocked("nic/internet", public, 80))
    assert world.reach("nic/internet", public, 80) == Answer(keys[private], ASKING)
    assert world.blocked("nic/internet", public, 5001)
