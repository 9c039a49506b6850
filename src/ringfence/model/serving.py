"""What a workspace keeps and serves: assets, models, environments, web services.

Shapes only. `api/ml` speaks the wire's own casing and patches; it fills the fields that
name blobs, because only it knows what was uploaded. A name of a file never leads out of
its folder: `check_path` refuses it here, at the door of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from ringfence.model.resource import Properties

SERVICE = "microsoft.machinelearningservices/workspaces/services"
MODEL_VERSION = "microsoft.machinelearningservices/workspaces/models/versions"
ASSET = "microsoft.machinelearningservices/workspaces/assets"
ENVIRONMENT_VERSION = "microsoft.machinelearningservices/workspaces/environments/versions"


def check_path(path: str) -> str:
    """A relative path with plain segments. Raises ValueError."""
    parts = path.split("/")
    if not path or len(path) > 1024 or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path[:200]!r} is not a relative path of plain segments, each neither empty nor '.' nor '..'")
    return path


def _check_digest(text: str) -> str:
    if len(text) != 64 or not all(c in "0123456789abcdef" for c in text):
        raise ValueError("a content's name is the 64 hex digits of its SHA-256")
    return text


FilePath = Annotated[str, AfterValidator(check_path)]
Digest = Annotated[str, AfterValidator(_check_digest)]


class Creator(Properties):
    user_object_id: str = ""
    user_tenant_id: str = ""
    user_name: str = ""


class ArtifactRef(Properties):
    """One artifact of an asset: the whole path in `id`, or everything below `prefix` (`LocalUpload/{container}/{path}`)."""

    id: str | None = None
    prefix: str | None = None


class Blob(Properties):
    """One uploaded file of an asset.

    path: what follows `LocalUpload/{container}/`; a registered folder keeps its own name in front.
    sha256: of the content, as the blob store names it.
    """

    path: FilePath
    sha256: Digest


class Asset(Properties):
    """`POST …/assets`: a name for uploaded artifacts. blobs: what the artifacts were when the asset was made."""

    name: str
    description: str | None = None
    artifacts: tuple[ArtifactRef, ...] = ()
    kv_tags: Mapping[str, str] = Field(default_factory=dict)
    properties: Mapping[str, str] = Field(default_factory=dict)
    run_id: str | None = None
    project_id: str | None = None
    meta: Mapping[str, str] | None = None
    created_by: Creator = Creator()
    blobs: tuple[Blob, ...] = ()


class ModelVersion(Properties):
    """One version of a registered model; its id ends `/models/{name}/versions/{version}`.

    url: `aml://asset/{asset id}`. unpack: the asset is one tar.gz whose content is the model.
    """

    name: str
    version: int
    url: str
    mime_type: str | None = None
    description: str | None = None
    framework: str | None = None
    framework_version: str | None = None
    unpack: bool = False
    kv_tags: Mapping[str, str] = Field(default_factory=dict)
    properties: Mapping[str, str] = Field(default_factory=dict)
    datasets: tuple[JsonValue, ...] = ()
    experiment_name: str | None = None
    run_id: str | None = None
    sample_input_data: str | None = None
    sample_output_data: str | None = None
    resource_requirements: JsonValue = None
    parent_id: str | None = None
    parent_model_id: str | None = None
    derived_model_ids: tuple[str, ...] = ()
    created_by: Creator = Creator()

    @property
    def asset_id(self) -> str | None:
        """The name of the asset the model's files are in, or None for another kind of url."""
        return self.url.removeprefix("aml://asset/") if self.url.startswith("aml://asset/") else None


class EnvironmentVersion(Properties):
    """A registered environment, as the client sent it. version: as in the id. build: whether it was asked to be built."""

    name: str
    version: str
    definition: Mapping[str, JsonValue] = Field(default_factory=dict)
    build: bool = False


class AutoScaler(Properties):
    """target_utilization: percent of the replicas that shall be busy. Absent values take the SDK's documented defaults."""

    autoscale_enabled: bool = False
    min_replicas: int | None = None
    max_replicas: int | None = None
    target_utilization: int | None = None
    refresh_period_in_seconds: int | None = None

    @property
    def least(self) -> int:
        return 1 if self.min_replicas is None else self.min_replicas

    @property
    def most(self) -> int:
        return max(10, self.least) if self.max_replicas is None else self.max_replicas

    @property
    def target(self) -> float:
        """Between 0 and 1."""
        return (70 if self.target_utilization is None else self.target_utilization) / 100

    @property
    def period_s(self) -> int:
        return 1 if self.refresh_period_in_seconds is None else self.refresh_period_in_seconds


class Scale(Properties):
    """How many replicas the autoscaler decided on. running: processes; routed: those of them that get requests.

    drained_at: when the last request of those that get none any more has ended at the latest.
    """

    running: int
    routed: int
    drained_at: datetime | None = None


class ContainerResources(Properties):
    """cpu: cores. memory_in_gb: GB. Limits: None means the request is the limit."""

    cpu: float = 0.1
    cpu_limit: float | None = None
    memory_in_gb: float = Field(default=0.5, alias="memoryInGB")
    memory_in_gb_limit: float | None = Field(default=None, alias="memoryInGBLimit")
    gpu: int | None = None
    fpga: int | None = None


class DataCollection(Properties):
    event_hub_enabled: bool = False
    storage_enabled: bool = False


class LivenessProbe(Properties):
    period_seconds: int = 10
    initial_delay_seconds: int = 310
    timeout_seconds: int = 2
    success_threshold: int = 1
    failure_threshold: int = 3


class ImageAsset(Properties):
    """One uploaded file of a deployment. url: `aml://artifact/{artifact id}`. unpack: a tar.gz."""

    id: str
    url: str
    mime_type: str | None = None
    unpack: bool | None = None


class EnvironmentImageRequest(Properties):
    """What the client sent to make the image from.

    driver_program: id of one of the assets. model_ids: `name:version`. environment: the inline environment, as sent.
    """

    driver_program: str | None = None
    assets: tuple[ImageAsset, ...] = ()
    model_ids: tuple[str, ...] = ()
    models: tuple[JsonValue, ...] = ()
    environment: Mapping[str, JsonValue] | None = None
    environment_reference: JsonValue = None


class ServiceFile(Properties):
    """One file of a service, resolved from `environment_image_request.assets` by `api/ml`.

    path: below the app root; with `unpack`, the archive lands in the folder of this path.
    blob: sha256 of the content.
    """

    path: FilePath
    blob: Digest
    unpack: bool = False


class VnetConfiguration(Properties):
    """Names of a network and a subnet of the workspace's resource group."""

    vnet_name: str
    subnet_name: str


class Service(Properties):
    """A scoring service on a cluster or in a container group (contract section 7). Times in milliseconds where the name says so.

    files: the driver and source of the service, as contents. primary_key, secondary_key: in the clear, because
    clients may ask for them; never part of a document that is shown. token_key: PEM, private, signs the tokens of this
    service; token_public_key: its other half, for the router.
    From location to vnet_configuration: of a service in a container group alone; cname: the name its certificate is for.
    scale: what the autoscaler decided. nonce: changes when the service shall be restarted.
    """

    description: str | None = None
    kv_tags: Mapping[str, str] = Field(default_factory=dict)
    properties: Mapping[str, str] = Field(default_factory=dict)
    compute_type: str = "AKS"
    compute_name: str | None = None
    namespace: str | None = None
    num_replicas: int | None = None
    auto_scaler: AutoScaler = AutoScaler()
    container_resource_requirements: ContainerResources = ContainerResources()
    auth_enabled: bool = True
    aad_auth_enabled: bool = False
    app_insights_enabled: bool = False
    data_collection: DataCollection = DataCollection()
    liveness_probe_requirements: LivenessProbe | None = None
    max_concurrent_requests_per_container: int = 1
    max_queue_wait_ms: int = 500
    scoring_timeout_ms: int = 60_000
    storage_init_enabled: bool | None = None
    location: str | None = None
    dns_name_label: str | None = None
    ssl_enabled: bool = False
    ssl_certificate: str | None = None
    ssl_key: str | None = Field(default=None, repr=False)
    cname: str | None = None
    encryption_properties: JsonValue = None
    vnet_configuration: VnetConfiguration | None = None
    environment_image_request: EnvironmentImageRequest = EnvironmentImageRequest()
    files: tuple[ServiceFile, ...] = ()
    primary_key: str = Field(default="", repr=False)
    secondary_key: str = Field(default="", repr=False)
    token_key: str = Field(default="", repr=False)
    token_public_key: str = ""
    scale: Scale | None = None
    created_time: datetime | None = None
    updated_time: datetime | None = None
    nonce: str = ""

    @property
    def replicas(self) -> int:
        """How many scoring processes run: what the autoscaler decided within its bounds, else what was asked, else one."""
        if self.auto_scaler.autoscale_enabled:
            return self._bounded(self.scale.running if self.scale else 0)
        return self.num_replicas if self.num_replicas is not None else 1

    @property
    def routed(self) -> int:
        """How many of them, the first ones, get requests."""
        if self.auto_scaler.autoscale_enabled:
            return min(self.replicas, self._bounded(self.scale.routed if self.scale else 0))
        return self.replicas

    def _bounded(self, number: int) -> int:
        return max(self.auto_scaler.least, min(number, self.auto_scaler.most))
