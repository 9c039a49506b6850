"""The composition root: the one file that knows every room. Builds the control plane, opens its doors, ends in order.

    python -m ringfence.server --state DIR [--proxy-fd N] [--driver linux|memory]

Runs inside the sandbox as a child of the holder. One process, one event loop: TLS on
port 443 at the edge for all of Azure's names, the local API on a unix socket, the proxy
on the descriptor that the broker opened. Log records are JSON lines on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import functools
import gc
import json
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

import ringfence
from ringfence.api import doors, guards, hosts, proxy, tls
from ringfence.api.arm import app as arm
from ringfence.api.arm.credentials import Credentials
from ringfence.api.arm.directory import Subscription
from ringfence.api.arm.registries import RegistryActions
from ringfence.api.blob import app as blob
from ringfence.api.blob import bearer
from ringfence.api.entra import app as entra
from ringfence.api.entra import tokens, verify
from ringfence.api.graph import app as graph
from ringfence.api.kubernetes import app as kubernetes
from ringfence.api.kubernetes import plates
from ringfence.api.kubernetes.accounts import Accounts
from ringfence.api.kubernetes.identity import AUDIENCES, Authenticator
from ringfence.api.kubernetes.keys import Keys
from ringfence.api.local import app as local
from ringfence.api.local.locations import Locations
from ringfence.api.local.status import Status
from ringfence.api.ml import app as ml
from ringfence.api.registry import app as registry
from ringfence.api.registry import callers as registry_callers
from ringfence.api.registry.sign_in import Desk
from ringfence.api.registry.tokens import Tokens
from ringfence.api.terminals import Terminals
from ringfence.api.vault import app as vault
from ringfence.control import blobs, first_owner, vault_secrets
from ringfence.control.content import Contents
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities, Principal, administrator
from ringfence.control.images import Images
from ringfence.control.publishing import Publisher
from ringfence.control.registry_passwords import RegistryPasswords
from ringfence.control.store import Store
from ringfence.desired.state import INTERNET
from ringfence.drivers.base import Driver, Registries
from ringfence.model import errors
from ringfence.policy import principals, registries
from ringfence.sandbox import record, trust
from ringfence.sandbox.layout import Admin, Layout, ensure_admin

log = logging.getLogger("server")

#: Clients keep connections between polls that are five seconds apart; ours have to outlast that.
_KEEP_ALIVE_S = 75
_FAREWELL_S = 2
_BACKLOG = 1024
#: Bytes of one message of a websocket: what is typed at a terminal.
_MOST_MESSAGE = 1 << 20
#: A request goes through three threads; with Python's 5 ms, a thread that computes makes each of them wait.
_SWITCH_S = 0.0005
_HTTPS = 443


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _new_id() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class _Ground:
    """What differs between a sandbox and a try-out. edge: a bound socket for TLS. close: ends the driver's own work.

    serve: hands those who keep images to the driver.
    """

    driver: Driver
    edge: socket.socket
    enforced: bool
    close: Callable[[], None]
    serve: Callable[[Registries], None]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the data planes keep beside resources. keys: of the credentials of clusters."""

    blobs: blobs.Blobs
    images: Images
    passwords: RegistryPasswords
    secrets: vault_secrets.Secrets
    keys: Keys


@dataclass(frozen=True, slots=True)
class _Plane:
    """Everything that was built."""

    engine: Engine
    store: Store
    azure: ASGIApp
    local: ASGIApp
    names: hosts.Names
    locations: Locations


def main(arguments: Sequence[str]) -> None:
    given = _parse(arguments)
    _log_as_json()
    # Workloads read their folders as another user; secrets are closed by the state folder's own mode 0700.
    os.umask(0o022)
    layout = Layout(given.state)
    started = _now()
    if given.driver == "memory":
        layout.create()
        ensure_admin(layout)
        trust.ensure(layout, started)
    ground = _memory() if given.driver == "memory" else _linux(layout)
    plane = _build(layout, ground, started)
    try:
        asyncio.run(_serve(layout, ground, plane, given.proxy_fd))
    finally:
        plane.engine.close()
        ground.close()
        plane.store.close()
        log.info("ended")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ringfence.server", description="The control plane of Ringfence.")
    parser.add_argument("--state", type=Path, required=True, help="the state folder")
    parser.add_argument("--proxy-fd", type=int, help="descriptor of the proxy's listening socket")
    parser.add_argument(
        "--driver", choices=("linux", "memory"), default="linux", help="memory: nothing is enforced, no namespace is needed"
    )
    return parser.parse_args(arguments)


def _linux(layout: Layout) -> _Ground:
    """The fabric of this sandbox. Raises OSError where the kernel refuses."""
    from ringfence.drivers.linux.driver import LinuxDriver  # here, because it loads libnftables, which a try-out may lack

    found = record.load(layout)
    cgroups = found.cgroups if found is not None else ()
    scoring, issue = Path(ringfence.__file__).parent / "scoring", tls.Issuer.load(layout.folder, _now).leaf
    driver = LinuxDriver(layout.folder, scoring, cgroups, issue=issue, account=Accounts.load(layout.folder / "pki").files)
    driver.prepare()
    edge = _bound(driver.open_socket(INTERNET, socket.AF_INET, socket.SOCK_STREAM), ("0.0.0.0", _HTTPS))
    return _Ground(driver, edge, True, driver.close, driver.serve)


def _memory() -> _Ground:
    from ringfence.drivers.memory import MemoryDriver

    edge = _bound(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP), ("127.0.0.1", 0))
    return _Ground(MemoryDriver(time.monotonic), edge, False, lambda: None, lambda _registries: None)


def _bound(listener: socket.socket, address: tuple[str, int]) -> socket.socket:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    return listener


def _build(layout: Layout, ground: _Ground, started: dt.datetime) -> _Plane:
    admin = layout.admin()
    store = Store(layout.folder / "ringfence.db")
    identities = Identities(store, lambda: secrets.token_bytes(16), _now)
    _know(identities, admin)
    engine = Engine(store, ground.driver, clock=_now, new_id=_new_id, identities=identities)
    _own(engine, admin)
    contents = blobs.Blobs(store, Contents(layout.folder / "blobs", _new_id), _now, _new_id)
    images = Images(store, contents.contents, _now, _new_id)
    contents.sweep(engine.snapshot(), images.sweep(engine.snapshot()))
    passwords = RegistryPasswords(store, lambda: secrets.token_hex(26))
    signer = tokens.Signer(tokens.load_key(layout.folder / "pki" / "tokens.key"), admin.tenant_id.lower(), _now, _new_id)
    publisher = Publisher(images, passwords, engine.snapshot, registry_callers.Hosts(engine, signer, admin.tenant_id.lower()))
    publisher.provide(engine)
    ground.serve(publisher)
    locations = Locations(engine, ground.driver)
    status = Status(engine, locations, version=ringfence.__version__, started=started, enforced=ground.enforced)
    held = vault_secrets.Secrets(store, vault_secrets.load_key(layout.folder / "pki" / "vault.key"), _now, _new_id)
    held.sweep(engine.snapshot())
    keys = Keys.load(layout.folder / "pki" / "clusters.key")
    names = hosts.Names(engine.snapshot, lambda snapshot: plates.plates(snapshot, keys))
    azure = hosts.build(names, _apps(layout, admin, engine, signer, _Kept(contents, images, passwords, held, keys)))
    return _Plane(engine, store, azure, local.build(engine, locations, status), names, locations)


def _apps(layout: Layout, admin: Admin, engine: Engine, signer: tokens.Signer, kept: _Kept) -> Mapping[str, ASGIApp]:
    tenant = admin.tenant_id.lower()
    verifier = verify.Verifier(signer.public_key, tenant, _now, standing=functools.partial(_standing, engine))
    sign_in = entra.build(tenant, engine.identities, signer, _now, _new_id)
    ca = (layout.folder / "pki" / "ca.pem").read_bytes()
    credentials = Credentials(engine, kept.keys, ca, tenant, kept.blobs.key)
    callers = Authenticator(kept.keys, verifier.accepting(AUDIENCES), _now)
    subscription = Subscription(admin.subscription_id.lower(), tenant)
    of_images = RegistryActions(engine, kept.images, kept.passwords)
    registry_tokens = Tokens(tokens.load_key(layout.folder / "pki" / "registry.key"), _now, _new_id)
    desk = Desk(registry_tokens, registry_callers.Callers(verifier, engine), kept.passwords)
    terminals = Terminals(engine, time.monotonic)
    return {
        hosts.ARM: arm.build(engine, verifier, subscription, credentials, issue=terminals.issue, images=of_images),
        hosts.ENTRA: sign_in.app(),
        hosts.DEVICE: sign_in.device_page(),
        hosts.GRAPH: graph.build(engine, verifier, tenant),
        hosts.ML: ml.build(engine, kept.blobs, verifier, tenant),
        hosts.BLOB: blob.build(
            kept.blobs,
            functools.partial(guards.account, engine),
            _now,
            _new_id,
            bearers=bearer.Bearers(engine.snapshot, verifier.accepting(bearer.AUDIENCES)),
        ),
        hosts.KUBERNETES: kubernetes.build(engine, callers, ca.decode(), _now),
        hosts.TERMINALS: terminals,
        hosts.VAULT: vault.build(engine, kept.secrets, verifier, tenant),
        hosts.REGISTRY: registry.build(
            kept.images,
            desk,
            lambda host: registries.find(engine.snapshot(), host),
            functools.partial(guards.let_in, engine),
        ),
    }


def _know(identities: Identities, admin: Admin) -> None:
    """The administrator of admin.json may sign in, with the secret that stands there."""
    administrator.ensure(identities, _principal(admin), admin.client_secret, _now())


def _principal(admin: Admin) -> Principal:
    return Principal(client_id=admin.client_id, object_id=admin.object_id, display_name="ringfence-admin")


def _standing(engine: Engine, object_id: str, issued_at: dt.datetime) -> frozenset[str] | None:
    """Whom a token still speaks for: somebody of the directory, or a managed identity whose resource is there."""
    found = engine.identities.standing(object_id, issued_at)
    if found is None and any(p.object_id == object_id for p in principals.managed(engine.snapshot())):
        return engine.identities.groups_of(object_id)
    return found


def _own(engine: Engine, admin: Admin) -> None:
    """The administrator may do everything: as an application, and as a person."""
    first_owner.ensure_owner(engine, admin.subscription_id, admin.object_id)
    first_owner.ensure_owner(engine, admin.subscription_id, administrator.person_id(_principal(admin)), "User")


class _Server(uvicorn.Server):
    """One listener of several in a process: signals are the process's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: ASGIApp, choose: Callable[[str], ssl.SSLContext] | None = None) -> _Server:
    """choose: the context for the address that was dialled; None without TLS."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="wsproto",
        ws_max_size=_MOST_MESSAGE,
        ws_per_message_deflate=False,
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_FAREWELL_S,
    )
    config.load()
    if choose is not None:
        config.http_protocol_class = doors.protocol(choose)
    return _Server(config)


async def _serve(layout: Layout, ground: _Ground, plane: _Plane, proxy_fd: int | None) -> None:
    """Until SIGTERM or SIGINT."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    listeners = tls.Listeners(layout.folder, plane.names.serves, _now)
    servers = (
        (_server(plane.azure, lambda address: listeners.of(plane.names.plate(address))), ground.edge),
        (_server(plane.local), _unix_socket(layout.control_socket)),
    )
    plane.engine.start()
    way_out = await _proxy(layout, ground, plane, proxy_fd)
    log.info("serving Azure's names at %s:%d, the local API at %s", *ground.edge.getsockname()[:2], layout.control_socket)
    gc.collect()
    gc.freeze()
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(server.serve(sockets=[listener])) for server, listener in servers]
        tasks.create_task(_end(ending, running, [server for server, _ in servers]))
    if way_out is not None:
        way_out.close()
    layout.control_socket.unlink(missing_ok=True)


async def _end(ending: asyncio.Event, running: Sequence[asyncio.Task[None]], servers: Sequence[_Server]) -> None:
    """End every listener when a signal came, or when one of them ended."""
    waiting = asyncio.create_task(ending.wait())
    await asyncio.wait([waiting, *running], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for server in servers:
        server.should_exit = True


def _unix_socket(path: Path) -> socket.socket:
    """Mode 0600 before it listens. What a dead process left at the path makes way."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fsencode(path))
    path.chmod(0o600)
    return listener


async def _proxy(layout: Layout, ground: _Ground, plane: _Plane, descriptor: int | None) -> asyncio.Server | None:
    found = record.load(layout)
    if descriptor is None or found is None:
        return None

    async def locate(at: str) -> proxy.Place:
        try:
            place = await run_in_threadpool(plane.locations.reach, at)
        except errors.Problem as problem:
            raise LookupError(problem.message) from problem
        return proxy.Place(place.key, place.resolver)

    listener = socket.socket(fileno=descriptor)
    return await proxy.start(listener, proxy.Exit(found.proxy_secret, locate, ground.driver.open_socket))


class _JsonLines(logging.Formatter):
    """One record, one line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("uvicorn", "sqlalchemy", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


if __name__ == "__main__":
    main(sys.argv[1:])
