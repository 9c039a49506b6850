"""Every documented rule that a write or a delete is held to: one function each, with Azure's code and its source.

`check` and `check_delete` run the rules of a type and collect what they find. Rules are
grouped by noun; each sees the snapshot as it would be after the write. Parents,
preconditions and running operations are the engine's; room is counted in `desired.alloc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.model import access, compute, registry, serving, storage
from ringfence.model import authorization as authorization_nouns
from ringfence.model import balancing as balancing_nouns
from ringfence.model import containers as container_nouns
from ringfence.model import ml as ml_nouns
from ringfence.model import network as network_nouns
from ringfence.model import peering as peering_nouns
from ringfence.model import private_dns as dns_nouns
from ringfence.model import private_link as link_nouns
from ringfence.model.errors import Problem
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy.admission import (
    aci,
    aks,
    authorization,
    balancing,
    clusters,
    container,
    containers,
    identities,
    interfaces,
    ml,
    naming,
    network,
    peerings,
    plain,
    pools,
    private_dns,
    private_link,
    public_addresses,
    quotas,
    references,
    registries,
    security,
)
from ringfence.policy.admission.case import Advice, Case, Rule


@dataclass(frozen=True, slots=True)
class _Rules:
    """shape: what the others take for granted; when one of these finds something, the others are not asked."""

    shape: tuple[Rule, ...] = ()
    rules: tuple[Rule, ...] = ()


_BY_TYPE: Mapping[str, _Rules] = {
    network_nouns.VIRTUAL_NETWORK: _Rules(
        (*network.NETWORK_SHAPE, quotas.networks_are_few, quotas.subnets_are_few),
        (*network.NETWORK_RULES, *peerings.NETWORK_RULES),
    ),
    network_nouns.SUBNET: _Rules(
        (*network.SUBNET_SHAPE, quotas.subnets_are_few), (*network.SUBNET_RULES, references.targets_exist)
    ),
    network_nouns.SECURITY_GROUP: _Rules((quotas.groups_are_few, quotas.rules_are_few), security.GROUP_RULES),
    network_nouns.SECURITY_RULE: _Rules((*security.RULE_SHAPE, quotas.rules_are_few), security.RULE_RULES),
    compute.MANAGED_CLUSTER: _Rules(clusters.SHAPE, clusters.RULES),
    compute.AGENT_POOL: _Rules((*pools.SHAPE, references.targets_exist), pools.RULES),
    network_nouns.INTERFACE: _Rules(
        (*private_link.INTERFACE_SHAPE, *interfaces.SHAPE, references.targets_exist),
        (*interfaces.RULES, balancing.interface_joins),
    ),
    balancing_nouns.PUBLIC_ADDRESS: _Rules(rules=public_addresses.RULES),
    balancing_nouns.BALANCER: _Rules((*balancing.BALANCER_SHAPE, references.targets_exist), balancing.BALANCER_RULES),
    container_nouns.CONTAINER_GROUP: _Rules(
        (*containers.GROUP_SHAPE, references.targets_exist), (*containers.GROUP_RULES, *container.RULES)
    ),
    container_nouns.NETWORK_PROFILE: _Rules((references.targets_exist,), containers.PROFILE_RULES),
    peering_nouns.PEERING: _Rules((*peerings.SHAPE, quotas.peerings_are_few), peerings.RULES),
    link_nouns.PRIVATE_ENDPOINT: _Rules((*private_link.SHAPE, references.targets_exist), private_link.RULES),
    link_nouns.ZONE_GROUP: _Rules((references.targets_exist,), private_link.ZONE_GROUP_RULES),
    **dict.fromkeys(link_nouns.CONNECTIONS.values(), _Rules(rules=private_link.CONNECTION_RULES)),
    dns_nouns.ZONE: _Rules(rules=private_dns.ZONE_RULES),
    dns_nouns.LINK: _Rules((references.targets_exist,), private_dns.LINK_RULES),
    **dict.fromkeys(dns_nouns.RECORDS.values(), _Rules(rules=private_dns.RECORD_RULES)),
    ml_nouns.COMPUTE: _Rules((*aks.SHAPE, references.targets_exist), aks.RULES),
    ml_nouns.WORKSPACE: _Rules(rules=ml.WORKSPACE_RULES),
    serving.SERVICE: _Rules(ml.SERVICE_SHAPE, (*ml.SERVICE_RULES, aci.rules_hold)),
    serving.MODEL_VERSION: _Rules(rules=(references.targets_exist,)),
    serving.ENVIRONMENT_VERSION: _Rules(rules=ml.ENVIRONMENT_RULES),
    storage.STORAGE_ACCOUNT: _Rules(rules=plain.RULES),
    access.VAULT: _Rules(rules=plain.RULES),
    authorization_nouns.ROLE_ASSIGNMENT: _Rules(rules=authorization.ASSIGNMENT_RULES),
    authorization_nouns.ROLE_DEFINITION: _Rules(rules=authorization.DEFINITION_RULES),
    registry.REGISTRY: _Rules(rules=(*registries.RULES, *plain.RULES)),
}


def check(snapshot: Snapshot, new: Resource, old: Resource | None) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Problems and warnings of storing `new`. snapshot: everything as it would be afterwards, with companions and siblings."""
    case = Case(snapshot, new, old)
    mine = _BY_TYPE.get(new.type, _Rules())
    problems: list[Problem] = []
    warnings: list[str] = []
    for rules in ((*naming.RULES, *identities.RULES, *mine.shape), mine.rules):
        for rule in rules:
            for finding in rule(case):
                if isinstance(finding, Advice):
                    warnings.append(finding.message)
                else:
                    problems.append(_about(new, finding))
        if problems:
            break
    return tuple(problems), tuple(warnings)


def _about(resource: Resource, problem: Problem) -> Problem:
    """The problem with the id of the resource in its message, where a rule's wording has left it out.

    Refusals of role assignments stay as they are: clients read ids out of their last words.
    """
    id = str(resource.id)
    if resource.type.startswith("microsoft.authorization/") or id.lower() in f"{problem.message} {problem.target}".lower():
        return problem
    message = f"{problem.message.rstrip()} The resource is {id}."
    return type(problem)(problem.code, message, target=problem.target, details=problem.details)


def check_delete(snapshot: Snapshot, resource: Resource) -> tuple[Problem, ...]:
    """Why `resource` cannot go. snapshot: all that would go with it is already in state Deleting."""
    return (
        *references.nobody_uses(snapshot, resource),
        *pools.may_go(snapshot, resource),
        *references.owner_keeps_its_own(snapshot, resource),
        *authorization.role_is_unused(snapshot, resource),
        *authorization.somebody_assigns(snapshot, resource),
    )


def check_root(snapshot: Snapshot, root: Resource) -> tuple[Problem, ...]:
    """Why `root` cannot be asked to go by itself; as part of a group it goes. snapshot: before anything is marked."""
    return tuple(private_dns.goes_alone(snapshot, root))
