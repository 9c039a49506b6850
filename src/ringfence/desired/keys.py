"""Keys of desired items: short, stable, the same after every restart. What the items hold is elsewhere in this room."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from ringfence.desired.state import Key
from ringfence.policy.places import Kind, Place


@lru_cache(maxsize=65_536)
def short(resource_key: str) -> str:
    """Ten hex digits that stand for a resource id."""
    return hashlib.sha256(resource_key.lower().encode()).hexdigest()[:10]


def content(text: str) -> str:
    """Sixteen hex digits that stand for content."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def network(vnet_key: str) -> Key:
    return f"net/{short(vnet_key)}"


def filter(vnet_key: str) -> Key:
    return f"filter/{short(vnet_key)}"


def endpoint(place: Place) -> Key:
    """The interface at a place."""
    match place.kind:
        case Kind.INTERFACE | Kind.LOCATION | Kind.CONTAINERS:
            return f"nic/{short(place.owner)}"
        case Kind.NODE:
            return f"nic/{short(place.owner)}-node{place.number}"
        case Kind.ROUTER:
            return f"nic/{short(place.owner)}-pod-fe"
        case Kind.RESOLVER:
            return f"nic/{short(place.owner)}-pod-dns"
        case Kind.REPLICA:
            return f"nic/{short(place.cluster or '')}-rep-{short(place.owner)}-{place.number}"


def service_map(place: Place) -> Key:
    return "svc/" + endpoint(place).removeprefix("nic/")


def balancer(cluster: str, *, public: bool, port: int) -> Key:
    return f"lb/{short(cluster)}-{'public' if public else 'internal'}-{port}"


def user_balancer(balancer_key: str, rule: str) -> Key:
    """A rule of a load balancer of the user's own."""
    return f"lb/{short(balancer_key)}-rule-{short(rule.lower())}"


def view(vnet_key: str) -> Key:
    return f"dns/{short(vnet_key)}"


def cluster_view(cluster: str) -> Key:
    return f"dns/{short(cluster)}-cluster"


def pod(service: str, number: int) -> Key:
    return f"pod/{short(service)}-{number}"


def image(service: str, number: int) -> Key:
    """The image as the host of a replica has it."""
    return f"img/{short(service)}-{number}"


def router(cluster: str) -> Key:
    return f"router/{short(cluster)}"


def container_group(group: str) -> Key:
    return f"grp/{short(group)}"


def container(group: str, name: str) -> Key:
    return f"ctr/{short(group)}-{name}"


def container_image(group: str, name: str) -> Key:
    return f"img/{short(group)}-{name}"
