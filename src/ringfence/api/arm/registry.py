"""One row per resource type that Resource Manager shows: spelling, verbs, how long it takes, inline children.

Handlers are generic; what a type holds is its model, what it allows is admission, which
resources it refers to (and the action that a reference needs) is `policy.links`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.model import compute, network, private_dns
from ringfence.model.ids import GROUP_TYPE, ResourceId

_ALL = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
_CHILD = _ALL - {"PATCH"}


@dataclass(frozen=True, slots=True)
class Inline:
    """Children that a parent's document shows, and that a PUT of the parent replaces.

    property: where they stand in the document. kind: their type's segment below the parent.
    kept: a PUT without the property leaves the children alone, instead of removing them.
    flat: entries have no `properties` of their own, and a PUT that leaves one out does not remove it.
    """

    property: str
    kind: str
    kept: bool = False
    flat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """type: in Azure's spelling. located: whether it has a location of its own.

    always_async: every write answers with an operation to poll, even when it has ended by then.
    tags_only: what a PATCH may change. versions: the api-versions that the list of providers names; any is served.
    operations: the segment of the operation's URL. actions: names of POST actions.
    created: the status that says that a resource is new, where clients expect another than 201.
    """

    type: str
    verbs: frozenset[str] = _ALL
    located: bool = True
    always_async: bool = False
    tags_only: bool = False
    inline: tuple[Inline, ...] = ()
    versions: tuple[str, ...] = ()
    operations: str = "operationStatuses"
    actions: frozenset[str] = frozenset()
    created: int = 201

    @property
    def provider(self) -> str:
        return self.type.partition("/")[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The type's segments, `("virtualNetworks", "subnets")`."""
        return tuple(self.type.split("/")[1:])


_NETWORK = ("2024-07-01", "2024-05-01", "2024-01-01", "2023-11-01", "2023-09-01", "2022-05-01", "2022-01-01")
_DNS = ("2024-06-01", "2020-06-01", "2020-01-01", "2018-09-01")
_AKS = ("2026-06-01", "2025-08-01", "2024-09-01", "2024-02-01", "2022-04-01", "2020-03-01")
_ML = ("2025-06-01", "2024-10-01", "2024-04-01", "2023-10-01", "2022-05-01", "2021-01-01", "2020-02-02", "2020-01-01")


def _network_row(type: str, actions: frozenset[str] = frozenset(), *, inline: tuple[tuple[str, str, bool], ...] = ()) -> Row:
    nested = type.count("/") > 1
    return Row(
        type=type,
        verbs=_CHILD if nested else _ALL,
        located=not nested,
        tags_only=True,
        inline=tuple(Inline(*one) for one in inline),
        versions=_NETWORK,
        operations="operations",
        actions=actions,
    )


def _dns_row(type: str) -> Row:
    """Zones and links are `global`; record sets have no location."""
    records = type.rpartition("/")[2] in private_dns.KINDS
    return Row(type=type, located=not records, versions=_DNS, operations="privateDnsOperationStatuses")


def _connection_row(target: str) -> Row:
    return Row(type=f"{target}/privateEndpointConnections", verbs=_CHILD, located=False, versions=_NETWORK)


#: In Azure's spelling, the types of `model.private_link.TARGETS`.
_TARGETS = (
    "Microsoft.MachineLearningServices/workspaces",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.KeyVault/vaults",
    "Microsoft.ContainerService/managedClusters",
)

_ROWS = (
    Row(type=GROUP_TYPE, versions=("2024-11-01", "2024-03-01", "2021-04-01", "2019-10-01")),
    Row(
        type="Microsoft.Resources/deployments",
        verbs=_CHILD,
        located=False,
        versions=("2025-04-01", "2024-03-01", "2021-04-01", "2019-10-01"),
        actions=frozenset({"validate"}),
    ),
    _network_row("Microsoft.Network/virtualNetworks", inline=network.INLINE[network.VIRTUAL_NETWORK]),
    _network_row("Microsoft.Network/virtualNetworks/subnets"),
    _network_row("Microsoft.Network/networkSecurityGroups", inline=network.INLINE[network.SECURITY_GROUP]),
    _network_row("Microsoft.Network/networkSecurityGroups/securityRules"),
    _network_row("Microsoft.Network/networkInterfaces", frozenset({"effectivenetworksecuritygroups", "effectiveroutetable"})),
    _network_row("Microsoft.Network/publicIPAddresses"),
    _network_row("Microsoft.Network/loadBalancers"),
    _network_row("Microsoft.Network/networkProfiles"),
    Row(
        type="Microsoft.ContainerInstance/containerGroups",
        tags_only=True,
        versions=("2025-09-01", "2023-05-01", "2021-10-01", "2021-09-01", "2018-10-01"),
        operations="operations",
    ),
    _network_row("Microsoft.Network/virtualNetworks/virtualNetworkPeerings"),
    _network_row("Microsoft.Network/privateEndpoints"),
    _network_row("Microsoft.Network/privateEndpoints/privateDnsZoneGroups"),
    _dns_row("Microsoft.Network/privateDnsZones"),
    _dns_row("Microsoft.Network/privateDnsZones/virtualNetworkLinks"),
    *(_dns_row(f"Microsoft.Network/privateDnsZones/{kind}") for kind in private_dns.KINDS),
    *(_connection_row(type) for type in _TARGETS),
    Row(
        type="Microsoft.ContainerService/managedClusters",
        always_async=True,
        tags_only=True,
        inline=(Inline(*compute.INLINE, kept=True, flat=True),),
        versions=_AKS,
        operations="operations",
        actions=frozenset({"listclusterusercredential", "listclusteradmincredential", "listclustermonitoringusercredential"}),
    ),
    Row(
        type="Microsoft.ContainerService/managedClusters/agentPools",
        verbs=_CHILD,
        located=False,
        always_async=True,
        versions=_AKS,
        operations="operations",
    ),
    Row(
        type="Microsoft.Storage/storageAccounts",
        created=200,
        versions=("2025-06-01", "2023-05-01", "2019-06-01"),
        actions=frozenset({"listkeys"}),
    ),
    Row(
        type="Microsoft.ManagedIdentity/userAssignedIdentities",
        tags_only=True,
        versions=("2024-11-30", "2023-01-31", "2022-01-31-preview", "2018-11-30", "2015-08-31-preview"),
    ),
    Row(type="Microsoft.KeyVault/vaults", versions=("2024-11-01", "2023-07-01", "2019-09-01")),
    Row(type="Microsoft.Insights/components", versions=("2020-02-02", "2015-05-01")),
    Row(type="Microsoft.OperationalInsights/workspaces", versions=("2023-09-01", "2020-08-01")),
    Row(
        type="Microsoft.ContainerRegistry/registries",
        versions=("2025-11-01", "2023-07-01", "2019-05-01"),
        actions=frozenset({"listcredentials", "regeneratecredential", "importimage"}),
    ),
    Row(type="Microsoft.MachineLearningServices/workspaces", versions=_ML, operations="workspaceOperationsStatus"),
    Row(
        type="Microsoft.MachineLearningServices/workspaces/computes",
        always_async=True,
        versions=_ML,
        operations="computeOperationsStatus",
        actions=frozenset({"listkeys"}),
    ),
)  # fmt: skip

#: By lower-case type.
ROWS: Mapping[str, Row] = {row.type.lower(): row for row in _ROWS}
#: Namespaces in Azure's spelling, by their lower-case name.
PROVIDERS: Mapping[str, str] = {row.provider.lower(): row.provider for row in _ROWS}


def spelled(id: ResourceId) -> ResourceId:
    """The id with provider and types in Azure's spelling; of types without a row as it is."""
    row = ROWS.get(id.type.lower())
    if row is None or id.provider is None:
        return id
    return ResourceId(id.subscription, id.group, row.provider, row.kinds, id.names)


def rows_of(provider: str) -> tuple[Row, ...]:
    """The types of one namespace, in any casing."""
    return tuple(row for row in _ROWS if row.provider.lower() == provider.lower())
