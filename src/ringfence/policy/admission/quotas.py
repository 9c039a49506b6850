"""How many of a kind there may be in a subscription, a network or a group of rules.

Sources: RULES.md section 1 (azure-subscription-service-limits.md, networking limits); `VnetCountLimitReached` and
`SecurityRuleCountLimitReached` as answered by Azure (azure-rest-api-specs#3003), the others named after them. Addresses
are counted in `desired.alloc`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import errors, network, peering
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy.admission.case import Case, Finding

MOST_NETWORKS, MOST_GROUPS = 1000, 5000
MOST_SUBNETS, MOST_PEERINGS, MOST_RULES = 3000, 500, 1000


def _beside(snapshot: Snapshot, resource: Resource, most: int) -> int:
    """How many of a type there are in one subscription and region, those on their way out left aside; 0 for surely few."""
    found = snapshot.of_type(resource.type)
    if len(found) <= most:
        return 0
    return sum(
        _counts(one) and one.region == resource.region and one.id.subscription == resource.id.subscription for one in found
    )


def _counts(resource: Resource) -> bool:
    return resource.state is not ProvisioningState.DELETING


def _below(case: Case, type: str, parent: Resource | None, most: int) -> int:
    """How many children of a type a resource has; 0 for surely few."""
    found = () if parent is None else case.snapshot.children(parent.id)
    return 0 if len(found) <= most else sum(_counts(one) and one.type == type for one in found)


def networks_are_few(case: Case) -> Iterator[Finding]:
    """1,000 virtual networks in a subscription and region."""
    if case.old is None and _beside(case.snapshot, case.new, MOST_NETWORKS) > MOST_NETWORKS:
        yield errors.Invalid(
            "VnetCountLimitReached",
            f"Cannot create more than {MOST_NETWORKS} virtual networks for this subscription in this region "
            f"({case.new.region}). {case.new.id} would be one more: delete another first, or use another region.",
            target=str(case.new.id),
        )


def groups_are_few(case: Case) -> Iterator[Finding]:
    """5,000 network security groups in a subscription and region."""
    if case.old is None and _beside(case.snapshot, case.new, MOST_GROUPS) > MOST_GROUPS:
        yield errors.Invalid(
            "NetworkSecurityGroupCountLimitReached",
            f"Cannot create more than {MOST_GROUPS} network security groups for this subscription in this region "
            f"({case.new.region}). {case.new.id} would be one more: delete another first, or use another region.",
            target=str(case.new.id),
        )


def subnets_are_few(case: Case) -> Iterator[Finding]:
    """3,000 subnets in a network. case: of the network, or of one of its subnets."""
    vnet = case.new if case.new.type == network.VIRTUAL_NETWORK else case.snapshot.get(case.new.id.parent)
    count = _below(case, network.SUBNET, vnet, MOST_SUBNETS)
    if vnet is not None and count > MOST_SUBNETS and (case.new is vnet or case.old is None):
        message = f"Virtual network {vnet.id} cannot have more than {MOST_SUBNETS} subnets; it would have {count}."
        yield errors.Invalid("SubnetCountLimitReached", f"{message} Use another network for the rest.", target=str(vnet.id))


def peerings_are_few(case: Case) -> Iterator[Finding]:
    """500 peerings of a network."""
    vnet = case.snapshot.get(case.new.id.parent)
    count = _below(case, peering.PEERING, vnet, MOST_PEERINGS)
    if vnet is not None and case.old is None and count > MOST_PEERINGS:
        message = f"Virtual network {vnet.id} cannot have more than {MOST_PEERINGS} peerings; it would have {count}."
        yield errors.Invalid("VnetPeeringCountLimitReached", f"{message} Delete another first.", target=str(vnet.id))


def rules_are_few(case: Case) -> Iterator[Finding]:
    """1,000 rules in a group. case: of the group, or of one of its rules."""
    group = case.new if case.new.type == network.SECURITY_GROUP else case.snapshot.get(case.new.id.parent)
    count = _below(case, network.SECURITY_RULE, group, MOST_RULES)
    if group is not None and count > MOST_RULES and (case.new is group or case.old is None):
        message = f"A security group cannot have more than {MOST_RULES} security rules. {group.id} would have {count}."
        yield errors.Invalid("SecurityRuleCountLimitReached", f"{message} Join rules, or use lists.", target=str(group.id))
