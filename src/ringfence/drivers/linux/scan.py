"""Reading back what is there: stamps on links and in tables, of every namespace of ours.

Nothing is remembered here. What a dead process left half-made carries no stamp and is
named as a remnant; what others put beside ours is not seen at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ringfence.desired.state import Key
from ringfence.drivers.linux import links, networks, peers, stamps
from ringfence.drivers.linux.namespaces import Namespace, Namespaces

_ENDPOINT = re.compile(r"e[0-9a-f]{10}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an item of ours is.

    router: the namespace of its network. endpoint: the namespace of the endpoint, for endpoints and service maps.
    link: the index of an endpoint's or peering's link in the router. fingerprint: "" for what was begun and not finished.
    """

    kind: str
    fingerprint: str
    router: str
    endpoint: str = ""
    link: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """places: everything of ours by key. remnants: namespaces that bear one of our names and hold nothing finished."""

    places: dict[Key, Place]
    remnants: tuple[str, ...]


def endpoint_name(key: Key) -> str:
    """The name of an endpoint's namespace."""
    return f"e{hashlib.sha256(key.encode()).hexdigest()[:10]}"


def scan(namespaces: Namespaces, opened: Callable[[str], Namespace]) -> Seen:
    """opened: gives the namespace of a router, or of the edge, by name."""
    names = namespaces.names()
    places: dict[Key, Place] = {}
    remnants = []
    for name in sorted(names):
        if networks.is_router(name):
            found = dict(_router(opened(name), names))
            if not found:
                remnants.append(name)
            places |= found
        elif name == networks.EDGE:
            places |= dict(_endpoints(opened(name), names))
    attached = {place.endpoint: place.router for place in places.values() if place.endpoint}
    remnants += [name for name in sorted(names) if _ENDPOINT.fullmatch(name) and name not in attached]
    for name, router in sorted(attached.items()):
        places |= dict(_services(namespaces, name, router))
    return Seen(places, tuple(remnants))


def _router(router: Namespace, names: frozenset[str]) -> Iterator[tuple[Key, Place]]:
    """The link to the edge says whose router it is, the table says what of it is in force."""
    uplink = links.find(router, links.UPLINK)
    owner = stamps.in_alias(uplink.alias) if uplink else None
    if owner is None:
        return
    yield owner.key, Place("network", "", router.name)
    yield from _endpoints(router, names)
    for key, fingerprint, link in peers.seen(router):
        yield key, Place("peering", fingerprint, router.name, link=link)
    for stamp in stamps.in_chains(router.chains(stamps.TABLE)):
        yield stamp.key, Place(stamp.kind, stamp.fingerprint, router.name)


def _endpoints(router: Namespace, names: frozenset[str]) -> Iterator[tuple[Key, Place]]:
    for link in router.rtnl.links():
        stamp = stamps.in_alias(link.alias) if link.name != links.UPLINK else None
        if stamp is not None and endpoint_name(stamp.key) in names:
            yield stamp.key, Place("endpoint", stamp.fingerprint, router.name, endpoint_name(stamp.key), link.index)


def _services(namespaces: Namespaces, name: str, router: str) -> Iterator[tuple[Key, Place]]:
    endpoint = namespaces.open(name)
    try:
        found = stamps.in_chains(endpoint.chains(stamps.TABLE))
    finally:
        endpoint.close()
    for stamp in found:
        yield stamp.key, Place(stamp.kind, stamp.fingerprint, router, name)
