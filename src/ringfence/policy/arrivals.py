"""Where a request came from, by the address that a service sees, and whether a resource lets it in from there.

Sources of the refusals: RULES.md section 8 (workspaces); storage-network-security.md; key-vault/general/network-security.md;
container-registry-troubleshoot-access.md. Resource Manager itself asks nobody where he comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Literal

from ringfence.model import access, compute, errors, ml, network, private_link, registry, storage
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import firewalls, places, tags
from ringfence.policy import private_link as targets

_Kind = Literal["internet", "network", "private-endpoint", "service-endpoint"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """vnet, subnet, private_endpoint: resource keys, as far as the address tells.

    network: by the public address that a virtual network's connections take. service-endpoint: as a subnet.
    """

    kind: _Kind = "internet"
    vnet: str | None = None
    subnet: str | None = None
    private_endpoint: str | None = None


def of(snapshot: Snapshot, source: str) -> Arrival:
    """source: the peer's address; anything that is none comes from the internet."""
    try:
        address = IPv4Address(source)
    except AddressValueError:
        return Arrival()
    if address in tags.LINKS:
        held = snapshot.taken(targets.LINK_SCOPE).get(source)
        owner = snapshot.get(held.owner) if held is not None else None
        return Arrival() if owner is None else _linked(owner)
    held = snapshot.taken(places.PUBLIC_SCOPE).get(source)
    if held is not None and held.purpose == places.EGRESS:
        return Arrival("network", vnet=held.owner)
    return Arrival()


def _linked(owner: Resource) -> Arrival:
    if isinstance(owner.properties, private_link.PrivateEndpoint):
        subnet = owner.properties.subnet.target
        return Arrival("private-endpoint", vnet=subnet.parent.key, subnet=subnet.key, private_endpoint=owner.key)
    if owner.type == network.SUBNET:
        return Arrival("service-endpoint", vnet=owner.parent, subnet=owner.key)
    return Arrival()


def require(snapshot: Snapshot, resource: Resource, source: str) -> None:
    """Raises errors.Forbidden in the words of the resource's type when it does not answer there."""
    judge = _JUDGES.get(resource.type)
    if judge is not None:
        judge(snapshot, resource, source, of(snapshot, source))


def _through_own_endpoint(snapshot: Snapshot, resource: Resource, arrival: Arrival) -> bool:
    """Whether a request came through an approved private endpoint of this very resource."""
    endpoint = snapshot.get(arrival.private_endpoint) if arrival.private_endpoint else None
    if endpoint is None or not isinstance(endpoint.properties, private_link.PrivateEndpoint):
        return False
    return endpoint.properties.target == resource.id and targets.approved(snapshot, endpoint)


def _passes(snapshot: Snapshot, resource: Resource, source: str, arrival: Arrival) -> bool:
    """A private endpoint leads to its own target only; the firewall is for the public address."""
    if arrival.kind == "private-endpoint":
        return _through_own_endpoint(snapshot, resource, arrival)
    subnet = arrival.subnet if arrival.kind == "service-endpoint" else None
    return firewalls.of(resource).admits(_address(source), subnet)


def _address(source: str) -> IPv4Address:
    """What is no address is nobody's."""
    try:
        return IPv4Address(source)
    except AddressValueError:
        return IPv4Address(0)


def _storage(snapshot: Snapshot, account: Resource, source: str, arrival: Arrival) -> None:
    if not _passes(snapshot, account, source, arrival):
        raise errors.Forbidden("AuthorizationFailure", "This request is not authorized to perform this operation.")


def _vault(snapshot: Snapshot, vault: Resource, source: str, arrival: Arrival) -> None:
    if _passes(snapshot, vault, source, arrival):
        return
    if not firewalls.public_of(vault):
        raise errors.Forbidden(
            "ForbiddenByConnection",
            "Public network access is disabled and request is not from a trusted service nor via an approved private link.\r\n"
            f"Vault: {vault.id.name};location={vault.region}",
        )
    raise errors.Forbidden(
        "ForbiddenByFirewall",
        "Client address is not authorized and caller is not a trusted service.\r\n"
        f"Client address: {source}\r\nVault: {vault.id.name};location={vault.region}",
    )


def _registry(snapshot: Snapshot, images: Resource, source: str, arrival: Arrival) -> None:
    if not _passes(snapshot, images, source, arrival):
        raise errors.Forbidden(
            "DENIED",
            f"client with IP '{source}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access.",
        )


def _workspace(snapshot: Snapshot, workspace: Resource, source: str, arrival: Arrival) -> None:
    if arrival.kind == "private-endpoint":
        open_ = _through_own_endpoint(snapshot, workspace, arrival)
    else:
        open_ = public_access(snapshot, workspace)
    if not open_:
        raise errors.Forbidden("UserError", "Access to workspace was denied based on workspace private link configuration.")


def public_access(snapshot: Snapshot, workspace: Resource) -> bool:
    """Whether a workspace answers by its public address.

    publicNetworkAccess decides where it is given. Without it, a private endpoint closes the workspace unless
    allowPublicAccessWhenBehindVnet is set (how-to-configure-private-link.md).
    """
    assert isinstance(workspace.properties, ml.Workspace)
    asked = workspace.properties
    if asked.public_network_access is not None:
        return asked.public_network_access.lower() == "enabled"
    behind = any(True for _ in targets.approved_for(snapshot, workspace))
    return asked.allow_public_access_when_behind_vnet or not behind


def _cluster(snapshot: Snapshot, cluster: Resource, _: str, arrival: Arrival) -> None:
    """The API server of a private cluster is there for its private endpoints; a public one for everybody."""
    private = "management" in targets.groups(snapshot, cluster)
    if arrival.kind == "private-endpoint" and not _through_own_endpoint(snapshot, cluster, arrival):
        private = True
    elif arrival.kind == "private-endpoint":
        return
    if private:
        message = f"The API server of {cluster.id} has no public address: it is reached through its private endpoint."
        raise errors.Forbidden("Forbidden", message)


_JUDGES: Mapping[str, Callable[[Snapshot, Resource, str, Arrival], None]] = {
    storage.STORAGE_ACCOUNT: _storage,
    access.VAULT: _vault,
    registry.REGISTRY: _registry,
    ml.WORKSPACE: _workspace,
    compute.MANAGED_CLUSTER: _cluster,
}
