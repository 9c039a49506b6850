"""Service tags: the one table of which public addresses inside the sandbox belong to which service.

198.18.0.0/16 is "Azure's" (the third octet is a region's number, 0 is global), 198.19.0.0/17
the customers', 198.19.128.0/17 hosts on the internet. Tags mean what RULES.md section 3 says.
A tag that is not in the table is an error, never an empty set. Host names are in `names`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

from ringfence.model import errors
from ringfence.model.resource import region_of

#: Raised whenever a row below changes its meaning. Rows are appended, never renumbered.
TABLE_VERSION = 1

AZURE = IPv4Network("198.18.0.0/16")
CUSTOMERS = IPv4Network("198.19.0.0/17")
HOSTS = IPv4Network("198.19.128.0/17")
#: Part of AZURE in which no service listens: who came through a private endpoint or a service endpoint is seen from here.
LINKS = IPv4Network("198.18.128.0/17")
#: The location `internet`.
INTERNET_HOST = IPv4Address("198.19.255.4")
#: Resolver and source of health probes in every virtual network.
PLATFORM = IPv4Network("168.63.129.16/32")

#: Short name -> display name. The position, from 1, is the region's number.
REGIONS: Mapping[str, str] = {
    region_of(name): name
    for name in (
        "East US", "East US 2", "West US", "West US 2", "West US 3", "Central US", "North Central US", "South Central US",
        "West Central US", "Canada Central", "Canada East", "Brazil South", "Brazil Southeast", "Chile Central",
        "Mexico Central", "North Europe", "West Europe", "UK South", "UK West", "France Central", "France South",
        "Germany West Central", "Germany North", "Switzerland North", "Switzerland West", "Norway East", "Norway West",
        "Sweden Central", "Sweden South", "Denmark East", "Poland Central", "Italy North", "Spain Central", "Austria East",
        "Belgium Central", "Israel Central", "Qatar Central", "UAE North", "UAE Central", "South Africa North",
        "South Africa West", "Central India", "South India", "West India", "Jio India Central", "Jio India West",
        "East Asia", "Southeast Asia", "Malaysia West", "Indonesia Central", "Japan East", "Japan West", "Korea Central",
        "Korea South", "Australia East", "Australia Southeast", "Australia Central", "Australia Central 2",
        "New Zealand North",
    )
}  # fmt: skip
_NUMBERS: Mapping[str, int] = {region: number for number, region in enumerate(REGIONS, start=1)}

#: Tag -> the last octet of its block of 16 addresses in 198.18.0.0/24.
_GLOBAL: Mapping[str, int] = {
    "AzureActiveDirectory": 0,
    "AzureResourceManager": 16,
    "AzureFrontDoor.FrontEnd": 32,
    "AzureFrontDoor.FirstParty": 48,
    "AzureMachineLearning": 64,
    "AzureMonitor": 80,
    "AzureFrontDoor.Backend": 96,
}
#: Tag -> the last octet of its block of 16 addresses in each region's 198.18.<number>.0/24.
_REGIONAL: Mapping[str, int] = {
    "Storage": 0,
    "AzureContainerRegistry": 16,
    "MicrosoftContainerRegistry": 32,
    "AzureKeyVault": 48,
    "AzureMachineLearning": 64,
    "BatchNodeManagement": 80,
    "Sql": 96,
    "AzureMonitor": 112,
}
#: Tags that may be written `Tag.region` (RULES.md section 3).
_WITH_REGION = frozenset(_REGIONAL) - {"AzureMachineLearning", "AzureMonitor"} | {"AzureCloud"}
#: Tags that lift the exemption of platform addresses; the sandbox's platform addresses cannot be filtered.
PLATFORM_TAGS = frozenset({"azureplatformdns", "azureplatformimds", "azureplatformlkm"})
#: Tags of Azure (service-tags-overview.md) whose services are not here: their prefixes are known to nobody.
UNSERVED = frozenset(
    {
        "actiongroup", "apimanagement", "applicationinsightsavailability", "appconfiguration", "appservice",
        "appservicemanagement", "azureactivedirectorydomainservices", "azureadvancedthreatprotection", "azurearcinfrastructure",
        "azureattestation", "azurebackup", "azurebotservice", "azurecognitivesearch", "azureconnectors", "azurecosmosdb",
        "azuredatabricks", "azuredataexplorermanagement", "azuredatalake", "azuredeviceupdate", "azuredevops",
        "azuredigitaltwins", "azureeventgrid", "azureinformationprotection", "azureiothub", "azuremonitorforsap",
        "azureopendatasets", "azureportal", "azuresentinel", "azuresignalr", "azuresiterecovery", "azuresphere",
        "azurespringcloud", "azurestack", "azuretrafficmanager", "azureupdatedelivery", "azurewebpubsub", "chaosstudio",
        "cognitiveservicesfrontend", "cognitiveservicesmanagement", "containerappsmanagement", "datafactory",
        "datafactorymanagement", "dynamics365formarketingemail", "eoptexternalpublishedips", "eventhub", "gatewaymanager",
        "genevaactions", "guestandhybridmanagement", "hdinsight", "internetofthings", "logicapps", "logicappsmanagement",
        "m365managementactivityapi", "marketplacebilling", "microsoftazurefluidrelay", "microsoftcloudappsecurity",
        "microsoftdefenderforendpoint", "onedsandonecollector", "powerbi", "powerplatforminfra", "powerplatformplex",
        "powerqueryonline", "scuba", "serialconsole", "servicebus", "servicefabric", "sqlmanagement", "storagesyncservice",
        "storagemover", "trafficmanager", "windowsadmincenter", "windowsvirtualdesktop",
    }
)  # fmt: skip

#: Lower-case name of a service endpoint -> its spelling and the tag of the service it leads to.
SERVICE_ENDPOINTS: Mapping[str, tuple[str, str]] = {
    name.lower(): (name, tag)
    for name, tag in (
        ("Microsoft.Storage", "Storage"),
        ("Microsoft.Storage.Global", "Storage"),
        ("Microsoft.ContainerRegistry", "AzureContainerRegistry"),
        ("Microsoft.KeyVault", "AzureKeyVault"),
        ("Microsoft.Sql", "Sql"),
        ("Microsoft.AzureActiveDirectory", "AzureActiveDirectory"),
    )
}

_SPELLING = {tag.lower(): tag for tag in (*_GLOBAL, *_REGIONAL, *_WITH_REGION, "VirtualNetwork", "AzureLoadBalancer", "Internet")}


def region_block(region: str) -> IPv4Network:
    """`AzureCloud.<region>`. Raises Invalid (`LocationNotAvailableForResourceType`) for a region that is not in the table."""
    number = _NUMBERS.get(region_of(region))
    if number is None:
        raise errors.Invalid(
            "LocationNotAvailableForResourceType",
            f"The location '{region}' is not a location of Azure's public cloud. Locations: {', '.join(REGIONS)}.",
            target="location",
        )
    return IPv4Network((int(AZURE.network_address) + (number << 8), 24))


def api_server_block(region: str) -> IPv4Network:
    """Where the API servers of a region's clusters have their addresses."""
    return IPv4Network((int(region_block(region).network_address) + 128, 25))


def block(tag: str, region: str | None = None) -> IPv4Network:
    """The block of a service: in a region, or the global one. KeyError for a service without such a block."""
    if region is None:
        return IPv4Network((int(AZURE.network_address) + _GLOBAL[tag], 28))
    return IPv4Network((int(region_block(region).network_address) + _REGIONAL[tag], 28))


def service_at(address: IPv4Address) -> str | None:
    """The tag, as a rule has to write it, of the service that has an address; None for an address of no service."""
    for tag in _GLOBAL:
        if address in block(tag):
            return tag
    number = (int(address) - int(AZURE.network_address)) >> 8
    if address not in AZURE or not 1 <= number <= len(REGIONS):
        return None
    region = tuple(REGIONS)[number - 1]
    found = next((tag for tag in _REGIONAL if address in block(tag, region)), "AzureCloud")
    return f"{found}.{region}" if found in _WITH_REGION else found


def host(tag: str, region: str | None = None) -> str:
    """The address at which a service listens: the first host of its block."""
    return str(block(tag, region)[1])


def is_tag(text: str) -> bool:
    """Whether a rule's address field names something, rather than being a prefix, an address or `*`."""
    return text != "*" and not text[:1].isdigit() and ":" not in text


def resolve(tag: str, space: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    """The prefixes of a tag, as seen from a virtual network with the address space `space`.

    Raises Invalid (`SecurityRuleInvalidAddressPrefix`) for an unknown tag or region, Unsupported (`UnsupportedServiceTag`) for
    platform tags and those of services that are not here.
    """
    if tag.lower() in PLATFORM_TAGS:
        raise errors.Unsupported(
            "UnsupportedServiceTag",
            f"Ringfence cannot enforce rules with the service tag '{tag}': platform addresses are outside of its rules. "
            "Leave the rule out.",
        )
    if tag.partition(".")[0].lower() in UNSERVED:
        raise errors.Unsupported(
            "UnsupportedServiceTag",
            f"Ringfence cannot enforce rules with the service tag '{tag[:100]}': the service is not here. Leave the rule out.",
        )
    found = _resolve(tag.lower(), tuple(sorted(space)))
    if found is None:
        raise errors.Invalid(
            "SecurityRuleInvalidAddressPrefix",
            f"Security rule has invalid Address prefix. Value provided: {tag[:100]}. "
            "It is neither a prefix nor a known service tag.",
        )
    return found


@lru_cache(maxsize=4096)
def _resolve(tag: str, space: tuple[IPv4Network, ...]) -> tuple[IPv4Network, ...] | None:
    """None for a tag that there is not."""
    inside = tuple(collapse_addresses((*space, PLATFORM)))
    match tag:
        case "virtualnetwork":
            return inside
        case "azureloadbalancer":
            return (PLATFORM,)
        case "internet":
            return complement(inside)
    return _service(tag)


def _service(tag: str) -> tuple[IPv4Network, ...] | None:
    if tag in _SPELLING:
        return _everywhere(_SPELLING[tag])
    name, _, region = tag.rpartition(".")
    spelled = _SPELLING.get(name)
    if spelled not in _WITH_REGION or region not in _NUMBERS:
        return None
    return (region_block(region),) if spelled == "AzureCloud" else (block(spelled, region),)


def _everywhere(tag: str) -> tuple[IPv4Network, ...]:
    if tag == "AzureCloud":
        return (AZURE,)
    blocks = [block(tag)] if tag in _GLOBAL else []
    if tag in _REGIONAL:
        blocks += [block(tag, region) for region in _NUMBERS]
    return tuple(blocks)


def listed() -> tuple[tuple[str, str, tuple[IPv4Network, ...]], ...]:
    """Every tag that has prefixes of its own, with its regional forms: name, short spelling of the region or "", prefixes."""
    found = [(tag, "", _everywhere(tag)) for tag in sorted({*_GLOBAL, *_REGIONAL, *_WITH_REGION})]
    for tag in sorted(_WITH_REGION):
        for region, name in REGIONS.items():
            block_ = region_block(region) if tag == "AzureCloud" else block(tag, region)
            found.append((f"{tag}.{name.replace(' ', '')}", region, (block_,)))
    return tuple(found)


def complement(networks: Iterable[IPv4Network]) -> tuple[IPv4Network, ...]:
    """Every IPv4 prefix outside of `networks`."""
    rest = [IPv4Network("0.0.0.0/0")]
    for network in networks:
        rest = [piece for have in rest for piece in _without(have, network)]
    return tuple(sorted(rest))


def _without(have: IPv4Network, network: IPv4Network) -> Iterable[IPv4Network]:
    if not have.overlaps(network):
        return (have,)
    return have.address_exclude(network) if network.subnet_of(have) else ()
