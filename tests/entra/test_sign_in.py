"""The sign-in service over HTTP: discovery, grants, and every refusal with its AADSTS number."""

from __future__ import annotations

import base64
import datetime as dt
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp

from ringfence.api.entra import app, tokens
from ringfence.control.identities import Identities, Principal, administrator
from ringfence.control.store import Store

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = Principal(client_id="aaaaaaaa-1", object_id="bbbbbbbb-2", display_name="admin")
NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def signer() -> tokens.Signer:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return tokens.Signer(key, TENANT, lambda: NOW, lambda: "trace-id")


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Identities]:
    """One application with the secret `right`."""
    store = Store(tmp_path_factory.mktemp("directory") / "a.db")
    found = Identities(store, lambda: secrets.token_bytes(16), lambda: NOW)
    administrator.ensure(found, CLIENT, "right", NOW)
    yield found
    store.close()


@pytest.fixture
def client(signer: tokens.Signer, identities: Identities, asking: Callable[[ASGIApp, str], httpx.Client]) -> httpx.Client:
    served = app.build(TENANT, identities, signer, lambda: NOW, lambda: "trace-id").app()
    return asking(served, "https://login.microsoftonline.com")


def grant(**changes: str | None) -> dict[str, str]:
    form: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": CLIENT.client_id,
        "client_secret": "right",
        "scope": "https://management.azure.com//.default",
    }
    return {name: value for name, value in (form | changes).items() if value is not None}


def claims(token: str) -> Mapping[str, Any]:
    decoded: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        ("https://management.azure.com//.default", "https://management.azure.com/"),
        ("https://management.azure.com/.default", "https://management.azure.com"),
        ("https://graph.microsoft.com/.default", "https://graph.microsoft.com"),
        ("https://h/arm//.default", "https://h/arm/"),
        ("a/.default/.default", "a/.default"),
    ],
)
def test_exactly_one_default_is_cut_from_the_scope(client: httpx.Client, scope: str, audience: str) -> None:
    answer = client.post(f"/{TENANT}/oauth2/v2.0/token", data=grant(scope=scope))
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert answer.json()["token_type"] == "Bearer" and answer.json()["expires_in"] > 300
    assert claims(answer.json()["access_token"])["aud"] == audience


@pytest.mark.parametrize("tenant", [TENANT, TENANT.upper(), "organizations", "common"])
def test_the_one_tenant_answers_for_every_name_it_has(client: httpx.Client, tenant: str) -> None:
    document = client.get(f"/{tenant}/v2.0/.well-known/openid-configuration").json()
    assert document["issuer"] == f"https://login.microsoftonline.com/{TENANT}/v2.0"
    assert document["token_endpoint"] == f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"
    assert {"authorization_endpoint", "device_authorization_endpoint", "jwks_uri"} <= document.keys()
    assert client.post(f"/{tenant}/oauth2/v2.0/token", data=grant()).status_code == 200


def test_what_is_published_leads_to_the_keys(client: httpx.Client) -> None:
    for path, keys in (("v2.0/", f"/{TENANT}/discovery/v2.0/keys"), ("", f"/{TENANT}/discovery/keys")):
        document = client.get(f"/{TENANT}/{path}.well-known/openid-configuration").json()
        assert document["jwks_uri"] == f"https://login.microsoftonline.com{keys}"
        assert [key["kty"] for key in client.get(keys).json()["keys"]] == ["RSA"]
    assert client.get(f"/{TENANT}/.well-known/openid-configuration").json()["issuer"] == f"https://sts.windows.net/{TENANT}/"


def test_instance_discovery_knows_the_aliases(client: httpx.Client) -> None:
    asked = {"api-version": "1.1", "authorization_endpoint": f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/authorize"}
    document = client.get("/common/discovery/instance", params=asked).json()
    assert document["tenant_discovery_endpoint"].startswith(f"https://login.microsoftonline.com/{TENANT}/")
    assert "login.windows.net" in document["metadata"][0]["aliases"]
    refused = client.get("/common/discovery/instance", params={"authorization_endpoint": "https://evil.example/common"})
    assert refused.status_code == 400 and refused.json()["error"] == "invalid_instance"


def test_the_older_endpoint_takes_a_resource(client: httpx.Client) -> None:
    form = grant(scope=None, resource="https://management.core.windows.net/")
    answer = client.post(f"/{TENANT}/oauth2/token", data=form).json()
    assert claims(answer["access_token"])["aud"] == answer["resource"] == "https://management.core.windows.net/"
    assert int(answer["expires_on"]) == int(NOW.timestamp()) + tokens.LIFETIME_S


def test_credentials_may_come_in_a_basic_header(client: httpx.Client) -> None:
    header = "Basic " + base64.b64encode(b"aaaaaaaa-1:r%69ght").decode()
    form = grant(client_id=None, client_secret=None)
    assert client.post(f"/{TENANT}/oauth2/v2.0/token", data=form, headers={"Authorization": header}).status_code == 200
    answer = client.post(f"/{TENANT}/oauth2/v2.0/token", data=form, headers={"Authorization": "Basic !"})
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("form", "status", "word", "number"),
    [
        (grant(client_secret="wrong"), 401, "invalid_client", 7000215),
        (grant(client_secret=None), 401, "invalid_client", 7000218),
        (grant(client_secret=""), 401, "invalid_client", 7000218),
        (grant(client_id="nobody"), 400, "unauthorized_client", 700016),
        (grant(client_id=None), 400, "invalid_request", 900144),
        (grant(grant_type=None), 400, "invalid_request", 900144),
        (grant(scope=None), 400, "invalid_request", 900144),
        (grant(grant_type="implicit"), 400, "unsupported_grant_type", 70003),
        (grant(scope="https://management.azure.com/user_impersonation"), 400, "invalid_scope", 70011),
        (grant(scope="/.default"), 400, "invalid_scope", 70011),
        (grant(scope="a/.default b/.default"), 400, "invalid_scope", 70011),
        (grant(scope="a" * 5000 + "/.default"), 400, "invalid_scope", 70011),
    ],
)
def test_refusals(client: httpx.Client, form: dict[str, str], status: int, word: str, number: int) -> None:
    answer = client.post(f"/{TENANT}/oauth2/v2.0/token", data=form, headers={"client-request-id": "corr"})
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, word, [number])
    assert re.match(
        rf"AADSTS{number}: .+ Trace ID: trace-id Correlation ID: corr Timestamp: 2026-11-24 ", body["error_description"]
    )
    assert (body["trace_id"], body["correlation_id"], body["timestamp"]) == ("trace-id", "corr", "2026-11-24 12:00:00Z")


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys", "oauth2/v2.0/token"])
def test_another_tenant_is_unknown(client: httpx.Client, path: str) -> None:
    url = f"/99999999-2222-3333-4444-555555555555/{path}"
    answer = client.post(url, data=grant()) if path.endswith("token") else client.get(url)
    assert answer.status_code == 400 and answer.json()["error_codes"] == [90002]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 400),
        (b"grant_type=client_credentials&scope=%FF", "application/x-www-form-urlencoded", 400),
        (b"scope=a&scope=b", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"f%d=1" % i for i in range(200)), "application/x-www-form-urlencoded", 400),
        (b"scope=" + b"a" * 100_000, "application/x-www-form-urlencoded", 413),
        (b"", "application/x-www-form-urlencoded", 400),
    ],
)
def test_bodies_that_are_no_form(client: httpx.Client, body: bytes, kind: str, status: int) -> None:
    answer = client.post(f"/{TENANT}/oauth2/v2.0/token", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status and answer.json()["error"] == "invalid_request"


def test_pages_that_are_not_there_say_so(client: httpx.Client) -> None:
    answer = client.get(f"/{TENANT}/oauth2/v3.0/token")
    assert answer.status_code == 404 and answer.json()["error_codes"] == [900561]
    answer = client.get(f"/{TENANT}/oauth2/v2.0/token")
    assert answer.status_code == 400 and "only accepts POST" in answer.json()["error_description"]
