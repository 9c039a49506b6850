"""Names and places: what holds for resources of every type. Parents and preconditions are the engine's.

Sources: Azure's naming rules and restrictions for resources; RULES.md sections 2.1 and 5.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ringfence.model import (
    access,
    balancing,
    compute,
    containers,
    deployment,
    errors,
    group,
    identity,
    ml,
    monitor,
    network,
    peering,
    private_link,
    registry,
    serving,
    storage,
)
from ringfence.model.resource import Snapshot, region_of
from ringfence.policy import tags
from ringfence.policy.admission.case import Case, Finding


@dataclass(frozen=True, slots=True)
class _Naming:
    pattern: re.Pattern[str]
    code: str
    rule: str


def _naming(pattern: str, code: str, rule: str) -> _Naming:
    return _Naming(re.compile(pattern), code, rule)


_NETWORK = _naming(
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?",
    "InvalidResourceName",
    "The name can be up to 80 characters long. It must begin with a word character, and it must end with a word character or "
    "with '_'. The name may contain word characters or '.', '-', '_'.",
)
_ARTIFACT = _naming(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}",
    "InvalidName",
    "It may have up to 255 letters, digits, '.', '-' and '_', and begins with a letter or digit.",
)
_NAMES: Mapping[str, _Naming] = {
    group.GROUP: _naming(
        r"(?!.*\.$)[\w.()-]{1,90}",
        "InvalidResourceGroup",
        "The name can only be a letter, digit, '-', '.', '(', ')' or '_', at most 90 of them, and does not end with '.'.",
    ),
    network.VIRTUAL_NETWORK: _NETWORK,
    network.SUBNET: _NETWORK,
    network.LOCATION: _NETWORK,
    network.SECURITY_GROUP: _NETWORK,
    network.SECURITY_RULE: _NETWORK,
    network.INTERFACE: _NETWORK,
    peering.PEERING: _NETWORK,
    private_link.PRIVATE_ENDPOINT: _NETWORK,
    private_link.ZONE_GROUP: _NETWORK,
    containers.NETWORK_PROFILE: _NETWORK,
    balancing.PUBLIC_ADDRESS: _NETWORK,
    balancing.BALANCER: _NETWORK,
    storage.STORAGE_ACCOUNT: _naming(
        r"[a-z0-9]{3,24}",
        "AccountNameInvalid",
        "Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.",
    ),
    access.VAULT: _naming(
        r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
        "VaultNameNotValid",
        "It has 3 to 24 letters, digits and single hyphens, begins with a letter and ends with a letter or digit.",
    ),
    identity.USER_ASSIGNED: _naming(
        r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
        "InvalidResourceName",
        "It has 3 to 128 letters, digits, '-' and '_', and begins with a letter or digit.",
    ),
    registry.REGISTRY: _naming(r"[A-Za-z0-9]{5,50}", "InvalidResourceName", "It has 5 to 50 letters and digits."),
    monitor.COMPONENT: _naming(
        r".{0,259}[^.\s]", "InvalidResourceName", "It has 1 to 260 characters and does not end with a period."
    ),
    monitor.LOG_WORKSPACE: _naming(
        r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
        "InvalidResourceName",
        "It has 4 to 63 letters, digits and '-', and begins and ends with a letter or digit.",
    ),
    deployment.DEPLOYMENT: _naming(
        r"[\w.()-]{1,64}", "InvalidDeploymentName", "It has 1 to 64 letters, digits, '-', '.', '(', ')' and '_'."
    ),
    compute.MANAGED_CLUSTER: _naming(
        r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?",
        "InvalidResourceName",
        "It has 1 to 63 letters, digits, '-' and '_', and begins and ends with a letter or digit.",
    ),
    compute.AGENT_POOL: _naming(
        r"[a-z][a-z0-9]{0,11}",
        "InvalidParameter",
        "The name of an agent pool has 1 to 12 lower-case letters and digits and begins with a letter.",
    ),
    ml.WORKSPACE: _naming(
        r"[A-Za-z0-9][A-Za-z0-9_-]{1,32}",
        "InvalidWorkspaceName",
        "It has 2 to 33 letters, digits, '-' and '_', and begins with a letter or digit.",
    ),
    ml.COMPUTE: _naming(
        r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
        "InvalidComputeName",
        "It has 3 to 24 letters, digits and '-', begins with a letter and ends with a letter or digit.",
    ),
    serving.SERVICE: _naming(
        r"[a-z][a-z0-9-]{1,30}[a-z0-9]",
        "InvalidServiceName",
        "It has 3 to 32 lower-case letters, digits and '-', begins with a letter and ends with a letter or digit.",
    ),
    serving.MODEL_VERSION: _naming(r"[1-9][0-9]{0,8}", "InvalidModelVersion", "A model's version is a whole number from 1."),
    serving.ENVIRONMENT_VERSION: _ARTIFACT,
}
#: Types whose resources are not at a location of their own.
_WITHOUT_LOCATION = frozenset(
    {deployment.DEPLOYMENT, serving.SERVICE, serving.MODEL_VERSION, serving.ASSET, serving.ENVIRONMENT_VERSION}
)
#: Types whose names are host names, and so belong to one customer of all.
_GLOBAL: Mapping[str, tuple[str, str]] = {
    storage.STORAGE_ACCOUNT: ("StorageAccountAlreadyTaken", "The storage account named {name} is already taken."),
    access.VAULT: ("VaultAlreadyExists", "The vault name '{name}' is already in use."),
    registry.REGISTRY: ("AlreadyInUse", "The registry DNS name {name}.azurecr.io is already in use."),
}


def allowed(type: str, name: str) -> bool:
    """Whether a name has the form that its type's names have."""
    naming = _NAMES.get(type)
    return naming is None or naming.pattern.fullmatch(name) is not None


def name_is_allowed(case: Case) -> Iterator[Finding]:
    """Azure's naming rules, by type."""
    naming = _NAMES.get(case.new.type)
    if naming is not None and case.old is None and not naming.pattern.fullmatch(case.new.id.name):
        shown = case.new.id.name[:100]
        yield errors.Invalid(naming.code, f"Resource name {shown} is invalid. {naming.rule}", target="name")


def availability(snapshot: Snapshot, type: str, name: str) -> errors.Problem | None:
    """Why a new resource of a type with host names could not have this name; None when it could."""
    naming, (code, wording) = _NAMES[type], _GLOBAL[type]
    if not naming.pattern.fullmatch(name):
        return errors.Invalid(naming.code, f"The name '{name[:100]}' is invalid. {naming.rule}", target="name")
    if any(r.id.name.lower() == name.lower() for r in snapshot.of_type(type)):
        return errors.Conflict(code, wording.format(name=name), target="name")
    return None


def names_above_are_allowed(case: Case) -> Iterator[Finding]:
    """The names of models and environments stand in the ids of their versions."""
    if case.new.type in (serving.MODEL_VERSION, serving.ENVIRONMENT_VERSION):
        name = case.new.id.names[-2]
        if not _ARTIFACT.pattern.fullmatch(name):
            yield errors.Invalid(_ARTIFACT.code, f"The name '{name[:100]}' is invalid. {_ARTIFACT.rule}", target="name")


def name_is_free(case: Case) -> Iterator[Finding]:
    """Names that are host names are taken once in the whole cloud."""
    if case.new.type not in _GLOBAL:
        return
    code, wording = _GLOBAL[case.new.type]
    name = case.new.id.name.lower()
    if any(r.id.name.lower() == name and r.key != case.new.key for r in case.snapshot.of_type(case.new.type)):
        yield errors.Conflict(code, wording.format(name=case.new.id.name), target="name")


def location_is_known(case: Case) -> Iterator[Finding]:
    """Top-level resources of a group are at a location of the public cloud."""
    nested = len(case.new.id.types) > 1 or (case.new.id.provider is not None and case.new.id.group is None)
    if case.new.location is None:
        if not nested and case.new.type not in _WITHOUT_LOCATION:
            yield errors.Invalid("LocationRequired", "The location property is required for this definition.", target="location")
        return
    if case.new.type in _WITHOUT_LOCATION or region_of(case.new.location) == "global":
        return
    try:
        tags.region_block(case.new.location)
    except errors.Invalid as problem:
        yield problem


RULES = (name_is_allowed, names_above_are_allowed, location_is_known, name_is_free)
