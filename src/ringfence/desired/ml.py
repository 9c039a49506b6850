"""Scoring: environments, bundles, the processes of each service and the inference router of each cluster.

The layout inside a bundle is Azure ML's: the app root is /var/azureml-app, models lie in
`azureml-models/{name}/{version}`. Addresses come from `policy.places`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from ringfence.desired import images, keys
from ringfence.desired.state import (
    AnyItem,
    Bundle,
    Environment,
    File,
    Image,
    ImageBuild,
    Key,
    Liveness,
    Route,
    Router,
    ServiceAccount,
    Target,
    Tls,
    Workload,
)
from ringfence.model import ml, serving
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import clusters, container_groups, endpoints, environments, names, places, service_groups, sizes, tokens
from ringfence.policy.places import Kind, Place

APP_ROOT = "/var/azureml-app"
_MODELS = "azureml-models"


@dataclass(frozen=True, slots=True)
class _Served:
    """A service and where its replicas are."""

    resource: Resource
    properties: serving.Service
    replicas: tuple[Place, ...]


def items(snapshot: Snapshot, everyone: Sequence[Place]) -> Iterator[AnyItem]:
    """Everything that scores, and what it needs."""
    routers: list[Place] = []
    replicas: dict[str, list[Place]] = {}
    nodes: dict[str | None, list[Place]] = {}
    for place in everyone:
        if place.kind is Kind.ROUTER:
            routers.append(place)
        elif place.kind is Kind.NODE:
            nodes.setdefault(place.cluster, []).append(place)
        elif place.kind is Kind.REPLICA:
            replicas.setdefault(place.owner, []).append(place)
    served = [_served(snapshot, key, tuple(found)) for key, found in sorted(replicas.items())]
    yield from _shared(snapshot, [*(one.resource for one in served), *hosted(snapshot, everyone)])
    for one in served:
        yield from _workloads(snapshot, one, nodes.get(one.replicas[0].cluster, []))
    for place in routers:
        yield _router(snapshot, place, [one for one in served if one.replicas[0].cluster == place.cluster])


def hosted(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[Resource]:
    """The services that run in container groups."""
    for place in everyone:
        if place.kind is Kind.CONTAINERS:
            group = snapshot.need(place.owner)
            if container_groups.serves(snapshot, group) and not container_groups.of(group).run.stopped:
                yield snapshot.need(group.managed_by or "")


def _served(snapshot: Snapshot, key: str, replicas: tuple[Place, ...]) -> _Served:
    resource = snapshot.need(key)
    assert isinstance(resource.properties, serving.Service)
    return _Served(resource, resource.properties, replicas)


def _shared(snapshot: Snapshot, services: Iterable[Resource]) -> Iterator[AnyItem]:
    """Environments, their images and bundles, each once, with everyone who waits for it."""
    waiting: dict[Key, set[str]] = {}
    found: dict[Key, Environment | ImageBuild | Bundle] = {}

    def wanted(by: Resource, *items: Environment | ImageBuild | Bundle | None) -> None:
        for item in items:
            if item is not None:
                found[item.key] = item
                waiting.setdefault(item.key, set()).add(by.key)

    for service in services:
        assert isinstance(service.properties, serving.Service)
        wanted(service, environment(service.properties), image(snapshot, service), bundle(snapshot, service))
    for version in places.alive(snapshot, serving.ENVIRONMENT_VERSION):
        assert isinstance(version.properties, serving.EnvironmentVersion)
        if version.properties.build:
            wanted(version, _environment(version.properties.definition), image(snapshot, version))
    for key, item in found.items():
        yield dataclasses.replace(item, owners=tuple(sorted(waiting[key])))


def image(snapshot: Snapshot, resource: Resource) -> ImageBuild | None:
    """The image of the environment of a service or of a version, without owners. None while there is no registry for it."""
    asked = resource.properties
    if isinstance(asked, serving.EnvironmentVersion):
        key = _environment(asked.definition).key
    else:
        assert isinstance(asked, serving.Service)
        key = environment(asked).key
    return images.build(snapshot, images.workspace_of(snapshot, resource), key)


def environment(properties: serving.Service) -> Environment:
    """The environment of a service, without owners. Raises as `environments.requirements`; admission has asked before."""
    return _environment(properties.environment_image_request.environment)


def _environment(definition: Mapping[str, JsonValue] | None) -> Environment:
    asked = environments.requirements(definition) if definition is not None else environments.Requirements()
    key = keys.content(repr((asked.python, asked.pip, asked.index_options)))
    return Environment(key=f"env/{key}", python=asked.python, pip=asked.pip, index_options=asked.index_options)


def bundle(snapshot: Snapshot, service: Resource) -> Bundle:
    """The files of a service, without owners: its own, and those of its models."""
    assert isinstance(service.properties, serving.Service)
    found = [File(path=file.path, blob=file.blob, unpack=file.unpack) for file in service.properties.files]
    for version in models(snapshot, service):
        found += _model_files(snapshot, version)
    files = tuple(sorted(found, key=lambda file: file.path))
    return Bundle(key=f"bundle/{keys.content(repr(files))}", files=files)


def models(snapshot: Snapshot, service: Resource) -> list[Resource]:
    """The model versions of a service that exist, in the order it names them."""
    assert isinstance(service.properties, serving.Service)
    wanted = service.properties.environment_image_request.model_ids
    found = [snapshot.get(places.model_id(service.id.parent, reference)) for reference in wanted]
    return [resource for resource in found if resource is not None]


def _model_files(snapshot: Snapshot, version: Resource) -> list[File]:
    assert isinstance(version.properties, serving.ModelVersion)
    name = version.properties.asset_id
    asset = snapshot.get(version.id.parent.parent.child("assets", name)) if name else None
    if asset is None or not isinstance(asset.properties, serving.Asset):
        return []
    root = f"{_MODELS}/{version.properties.name}/{version.properties.version}"
    unpack = version.properties.unpack
    return [File(path=f"{root}/{blob.path}", blob=blob.sha256, unpack=unpack) for blob in asset.properties.blobs]


def _workloads(snapshot: Snapshot, one: _Served, nodes: list[Place]) -> Iterator[Image | Workload]:
    """Each replica, and the image it runs from as its node has it: replicas take the nodes in turn."""
    made, files = image(snapshot, one.resource), bundle(snapshot, one.resource).key
    if made is None or not nodes:
        return
    needs = one.properties.container_resource_requirements
    cluster = snapshot.need(one.replicas[0].cluster or "")
    cores = max((size.cores for size in map(sizes.of_pool, clusters.pools_of(snapshot, cluster)) if size is not None), default=0)
    namespace = clusters.namespace(one.resource.id.parent)
    for place in one.replicas:
        pulled = images.pull(
            made,
            cluster,
            key=keys.image(one.resource.key, place.number),
            endpoint=keys.endpoint(nodes[place.number % len(nodes)]),
            nonce=one.properties.nonce,
        )
        yield dataclasses.replace(pulled, owners=(one.resource.key,))
        yield Workload(
            key=keys.pod(one.resource.key, place.number),
            owners=(one.resource.key,),
            needs=(pulled.key, files),
            endpoint=keys.endpoint(place),
            image=pulled.key,
            bundle=files,
            variables=(*variables(snapshot, one.resource), *_about_the_server(cluster)),
            # Without a limit of its own a pod is bounded by its node's cores, and by the memory it asked for.
            cpu=needs.cpu_limit or float(cores or needs.cpu),
            memory_mb=int((needs.memory_in_gb_limit or needs.memory_in_gb) * 1024),
            port=places.SCORING_PORT,
            nameserver=clusters.of(cluster).dns_service_ip,
            search=_search(namespace),
            account=ServiceAccount(server=cluster.guid("api-server"), namespace=namespace, name="default"),
            nonce=one.properties.nonce,
            liveness=_liveness(one.properties.liveness_probe_requirements or serving.LivenessProbe()),
        )


def _about_the_server(cluster: Resource) -> tuple[tuple[str, str], ...]:
    """Where Kubernetes tells each container that the API server is; its clients look there."""
    return ("KUBERNETES_SERVICE_HOST", names.kubernetes_address(cluster)), ("KUBERNETES_SERVICE_PORT", "443")


def _search(namespace: str) -> tuple[str, ...]:
    """As the kubelet writes it for the DNS policy ClusterFirst."""
    return f"{namespace}.svc.{names.CLUSTER_DOMAIN}", f"svc.{names.CLUSTER_DOMAIN}", names.CLUSTER_DOMAIN


def _liveness(asked: serving.LivenessProbe) -> Liveness:
    return Liveness(
        delay_s=asked.initial_delay_seconds,
        period_s=asked.period_seconds,
        timeout_s=asked.timeout_seconds,
        successes=asked.success_threshold,
        failures=asked.failure_threshold,
    )


def variables(snapshot: Snapshot, service: Resource) -> tuple[tuple[str, str], ...]:
    """What the process finds in its environment: the user's variables first, the platform's over them."""
    assert isinstance(service.properties, serving.Service)
    asked = service.properties
    definition = asked.environment_image_request.environment
    found = environments.variables(definition) if definition is not None else {}
    found |= {
        "AML_APP_ROOT": APP_ROOT,
        "AZUREML_MODEL_DIR": _model_dir(models(snapshot, service)),
        "SCORING_TIMEOUT_MS": str(asked.scoring_timeout_ms),
        "MAX_QUEUE_WAIT_MS": str(asked.max_queue_wait_ms),
        "MAX_CONCURRENT_REQUESTS": str(asked.max_concurrent_requests_per_container),
        "SERVER_PORT": str(places.SCORING_PORT),
        "SERVICE_NAME": service.id.name,
        "SERVICE_PATH_PREFIX": "" if service_groups.is_hosted(service) else f"api/v1/service/{service.id.name}",
        "WORKSPACE_NAME": service.id.parent.name,
    }
    return tuple(sorted(found.items()))


def _model_dir(versions: list[Resource]) -> str:
    """One model: its own folder. Several: the folder of all (the contract of AZUREML_MODEL_DIR)."""
    if len(versions) == 1 and isinstance(versions[0].properties, serving.ModelVersion):
        only = versions[0].properties
        return f"{APP_ROOT}/{_MODELS}/{only.name}/{only.version}"
    return f"{APP_ROOT}/{_MODELS}"


def _router(snapshot: Snapshot, place: Place, served: list[_Served]) -> Router:
    user = snapshot.need(place.owner)
    concerned = {user.key, *(one.resource.key for one in served)}
    return Router(
        key=keys.router(user.key),
        owners=tuple(sorted(concerned)),
        endpoint=keys.endpoint(place),
        port=endpoints.port(user),
        tls=_tls(user),
        routes=tuple(route(one.resource, _targets(one)) for one in sorted(served, key=lambda one: one.resource.key)),
    )


def _tls(cluster: Resource) -> Tls | None:
    """How the router ends TLS; a name of Azure's has its certificate issued by the driver."""
    asked, name = endpoints.tls(cluster), endpoints.name(cluster)
    if asked is None or name is None:
        return None
    if asked.status is ml.SslStatus.AUTO:
        return Tls(name=name, serial=str(asked.renewals))
    return Tls(name=name, certificate=asked.cert or "", key=asked.key or "")


def _targets(one: _Served) -> tuple[Target, ...]:
    return tuple(Target(address=place.address, port=places.SCORING_PORT) for place in one.replicas[: one.properties.routed])


def route(service: Resource, targets: tuple[Target, ...]) -> Route:
    """How a router treats a service: its keys or tokens, its times, and where its processes are."""
    assert isinstance(service.properties, serving.Service)
    asked = service.properties
    accepted = [key for key in (asked.primary_key, asked.secondary_key) if key]
    return Route(
        service=service.id.name,
        auth=asked.auth_enabled or asked.aad_auth_enabled,
        keys=tuple(hashlib.sha256(f"Bearer {key}".encode()).hexdigest() for key in accepted),
        targets=targets,
        timeout_ms=asked.scoring_timeout_ms,
        max_concurrent=asked.max_concurrent_requests_per_container,
        max_queue_wait_ms=asked.max_queue_wait_ms,
        token_key=asked.token_public_key if asked.aad_auth_enabled else "",
        audience=tokens.audience(service) if asked.aad_auth_enabled else "",
    )
