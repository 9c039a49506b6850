"""Workspaces, models and services. Sources: RULES.md section 5, the contract of azureml-core sections 3, 6 and 7.

Clusters are in `aks`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import errors, ml, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import clusters, environments, places, service_groups, sizes
from ringfence.policy.admission.case import Case, Finding, unsupported

_MOST_REPLICAS = 1000
_LONGEST_PROBE_S = 86_400
#: States of a compute that a service can be deployed to.
_READY = frozenset({ProvisioningState.SUCCEEDED, ProvisioningState.UPDATING})


def service(case: Case) -> serving.Service:
    assert isinstance(case.new.properties, serving.Service)
    return case.new.properties


def workspace_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would keep others out and has nothing behind it here."""
    assert isinstance(case.new.properties, ml.Workspace)
    asked = case.new.properties
    if asked.public_network_access is not None and asked.public_network_access.lower() not in ("enabled", "disabled"):
        said = asked.public_network_access[:40]
        yield unsupported(f"publicNetworkAccess {said}", "properties.publicNetworkAccess", "Use Enabled or Disabled.")
    if isinstance(asked.managed_network, dict) and str(asked.managed_network.get("isolationMode", "Disabled")) != "Disabled":
        yield unsupported("managed networks", "properties.managedNetwork")
    if isinstance(asked.encryption, dict) and asked.encryption.get("status") == "Enabled":
        yield unsupported("encryption with a key of your own", "properties.encryption")


def workspace_refers_to_what_exists(case: Case) -> Iterator[Finding]:
    """Storage account, key vault, Application Insights and registry, where they are named."""
    assert isinstance(case.new.properties, ml.Workspace)
    asked = case.new.properties
    named = (
        ("storageAccount", asked.storage_account),
        ("keyVault", asked.key_vault),
        ("applicationInsights", asked.application_insights),
        ("containerRegistry", asked.container_registry),
    )
    for field, text in named:
        if text is None:
            continue
        try:
            found = case.snapshot.get(ResourceId.parse(text))
        except errors.Problem as problem:
            yield type(problem)(problem.code, problem.message, target=f"properties.{field}")
            continue
        if found is None:
            message = f"Resource {text} referenced by resource {case.new.id} was not found."
            yield errors.Invalid("InvalidResourceReference", message, target=f"properties.{field}")


def service_names_its_cluster(case: Case) -> Iterator[Finding]:
    """A service runs on a compute of type AKS."""
    asked = service(case)
    if service_groups.is_hosted(case.new):
        return
    if asked.compute_type.lower() != "aks":
        yield unsupported(f"services of type '{asked.compute_type[:100]}'", "computeType", "Deploy to AKS or ACI.")
    if not asked.compute_name:
        yield errors.Invalid(
            "ComputeNameRequired", "computeName is missing. Name the compute to deploy to.", target="computeName"
        )


def cluster_exists(case: Case) -> Iterator[Finding]:
    """The compute is one of this workspace, and the service stays on it."""
    where, name = places.compute_of(case.new), service(case).compute_name
    if service_groups.is_hosted(case.new):
        return
    found = case.snapshot.get(where) if where is not None else None
    if found is None:
        message = f"The compute '{name}' does not exist in the workspace '{case.new.id.parent.name}'. Create it first."
        yield errors.Invalid("ComputeNotFound", message, target="computeName")
    elif found.state not in _READY:
        message = f"The compute '{name}' is in the state {found.state.value}. Wait until it is created, or create it again."
        yield errors.Invalid("ComputeResourceNotCreated", message, target="computeName")
    if case.old is not None and places.compute_of(case.old) != where:
        message = f"The service '{case.new.id.name}' stays on its compute. Delete it and deploy it again."
        yield errors.Invalid("ComputeCannotBeChanged", message, target="computeName")


def models_exist(case: Case) -> Iterator[Finding]:
    """Every model a service names is registered."""
    for reference in service(case).environment_image_request.model_ids:
        if case.snapshot.get(places.model_id(case.new.id.parent, reference)) is None:
            message = f"The model '{reference[:300]}' is not registered in the workspace '{case.new.id.parent.name}'."
            yield errors.Invalid("ModelNotFound", message, target="environmentImageRequest.modelIds")


def environment_can_be_built(case: Case) -> Iterator[Finding]:
    """Every package of the environment has a way to be installed, and there is a script to run."""
    definition = service(case).environment_image_request.environment
    if definition is None:
        yield unsupported(
            "a deployment without an environment",
            "environmentImageRequest.environment",
            "Give an InferenceConfig with an Environment.",
        )
        return
    try:
        environments.requirements(definition)
        variables = environments.variables(definition)
    except errors.Problem as problem:
        yield problem
        return
    if not variables.get("AZUREML_ENTRY_SCRIPT"):
        message = "The environment names no entry script (AZUREML_ENTRY_SCRIPT). Give an InferenceConfig with entry_script."
        target = "environmentImageRequest.environment.environmentVariables"
        yield errors.Invalid("EntryScriptRequired", message, target=target)


def environment_version_can_be_built(case: Case) -> Iterator[Finding]:
    """An environment that is asked to be built by itself, held to the same as one of a service."""
    assert isinstance(case.new.properties, serving.EnvironmentVersion)
    if case.new.properties.build:
        try:
            environments.requirements(case.new.properties.definition)
        except errors.Problem as problem:
            yield problem


def replicas_are_in_range(case: Case) -> Iterator[Finding]:
    """From one replica on; a number, or bounds for one that follows the load (`AksWebservice`, autoscaling)."""
    asked = service(case)
    if not 1 <= asked.replicas <= _MOST_REPLICAS:
        message = f"numReplicas is {asked.replicas}; it is from 1 to {_MOST_REPLICAS}."
        yield errors.Invalid("InvalidReplicaCount", message, target="numReplicas")
    scaler = asked.auto_scaler
    if not scaler.autoscale_enabled:
        return
    for name, value, least, most in (
        ("minReplicas", scaler.least, 1, scaler.most),
        ("maxReplicas", scaler.most, scaler.least, _MOST_REPLICAS),
        ("targetUtilization", round(scaler.target * 100), 1, 100),
        ("refreshPeriodInSeconds", scaler.period_s, 1, 3600),
    ):
        if not least <= value <= most:
            message = f"autoScaler.{name} is {value}; it is from {least} to {most}."
            yield errors.Invalid("InvalidParameter", message, target=f"autoScaler.{name}")


def resources_are_in_range(case: Case) -> Iterator[Finding]:
    """More than nothing, and no request above its limit."""
    asked, field = service(case).container_resource_requirements, "containerResourceRequirements"
    for name, value, limit in (
        ("cpu", asked.cpu, asked.cpu_limit),
        ("memoryInGB", asked.memory_in_gb, asked.memory_in_gb_limit),
    ):
        if not 0 < value < 10_000:
            yield errors.Invalid("InvalidContainerResources", f"{name} is {value}; it is more than 0.", target=f"{field}.{name}")
        elif limit is not None and limit < value:
            message = f"The limit of {name} is {limit}, below the request of {value}."
            yield errors.Invalid("InvalidContainerResources", message, target=f"{field}.{name}Limit")
    if asked.gpu or asked.fpga:
        yield unsupported("GPUs and FPGAs", f"{field}.gpu")


def times_are_in_range(case: Case) -> Iterator[Finding]:
    """Timeouts and queues that a router can keep."""
    asked = service(case)
    for name, value, least, most in (
        ("scoringTimeoutMs", asked.scoring_timeout_ms, 1, 300_000),
        ("maxQueueWaitMs", asked.max_queue_wait_ms, 0, 300_000),
        ("maxConcurrentRequestsPerContainer", asked.max_concurrent_requests_per_container, 1, 10_000),
    ):
        if not least <= value <= most:
            yield errors.Invalid("InvalidParameter", f"{name} is {value}; it is from {least} to {most}.", target=name)
    probe = asked.liveness_probe_requirements
    for name, value, least in () if probe is None else _probe(probe):
        if not least <= value <= _LONGEST_PROBE_S:
            message = f"livenessProbeRequirements.{name} is {value}; it is from {least} to {_LONGEST_PROBE_S}."
            yield errors.Invalid("InvalidParameter", message, target=f"livenessProbeRequirements.{name}")


def _probe(asked: serving.LivenessProbe) -> tuple[tuple[str, int, int], ...]:
    """Values and their least, by name (Kubernetes: every one at least 1, the delay at least 0)."""
    return (
        ("periodSeconds", asked.period_seconds, 1),
        ("initialDelaySeconds", asked.initial_delay_seconds, 0),
        ("timeoutSeconds", asked.timeout_seconds, 1),
        ("successThreshold", asked.success_threshold, 1),
        ("failureThreshold", asked.failure_threshold, 1),
    )


def service_fits_on_its_cluster(case: Case) -> Iterator[Finding]:
    """The replicas of all services of a cluster fit on its nodes, as a scheduler would count."""
    where = places.compute_of(case.new)
    cluster = case.snapshot.get(where) if where is not None else None
    if cluster is not None:
        yield from services_fit(case.snapshot, cluster, "containerResourceRequirements")


def services_fit(snapshot: Snapshot, cluster: Resource, target: str) -> Iterator[Finding]:
    """The refusal of more replicas than the cluster of a compute has cores and memory for, if they are more."""
    behind = clusters.cluster_of(snapshot, cluster)
    mine = [s for s in places.alive(snapshot, serving.SERVICE) if places.compute_of(s) == cluster.id]
    if behind is None or not mine:
        return
    pools = [(clusters.pool(one).count, sizes.of_pool(one)) for one in clusters.pools_of(snapshot, behind)]
    nodes = sum(count for count, _ in pools)
    have = (
        sum(count * size.cores for count, size in pools if size is not None),
        sum(count * size.memory_gb for count, size in pools if size is not None),
    )
    cpu, memory = (sum(column) for column in zip(*map(_wanted, mine), strict=True))
    if cpu > have[0] or memory > have[1]:
        yield errors.Invalid(
            "KubernetesDeploymentFailed",
            "Couldn't Schedule because the kubernetes cluster didn't have available resources: all services together ask for "
            f"{cpu:g} cores and {memory:g} GB of {nodes} nodes with {have[0]} cores and {have[1]:g} GB. "
            "Ask for less, delete services, or use more nodes.",
            target=target,
        )


def _wanted(resource: Resource) -> tuple[float, float]:
    assert isinstance(resource.properties, serving.Service)
    needs, count = resource.properties.container_resource_requirements, resource.properties.replicas
    return needs.cpu * count, needs.memory_in_gb * count


def service_is_enforceable(case: Case) -> Iterator[Finding]:
    """What would be promised and not kept."""
    asked = service(case)
    if asked.aad_auth_enabled and asked.auth_enabled:
        message = "authEnabled and aadAuthEnabled cannot both be true: a service takes keys or tokens."
        yield errors.Invalid("InvalidParameter", message, target="aadAuthEnabled")
    elif asked.aad_auth_enabled and not asked.token_public_key:
        yield errors.Invalid("InvalidParameter", "Token authentication is on and there is no key for tokens.", target="keys")
    if asked.app_insights_enabled:
        yield unsupported("telemetry of services", "appInsightsEnabled")
    if asked.data_collection.event_hub_enabled or asked.data_collection.storage_enabled:
        yield unsupported("collection of a model's data", "dataCollection")
    if asked.auth_enabled and not (asked.primary_key and asked.secondary_key):
        message = "Key authentication is on and there are no keys."
        yield errors.Invalid("InvalidParameter", message, target="keys")


WORKSPACE_RULES = (workspace_is_enforceable, workspace_refers_to_what_exists)
ENVIRONMENT_RULES = (environment_version_can_be_built,)
SERVICE_SHAPE = (service_names_its_cluster, replicas_are_in_range, resources_are_in_range, times_are_in_range)
SERVICE_RULES = (cluster_exists, models_exist, environment_can_be_built, service_fits_on_its_cluster, service_is_enforceable)
