"""The namespaces that are open and the items in them, by key: what every verb of the fabric stands on.

Holds descriptors and what the last scan saw; makes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

from ringfence.desired.state import INTERNET, Key
from ringfence.drivers.linux import networks
from ringfence.drivers.linux.namespaces import Namespace, Namespaces
from ringfence.drivers.linux.scan import Place, scan


class Missing(Exception):
    """An item refers to something that is not there (yet)."""


class Ground:
    """places: every item of ours in the kernel, as last seen or made. Written by one thread; looked up from any."""

    def __init__(self, folder: Path) -> None:
        self.namespaces = Namespaces(folder)
        self.places: dict[Key, Place] = {}
        self._routers: dict[str, Namespace] = {}
        self._lock = threading.Lock()

    @property
    def edge(self) -> Namespace:
        return self.router_named(networks.EDGE)

    def scan(self) -> tuple[str, ...]:
        """Look again at everything; returns the names of remnants."""
        seen = scan(self.namespaces, self.router_named)
        self.places = seen.places
        return seen.remnants

    def router_named(self, name: str) -> Namespace:
        """The namespace of a router, or of the edge; it stays open. Raises KeyError."""
        with self._lock:
            if name not in self._routers:
                self._routers[name] = self.namespaces.open(name)
            return self._routers[name]

    def keep_open(self, router: Namespace) -> None:
        with self._lock:
            self._routers[router.name] = router

    def router_of(self, network: Key) -> Namespace:
        """The namespace that an item of this network belongs in. Raises Missing."""
        if network == INTERNET:
            return self.edge
        return self.router_named(self.place(network, "network").router)

    def place(self, key: Key, kind: str) -> Place:
        """Raises Missing for what is not there, or is something else."""
        place = self.places.get(key)
        if place is None or place.kind != kind:
            raise Missing(f"the {kind} {key} is not there")
        return place

    def name(self, key: Key) -> str:
        """The name of the namespace of an endpoint or a network. Raises KeyError."""
        if key == INTERNET:
            return networks.EDGE
        place = self.places[key]
        if place.kind not in ("endpoint", "network"):
            raise KeyError(key)
        return place.endpoint or place.router

    def of_kind(self, kind: str, keys: Iterable[Key]) -> list[Key]:
        return [key for key in keys if key in self.places and self.places[key].kind == kind]

    def within(self, router: str) -> list[Key]:
        """Every item in a network, the network itself included."""
        return [key for key, place in self.places.items() if place.router == router]

    def give_up(self, name: str) -> None:
        """Close a namespace and take its mount away."""
        with self._lock:
            router = self._routers.pop(name, None)
        if router is not None:
            router.close()
        self.namespaces.destroy(name)

    def close(self) -> None:
        with self._lock:
            for router in self._routers.values():
                router.close()
            self._routers.clear()
