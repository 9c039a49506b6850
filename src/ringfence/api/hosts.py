"""Which application answers for which host name; a name that was not created answers nowhere.

Which names exist is `policy.names`; their certificates are made in `tls`. The table
below is the only place that ties a name to an application.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ringfence.api.entra import documents
from ringfence.api.tls import Plate
from ringfence.model.resource import Snapshot
from ringfence.policy import names, private_link

log = logging.getLogger(__name__)

ARM, ENTRA, ML, BLOB, KUBERNETES, REGISTRY = "arm", "entra", "ml", "blob", "kubernetes", "registry"
VAULT = "vault"
#: The page where people enter the code of a device; Microsoft Graph.
DEVICE, GRAPH = "device", "graph"
#: Connections into containers: the one application that is spoken to by websocket, and by nothing else.
TERMINALS = "terminals"

_EXACT: Mapping[str, str] = {
    "management.azure.com": ARM,
    "graph.microsoft.com": GRAPH,
    "microsoft.com": DEVICE,
    "www.microsoft.com": DEVICE,
    **{name: ENTRA for name in documents.ALIASES},
}
_BY_SUFFIX: Mapping[str, str] = {
    ".api.azureml.ms": ML,
    ".blob.core.windows.net": BLOB,
    ".azmk8s.io": KUBERNETES,
    ".vault.azure.net": VAULT,
    ".azurecr.io": REGISTRY,
    ".management.azurecontainer.io": TERMINALS,
}


class Names:
    """The host names that exist now. snapshot: cheap to call; what is derived from it is kept per version.

    plates: what servers show at addresses of their own (`kubernetes.plates`).
    """

    def __init__(
        self, snapshot: Callable[[], Snapshot], plates: Callable[[Snapshot], Mapping[str, Plate]] = lambda _: {}
    ) -> None:
        self._snapshot = snapshot
        self._plates = plates
        self._known: tuple[int, frozenset[str], Mapping[str, Plate]] = (-1, frozenset(), {})

    def serves(self, host: str) -> bool:
        """Whether a lower-case name exists: it resolves inside the sandbox, so it gets a certificate."""
        return host in self._now()[1]

    def plate(self, address: str) -> Plate | None:
        """What is shown at an address that is one cluster's own; None for another address."""
        return self._now()[2].get(address)

    def _now(self) -> tuple[int, frozenset[str], Mapping[str, Plate]]:
        snapshot = self._snapshot()
        if self._known[0] != snapshot.version:
            known = frozenset(names.hosts(snapshot)) | private_link.hosts(snapshot)
            self._known = snapshot.version, known, self._plates(snapshot)
        return self._known

    def application(self, host: str) -> str | None:
        """The key of the application for a Host header, or None. A port and a final dot do not matter."""
        name = host.strip().lower()
        head, colon, port = name.rpartition(":")
        name = (head if colon and port.isdigit() else name).rstrip(".")
        if not self.serves(name):
            return None
        if name in _EXACT:
            return _EXACT[name]
        return next((app for suffix, app in _BY_SUFFIX.items() if name.endswith(suffix)), None)


def build(host_names: Names, apps: Mapping[str, ASGIApp]) -> ASGIApp:
    """One application out of many. apps: one for each key of this module."""

    async def route(scope: Scope, receive: Receive, send: Send) -> None:
        # `server` switches lifespan off, as it belongs to no host: nothing else arrives here.
        assert scope["type"] in ("http", "websocket"), scope["type"]
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        app = host_names.application(given[0]) if len(given) == 1 else None
        if scope["type"] == "websocket" and app != TERMINALS:
            await send({"type": "websocket.close", "code": 1008})
            return
        if app is None and scope.get("server") and host_names.plate(scope["server"][0]) is not None:
            # Pods know the API server of their cluster by an address, and by names that exist only there.
            app = KUBERNETES
        if app is None or (scope["type"] == "http" and app == TERMINALS):
            await _misdirected(given)(scope, receive, send)
            return
        await apps[app](scope, receive, send)

    return route


def _misdirected(given: list[str]) -> JSONResponse:
    shown = given[0][:253] if len(given) == 1 else f"{len(given)} Host headers"
    log.info("no application answers for %r", shown)
    message = (
        f"No service of this sandbox answers for {shown!r}. Names exist once their resource does "
        "(a storage account, a workspace, a cluster), and some of Azure's own are not served in this version."
    )
    return JSONResponse({"error": {"code": "MisdirectedRequest", "message": message}}, 421)
