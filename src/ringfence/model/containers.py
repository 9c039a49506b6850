"""Microsoft.ContainerInstance container groups, and the network profiles by which older clients put them into a subnet.

Shapes only. Which values are allowed is in `policy.admission.containers`, where a group stands in
`policy.container_groups`. What is secret (`secret_free` leaves it out) is stored, used, and never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, JsonValue

from ringfence.model.network import Spelled
from ringfence.model.resource import Properties, Reference

CONTAINER_GROUP = "microsoft.containerinstance/containergroups"
NETWORK_PROFILE = "microsoft.network/networkprofiles"
#: The service that a subnet is delegated to for container groups.
DELEGATION = "Microsoft.ContainerInstance/containerGroups"


class OsType(Spelled):
    LINUX = "Linux"
    WINDOWS = "Windows"


class RestartPolicy(Spelled):
    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class AddressType(Spelled):
    PUBLIC = "Public"
    PRIVATE = "Private"


class Transport(Spelled):
    TCP = "TCP"
    UDP = "UDP"


class ContainerPort(Properties):
    protocol: Transport = Transport.TCP
    port: int


class EnvironmentVariable(Properties):
    """One of value and secure_value."""

    name: str
    value: str | None = None
    secure_value: str | None = Field(default=None, repr=False)


class ResourceAmount(Properties):
    """cpu: cores. memory_in_gb: GB."""

    cpu: float | None = None
    memory_in_gb: float | None = Field(default=None, alias="memoryInGB")
    gpu: JsonValue = None


class ContainerResources(Properties):
    requests: ResourceAmount | None = None
    limits: ResourceAmount | None = None


class VolumeMount(Properties):
    name: str
    mount_path: str
    read_only: bool = False


class ExecProbe(Properties):
    command: tuple[str, ...] = ()


class HttpProbe(Properties):
    path: str = "/"
    port: int
    scheme: str = "http"
    http_headers: JsonValue = None


class Probe(Properties):
    """Times in seconds."""

    exec: ExecProbe | None = None
    http_get: HttpProbe | None = None
    initial_delay_seconds: int | None = None
    period_seconds: int | None = None
    failure_threshold: int | None = None
    success_threshold: int | None = None
    timeout_seconds: int | None = None


class ConfigMap(Properties):
    key_value_pairs: Mapping[str, str] = Field(default_factory=dict)


class ContainerAsked(Properties):
    """The `properties` of one container. command: exec form; empty means what the image says."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"instanceView"})

    image: str = ""
    command: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    environment_variables: tuple[EnvironmentVariable, ...] = ()
    resources: ContainerResources = ContainerResources()
    volume_mounts: tuple[VolumeMount, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    security_context: JsonValue = None
    config_map: ConfigMap | None = None

    @property
    def cpu(self) -> float:
        """Cores that it may use at most: its limit, else its request."""
        return self._most("cpu")

    @property
    def memory_gb(self) -> float:
        """GB that it may use at most: its limit, else its request."""
        return self._most("memory_in_gb")

    def _most(self, name: str) -> float:
        given = (getattr(amount, name) for amount in (self.resources.limits, self.resources.requests) if amount is not None)
        return next((float(value) for value in given if value is not None), 0.0)


class Container(Properties):
    name: str
    properties: ContainerAsked


class RegistryCredential(Properties):
    """How images of one registry are pulled: a user and a password, or an identity's id."""

    server: str
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    identity: str | None = None
    identity_url: str | None = None


class GroupAddress(Properties):
    """What is exposed, and to whom. The address that a group has is allocated to it."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"ip", "fqdn"})

    type: AddressType = AddressType.PUBLIC
    ports: tuple[ContainerPort, ...] = ()
    dns_name_label: str | None = None
    auto_generated_domain_name_label_scope: str | None = None


class Volume(Properties):
    """Exactly one kind. secret: file name to content in base64."""

    name: str
    empty_dir: JsonValue = None
    secret: Mapping[str, str] | None = Field(default=None, repr=False)
    secret_reference: JsonValue = Field(default=None, repr=False)
    azure_file: JsonValue = Field(default=None, repr=False)
    git_repo: JsonValue = None


class SubnetId(Reference):
    name: str | None = None


class Run(Properties):
    """What start, stop and restart leave behind. nonce: changes whenever the containers begin anew."""

    stopped: bool = False
    nonce: str = ""


class ContainerGroup(Properties):
    """run: ours alone; a PUT leaves it out, and so begins anew, as Azure does."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "instanceView",
            "provisioningTimeoutInSeconds",
            "isCustomProvisioningTimeout",
            "isCreatedFromStandbyPool",
        }
    )

    containers: tuple[Container, ...] = ()
    init_containers: tuple[JsonValue, ...] = ()
    image_registry_credentials: tuple[RegistryCredential, ...] = ()
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    ip_address: GroupAddress | None = None
    os_type: OsType | None = None
    volumes: tuple[Volume, ...] = ()
    subnet_ids: tuple[SubnetId, ...] = ()
    network_profile: Reference | None = None
    dns_config: JsonValue = None
    diagnostics: JsonValue = Field(default=None, repr=False)
    sku: str | None = None
    priority: str | None = None
    encryption_properties: JsonValue = None
    confidential_compute_properties: JsonValue = None
    container_group_profile: JsonValue = None
    standby_pool_profile: JsonValue = None
    extensions: tuple[JsonValue, ...] = ()
    run: Run = Field(default=Run(), alias="ringfenceRun")

    @property
    def public(self) -> bool:
        """Whether it asks for an address on the internet."""
        return self.ip_address is not None and self.ip_address.type is AddressType.PUBLIC

    @property
    def in_network(self) -> bool:
        """Whether it names a network of the customer's."""
        return bool(self.subnet_ids) or self.network_profile is not None


class ProfileIp(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState"})

    subnet: Reference


class ProfileIpConfiguration(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: ProfileIp


class ProfileInterface(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "containerNetworkInterfaces"})

    ip_configurations: tuple[ProfileIpConfiguration, ...] = ()


class ProfileInterfaceConfiguration(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"id", "etag", "type"})

    name: str
    properties: ProfileInterface


class NetworkProfile(Properties):
    """Which subnet the groups that name it live in (container groups before API version 2021-10-01)."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "resourceGuid", "containerNetworkInterfaces"})

    container_network_interface_configurations: tuple[ProfileInterfaceConfiguration, ...] = ()

    @property
    def subnets(self) -> tuple[Reference, ...]:
        configurations = self.container_network_interface_configurations
        return tuple(ip.properties.subnet for one in configurations for ip in one.properties.ip_configurations)


def secret_free(group: ContainerGroup) -> ContainerGroup:
    """The group as documents may show it: names stay, secret values do not."""
    containers = tuple(
        one.model_copy(update={"properties": one.properties.model_copy(update={"environment_variables": _shown(one)})})
        for one in group.containers
    )
    credentials = tuple(one.model_copy(update={"password": None}) for one in group.image_registry_credentials)
    volumes = tuple(
        one.model_copy(update={"secret": {name: "" for name in one.secret}}) if one.secret is not None else one
        for one in group.volumes
    )
    return group.model_copy(
        update={"containers": containers, "image_registry_credentials": credentials, "volumes": volumes, "run": Run()}
    )


def _shown(container: Container) -> tuple[EnvironmentVariable, ...]:
    return tuple(one.model_copy(update={"secure_value": None}) for one in container.properties.environment_variables)
