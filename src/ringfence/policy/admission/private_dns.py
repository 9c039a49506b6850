"""Private DNS zones, links and record sets.

Sources: RULES.md section 8; dns/private-dns-privatednszone.md (names), private-dns-virtual-network-links.md,
private-dns-autoregistration.md; wording of refusals as recorded in Azure/terraform-azurerm-caf-enterprise-scale#157
and MicrosoftDocs/azure-aks-docs#212.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from ringfence.model import errors, private_dns
from ringfence.model.private_dns import RecordSet, VirtualNetworkLink
from ringfence.model.resource import ProvisioningState, Resource, Snapshot, region_of
from ringfence.policy.admission.case import Case, Finding

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
#: Names that Azure does not let a private zone have.
_RESERVED = frozenset(
    {
        "azclient.ms", "azure.com", "cloudapp.net", "core.windows.net", "microsoft.com", "msidentity.com",
        "trafficmanager.net", "windows.net",
    }
)  # fmt: skip
_LONGEST_NAME, _MOST_LABELS = 253, 34
_MOST_TTL = 2_147_483_647


def is_global(case: Case) -> Iterator[Finding]:
    """Zones and links are not at a location of a region."""
    if case.new.location is not None and region_of(case.new.location) != "global":
        yield errors.Invalid(
            "LocationNotAvailableForResourceType",
            f"The provided location '{case.new.location[:100]}' is not available for resource type '{case.new.id.type}'. List of "
            "available regions for the resource type is 'global'.",
            target="location",
        )


def zone_name_is_allowed(case: Case) -> Iterator[Finding]:
    """Two to 34 labels, and none of the names that Azure keeps."""
    name = case.new.id.name.lower()
    labels = name.split(".")
    if not 2 <= len(labels) <= _MOST_LABELS or len(name) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)):
        message = f"The zone name '{name[:100]}' is not valid. It has 2 to {_MOST_LABELS} labels of letters, digits, '-' and '_'."
        yield errors.Invalid("BadRequest", message, target="name")
    elif name in _RESERVED:
        message = f"The zone name '{name}' is reserved. Use a name below it, such as privatelink.{name}."
        yield errors.Invalid("BadRequest", message, target="name")


def network_is_linked_once(case: Case) -> Iterator[Finding]:
    """A network has one link to zones of one name, and registers in one zone at most."""
    asked = _link(case.new)
    for other in case.snapshot.of_type(private_dns.LINK):
        if other.key == case.new.key or other.state is ProvisioningState.DELETING:
            continue
        theirs = _link(other)
        if theirs.virtual_network.key != asked.virtual_network.key:
            continue
        here, there = case.new.id.parent.name, other.id.parent.name
        if here.lower() == there.lower():
            yield errors.Invalid(
                "BadRequest",
                "A virtual network cannot be linked to multiple zones with overlapping namespaces. You tried to link virtual "
                f"network with '{here}' and '{there}' zones.",
                target="properties.virtualNetwork.id",
            )
        elif asked.registration_enabled and theirs.registration_enabled:
            yield errors.Conflict(
                "Conflict",
                "A virtual network can only be linked to 1 Private DNS zone(s) with auto-registration enabled; conflicting "
                f"Private DNS zone is '{other.id.parent}'.",
                target="properties.registrationEnabled",
            )


def linked_network_stays(case: Case) -> Iterator[Finding]:
    """A link does not move to another network."""
    if case.old is not None and _link(case.old).virtual_network.key != _link(case.new).virtual_network.key:
        message = f"The virtual network of the link {case.new.id} cannot be changed. Delete the link and create it again."
        yield errors.Invalid("BadRequest", message, target="properties.virtualNetwork.id")


def resolution_policy_is_known(case: Case) -> Iterator[Finding]:
    policy = _link(case.new).resolution_policy
    if policy is not None and policy.lower() not in ("default", "nxdomainredirect"):
        message = f"resolutionPolicy is '{policy[:100]}'; it is Default or NxDomainRedirect."
        yield errors.Invalid("BadRequest", message, target="properties.resolutionPolicy")


def _link(resource: Resource) -> VirtualNetworkLink:
    assert isinstance(resource.properties, VirtualNetworkLink)
    return resource.properties


def record_name_is_allowed(case: Case) -> Iterator[Finding]:
    """Labels, `@` for the zone itself, `*` as the first label only."""
    name = case.new.id.name
    labels = name.split(".")
    rest = labels[1:] if labels[0] == "*" else labels
    if name != "@" and not all(map(_LABEL.fullmatch, rest)):
        message = f"The name '{name[:100]}' of the record set is not valid."
        yield errors.Invalid("BadRequest", message, target="name")
    elif len(private_dns.name_of(case.new.id)) > _LONGEST_NAME:
        yield errors.Invalid("BadRequest", f"The record set's full name has more than {_LONGEST_NAME} characters.", target="name")


def records_are_of_their_type(case: Case) -> Iterator[Finding]:
    """A record set holds records of the type in its path, each well formed."""
    kind, asked = private_dns.kind_of(case.new), _records(case.new)
    for other, field in private_dns.FIELDS.items():
        if other != kind and getattr(asked, field):
            message = f"The record set {case.new.id} is of type {kind} and cannot hold records of type {other}."
            yield errors.Invalid("BadRequest", message, target="properties")
    if not 1 <= asked.ttl <= _MOST_TTL:
        yield errors.Invalid("BadRequest", f"The TTL {asked.ttl} is not from 1 to {_MOST_TTL}.", target="properties.ttl")
    addresses = [(one.ipv4_address, IPv4Address) for one in asked.a_records]
    addresses6 = [(one.ipv6_address, IPv6Address) for one in asked.aaaa_records]
    for text, parse in (*addresses, *addresses6):
        try:
            parse(text)
        except (AddressValueError, ValueError):
            message = f"The address '{text[:100]}' is not a valid value of a record of type {kind}."
            yield errors.Invalid("BadRequest", message, target="properties")


def alias_stands_alone(case: Case) -> Iterator[Finding]:
    """A name with a CNAME has nothing else, and a zone itself has none."""
    kind = private_dns.kind_of(case.new)
    if kind == "CNAME" and case.new.id.name == "@":
        yield errors.Invalid("BadRequest", "A CNAME record set cannot be at the apex of a zone ('@').", target="name")
    for other in case.snapshot.children(case.new.id.parent):
        if not private_dns.is_record_set(other.type) or other.state is ProvisioningState.DELETING or other.key == case.new.key:
            continue
        kinds = {kind, private_dns.kind_of(other)}
        if other.id.name.lower() == case.new.id.name.lower() and "CNAME" in kinds:
            yield errors.Conflict(
                "Conflict",
                f"The record could not be created because a {private_dns.kind_of(other)} record with the same name already "
                "exists in this zone.",
                target=str(other.id),
            )


def authority_is_the_zones(case: Case) -> Iterator[Finding]:
    """The SOA record set comes with the zone, at its apex."""
    if private_dns.kind_of(case.new) == "SOA" and case.new.id.name != "@":
        yield errors.Invalid("BadRequest", "A zone has one SOA record set, '@'.", target="name")


def _records(resource: Resource) -> RecordSet:
    assert isinstance(resource.properties, RecordSet)
    return resource.properties


def goes_alone(snapshot: Snapshot, root: Resource) -> Iterator[errors.Problem]:
    """What is not deleted by itself: a zone that is still linked, the SOA record set of a zone."""
    if root.type == private_dns.ZONE:
        linked = [r for r in snapshot.children(root.id) if r.type == private_dns.LINK]
        if any(r.state is not ProvisioningState.DELETING for r in linked):
            message = (
                f"Can not delete resource before nested resources are deleted. The zone '{root.id.name}' has the virtual network "
                f"links {', '.join(r.id.name for r in linked)}."
            )
            yield errors.Conflict("CannotDeleteResource", message, target=str(root.id))
    if root.type == private_dns.RECORDS["SOA"]:
        message = "The SOA record set of a zone cannot be deleted. Delete the zone."
        yield errors.Invalid("BadRequest", message, target=str(root.id))


ZONE_RULES = (is_global, zone_name_is_allowed)
LINK_RULES = (is_global, network_is_linked_once, linked_network_stays, resolution_policy_is_known)
RECORD_RULES = (record_name_is_allowed, records_are_of_their_type, alias_stands_alone, authority_is_the_zones)
