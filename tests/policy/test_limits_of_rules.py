"""RULES.md sections 2 and 3, value by value: what is refused of security rules, and the neighbour that is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from tests.clouds import nsg_path, rid, rule, seed_cloud
from tests.policy.test_limits_of_networks import refused

from ringfence.policy import tags
from ringfence.policy.admission import quotas

GROUP = nsg_path("mynetwork-nsg")
PATH = f"{GROUP}/securityRules/new"
UNSUPPORTED = "SecurityRuleParameterContainsUnsupportedValue"
OVERLAP = "OverlappingSubnetsNotPermittedInSecurityRule"

CASES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"priority": 99}, "SecurityRuleInvalidPriority", {"priority": 100}),
    ({"priority": 4097}, "SecurityRuleInvalidPriority", {"priority": 4096}),
    ({"priority": 0}, "SecurityRuleInvalidPriority", {"priority": 101}),
    ({"priority": -100}, "SecurityRuleInvalidPriority", {"priority": 100}),
    ({"priority": 65000}, "SecurityRuleInvalidPriority", {"priority": 4000}),
    ({"destinationPortRange": "65536"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "65535"}),
    ({"destinationPortRange": "-1"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "0"}),
    ({"destinationPortRange": "80-79"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "80-80"}),
    ({"destinationPortRange": "80,443"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "80-443"}),
    ({"destinationPortRange": "80-"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "0-65535"}),
    ({"destinationPortRange": "80 - 81"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "80-81"}),
    ({"destinationPortRange": "any"}, "SecurityRuleInvalidPortRange", {"destinationPortRange": "*"}),
    ({"sourcePortRange": "65536"}, "SecurityRuleInvalidPortRange", {"sourcePortRange": "1024-65535"}),
    (
        {"destinationPortRange": None, "destinationPortRanges": ["80", "*"]},
        "SecurityRuleParameterContainsInvalidPortRanges",
        {"destinationPortRange": None, "destinationPortRanges": ["80", "443", "8000-8999"]},
    ),
    (
        {"destinationPortRange": None, "destinationPortRanges": ["*"]},
        "SecurityRuleParameterContainsInvalidPortRanges",
        {"destinationPortRange": None, "destinationPortRanges": ["80"]},
    ),
    (
        {"destinationPortRange": None, "destinationPortRanges": []},
        "SecurityRuleParametersMissing",
        {"destinationPortRanges": []},
    ),
    ({"destinationPortRanges": ["80"]}, "SecurityRuleParametersConflict", {"destinationPortRanges": []}),
    ({"sourcePortRange": None}, "SecurityRuleParametersMissing", {"sourcePortRange": "*"}),
    ({"sourceAddressPrefix": ""}, "SecurityRuleParametersMissing", {"sourceAddressPrefix": "*"}),
    ({"sourceAddressPrefixes": ["10.0.0.0/8"]}, "SecurityRuleParametersConflict", {"sourceAddressPrefixes": []}),
    ({"sourceAddressPrefix": "10.0.0.1/8"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.1/32"}),
    ({"sourceAddressPrefix": "10.0.0.0/33"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.0/32"}),
    ({"sourceAddressPrefix": "10.0.0.0/255.0.0.0"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.0/8"}),
    ({"sourceAddressPrefix": "10.0.0.0/08"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.0/8"}),
    ({"sourceAddressPrefix": "10.0.0"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.1"}),
    ({"sourceAddressPrefix": "10.0.0.0/8 "}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "0.0.0.0/0"}),
    ({"sourceAddressPrefix": "10.0.0.0/8,11.0.0.0/8"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.0/7"}),
    ({"sourceAddressPrefix": "fd00::/64"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "10.0.0.0/24"}),
    ({"sourceAddressPrefix": "Internets"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "INTERNET"}),
    ({"sourceAddressPrefix": "Storage.mars"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "Storage.EastUS2"}),
    (
        {"sourceAddressPrefix": "Storage.East US 2"},
        "SecurityRuleInvalidAddressPrefix",
        {"sourceAddressPrefix": "STORAGE.eastus2"},
    ),
    ({"sourceAddressPrefix": "Internet.eastus2"}, "SecurityRuleInvalidAddressPrefix", {"sourceAddressPrefix": "Internet"}),
    (
        {"destinationAddressPrefix": "AzureMachineLearning.eastus2"},
        "SecurityRuleInvalidAddressPrefix",
        {"destinationAddressPrefix": "AzureMachineLearning"},
    ),
    (
        {"destinationAddressPrefix": "AzureFrontDoor"},
        "SecurityRuleInvalidAddressPrefix",
        {"destinationAddressPrefix": "azurefrontdoor.frontend"},
    ),
    (
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["Internet"]},
        UNSUPPORTED,
        {"sourceAddressPrefix": "Internet", "sourceAddressPrefixes": []},
    ),
    (
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.0.0.0/8", "*"]},
        UNSUPPORTED,
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.0.0.0/8", "11.0.0.0/8"]},
    ),
    (
        {"destinationAddressPrefix": None, "destinationAddressPrefixes": ["Storage.eastus2", "AzureActiveDirectory"]},
        UNSUPPORTED,
        {"destinationAddressPrefix": "Storage.eastus2"},
    ),
    (
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["149.173.0.0/16", "149.173.8.27/32"]},
        OVERLAP,
        {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["149.173.0.0/16", "149.174.8.27/32"]},
    ),
    (
        {"destinationAddressPrefix": None, "destinationAddressPrefixes": ["10.0.0.4", "10.0.0.4"]},
        OVERLAP,
        {"destinationAddressPrefix": None, "destinationAddressPrefixes": ["10.0.0.4", "10.0.0.5"]},
    ),
    (
        {"protocol": "Esp", "destinationPortRange": "500"},
        "SecurityRuleInvalidPortRange",
        {"protocol": "Esp", "destinationPortRange": "*"},
    ),
    (
        {"protocol": "Ah", "sourcePortRange": "1-2"},
        "SecurityRuleInvalidPortRange",
        {"protocol": "AH"},
    ),
    (
        {"protocol": "Icmp", "destinationPortRange": None, "destinationPortRanges": ["1", "2"]},
        "SecurityRuleInvalidPortRange",
        {"protocol": "ICMP"},
    ),
    ({"description": "x" * 141}, "InvalidRequestFormat", {"description": "x" * 140}),
    (
        {"destinationAddressPrefix": "AzurePlatformIMDS"},
        "SecurityRuleInvalidAccessType",
        {"destinationAddressPrefix": "169.254.169.254"},
    ),
]


@pytest.mark.parametrize(("wrong", "code", "right"), CASES, ids=[f"{number}-{code}" for number, (_, code, _) in enumerate(CASES)])
def test_a_rule_and_its_neighbour(wrong: dict[str, Any], code: str, right: dict[str, Any]) -> None:
    cloud = seed_cloud()
    problem = refused(cloud, PATH, rule(200) | wrong, location=None)
    assert problem.code == code and str(rid(PATH)) in problem.message
    assert problem.target is not None and problem.target.startswith("properties.")
    assert cloud.put(PATH, rule(200) | right, location=None) == []


def test_a_refusal_names_the_overlap_in_azures_words() -> None:
    given = {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["149.173.8.27/32", "10.0.0.0/8", "149.173.0.0/16"]}
    problem = refused(seed_cloud(), PATH, rule(200) | given, location=None)
    assert problem.message.startswith(
        f"Security rule parameter SourceAddressPrefix for rule with Id {rid(PATH)} contains overlapping subnets "
        "[149.173.0.0/16, 149.173.8.27/32], which is not permitted."
    )


@pytest.mark.parametrize(
    "tag",
    [
        *("VirtualNetwork", "AzureLoadBalancer", "Internet", "AzureMachineLearning", "BatchNodeManagement"),
        *("AzureActiveDirectory", "AzureResourceManager", "Storage", "AzureContainerRegistry", "MicrosoftContainerRegistry"),
        *("AzureKeyVault", "AzureCloud", "Sql", "AzureFrontDoor.FrontEnd", "AzureFrontDoor.FirstParty"),
        *("AzureFrontDoor.Backend", "AzureMonitor"),
    ],
)
def test_every_tag_of_the_table_in_any_casing(tag: str) -> None:
    cloud = seed_cloud()
    for number, spelled in enumerate((tag, tag.upper(), tag.lower())):
        for direction, field in (("Inbound", "sourceAddressPrefix"), ("Outbound", "destinationAddressPrefix")):
            path = f"{GROUP}/securityRules/{direction}{number}"
            assert cloud.put(path, rule(300 + number, direction=direction) | {field: spelled}, location=None) == []


@pytest.mark.parametrize(
    ("tag", "regional"),
    [
        *((tag, True) for tag in ("BatchNodeManagement", "Storage", "AzureContainerRegistry", "MicrosoftContainerRegistry")),
        *((tag, True) for tag in ("AzureKeyVault", "AzureCloud", "Sql")),
        *((tag, False) for tag in ("VirtualNetwork", "AzureLoadBalancer", "Internet", "AzureMachineLearning")),
        *((tag, False) for tag in ("AzureActiveDirectory", "AzureResourceManager", "AzureFrontDoor.FrontEnd", "AzureMonitor")),
    ],
)
def test_the_regional_form_of_a_tag(tag: str, regional: bool) -> None:
    for region in ("westeurope", "WestEurope", "EASTUS2"):
        body = rule(300, direction="Outbound") | {"destinationAddressPrefix": f"{tag}.{region}"}
        if regional:
            assert seed_cloud().put(PATH, body, location=None) == []
        else:
            assert refused(seed_cloud(), PATH, body, location=None).code == "SecurityRuleInvalidAddressPrefix"


def test_a_tag_of_azures_that_is_not_served_is_said_to_be_so() -> None:
    for tag in ("EventHub", "servicebus", "AzureBackup"):
        problem = refused(seed_cloud(), PATH, rule(200) | {"sourceAddressPrefix": tag}, location=None)
        assert problem.code == "UnsupportedServiceTag" and tag in problem.message


def test_rules_of_a_group_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "MOST_RULES", 2)
    cloud = seed_cloud()
    for number in (100, 101):
        cloud.put(f"{GROUP}/securityRules/r{number}", rule(number), location=None)
    problem = refused(cloud, f"{GROUP}/securityRules/r102", rule(102), location=None)
    assert problem.code == "SecurityRuleCountLimitReached"
    assert problem.message.startswith("A security group cannot have more than 2 security rules.")
    three = {f"securityRules/r{number}": rule(number) for number in (100, 101, 102)}
    assert refused(cloud, nsg_path("new"), {}, also=three).code == "SecurityRuleCountLimitReached"
    assert cloud.put(f"{GROUP}/securityRules/r101", rule(101, "Deny", sourceAddressPrefix="10.0.0.0/8"), location=None) == []


def test_priorities_are_unique_for_each_direction_and_a_name_is_a_rule() -> None:
    cloud = seed_cloud()
    cloud.put(f"{GROUP}/securityRules/one", rule(100), location=None)
    problem = refused(cloud, f"{GROUP}/securityRules/two", rule(100), location=None)
    assert problem.code == "SecurityRuleConflict"
    assert problem.message.startswith(
        "Security rule two conflicts with rule one. Rules cannot have the same Priority and Direction. To learn more, see "
        "aka.ms/nsgrules."
    )
    assert cloud.put(f"{GROUP}/securityRules/two", rule(100, direction="Outbound"), location=None) == []
    # The same name in another casing is the same rule.
    assert cloud.put(f"{GROUP}/securityRules/ONE", rule(100, sourceAddressPrefix="10.0.0.0/8"), location=None) == []
    assert len(cloud.snapshot.children(rid(GROUP))) == 2


def test_tags_of_azure_and_tags_served_are_apart() -> None:
    assert not tags.UNSERVED & {tag.lower() for tag in (*tags._GLOBAL, *tags._REGIONAL)}
