"""Private endpoints, their zone groups, and connections as their targets show them.

Sources: RULES.md sections 7 and 8; codes as in recorded refusals (terraform-provider-azurerm#5820, azure-cli#16750).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from ringfence.model import errors, network, private_link
from ringfence.model.private_link import Connection, PrivateEndpoint, Status, ZoneGroup
from ringfence.model.resource import ProvisioningState, Resource
from ringfence.policy import private_link as targets
from ringfence.policy.admission.case import Advice, Case, Finding, ipv4, unsupported
from ringfence.policy.admission.interfaces import delegated

_FIELD = "properties.privateLinkServiceConnections[0].properties"
_LONGEST_REQUEST = 140
_MOST_ZONES = 5


def endpoint(case: Case) -> PrivateEndpoint:
    assert isinstance(case.new.properties, PrivateEndpoint)
    return case.new.properties


def has_one_connection(case: Case) -> Iterator[Finding]:
    """An endpoint leads to one target, automatically or by request."""
    count = len(endpoint(case).connections)
    if count != 1:
        message = (
            f"The private endpoint '{case.new.id.name}' has {count} connections. Give exactly one, in "
            "privateLinkServiceConnections or in manualPrivateLinkServiceConnections."
        )
        yield errors.Invalid("InvalidRequestFormat", message, target="properties.privateLinkServiceConnections")


def group_is_known(case: Case) -> Iterator[Finding]:
    """One sub-resource, of those that the target has."""
    asked, name = endpoint(case).connection, endpoint(case).connections[0].name
    target = case.snapshot.get(asked.target)
    if target is None:
        return
    connection = f"{case.new.id}/privateLinkServiceConnections/{name}"
    if len(asked.group_ids) > 1:
        yield errors.Invalid(
            "OnlyOneGroupIdPermitted",
            f"Private link service connection {connection} has the following group Ids: {', '.join(asked.group_ids)}. Only one "
            f"group Id is permitted when connecting to a first-party resource ({target.id}).",
            target=f"{_FIELD}.groupIds",
        )
        return
    known = targets.groups(case.snapshot, target)
    if not known:
        yield _closed(target)
    elif not asked.group_ids:
        yield errors.Invalid(
            "MissingParameterOnPrivateLinkServiceConnection",
            f"Private link service connection {connection} is missing required parameter 'group Id'. Known: {', '.join(known)}.",
            target=f"{_FIELD}.groupIds",
        )
    elif asked.group_ids[0] not in known:
        yield errors.Invalid(
            "InvalidValuesForRequestParameters",
            f"Call to {target.id.type} failed. Error message: Values for request parameters are invalid: GroupId: "
            f"{asked.group_ids[0][:100]}. Known: {', '.join(known)}.",
            target=f"{_FIELD}.groupIds",
        )


def _closed(target: Resource) -> errors.Problem:
    """A target without sub-resources: of another type, of a tier that has none, or a public cluster."""
    if target.type in private_link.CONNECTIONS:
        reason = "only registries of the Premium tier and private clusters have private endpoints"
        message = f"Call to {target.id.type} failed. Error message: {target.id} does not take private endpoints: {reason}."
        return errors.Invalid("PrivateEndpointFeatureNotSupportedOnResource", message, target=f"{_FIELD}.privateLinkServiceId")
    types = ", ".join(private_link.TARGETS)
    return unsupported(f"private endpoints to {target.id.type}", f"{_FIELD}.privateLinkServiceId", f"Known types: {types}.")


def endpoint_stays(case: Case) -> Iterator[Finding]:
    """An endpoint keeps its subnet and target."""
    if case.old is None or not isinstance(case.old.properties, PrivateEndpoint):
        return
    old, new = case.old.properties, endpoint(case)
    if old.subnet.key != new.subnet.key:
        yield unsupported("a move of a private endpoint to another subnet", "properties.subnet", "Delete it and create it again.")
    if old.target != new.target or old.group != new.group:
        yield unsupported("another target of a private endpoint", _FIELD, "Delete it and create it again.")


def subnet_takes_endpoints(case: Case) -> Iterator[Finding]:
    """A delegated subnet holds no private endpoint."""
    found = case.snapshot.get(endpoint(case).subnet.target)
    if found is not None:
        yield from delegated(case.new, found)


def static_addresses_are_usable(case: Case) -> Iterator[Finding]:
    """An address that is asked for is for a member of the target, in the subnet, and not one that Azure keeps."""
    asked = endpoint(case)
    found = case.snapshot.get(asked.subnet.target)
    prefix = ipv4(found.properties.prefix) if found is not None and isinstance(found.properties, network.Subnet) else None
    members = [member.name.lower() for member in targets.members(case.snapshot, case.new)]
    for number, one in enumerate(asked.ip_configurations):
        target = f"properties.ipConfigurations[{number}].properties"
        name = one.properties.member_name
        if name is not None and members and name.lower() not in members:
            message = f"The member '{name[:100]}' is none of {', '.join(members)}."
            yield errors.Invalid("InvalidRequestFormat", message, target=f"{target}.memberName")
        try:
            address = IPv4Address(one.properties.private_ip_address)
        except AddressValueError:
            message = f"Private static IP address '{one.properties.private_ip_address[:100]}' is not an IPv4 address."
            yield errors.Invalid("InvalidIPAddressFormat", message, target=f"{target}.privateIPAddress")
            continue
        if prefix is not None and address not in prefix:
            message = f"Private static IP address {address} does not belong to the range of subnet prefix {prefix}."
            yield errors.Invalid("PrivateIPAddressNotInSubnet", message, target=f"{target}.privateIPAddress")
        elif prefix is not None and address in (*(prefix[n] for n in range(4)), prefix.broadcast_address):
            message = f"Private static IP address {address} falls within reserved IP range of subnet prefix {prefix}."
            yield errors.Invalid("PrivateIPAddressInReservedRange", message, target=f"{target}.privateIPAddress")


def endpoint_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would change how packets go and has nothing behind it here."""
    asked = endpoint(case)
    if asked.application_security_groups:
        yield unsupported("application security groups", "properties.applicationSecurityGroups")
    if len(asked.connection.request_message or "") > _LONGEST_REQUEST:
        message = f"The requestMessage has more than {_LONGEST_REQUEST} characters."
        yield errors.Invalid("InvalidRequestFormat", message, target=f"{_FIELD}.requestMessage")


def zones_are_few_and_named_once(case: Case) -> Iterator[Finding]:
    """One group for an endpoint, up to five zones in a group (private-endpoint-dns-integration.md)."""
    assert isinstance(case.new.properties, ZoneGroup)
    configs = case.new.properties.private_dns_zone_configs
    names = [config.name.lower() for config in configs]
    if not 1 <= len(configs) <= _MOST_ZONES or len(set(names)) != len(names):
        message = f"The zone group '{case.new.id.name}' has {len(configs)} zones. It has 1 to {_MOST_ZONES}, each name once."
        yield errors.Invalid("InvalidRequestFormat", message, target="properties.privateDnsZoneConfigs")
    for sibling in case.snapshot.children(case.new.id.parent):
        other = sibling.type == private_link.ZONE_GROUP and sibling.state is not ProvisioningState.DELETING
        if other and sibling.key != case.new.key:
            yield errors.Invalid(
                "PrivateEndpointCannotHaveMultiplePrivateDnsZoneGroups",
                f"The private endpoint {case.new.id.parent} already has the zone group '{sibling.id.name}'. Change that one.",
                target=str(case.new.id),
            )


def zones_fit_the_target(case: Case) -> Iterator[Finding]:
    """Azure takes any zone; one of another service stays empty."""
    assert isinstance(case.new.properties, ZoneGroup)
    parent = case.snapshot.get(case.new.id.parent)
    if parent is None:
        return
    fitting = {host.zone for member in targets.members(case.snapshot, parent) for host in member.hosts}
    for config in case.new.properties.private_dns_zone_configs:
        if config.properties.zone.name.lower() not in fitting:
            yield Advice(
                f"The zone '{config.properties.zone.name}' gets no record of {parent.id.name}: its names are in "
                f"{', '.join(sorted(fitting)) or 'no zone'}."
            )


def connection_begins_at_its_endpoint(case: Case) -> Iterator[Finding]:
    """A connection is made by a private endpoint, and only answered at the target."""
    if case.old is None and case.new.managed_by is None:
        message = (
            f"The private endpoint connection {case.new.id} does not exist. Connections come into being with a private endpoint; "
            "list them to find their names."
        )
        yield errors.NotFound("PrivateEndpointConnectionNotFound", message, target=str(case.new.id))


def answer_is_approval_or_rejection(case: Case) -> Iterator[Finding]:
    """The owner approves or rejects; nothing becomes pending again (private-endpoint-overview.md)."""
    if case.old is None or not isinstance(case.old.properties, Connection) or not isinstance(case.new.properties, Connection):
        return
    old, new = case.old.properties.status, case.new.properties.status
    if new is Status.DISCONNECTED or (new is Status.PENDING and old is not Status.PENDING):
        yield errors.Invalid(
            "InvalidPrivateLinkServiceConnectionState",
            f"A connection that is {old.value} cannot become {new.value}. Approve, reject or delete it.",
            target="properties.privateLinkServiceConnectionState.status",
        )


def interface_of_an_endpoint_stays(case: Case) -> Iterator[Finding]:
    """The interface that came with an endpoint is the endpoint's to change."""
    owner = case.snapshot.get(case.old.managed_by) if case.old is not None and case.old.managed_by else None
    if owner is None or case.old is None or owner.type != private_link.PRIVATE_ENDPOINT:
        return
    if case.old.properties != case.new.properties:
        yield errors.Invalid(
            "NicInUseWithPrivateEndpoint",
            f"Network Interface {case.new.id} is used by existing private endpoint {owner.id} and cannot be changed. Rules for "
            "its address are those of its subnet, where privateEndpointNetworkPolicies is Enabled.",
            target=str(case.new.id),
        )


INTERFACE_SHAPE = (interface_of_an_endpoint_stays,)
SHAPE = (has_one_connection,)
RULES = (
    group_is_known,
    endpoint_stays,
    subnet_takes_endpoints,
    static_addresses_are_usable,
    endpoint_is_enforceable,
)
ZONE_GROUP_RULES = (zones_are_few_and_named_once, zones_fit_the_target)
CONNECTION_RULES = (connection_begins_at_its_endpoint, answer_is_approval_or_rejection)
