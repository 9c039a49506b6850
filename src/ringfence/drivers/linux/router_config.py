"""HAProxy's configuration and maps for the inference router of one cluster, as text.

What a request meets, in order: the service it names, its key, the queue of that service, a
target. Keys and services are looked up in maps, so that a change of keys changes no
configuration. Pure; files and processes are in `router`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field

from ringfence.desired.state import Route, Router

CONFIG, SERVICES, KEYS, STATE = "haproxy.cfg", "services.map", "keys.map", "state.map"
#: The router's certificate, its chain and its key, in one file, where it ends TLS.
CERTIFICATE = "tls.pem"
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
#: Azure ML on AKS speaks TLS 1.2 and not 1.3 ("Use TLS to secure a web service").
_TLS_VERSIONS = "ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2"
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
    bind 0.0.0.0:{port}{tls}
    log-format "%ci:%cp %[var(txn.service)] %HM %[var(txn.path)] %ST queue=%Tw connect=%Tc answer=%Tr total=%Ta %tsc %B %s"
    monitor-uri /healthz
    http-after-response set-header Connection close if {{ stopping }}
    # Nobody was free in time: one second is what the number of replicas needs to follow the load.
    http-after-response set-header Retry-After 1 if {{ status 503 }} !{{ res.fhdr(Retry-After) -m found }}
    http-request set-var(txn.path) path
{choice}
    http-request set-var(txn.backend) var(txn.service),map_str({services}) if {{ var(txn.service) -m found }}
    acl known var(txn.backend) -m found
    http-request return {unknown} unless known
    acl open var(txn.backend) -m beg open_ token_
    http-request set-var(txn.digest) req.fhdr(Authorization,1),sha2(256),hex,lower
    http-request set-var(txn.key) var(txn.service),concat(:,txn.digest),map_str({keys})
    acl allowed var(txn.key) -m found
    acl one_header req.fhdr_cnt(Authorization) eq 1
    http-request return {refused} unless open or allowed one_header
    http-request set-var(txn.bearer) http_auth_bearer if one_header {{ var(txn.backend) -m beg token_ }}
    http-request del-header Authorization
{path}    http-request set-header X-Forwarded-For %[src]
    use_backend %[var(txn.backend)]

{backends}
# Read over the control socket: which state this process has.
backend state
    http-request deny if {{ str({fingerprint}),map_str({state}) -m found }}
"""

#: Which service a path means, and what of it the service sees: its own part, or all of it where it is the only one.
_BY_NAME = (
    "    http-request set-var(txn.service) path,field(5,/) if { path_beg /api/v1/service/ }",
    "    http-request replace-path /api/v1/service/[^/]+/?(.*) /\\1\n",
)

_BACKEND = """\
backend {name}
{token}    # Of the kinds of balancing this one goes on to the next target at once when a connection is refused.
    balance roundrobin
    http-reuse always
    # A replica that was replaced waits for us to close what we keep open to it.
    default-server pool-purge-delay {purge}ms
    timeout server {timeout}ms
    timeout queue {queue}ms
{servers}
"""


#: A token counts while it holds, for this service only, and only with this one kind of signature, whatever it says itself.
_TOKEN = """\
    http-request set-var(txn.now) date()
    acl signed var(txn.bearer),jwt_verify(RS256,{file}) -m int 1
    acl ours var(txn.bearer),jwt_payload_query('$.aud') -m str {audience}
    acl begun var(txn.bearer),jwt_payload_query('$.nbf','int'),sub(txn.now) -m int le 0
    acl holds var(txn.bearer),jwt_payload_query('$.exp','int'),sub(txn.now) -m int gt 0
    http-request return {refused} unless signed ours begun holds
"""

_NO_KEY = "The request needs the header `Authorization: Bearer <key>` with a key of this service."
_NO_TOKEN = "The request needs the header `Authorization: Bearer <token>` with a token of this service that has not expired."


class UnfitRouter(Exception):
    """A value that has no place in a configuration; the message names it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Texts by file name. digest: of the configuration without the maps; another digest needs a reload. secret: files to be
    read by the router alone."""

    files: dict[str, str] = field(repr=False)
    digest: str
    secret: frozenset[str] = frozenset()


def render(router: Router, certificate: str = "") -> Rendered:
    """certificate: what CERTIFICATE shall hold, for a router that ends TLS. Raises UnfitRouter."""
    for route in router.routes:
        if not _NAME.fullmatch(route.service):
            raise UnfitRouter(f"the service name {route.service!r} cannot be routed: letters, digits, `_`, `.` and `-` only")
        if route.token_key and not _NAME.fullmatch(route.audience):
            raise UnfitRouter(f"the audience {route.audience!r} of the service {route.service} is none")
    if router.root and [route.service for route in router.routes] != [router.root]:
        raise UnfitRouter(f"the router serves {router.root!r} at its root, and so nothing else")
    if (router.tls is not None) is not bool(certificate):
        raise UnfitRouter("a router that ends TLS has a certificate, and no other has")
    values = {
        "connections": _MOST_CONNECTIONS,
        "sockets": SOCKETS,
        "drain": max([_LEAST_DRAIN_S, *(route.timeout_ms // 1000 + 5 for route in router.routes)]),
        "errors": "".join(_errors()),
        "port": router.port,
        "tls": f" ssl crt {CERTIFICATE} alpn http/1.1 {_TLS_VERSIONS}" if router.tls is not None else "",
        "choice": f"    http-request set-var(txn.service) str({router.root})" if router.root else _BY_NAME[0],
        "path": "" if router.root else _BY_NAME[1],
        "services": SERVICES,
        "keys": KEYS,
        "state": STATE,
        "fingerprint": FINGERPRINT,
        "unknown": _answer(404, "NotFound", "There is no service of this name on this cluster."),
        "refused": _answer(401, "Unauthorized", _NO_KEY, "hdr WWW-Authenticate Bearer "),
        "backends": "\n".join(_backend(route) for route in router.routes),
    }
    apart = {_token_file(route): route.token_key for route in router.routes if route.token_key}
    if certificate:
        apart[CERTIFICATE] = certificate
    told = [_TEXT.format(digest="", **values), *(text for _, text in sorted(apart.items()))]
    digest = hashlib.sha256("\0".join(told).encode()).hexdigest()[:16]
    services = "".join(f"{route.service} {backend_name(route)}\n" for route in router.routes)
    keys = "".join(
        f"{route.service}:{key.lower()} 1\n"
        for route in router.routes
        if route.auth and not route.token_key
        for key in route.keys
    )
    files = {
        **apart,
        CONFIG: _TEXT.format(digest=digest, **values),
        SERVICES: services,
        KEYS: keys,
        STATE: f"{FINGERPRINT} {router.fingerprint}\n",
    }
    return Rendered(files, digest, frozenset({CERTIFICATE} & files.keys()))


def backend_name(route: Route) -> str:
    """How a service's backend is called; the kind of its authentication comes first."""
    kind = "token" if route.token_key else "keyed" if route.auth else "open"
    return f"{kind}_{route.service}"


def service_of(backend: str) -> str | None:
    """The service of a backend's name; None for a backend that is not a service's."""
    kind, _, service = backend.partition("_")
    return service if kind in ("keyed", "open", "token") and service else None


def _token_file(route: Route) -> str:
    return f"token-{route.service}.pem"


def _token(route: Route) -> str:
    if not route.token_key:
        return ""
    refused = _answer(401, "Unauthorized", _NO_TOKEN, "hdr WWW-Authenticate Bearer ")
    return _TOKEN.format(file=_token_file(route), audience=route.audience, refused=refused)


def _backend(route: Route) -> str:
    most = max(1, route.max_concurrent) + _AHEAD
    places = [f"{target.address}:{target.port}" for target in route.targets]
    servers = [f"    server {place} {place} maxconn {most}" for place in places]
    return _BACKEND.format(
        name=backend_name(route),
        token=_token(route),
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
