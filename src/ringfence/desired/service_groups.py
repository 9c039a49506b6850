"""Web services in container groups: the scoring process, and before it a router that looks at keys.

Both live at the address of the group; only the router's port is exposed, and the process is reached over
the loopback, so that no way leads around the key. Environment, image and bundle are as on a cluster (`ml`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from ringfence.desired import images, keys, ml
from ringfence.desired.state import AnyItem, Router, Target, Tls
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import container_groups, places, service_groups
from ringfence.policy.places import Kind, Place

_LOOPBACK = "127.0.0.1"


def hosted(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[tuple[Resource, Place]]:
    """Each service in a container group, and where that is."""
    for place in everyone:
        if place.kind is Kind.CONTAINERS:
            group = snapshot.need(place.owner)
            if container_groups.serves(snapshot, group) and not container_groups.of(group).run.stopped:
                yield snapshot.need(group.managed_by or ""), place


def items(snapshot: Snapshot, everyone: Iterable[Place]) -> Iterator[AnyItem]:
    """The image, the process and the router of each. What they share with others is in `ml`."""
    for service, place in hosted(snapshot, everyone):
        group = snapshot.need(place.owner)
        owners, endpoint = (group.key, service.key), keys.endpoint(place)
        made = ml.image(snapshot, service)
        if made is None:
            continue
        asked, nonce = service_groups.of(service), f"{service_groups.of(service).nonce}{container_groups.of(group).run.nonce}"
        pulled = images.pull(
            snapshot, made, snapshot.need(service.id.parent), key=keys.image(service.key, 0), endpoint=endpoint, nonce=nonce
        )
        yield dataclasses.replace(pulled, owners=owners)
        needs = asked.container_resource_requirements
        yield ml.workload(
            snapshot,
            service,
            place,
            image=pulled.key,
            cpu=needs.cpu,
            memory_gb=needs.memory_in_gb,
            owners=owners,
            nonce=nonce,
        )
        yield _router(service, group, place)


def _router(service: Resource, group: Resource, place: Place) -> Router:
    asked = service_groups.of(service)
    tls = Tls(name=asked.cname or "", certificate=asked.ssl_certificate or "", key=asked.ssl_key or "")
    route = dataclasses.replace(ml.route(service), targets=(Target(address=_LOOPBACK, port=places.SCORING_PORT),))
    return Router(
        key=keys.router(group.key),
        owners=(group.key, service.key),
        endpoint=keys.endpoint(place),
        port=service_groups.port(service),
        tls=tls if asked.ssl_enabled else None,
        routes=(route,),
        root=route.service,
    )
