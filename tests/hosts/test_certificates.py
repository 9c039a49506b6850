"""TLS by server name, with real handshakes in memory, and routing by Host."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp
from tests.hosts.authority import make_authority

from ringfence.api import hosts, tls
from ringfence.model import storage
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)  # noqa: TID251 (OpenSSL judges certificates by the real clock)
GROUP = ResourceId("sub", "group")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a CA in it, as the sandbox makes it."""
    return make_authority(tmp_path_factory.mktemp("state"), NOW)


def shake(server: ssl.SSLContext, state: Path, name: str | None) -> ssl.SSLObject:
    """A whole handshake without a network; the client trusts the CA and, with a name, checks it."""
    trusting = ssl.create_default_context(cafile=str(state / "pki" / "ca.pem"))
    trusting.verify_flags |= ssl.VERIFY_X509_STRICT
    trusting.check_hostname = name is not None
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    served = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, served):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client


def test_each_name_gets_its_own_certificate(state: Path) -> None:
    server = tls.server_context(state, {"one.example", "two.example"}.__contains__, lambda: NOW)
    for name in ("one.example", "two.example", "ONE.example"):
        certificate = shake(server, state, name).getpeercert()
        assert certificate is not None and certificate["subjectAltName"] == (("DNS", name.lower()),)


def test_a_certificate_is_made_once_and_renewed_in_time(state: Path) -> None:
    now = [NOW]
    contexts = tls.Contexts(tls.Issuer.load(state, lambda: now[0]), lambda _: True, lambda: now[0])
    first = contexts.of("one.example")
    assert contexts.of("One.Example.") is first
    now[0] = NOW + dt.timedelta(days=334)
    assert contexts.of("one.example") is first
    now[0] = NOW + dt.timedelta(days=336)
    assert contexts.of("one.example") is not first


@pytest.mark.parametrize("name", ["unknown.example", None])
def test_other_names_are_refused_in_the_handshake(state: Path, name: str | None) -> None:
    server = tls.server_context(state, {"one.example"}.__contains__, lambda: NOW)
    with pytest.raises(ssl.SSLError) as caught:
        shake(server, state, name)
    assert "unrecognized" in str(caught.value).lower() or "callback" in str(caught.value).lower()


def test_a_name_longer_than_a_common_name_is_served(state: Path) -> None:
    name = "a" * 60 + ".workspace.eastus2.api.azureml.ms"
    server = tls.server_context(state, {name}.__contains__, lambda: NOW)
    certificate = shake(server, state, name).getpeercert()
    assert certificate is not None and certificate["subjectAltName"] == (("DNS", name),)


def test_a_key_of_another_kind_is_named(state: Path, tmp_path: Path) -> None:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.pem").write_bytes((state / "pki" / "ca.pem").read_bytes())
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "pki" / "ca.key").write_bytes(pem)
    with pytest.raises(ValueError, match="EC or RSA"):
        tls.server_context(tmp_path, lambda _: True, lambda: NOW)


def account(name: str) -> Resource:
    id = GROUP.resource("Microsoft.Storage/storageAccounts", name)
    return Resource(id=id, location="eastus2", properties=storage.StorageAccount(), created_at=NOW, changed_at=NOW)


def test_a_name_exists_with_its_resource() -> None:
    snapshots = [Snapshot.of([], version=1)]
    names = hosts.Names(lambda: snapshots[-1])
    assert names.application("acct.blob.core.windows.net") is None
    snapshots.append(Snapshot.of([account("Acct")], version=2))
    assert names.application("acct.blob.core.windows.net") == hosts.BLOB
    snapshots.append(Snapshot.of([], version=3))
    assert not names.serves("acct.blob.core.windows.net")


@pytest.mark.parametrize(
    ("host", "app"),
    [
        ("management.azure.com", hosts.ARM),
        ("Management.Azure.COM:443", hosts.ARM),
        ("management.azure.com.", hosts.ARM),
        ("login.microsoftonline.com", hosts.ENTRA),
        ("sts.windows.net", hosts.ENTRA),
        ("graph.microsoft.com", hosts.GRAPH),
        ("microsoft.com", hosts.DEVICE),
        ("ml.azure.com", None),
        ("evil.management.azure.com", None),
        ("management.azure.com.evil.example", None),
        ("", None),
        ("198.18.0.17", None),
    ],
)
def test_hosts_lead_to_applications(host: str, app: str | None) -> None:
    assert hosts.Names(lambda: Snapshot.of([])).application(host) == app


def test_a_host_that_nobody_serves_is_misdirected(asking: Callable[[ASGIApp, str], httpx.Client]) -> None:
    app = hosts.build(hosts.Names(lambda: Snapshot.of([])), {hosts.ARM: PlainTextResponse("arm")})
    assert asking(app, "https://management.azure.com").get("/").text == "arm"
    answer = asking(app, "https://ml.azure.com").get("/")
    assert answer.status_code == 421 and "'ml.azure.com'" in answer.json()["error"]["message"]
