"""What a cluster's hosts have to reach outside of their network, and how to say which rule keeps them from it.

The seed document asks for `AzureContainerRegistry.<region>` where outbound access is limited. What else Azure's
pages list for hosts that pull images is here too, with what it is for and when a pull needs it here. The registry
hands out layers itself (in Azure from a storage account, unless it has dedicated data endpoints). Hosts sign in
with the registry's admin user, or with a token of a managed identity, which the machine itself hands out; a cluster
that is a service principal gets its token from Entra, through its network. Environments are built by the platform,
so nobody pulls Microsoft's images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from ringfence.model import network
from ringfence.model.ids import ResourceId
from ringfence.model.network import Direction
from ringfence.model.resource import Snapshot
from ringfence.policy import groups, reach, tags
from ringfence.policy.places import Place
from ringfence.policy.reach import Verdict

_HIGHEST, _LOWEST = 100, 4096


@dataclass(frozen=True, slots=True)
class Flow:
    """tag: a service tag, `{region}` where it is written with one. needed: when pulling an image fails here without it;
    "" for never."""

    tag: str
    purpose: str
    needed: str
    source: str


#: All on TCP 443.
PULL = (
    Flow(
        "AzureContainerRegistry.{region}",
        "the workspace's registry: sign-in, manifests and layers",
        "always",
        "how-to-secure-inferencing-vnet, section on limiting outbound connectivity",
    ),
    Flow(
        "Storage.{region}",
        "layers of registries without dedicated data endpoints",
        "",
        "container-registry-firewall-rules, data endpoint",
    ),
    Flow(
        "AzureActiveDirectory",
        "tokens of clusters that are service principals",
        "by a cluster that is a service principal, from a registry whose admin user is off",
        "machine-learning/how-to-secure-workspace-vnet, required public internet access",
    ),
    Flow(
        "MicrosoftContainerRegistry.{region}",
        "Microsoft's own images",
        "",
        "machine-learning/how-to-access-azureml-behind-firewall, outbound",
    ),
    Flow(
        "AzureFrontDoor.FirstParty",
        "layers of Microsoft's own images",
        "",
        "machine-learning/how-to-access-azureml-behind-firewall, outbound",
    ),
)


def explain(snapshot: Snapshot, source: Place, address: str, port: int) -> str:
    """Why a TCP connection from here does not come about, and what to do; "" when no rule or route is in its way."""
    destination = IPv4Address(address)
    trace = reach.trace(snapshot, source, destination, port)
    if trace.verdict is Verdict.ALLOWED or not trace.steps:
        return ""
    last = trace.steps[-1]
    if trace.verdict is not Verdict.DENIED_OUTBOUND:
        return f"The connection from {source.address} to {address}:{port} ends at: {last.where}, {last.by}."
    inside = groups.space_of(snapshot, snapshot.need(source.vnet))
    near = "VirtualNetwork" if any(destination in prefix for prefix in inside) else "Internet"
    tag = tags.service_at(destination) or near
    group, _, rule = last.by.partition(": ")
    where = f"The outbound rule '{rule}' of the network security group '{group}' ({last.where.removeprefix('outbound ')})"
    return (
        f"{where} denies TCP {port} from {source.address} to {address}, which belongs to the service tag {tag}. "
        f"No rule of higher priority allows {tag}. Allow it: {_fix(snapshot, group, rule, tag, port)}{_beside(tag)}"
    )


def _beside(tag: str) -> str:
    """What else a puller has to know about: of the registry's tag, the ones that are needed at times, and the other way."""
    name, _, region = tag.partition(".")
    if name != "AzureContainerRegistry":
        return ""
    others = (flow for flow in PULL if not flow.tag.startswith(name))
    at_times = "".join(f" ({flow.tag.format(region=region)} is needed {flow.needed})" for flow in others if flow.needed)
    return f"{at_times}; or give the registry a private endpoint in the network."


def _fix(snapshot: Snapshot, group: str, denying: str, tag: str, port: int) -> str:
    """The command that lets it through: a rule just before the one that denies."""
    id = ResourceId.parse(group)
    taken = dict(_priorities(snapshot, id))
    before = taken.get(denying.lower(), _LOWEST + 1)
    free = next((n for n in range(before - 1, _HIGHEST - 1, -1) if n not in taken.values()), None)
    at = f"--resource-group {id.group} --nsg-name {id.name}"
    first = ""
    if free is None:
        first, free = f"az network nsg rule update {at} --name {denying} --priority {_LOWEST} && ", _HIGHEST
    name = "Allow" + "".join(part for part in tag if part.isalnum()) + "Outbound"
    return (
        f"{first}az network nsg rule create {at} --name {name} --priority {free} --direction Outbound --access Allow "
        f"--protocol Tcp --source-address-prefixes VirtualNetwork --destination-address-prefixes {tag} "
        f"--destination-port-ranges {port}"
    )


def _priorities(snapshot: Snapshot, group: ResourceId) -> Iterator[tuple[str, int]]:
    """The group's own outbound rules, by lower-case name."""
    for found in snapshot.children(group):
        asked = found.properties
        if isinstance(asked, network.SecurityRule) and asked.direction is Direction.OUTBOUND:
            yield found.id.name.lower(), asked.priority
