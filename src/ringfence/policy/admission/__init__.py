"""Every documented rule that a write or a delete is held to: one function each, with Azure's code and its source.

`check` and `check_delete` run the rules of a type and collect what they find. Rules are
grouped by noun; each sees the snapshot as it would be after the write. Parents,
preconditions and running operations are the engine's; room is counted in `desired.alloc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.model import access, registry, serving, storage
from ringfence.model import ml as ml_nouns
from ringfence.model import network as network_nouns
from ringfence.model.errors import Problem
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy.admission import aks, identities, interfaces, ml, naming, network, plain, references, security
from ringfence.policy.admission.case import Advice, Case, Rule


@dataclass(frozen=True, slots=True)
class _Rules:
    """shape: what the others take for granted; when one of these finds something, the others are not asked."""

    shape: tuple[Rule, ...] = ()
    rules: tuple[Rule, ...] = ()


_BY_TYPE: Mapping[str, _Rules] = {
    network_nouns.VIRTUAL_NETWORK: _Rules(network.NETWORK_SHAPE, network.NETWORK_RULES),
    network_nouns.SUBNET: _Rules(network.SUBNET_SHAPE, (*network.SUBNET_RULES, references.targets_exist)),
    network_nouns.SECURITY_GROUP: _Rules(rules=security.GROUP_RULES),
    network_nouns.SECURITY_RULE: _Rules(security.RULE_SHAPE, security.RULE_RULES),
    network_nouns.INTERFACE: _Rules((*interfaces.SHAPE, references.targets_exist), interfaces.RULES),
    network_nouns.LOCATION: _Rules(rules=interfaces.LOCATION_RULES),
    ml_nouns.COMPUTE: _Rules((*aks.SHAPE, references.targets_exist), aks.RULES),
    ml_nouns.WORKSPACE: _Rules(rules=ml.WORKSPACE_RULES),
    serving.SERVICE: _Rules(ml.SERVICE_SHAPE, ml.SERVICE_RULES),
    serving.MODEL_VERSION: _Rules(rules=(references.targets_exist,)),
    serving.ENVIRONMENT_VERSION: _Rules(rules=ml.ENVIRONMENT_RULES),
    storage.STORAGE_ACCOUNT: _Rules(rules=plain.RULES),
    access.VAULT: _Rules(rules=plain.RULES),
    registry.REGISTRY: _Rules(rules=plain.RULES),
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
                    problems.append(finding)
        if problems:
            break
    return tuple(problems), tuple(warnings)


def check_delete(snapshot: Snapshot, resource: Resource) -> tuple[Problem, ...]:
    """Why `resource` cannot go. snapshot: all that would go with it is already in state Deleting."""
    return (*references.nobody_uses(snapshot, resource), *references.cluster_keeps_its_own(snapshot, resource))
