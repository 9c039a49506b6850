"""Microsoft.Network private endpoints, their DNS zone groups, and the connections that targets see.

A connection is a row below its target: approving it is a write there. Which targets and groups of
members there are is in `policy.private_link`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, JsonValue

from ringfence.model import access, compute, ml, registry, storage
from ringfence.model.ids import ResourceId
from ringfence.model.network import Spelled
from ringfence.model.resource import Properties, Reference, reference_text

PRIVATE_ENDPOINT = "microsoft.network/privateendpoints"
ZONE_GROUP = "microsoft.network/privateendpoints/privatednszonegroups"

#: Types that a private endpoint may lead to.
TARGETS = (
    ml.WORKSPACE,
    registry.REGISTRY,
    storage.STORAGE_ACCOUNT,
    access.VAULT,
    compute.MANAGED_CLUSTER,
)
#: The type of a connection below each target's type.
CONNECTIONS = {target: f"{target}/privateendpointconnections" for target in TARGETS}


class Status(Spelled):
    """What the owner of a target says of a connection. DISCONNECTED: the owner removed it."""

    PENDING = "Pending"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    DISCONNECTED = "Disconnected"


class ConnectionState(Properties):
    """description: why. actions_required: "None" or what the consumer has to do."""

    status: Status = Status.PENDING
    description: str = ""
    actions_required: str = "None"
    action_required: str | None = None


class RequestedConnection(Properties):
    """group_ids: the sub-resource; one is permitted. request_message: for the owner of the target."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "privateLinkServiceConnectionState"})

    private_link_service_id: Annotated[str, AfterValidator(reference_text)]
    group_ids: tuple[str, ...] = ()
    request_message: str | None = None

    @property
    def target(self) -> ResourceId:
        return ResourceId.parse(self.private_link_service_id)


class NamedConnection(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: RequestedConnection


class StaticAddress(Properties):
    """member_name: which of the target's names has this address."""

    group_id: str | None = None
    member_name: str | None = None
    private_ip_address: str = Field(alias="privateIPAddress")


class EndpointConfiguration(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: StaticAddress


class PrivateEndpoint(Properties):
    """One way into one target. manual_…: the owner of the target has to approve it."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {"provisioningState", "resourceGuid", "networkInterfaces", "customDnsConfigs", "ipVersionType"}
    )

    subnet: Reference
    private_link_service_connections: tuple[NamedConnection, ...] = ()
    manual_private_link_service_connections: tuple[NamedConnection, ...] = ()
    custom_network_interface_name: str | None = None
    ip_configurations: tuple[EndpointConfiguration, ...] = ()
    application_security_groups: tuple[JsonValue, ...] = ()

    @property
    def connections(self) -> tuple[NamedConnection, ...]:
        return (*self.private_link_service_connections, *self.manual_private_link_service_connections)

    @property
    def connection(self) -> RequestedConnection:
        """The one connection; admission refuses an endpoint with none or several."""
        return self.connections[0].properties

    @property
    def manual(self) -> bool:
        return not self.private_link_service_connections

    @property
    def target(self) -> ResourceId:
        return self.connection.target

    @property
    def group(self) -> str:
        """The sub-resource in lower case, "" when it is not named."""
        return self.connection.group_ids[0].lower() if self.connection.group_ids else ""


class ZoneChoice(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"recordSets"})

    private_dns_zone_id: Annotated[str, AfterValidator(reference_text)]

    @property
    def zone(self) -> ResourceId:
        return ResourceId.parse(self.private_dns_zone_id)


class NamedZone(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: ZoneChoice


class ZoneGroup(Properties):
    """The private zones that hold the records of an endpoint."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState"})

    private_dns_zone_configs: tuple[NamedZone, ...] = ()


class Connection(Properties):
    """A connection as its target shows it. private_endpoint: whose; it never changes."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "linkIdentifier", "privateEndpointLocation"})

    private_endpoint: Reference | None = None
    private_link_service_connection_state: ConnectionState
    group_ids: tuple[str, ...] = ()

    def merged(self, old: Self) -> Self:
        """A write approves or rejects; whose connection it is stays."""
        state = self.private_link_service_connection_state
        return old.model_copy(update={"private_link_service_connection_state": state})

    @property
    def status(self) -> Status:
        return self.private_link_service_connection_state.status
