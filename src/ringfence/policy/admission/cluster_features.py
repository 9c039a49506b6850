"""What a cluster or pool may be asked for and has nothing behind it here: refused by name, so that nothing is promised.

Clients send many of these fields with values that ask for nothing (off, none, empty); those
pass. What is enforced is in `clusters` and `pools`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from ringfence.model import compute
from ringfence.policy import clusters
from ringfence.policy.admission.case import Case, Finding, unsupported

#: Words that ask for nothing, or for what holds anyway.
_NOTHING = frozenset({"", "none", "disabled", "unrestricted", "direct", "manual", "unmanaged", "nodeimage", "azure", "standard"})
#: Fields of a cluster, by wire name, with the members that hold anyway: what storage, upgrades and the like default to.
_CLUSTER: Mapping[str, frozenset[str]] = {
    "addonProfiles": frozenset({"config", "identity"}),
    "autoUpgradeProfile": frozenset({"upgradeChannel", "nodeOSUpgradeChannel"}),
    "upgradeSettings": frozenset(),
    "autoScalerProfile": frozenset(),
    "storageProfile": frozenset({"diskCSIDriver", "fileCSIDriver", "snapshotController"}),
    "bootstrapProfile": frozenset(),
    "oidcIssuerProfile": frozenset({"issuerURL"}),
    "securityProfile": frozenset(),
    "workloadAutoScalerProfile": frozenset(),
    "azureMonitorProfile": frozenset(),
    "ingressProfile": frozenset(),
    "serviceMeshProfile": frozenset(),
    "metricsProfile": frozenset(),
    "nodeProvisioningProfile": frozenset({"defaultNodePools"}),
    "nodeResourceGroupProfile": frozenset(),
    "httpProxyConfig": frozenset(),
    "windowsProfile": frozenset({"adminUsername", "adminPassword", "enableCSIProxy"}),
    "podIdentityProfile": frozenset(),
    "aiToolchainOperatorProfile": frozenset(),
    "hostedSystemProfile": frozenset(),
    "schedulerProfile": frozenset(),
    "diskEncryptionSetID": frozenset(),
}
_NETWORK = (
    "networkMode", "natGatewayProfile", "staticEgressGatewayProfile", "advancedNetworking", "kubeProxyConfig",
    "podLinkLocalAccess",
)  # fmt: skip
_POOL = (
    "enableNodePublicIP", "nodePublicIPPrefixID", "enableEncryptionAtHost", "enableUltraSSD", "enableFIPS", "podSubnetID",
    "availabilityZones", "nodeTaints", "proximityPlacementGroupID", "scaleSetEvictionPolicy", "kubeletConfig", "linuxOSConfig",
    "gpuInstanceProfile", "gpuProfile", "creationData", "capacityReservationGroupID", "hostGroupID", "networkProfile",
    "gatewayProfile", "artifactStreamingProfile", "virtualMachinesProfile", "localDNSProfile", "messageOfTheDay",
    "enableAutoScaling",
)  # fmt: skip


def cluster_is_enforceable(case: Case) -> Iterator[Finding]:
    """Add-ons, meshes, monitors and the like run nothing here."""
    assert isinstance(case.new.properties, compute.ManagedCluster)
    given = case.new.properties.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for field, harmless in _CLUSTER.items():
        wanted = _asks(given.get(field), harmless)
        if wanted is not None:
            yield unsupported(f"{field} of a cluster", f"properties.{field}{wanted}")
    network = given.get("networkProfile", {})
    for field in _NETWORK:
        if (wanted := _asks(network.get(field), frozenset())) is not None:
            yield unsupported(f"{field} of a cluster", f"properties.networkProfile.{field}{wanted}")
    if not case.new.properties.enable_rbac:
        yield unsupported("a cluster without role-based access control", "properties.enableRBAC", "Use true.")


def network_is_enforceable(case: Case) -> Iterator[Finding]:
    """Pods have addresses of the nodes' subnet (Azure CNI); they leave through the load balancer's address."""
    asked, base = clusters.of(case.new).network_profile, "properties.networkProfile"
    for field, value, served in (
        ("networkPlugin", asked.network_plugin, ("azure",)),
        ("networkPluginMode", asked.network_plugin_mode, ()),
        ("networkPolicy", asked.network_policy, ("none",)),
        ("networkDataplane", asked.network_dataplane, ("azure",)),
        ("loadBalancerSku", asked.load_balancer_sku, ("standard",)),
        ("outboundType", asked.outbound_type, ("loadbalancer",)),
    ):
        if value and value.lower() not in served:
            way_out = f"Use {served[0]}." if served else "Remove it."
            yield unsupported(f"the {field} '{value[:50]}'", f"{base}.{field}", way_out)
    if any(one.lower() != "ipv4" for one in asked.ip_families or ()):
        yield unsupported("address families other than IPv4", f"{base}.ipFamilies", "Use IPv4.")


def pool_is_enforceable(case: Case) -> Iterator[Finding]:
    """Linux nodes in a fixed number, with nothing special about their machines."""
    pool = clusters.pool(case.new)
    given = pool.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for field in _POOL:
        if _asks(given.get(field), frozenset()) is not None:
            yield unsupported(f"{field} of a pool", f"properties.{field}")
    for field, value, served in (
        ("osType", pool.os_type, ("linux",)),
        ("type", pool.type, ("virtualmachinescalesets", "availabilityset")),
        ("mode", pool.mode, ("system", "user")),
        ("scaleSetPriority", pool.scale_set_priority or "regular", ("regular",)),
        ("workloadRuntime", pool.workload_runtime or "ocicontainer", ("ocicontainer",)),
    ):
        if value.lower() not in served:
            yield unsupported(f"the {field} '{value[:50]}'", f"properties.{field}", f"Use {served[0]}.")


def _asks(value: JsonValue, harmless: frozenset[str]) -> str | None:
    """The path of something in a value that asks for more than nothing; None when nothing does."""
    if value is None or value is False or value == 0 or (isinstance(value, str) and value.lower() in _NOTHING):
        return None
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in harmless and (found := _asks(inner, harmless)) is not None:
                return f".{name[:50]}{found}"
        return None
    if isinstance(value, list):
        return next((f"[{n}]{found}" for n, one in enumerate(value) if (found := _asks(one, harmless)) is not None), None)
    return ""
