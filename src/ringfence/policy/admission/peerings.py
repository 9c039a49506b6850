"""Virtual network peerings. Sources: RULES.md section 1 (peered networks may not overlap); virtual-network-manage-peering.md.

Codes and wording as in recorded refusals: hashicorp/terraform#18091, microsoft/AzureTRE#4641.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import errors, network
from ringfence.model.peering import Peering
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import peerings
from ringfence.policy.admission.case import Case, Finding, ipv4, unsupported

_FIELD = "properties.remoteVirtualNetwork.id"


def side(case: Case) -> Peering:
    assert isinstance(case.new.properties, Peering)
    return case.new.properties


def remote_exists(case: Case) -> Iterator[Finding]:
    """The other network exists and is another one. It may be in another region."""
    remote, found = side(case).remote, case.snapshot.get(side(case).remote)
    if found is None or found.type != network.VIRTUAL_NETWORK or found.state is ProvisioningState.DELETING:
        yield errors.Invalid(
            "InvalidResourceReference",
            f"Resource {remote} referenced by resource {case.new.id} was not found. Please make sure that the referenced "
            "resource exists.",
            target=_FIELD,
        )
    elif found.key == case.new.parent:
        message = f"The virtual network {remote} cannot be peered with itself. Name another virtual network."
        yield errors.Invalid("InvalidRequestFormat", message, target=_FIELD)


def remote_stays(case: Case) -> Iterator[Finding]:
    """An update does not lead to another network."""
    if case.old is None or not isinstance(case.old.properties, Peering) or case.old.properties.remote == side(case).remote:
        return
    yield errors.Invalid(
        "ChangingRemoteVirtualNetworkNotAllowed",
        f"Changing the remote virtual network of the peering {case.new.id} from {case.old.properties.remote} to "
        f"{side(case).remote} is not allowed. Delete the peering and create it again.",
        target=_FIELD,
    )


def remote_is_named_once(case: Case) -> Iterator[Finding]:
    """One peering for each pair of networks."""
    for other in peerings.sides(case.snapshot, case.new.id.parent):
        if other.key == case.new.key or not isinstance(other.properties, Peering):
            continue
        if other.properties.remote == side(case).remote:
            yield errors.Invalid(
                "AnotherPeeringAlreadyReferencesRemoteVnet",
                f"Peering {case.new.id} cannot reference the remote virtual network {side(case).remote} because another peering "
                f"{other.id} already references it. Update that one.",
                target=_FIELD,
            )


def remote_side_is_not_disconnected(case: Case) -> Iterator[Finding]:
    """A side that lost its other side has to begin anew before it can be met again."""
    other = peerings.remote_side(case.snapshot, case.new)
    if other is None or case.snapshot.value(other.id, peerings.met(other)) in (None, peerings.memory(other, case.new)):
        return
    yield errors.Invalid(
        "RemotePeeringIsDisconnected",
        f"Cannot create or update peering {case.new.id} because remote peering {other.id} referencing parent virtual network "
        f"{case.new.id.parent} is in Disconnected state. Update or re-create the remote peering to get it back to Initiated "
        "state. Peering gets Disconnected when remote vnet or remote peering is deleted and re-created.",
        target=str(other.id),
    )


def address_spaces_are_apart(case: Case) -> Iterator[Finding]:
    """Neither the two networks overlap, nor one of them and what the other is peered with already."""
    mine, remote = case.snapshot.get(case.new.id.parent), case.snapshot.get(side(case).remote)
    if mine is None or remote is None:
        return
    shared = overlap(mine, remote)
    if shared:
        yield errors.Invalid(
            "VnetAddressSpacesOverlap",
            f"Cannot create or update peering {case.new.id}. Virtual networks {mine.id} and {remote.id} cannot be peered because "
            f"their address spaces overlap. Overlapping address prefixes: {', '.join(shared)}.",
            target=_FIELD,
        )
        return
    for one, word, other, far in ((mine, "first", remote, "second"), (remote, "second", mine, "first")):
        yield from _apart_from_peers(case, one, word, other, far)


def _apart_from_peers(case: Case, one: Resource, word: str, other: Resource, far: str) -> Iterator[Finding]:
    for third in _named_by(case.snapshot, other):
        shared = overlap(one, third)
        if third.key not in (one.key, other.key) and shared:
            yield errors.Invalid(
                "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
                f"Cannot create or update peering {case.new.id}. Virtual networks {case.new.id.parent} and {side(case).remote} "
                f"cannot be peered because address space of the {word} virtual network overlaps with address space of virtual "
                f"network {third.id} already peered with the {far} virtual network. Overlapping address prefixes: "
                f"{', '.join(shared)}. For more information please refer to https://aka.ms/VnetPeeringInfo",
                target=_FIELD,
            )


def _named_by(snapshot: Snapshot, vnet: Resource) -> Iterator[Resource]:
    """The networks that peerings of a network name."""
    for row in peerings.sides(snapshot, vnet.id):
        assert isinstance(row.properties, Peering)
        found = snapshot.get(row.properties.remote)
        if found is not None:
            yield found


def overlap(one: Resource, other: Resource) -> list[str]:
    """The prefixes of the first that share addresses with the second."""
    assert isinstance(one.properties, network.VirtualNetwork) and isinstance(other.properties, network.VirtualNetwork)
    theirs = [found for text in other.properties.prefixes if (found := ipv4(text)) is not None]
    mine = [found for text in one.properties.prefixes if (found := ipv4(text)) is not None]
    return [str(prefix) for prefix in mine if any(prefix.overlaps(far) for far in theirs)]


def peered_space_stays_apart(case: Case) -> Iterator[Finding]:
    """A peered network does not grow into its peers."""
    if case.old is None or case.old.properties == case.new.properties:
        return
    for remote in _named_by(case.snapshot, case.new):
        shared = overlap(case.new, remote)
        if shared:
            yield errors.Invalid(
                "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
                f"Virtual network {case.new.id} cannot have its address space changed because it overlaps with that of the "
                f"virtual network {remote.id} that it is peered with. Overlapping address prefixes: {', '.join(shared)}.",
                target="properties.addressSpace.addressPrefixes",
            )


def peering_is_enforceable(case: Case) -> Iterator[Finding]:
    """There are no gateways; whole networks are peered."""
    asked = side(case)
    if asked.use_remote_gateways:
        yield errors.Invalid(
            "RemoteVnetHasNoGateways",
            f"UseRemoteGateways flag of the peering {case.new.id} cannot be true because remote virtual network {asked.remote} "
            "referenced by the peering does not have any gateways.",
            target="properties.useRemoteGateways",
        )
    if not asked.peer_complete_vnets or asked.local_subnet_names or asked.remote_subnet_names:
        yield unsupported("peering of single subnets", "properties.peerCompleteVnets", "Peer the whole networks.")
    if asked.enable_only_ipv6_peering:
        yield unsupported("IPv6", "properties.enableOnlyIPv6Peering", "Use IPv4.")


SHAPE = (remote_exists,)
RULES = (remote_stays, remote_is_named_once, remote_side_is_not_disconnected, address_spaces_are_apart, peering_is_enforceable)
NETWORK_RULES = (peered_space_stays_apart,)
