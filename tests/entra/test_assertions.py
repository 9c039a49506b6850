"""Applications sign in with a certificate: the assertion that holds, and every way in which one does not."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
from collections.abc import Callable, Iterator

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import JsonValue
from starlette.types import ASGIApp

from ringfence.api.entra import app, assertions, tokens
from ringfence.api.graph import certificates
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.model import errors

TENANT = "11111111-2222-3333-4444-555555555555"
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
CLIENT = "aaaaaaaa-0000-4000-8000-000000000001"
TOKEN = f"/{TENANT}/oauth2/v2.0/token"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey, days: int = 365) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "robot")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    begins = NOW - dt.timedelta(days=400)
    return built.not_valid_before(begins).not_valid_after(NOW + dt.timedelta(days=days)).sign(key, hashes.SHA256())


CERTIFICATE = certificate(KEY)


def credential(of: x509.Certificate, **more: JsonValue) -> dict[str, JsonValue]:
    der = of.public_bytes(serialization.Encoding.DER)
    return {"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.b64encode(der).decode()} | more


@pytest.fixture
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    store = Store(tmp_path_factory.mktemp("assertions") / "a.db")
    found = Identities(store, lambda: secrets.token_bytes(16), lambda: NOW)
    kept = certificates.read([credential(CERTIFICATE)], None)
    found.create("application", {"displayName": "robot", "keyCredentials": kept}, CLIENT)
    found.create("servicePrincipal", {"displayName": "robot"}, CLIENT)
    yield found
    store.close()


@pytest.fixture
def client(identities: Identities, asking: Callable[[ASGIApp, str], httpx.Client]) -> httpx.Client:
    signer = tokens.Signer(OTHER, TENANT, lambda: NOW, lambda: "id")
    served = app.build(TENANT, identities, signer, lambda: NOW, lambda: "trace").app()
    return asking(served, "https://login.microsoftonline.com")


def signed(key: rsa.RSAPrivateKey = KEY, of: x509.Certificate = CERTIFICATE, name: str = "x5t", **changes: object) -> str:
    now = int(NOW.timestamp())
    claims = {"aud": f"https://login.microsoftonline.com{TOKEN}", "iss": CLIENT, "sub": CLIENT, "exp": now + 600.5, "nbf": now}
    digest = of.fingerprint(hashes.SHA1() if name == "x5t" else hashes.SHA256())
    encoded = base64.urlsafe_b64encode(digest).decode()
    headers = {name: encoded if name == "x5t" else encoded.rstrip("=")}
    return jwt.encode({**claims, **changes}, key, algorithm="RS256" if name == "x5t" else "PS256", headers=headers)


def asked(client: httpx.Client, assertion: str) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": CLIENT, "scope": "https://management.azure.com/.default"}
    proof = {"client_assertion_type": assertions.KIND, "client_assertion": assertion}
    return client.post(TOKEN, data=form | proof)


@pytest.mark.parametrize("name", ["x5t", "x5t#S256"])
def test_a_signed_assertion_gets_a_token(client: httpx.Client, name: str) -> None:
    answer = asked(client, signed(name=name))
    assert answer.status_code == 200, answer.text
    assert jwt.decode(answer.json()["access_token"], options={"verify_signature": False})["appid"] == CLIENT


def test_a_host_of_ours_shows_an_assertion_in_place_of_the_secret(client: httpx.Client) -> None:
    signer = tokens.Signer(OTHER, TENANT, lambda: NOW, lambda: "id")
    answer = asked(client, signer.assertion(CLIENT))
    assert answer.status_code == 200, answer.text
    late = tokens.Signer(OTHER, TENANT, lambda: NOW - dt.timedelta(hours=2), lambda: "id")
    foreign = tokens.Signer(KEY, TENANT, lambda: NOW, lambda: "id")
    ordinary = signer.issue(tokens.Subject(CLIENT, CLIENT), "https://management.azure.com/")
    for bad in (signer.assertion(TENANT), late.assertion(CLIENT), foreign.assertion(CLIENT), ordinary):
        assert asked(client, bad).status_code == 401


@pytest.mark.parametrize(
    ("assertion", "words"),
    [
        (signed(OTHER), "signature"),
        (signed(OTHER, certificate(OTHER)), "not registered"),
        (signed(exp=int(NOW.timestamp())), "time range"),
        (signed(nbf=int(NOW.timestamp()) + 3600), "time range"),
        (signed(aud="https://evil.example/token"), "aud"),
        (signed(iss="someone"), "iss and sub"),
        (signed(sub="someone"), "iss and sub"),
        ("nonsense", "JSON web token"),
        (jwt.encode({"sub": CLIENT}, "k" * 32, algorithm="HS256"), "not registered"),
    ],
)
def test_another_assertion_gets_nothing(client: httpx.Client, assertion: str, words: str) -> None:
    answer = asked(client, assertion)
    assert answer.status_code == 401 and answer.json()["error_codes"] == [700027] and words in answer.json()["error_description"]


def test_a_certificate_holds_until_its_end_and_goes_when_it_is_taken_away(client: httpx.Client, identities: Identities) -> None:
    application = identities.directory().named("application", CLIENT)
    assert application is not None
    ended = certificates.read([credential(CERTIFICATE, endDateTime="2026-11-24T11:59:59Z")], None)
    identities.change(application.object_id, {"displayName": "robot", "keyCredentials": ended})
    assert "expired" in asked(client, signed()).json()["error_description"]
    identities.change(application.object_id, {"displayName": "robot"})
    assert "not registered" in asked(client, signed()).json()["error_description"]


def test_a_certificate_is_kept_by_its_id_and_shown_without_its_key() -> None:
    first = certificates.read([credential(CERTIFICATE)], None)
    lines = base64.encodebytes(CERTIFICATE.public_bytes(serialization.Encoding.DER)).decode()
    assert certificates.read([credential(CERTIFICATE, key=lines)], None) == first
    shown = certificates.shown(list(first))
    assert isinstance(shown[0], dict) and shown[0]["key"] is None
    both = certificates.read([*shown, credential(certificate(OTHER))], list(first))
    assert both[0] == first[0] and len(both) == 2
    for wrong in ("x", [1], [{"key": "AAAA"}], [{"keyId": "unknown"}], [{"type": "Symmetric", "key": "AAAA"}]):
        with pytest.raises(errors.Invalid):
            certificates.read(wrong, list(first))  # type: ignore[arg-type] # what a client might send
