"""HAProxy's configuration and maps for the inference router of one cluster, as text.

What a request meets, in order: the service it names, its key, the queue of that service, a
target. Keys and services are looked up in maps, so that a change of keys changes no
configuration. Pure; files and processes are in `router`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from ringfence.desired.state import Route, Router

CONFIG, SERVICES, KEYS, STATE = "haproxy.cfg", "services.map", "keys.map", "state.map"
#: Folder of the sockets inside the cell; the control socket in it is `control.sock`.
SOCKETS = "/run/router"
#: The entry of STATE that holds the router's fingerprint.
FINGERPRINT = "fingerprint"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MOST_CONNECTIONS = 4096
_LEAST_DRAIN_S = 60
#: Requests that may lie at a replica beyond those it works on, so that it never waits for the network between two.
#: The replica itself refuses what waited too long.
_AHEAD = 255
#: In each of these intervals half of the connections that are too many are closed.
_PURGE_MS = 250

_TEXT = """\
global
    description {digest}
    maxconn {connections}
    # One thread forwards more than the models of one machine answer; two would wake each other for every request.
    nbthread 1
    log stdout format raw local0 info
    stats socket {sockets}/control.sock mode 600 level admin expose-fd listeners
    stats timeout 10s
    hard-stop-after {drain}s
    # A client that is about to send must not find its connection closed: see the rule on `stopping`.
    close-spread-time infinite
    tune.bufsize 32768

defaults
    mode http
    log global
    option dontlognull
    option redispatch 1
    retries 2
    retry-on conn-failure
    timeout connect 2s
    timeout client 60s
    timeout http-request 15s
    timeout http-keep-alive 240s
    timeout queue 5s
    timeout server 60s
{errors}
frontend router
    bind 0.0.0.0:{port}
    log-format "%ci:%cp %[var(txn.service)] %HM %[var(txn.path)] %ST queue=%Tw connect=%Tc answer=%Tr total=%Ta %tsc %B %s"
    monitor-uri /healthz
    http-after-response set-header Connection close if {{ stopping }}
    http-request set-var(txn.path) path
    acl scoring path_beg /api/v1/service/
    http-request set-var(txn.service) path,field(5,/) if scoring
    http-request set-var(txn.backend) var(txn.service),map_str({services}) if scoring
    acl known var(txn.backend) -m found
    http-request return {unknown} unless known
    acl open var(txn.backend) -m beg open_
    http-request set-var(txn.digest) req.fhdr(Authorization,1),sha2(256),hex,lower
    http-request set-var(txn.key) var(txn.service),concat(:,txn.digest),map_str({keys})
    acl allowed var(txn.key) -m found
    acl one_header req.fhdr_cnt(Authorization) eq 1
    http-request return {refused} unless open or allowed one_header
    http-request del-header Authorization
    http-request replace-path /api/v1/service/[^/]+/?(.*) /\\1
    http-request set-header X-Forwarded-For %[src]
    use_backend %[var(txn.backend)]

{backends}
# Read over the control socket: which state this process has.
backend state
    http-request deny if {{ str({fingerprint}),map_str({state}) -m found }}
"""

_BACKEND = """\
backend {name}
    # Of the kinds of balancing this one goes on to the next target at once when a connection is refused.
    balance roundrobin
    http-reuse always
    # A replica that was replaced waits for us to close what we keep open to it.
    default-server pool-purge-delay {purge}ms
    timeout server {timeout}ms
    timeout queue {queue}ms
{servers}
"""


_NO_KEY = "The request needs the header `Authorization: Bearer <key>` with a key of this service."


class UnfitRouter(Exception):
    """A value that has no place in a configuration; the message names it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Texts by file name. digest: of the configuration without the maps; another digest needs a reload."""

    files: dict[str, str]
    digest: str


def render(router: Router) -> Rendered:
    """Raises UnfitRouter."""
    for route in router.routes:
        if not _NAME.fullmatch(route.service):
            raise UnfitRouter(f"the service name {route.service!r} cannot be routed: letters, digits, `_`, `.` and `-` only")
    values = {
        "connections": _MOST_CONNECTIONS,
        "sockets": SOCKETS,
        "drain": max([_LEAST_DRAIN_S, *(route.timeout_ms // 1000 + 5 for route in router.routes)]),
        "errors": "".join(_errors()),
        "port": router.port,
        "services": SERVICES,
        "keys": KEYS,
        "state": STATE,
        "fingerprint": FINGERPRINT,
        "unknown": _answer(404, "NotFound", "There is no service of this name on this cluster."),
        "refused": _answer(401, "Unauthorized", _NO_KEY, "hdr WWW-Authenticate Bearer "),
        "backends": "\n".join(_backend(route) for route in router.routes),
    }
    digest = hashlib.sha256(_TEXT.format(digest="", **values).encode()).hexdigest()[:16]
    services = "".join(f"{route.service} {_backend_name(route)}\n" for route in router.routes)
    keys = "".join(f"{route.service}:{key.lower()} 1\n" for route in router.routes if route.auth for key in route.keys)
    files = {
        CONFIG: _TEXT.format(digest=digest, **values),
        SERVICES: services,
        KEYS: keys,
        STATE: f"{FINGERPRINT} {router.fingerprint}\n",
    }
    return Rendered(files, digest)


def _backend_name(route: Route) -> str:
    return f"{'keyed' if route.auth else 'open'}_{route.service}"


def _backend(route: Route) -> str:
    most = max(1, route.max_concurrent) + _AHEAD
    places = [f"{target.address}:{target.port}" for target in route.targets]
    servers = [f"    server {place} {place} maxconn {most}" for place in places]
    return _BACKEND.format(
        name=_backend_name(route),
        purge=_PURGE_MS,
        timeout=max(1, route.timeout_ms),
        queue=max(1, route.max_queue_wait_ms),
        servers="\n".join(servers),
    )


def _errors() -> list[str]:
    """Our body for each status that HAProxy answers by itself."""
    table = {
        400: ("BadRequest", "The request is not well-formed HTTP."),
        408: ("RequestTimeout", "The request did not arrive in time."),
        413: ("RequestEntityTooLarge", "The request is too large."),
        502: ("BadGateway", "The service ended the connection without an answer."),
        503: (
            "ServiceUnavailable",
            "No replica of the service could take the request in time. Try again, or scale the service out.",
        ),
        504: ("GatewayTimeout", "The service did not answer within its scoring timeout."),
    }
    return [f"    http-error {_answer(status, code, message)}\n" for status, (code, message) in table.items()]


def _answer(status: int, code: str, message: str, header: str = "") -> str:
    text = json.dumps({"error": {"code": code, "message": message}})
    assert "'" not in text and "\\" not in text, "it is quoted for HAProxy with single quotes"
    return f"status {status} content-type application/json {header}string '{text}'"
