"""The API server's face of a cluster, on port 443 of its fully qualified name.

It shows that the server is there and who may come in: version and health are open,
everything else asks for credentials that this engine does not hand out. There is no
Kubernetes behind it; nodes and pods of the embedded engine are made by the driver.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ringfence.model.compute import KUBERNETES_VERSION

_HEALTH = ("/healthz", "/livez", "/readyz")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def build() -> Starlette:
    """The application for host names of clusters; `api.hosts` sends it nothing else."""
    routes = [Route("/version", _version), *(Route(path, _health) for path in _HEALTH)]
    return Starlette(routes=[*routes, Route("/{path:path}", _unauthorized, methods=_METHODS)])


async def _version(_: Request) -> Response:
    major, minor, _patch = KUBERNETES_VERSION.split(".")
    return JSONResponse({"major": major, "minor": minor, "gitVersion": f"v{KUBERNETES_VERSION}", "platform": "linux/amd64"})


async def _health(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _unauthorized(_: Request) -> Response:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return JSONResponse({**status, "message": "Unauthorized", "reason": "Unauthorized", "code": 401}, 401)
