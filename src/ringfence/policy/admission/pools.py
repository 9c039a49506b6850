"""Agent pools: their names, sizes, counts, subnets, and what of them has nothing behind it.

Sources: RULES.md sections 4.1, 4.2 and 10. Rules of the whole cluster are in `clusters`; room is
counted in `desired.alloc`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import compute, errors, network
from ringfence.policy import clusters, sizes
from ringfence.policy.admission.case import Case, Finding

#: Nodes of one pool (RULES.md section 4.2).
MOST_NODES = 1000


def asked(case: Case) -> compute.AgentPool:
    return clusters.pool(case.new)


def _invalid(message: str, target: str) -> errors.Invalid:
    return errors.Invalid("InvalidParameter", message, target=target)


def subnet_is_a_subnet(case: Case) -> Iterator[Finding]:
    """vnetSubnetID is the id of a subnet of a virtual network."""
    text = asked(case).vnet_subnet_id
    if not text:
        return
    found = asked(case).subnet
    if found is None or found.type.lower() != network.SUBNET:
        message = f"'{text[:300]}' is not the id of a subnet (…/Microsoft.Network/virtualNetworks/NETWORK/subnets/SUBNET)."
        yield errors.Invalid("LinkedInvalidPropertyId", message, target="properties.vnetSubnetID")


def subnet_is_not_delegated(case: Case) -> Iterator[Finding]:
    """Nodes have no place in a subnet that belongs to a service (RULES.md sections 4.1 and 7)."""
    id = clusters.subnet_of(case.snapshot, case.new)
    found = case.snapshot.get(id)
    if found is not None and isinstance(found.properties, network.Subnet) and found.properties.delegated_to is not None:
        yield errors.Invalid(
            "SubnetIsDelegated",
            f"AgentPoolProfile subnet with id {id} cannot be used as it's a delegated subnet. "
            f"It is delegated to {found.properties.delegated_to}. Use another subnet or remove the delegation.",
            target="properties.vnetSubnetID",
        )


def pools_share_a_network(case: Case) -> Iterator[Finding]:
    """All pools of a cluster are in one virtual network (RULES.md section 4.1)."""
    cluster = case.snapshot.get(case.new.id.parent)
    if cluster is None:
        return
    mine = clusters.subnet_of(case.snapshot, case.new)
    for other in clusters.pools_of(case.snapshot, cluster):
        theirs = clusters.subnet_of(case.snapshot, other)
        if theirs.parent != mine.parent:
            yield _invalid(
                f"All agent pools of a cluster have to be in one virtual network: '{case.new.id.name}' is in {mine.parent}, "
                f"'{other.id.name}' in {theirs.parent}.",
                "properties.vnetSubnetID",
            )
            return


def size_is_known(case: Case) -> Iterator[Finding]:
    """A size with known cores and memory: services are scheduled by them."""
    if sizes.of_pool(case.new) is None:
        yield _invalid(
            f"The VM size '{asked(case).vm_size[:100]}' is not known. Sizes: {', '.join(sizes.NAMES)}.", "properties.vmSize"
        )


def count_is_in_range(case: Case) -> Iterator[Finding]:
    """From one node to a thousand."""
    if not 1 <= asked(case).count <= MOST_NODES:
        yield _invalid(f"The node count is {asked(case).count}; it is from 1 to {MOST_NODES}.", "properties.count")


SHAPE = (subnet_is_a_subnet,)
#: What holds for every pool, whoever asks for it.
PLAN = (subnet_is_not_delegated, pools_share_a_network)
RULES = (*PLAN, size_is_known, count_is_in_range)
