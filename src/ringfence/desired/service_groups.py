"""Web services in container groups: the scoring process, and before it a router that looks at keys.

Both live at the address of the group; only the router's port is exposed, and the process is reached over
the loopback, so that no way leads around the key. Environment, image and bundle are as on a cluster (`ml`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from ringfence.desired import images, keys, ml
from ringfence.desired.state import AnyItem, Router, Target, Tls, Workload
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import container_groups, places, service_groups
from ringfence.policy.places import Kind, Place

_LOOPBACK = "127.0.0.1"


def items(snapshot: Snapshot, everyone: Sequence[Place]) -> Iterator[AnyItem]:
    """The image, the process and the router of each. What they share with others is in `ml`."""
    where = {place.owner: place for place in everyone if place.kind is Kind.CONTAINERS}
    for service in ml.hosted(snapshot, everyone):
        group = snapshot.need(service_groups.group_id(service))
        place = where[group.key]
        owners, endpoint = (group.key, service.key), keys.endpoint(place)
        made = ml.image(snapshot, service)
        if made is None:
            continue
        asked, nonce = service_groups.of(service), f"{service_groups.of(service).nonce}{container_groups.of(group).run.nonce}"
        pulled = images.pull(
            made, snapshot.need(service.id.parent), key=keys.image(service.key, 0), endpoint=endpoint, nonce=nonce
        )
        yield dataclasses.replace(pulled, owners=owners)
        needs, files = asked.container_resource_requirements, ml.bundle(snapshot, service).key
        yield Workload(
            key=keys.pod(service.key, 0),
            owners=owners,
            needs=(pulled.key, files),
            endpoint=endpoint,
            image=pulled.key,
            bundle=files,
            variables=ml.variables(snapshot, service),
            cpu=needs.cpu,
            memory_mb=int(needs.memory_in_gb * 1024),
            port=places.SCORING_PORT,
            nonce=nonce,
        )
        yield _router(service, group, place)


def _router(service: Resource, group: Resource, place: Place) -> Router:
    asked = service_groups.of(service)
    tls = Tls(name=asked.cname or "", certificate=asked.ssl_certificate or "", key=asked.ssl_key or "")
    route = ml.route(service, (Target(address=_LOOPBACK, port=places.SCORING_PORT),))
    return Router(
        key=keys.router(group.key),
        owners=(group.key, service.key),
        endpoint=keys.endpoint(place),
        port=service_groups.port(service),
        tls=tls if asked.ssl_enabled else None,
        routes=(route,),
        root=route.service,
    )
