"""The inference router's TLS and tokens: certificates that change under load, and which tokens open a service."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import errno
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from ringfence.desired.state import Key, Readiness, Route, Router, Target, Tls
from ringfence.drivers.linux.routers import Routers

if TYPE_CHECKING:
    from tests.workloads.process_world import ENDPOINT, World, settled, until
else:
    from process_world import ENDPOINT, World, settled, until

KEY: Key = "router/c"
NAME = "scoring.example.com"
PEM = serialization.Encoding.PEM
AUDIENCE = "11111111-2222-3333-4444-555555555555"


def now() -> dt.datetime:
    return dt.datetime.fromtimestamp(time.time(), dt.UTC)


def certificate(name: str, days: float = 365, number: int = 1) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    key, today = ec.generate_private_key(ec.SECP256R1()), now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(PEM).decode(), private.decode()


class Issuer:
    """Counts what it issues; each certificate has its count as its serial number."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, name: str) -> bytes:
        self.count += 1
        return "".join(reversed(certificate(name, number=self.count))).encode()


def route(**more: object) -> Route:
    values: dict[str, object] = {
        "service": "s",
        "auth": False,
        "keys": (),
        "targets": (Target(address="127.0.0.1", port=5001),),
        "timeout_ms": 5000,
        "max_concurrent": 8,
        "max_queue_wait_ms": 500,
        **more,
    }
    return Route(**values)  # type: ignore[arg-type]


def router(tls: Tls | None = None, **more: object) -> Router:
    return Router(key=KEY, endpoint=ENDPOINT, port=443 if tls else 80, routes=(route(**more),), tls=tls)


def start(world: World, item: Router, routers: Routers, script: str = "def init(): pass\ndef run(data): return data\n") -> None:
    workloads = world.workloads()
    assert workloads.put(world.workload(script, key="pod/p", port=5001)) is None
    assert routers.put(item) is None
    until(lambda: KEY in routers.observe() and routers.observe()[KEY].readiness is Readiness.READY)
    assert settled(workloads, "pod/p").readiness is Readiness.READY


def made(world: World, issue: Callable[[str], bytes] | None = None, days: float = 0) -> Routers:
    """days: how far this one's clock is ahead."""
    return Routers(world.folders, world.cgroups, world.namespace, issue, lambda: now() + dt.timedelta(days=days))


@contextlib.contextmanager
def encrypted(world: World) -> Iterator[tuple[http.client.HTTPConnection, int]]:
    """A connection over TLS, and the serial number of the certificate that it met."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPConnection("127.0.0.1", 443, timeout=20)
    plain = world.dial(ENDPOINT)
    plain.settimeout(20)
    plain.connect(("127.0.0.1", 443))
    connection.sock = context.wrap_socket(plain, server_hostname=NAME)
    der = connection.sock.getpeercert(binary_form=True)
    assert der is not None
    yield connection, x509.load_der_x509_certificate(der).serial_number
    connection.close()


def status(connection: http.client.HTTPConnection, bearer: str | None = None, path: str = "/api/v1/service/s/score") -> int:
    fields = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    with contextlib.closing(connection):
        connection.request("POST", path, b'"x"', fields | {"Content-Type": "application/json"})
        with connection.getresponse() as answer:
            answer.read()
            return answer.status


def config(world: World) -> Path:
    return world.folders.routers / "router-c" / "config"


def test_own_certificates_are_swapped_without_losing_a_request(world: World) -> None:
    first, second = (Tls(name=NAME, certificate=c, key=k) for c, k in (certificate(NAME, number=n) for n in (7, 8)))
    routers = made(world)
    start(world, router(first), routers)
    stop = threading.Event()
    faults: list[str] = []
    done: list[int] = []

    def client() -> None:
        while not stop.is_set():
            try:
                with encrypted(world) as (connection, serial):
                    if (seen := status(connection)) != 200:
                        faults.append(f"status {seen}")
                    done.append(serial)
            except (OSError, http.client.HTTPException) as error:
                faults.append(repr(error))

    thread = threading.Thread(target=client)
    thread.start()
    until(lambda: 7 in done)
    assert routers.put(router(second)) is None
    until(lambda: 8 in done)
    stop.set()
    thread.join()
    assert faults == [] and sorted(done) == done
    kept = config(world) / "tls.pem"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert second.key not in repr(router(second)) and second.key.splitlines()[1] in kept.read_text()
    with world.dial(ENDPOINT) as plain:
        assert plain.connect_ex(("127.0.0.1", 80)) == errno.ECONNREFUSED
    assert routers.put(router()) is None
    assert not kept.exists(), "the key goes with its use"
    assert status(world.connect(80)) == 200


def test_an_issued_certificate_stays_until_it_is_due_or_asked_for_again(world: World) -> None:
    issue = Issuer()
    item = router(Tls(name=NAME))
    start(world, item, made(world, issue))
    assert made(world, issue).put(item) is None, "another control plane"
    assert issue.count == 1 and made(world, issue).observe()[KEY].fingerprint == item.fingerprint
    later = made(world, issue, days=340)
    assert later.observe()[KEY].fingerprint != item.fingerprint, "it is not as wanted any more"
    assert later.put(item) is None and issue.count == 2
    with encrypted(world) as (connection, serial):
        assert (status(connection), serial) == (200, 2)
    asked = router(Tls(name=NAME, serial="again"))
    assert made(world, issue).put(asked) is None and issue.count == 3
    with encrypted(world) as (_, serial):
        assert serial == 3
    failure = made(world).put(router(Tls(name="other.example.com")))
    assert failure is not None and "no authority" in failure.message


def test_a_token_opens_its_service_while_it_holds(world: World) -> None:
    key, other = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    script = "def init(): pass\ndef run(data, request_headers): return sorted(request_headers)\n"
    routers = made(world)
    start(world, router(auth=True, token_key=public, audience=AUDIENCE), routers, script)
    moment = int(time.time())
    good = {"aud": AUDIENCE, "nbf": moment - 5, "exp": moment + 60}

    def signed(by: rsa.RSAPrivateKey = key, algorithm: str = "RS256", **claims: object) -> str:
        given = {name: value for name, value in (good | claims).items() if value is not None}
        return jwt.encode(given, by, algorithm=algorithm)

    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    unsigned = f"{head}.{signed().split('.')[1]}."
    table = {
        signed(): 200,
        signed(by=other): 401,
        signed(aud="another"): 401,
        signed(exp=moment - 1): 401,
        signed(nbf=moment + 30): 401,
        signed(exp=None): 401,
        signed(aud=None): 401,
        signed(algorithm="RS512"): 401,
        unsigned: 401,
        "a-key": 401,
        "": 401,
    }
    assert {token: status(world.connect(80), token) for token in table} == table
    with contextlib.closing(world.connect(80)) as connection:
        connection.request("POST", "/api/v1/service/s/score", b'"x"', {"Authorization": f"Bearer {signed()}"})
        assert "Authorization" not in json.loads(connection.getresponse().read())
    public = other.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    assert routers.put(router(auth=True, token_key=public, audience=AUDIENCE)) is None
    assert [status(world.connect(80), signed(by=by)) for by in (key, other)] == [401, 200], "the keys were exchanged"
    text = (world.folders.state / "logs" / "pods" / "router-c.log").read_text()
    assert signed(by=other) not in text


def test_the_router_tells_its_load(world: World) -> None:
    script = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.5)\n    return 1\n"
    routers = made(world)
    start(world, router(), routers, script)
    assert routers.load(KEY) == {"s": 0}
    threads = [threading.Thread(target=status, args=(world.connect(80),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    until(lambda: routers.load(KEY) == {"s": 3})
    for thread in threads:
        thread.join()
    until(lambda: routers.load(KEY) == {"s": 0})
    assert made(world).load("router/none") == {}
