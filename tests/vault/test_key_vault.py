"""The data plane of key vaults over HTTP: challenge, permissions, versions, deletion, firewall, and what is on disk."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp, Receive, Scope, Send
from tests import clouds
from tests.arm.arm_world import TENANT
from tests.ml.plane import Clock

from ringfence.api.entra.tokens import Signer, Subject
from ringfence.api.entra.verify import Verifier
from ringfence.api.vault import app
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.control.vault_secrets import Secrets, load_key
from ringfence.drivers.memory import MemoryDriver
from ringfence.model.resource import Resource
from ringfence.policy import private_link

VAULT = "mygroup/Microsoft.KeyVault/vaults/myvault"
EVERYTHING = ["get", "list", "set", "delete", "recover", "purge"]


class World:
    """One vault; requests come from `source` and are signed in as `object`."""

    def __init__(self, folder: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> None:
        self.clock = Clock()
        self.folder = folder
        self.store = Store(folder / "ringfence.db")

        def new_id() -> str:
            return secrets.token_hex(16)

        identities = Identities(self.store, lambda: secrets.token_bytes(16), self.clock)
        self.engine = Engine(self.store, MemoryDriver(time.monotonic), clock=self.clock, new_id=new_id, identities=identities)
        self.engine.start()
        held = Secrets(self.store, load_key(folder / "vault.key"), self.clock, new_id)
        self.signer = Signer(key, TENANT, self.clock, new_id)
        vault = app.build(self.engine, held, Verifier(key.public_key(), TENANT, self.clock), TENANT)
        self.source = "198.19.255.4"

        async def from_source(scope: Scope, receive: Receive, send: Send) -> None:
            await vault({**scope, "client": (self.source, 4000)}, receive, send)

        self.client = asking(from_source, "https://myvault.vault.azure.net")
        self.as_object("object")
        self.put("mygroup", {})
        self.vault()

    def as_object(self, object_id: str) -> None:
        self.client.headers["Authorization"] = f"Bearer {self.signer.issue(Subject('app', object_id), app.AUDIENCE)}"

    def put(self, path: str, properties: dict[str, Any], location: str | None = "eastus2") -> Resource:
        draft = clouds.resource(path, properties, location, at=self.clock())
        accepted = self.engine.put(dataclasses.replace(draft, sku={"name": "standard"}))
        return self.engine.get(self.engine.wait(accepted.operation.id, 5.0).resource_id)

    def vault(self, **more: Any) -> None:
        policy = {"tenantId": TENANT, "objectId": "object", "permissions": {"secrets": EVERYTHING}}
        self.put(VAULT, {"tenantId": TENANT, "accessPolicies": [policy], **more})

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        return self.client.request(method, f"{path}{'&' if '?' in path else '?'}api-version=7.4", json=body)

    def code(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        answer = self.send(method, path, body)
        error = answer.json().get("error", {})
        return answer.status_code, error.get("innererror", error).get("code", "")


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def world(tmp_path: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[World]:
    made = World(tmp_path, key, asking)
    yield made
    made.engine.close()
    made.store.close()


def test_who_comes_without_a_token_is_told_where_to_get_one(world: World) -> None:
    del world.client.headers["Authorization"]
    answer = world.send("GET", "/secrets/one")
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert f'authorization="https://login.microsoftonline.com/{TENANT}"' in challenge
    assert 'resource="https://vault.azure.net"' in challenge


def test_a_secret_has_versions(world: World) -> None:
    first = world.send("PUT", "/secrets/one", {"value": "a", "tags": {"t": "1"}, "contentType": "text/plain"}).json()
    second = world.send("PUT", "/secrets/one", {"value": "b"}).json()
    assert world.send("GET", "/secrets/one").json()["value"] == "b"
    old = world.send("GET", f"/secrets/one/{first['id'].rpartition('/')[2]}").json()
    assert (old["value"], old["tags"], old["contentType"]) == ("a", {"t": "1"}, "text/plain")
    listed = world.send("GET", "/secrets/one/versions").json()["value"]
    assert [one["id"] for one in listed] == [first["id"], second["id"]] and "value" not in listed[0]
    assert [one["id"] for one in world.send("GET", "/secrets").json()["value"]] == [
        "https://myvault.vault.azure.net/secrets/one"
    ]  # fmt: skip
    disabled = world.send("PATCH", f"/secrets/one/{second['id'].rpartition('/')[2]}", {"attributes": {"enabled": False}})
    assert disabled.json()["attributes"]["enabled"] is False
    assert world.code("GET", "/secrets/one") == (403, "SecretDisabled")


def test_a_deleted_secret_is_recovered_or_purged(world: World) -> None:
    world.send("PUT", "/secrets/one", {"value": "a"})
    assert world.send("DELETE", "/secrets/one").json()["recoveryId"].endswith("/deletedsecrets/one")
    assert world.code("GET", "/secrets/one") == (404, "SecretNotFound")
    assert world.code("PUT", "/secrets/one", {"value": "b"}) == (409, "ObjectIsDeletedButRecoverable")
    assert len(world.send("GET", "/deletedsecrets").json()["value"]) == 1
    world.send("POST", "/deletedsecrets/one/recover")
    assert world.send("GET", "/secrets/one").json()["value"] == "a"
    world.send("DELETE", "/secrets/one")
    assert world.send("DELETE", "/deletedsecrets/one").status_code == 204
    assert world.send("PUT", "/secrets/one", {"value": "b"}).status_code == 200


def test_permissions_are_the_vaults_policies_or_roles(world: World) -> None:
    world.send("PUT", "/secrets/one", {"value": "a"})
    world.as_object("stranger")
    assert world.code("GET", "/secrets/one") == (403, "ForbiddenByPolicy")
    reader = {"tenantId": TENANT, "objectId": "stranger", "permissions": {"secrets": ["Get"]}}
    world.vault(accessPolicies=[reader])
    assert world.send("GET", "/secrets/one").json()["value"] == "a"
    assert world.code("PUT", "/secrets/one", {"value": "b"}) == (403, "ForbiddenByPolicy")
    world.vault(accessPolicies=[reader], enableRbacAuthorization=True)
    assert world.code("GET", "/secrets/one") == (403, "ForbiddenByRbac")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/secrets/a_b", {"value": "a"}, 400),
        ("PUT", "/secrets/a", {"value": "a" * 26_000}, 400),
        ("PUT", "/secrets/a", {}, 400),
        ("GET", "/keys/a", None, 404),
        ("GET", "/secrets/none", None, 404),
    ],
)
def test_what_is_not_served(world: World, method: str, path: str, body: object, status: int) -> None:
    assert world.send(method, path, body).status_code == status


def test_lists_come_in_pages(world: World) -> None:
    for number in range(30):
        world.send("PUT", f"/secrets/s{number:02d}", {"value": "a"})
    first = world.send("GET", "/secrets").json()
    second = world.client.get(first["nextLink"]).json()
    assert [len(page["value"]) for page in (first, second)] == [25, 5] and second["nextLink"] is None


def test_the_firewall_comes_before_permissions(world: World) -> None:
    world.vault(networkAcls={"defaultAction": "Deny", "ipRules": [{"value": "198.19.200.0/24"}]})
    assert world.code("GET", "/secrets/one") == (403, "ForbiddenByFirewall")
    world.source = "198.19.200.7"
    assert world.code("GET", "/secrets/one") == (404, "SecretNotFound")
    world.vault(publicNetworkAccess="Disabled")
    assert world.code("GET", "/secrets/one") == (403, "ForbiddenByConnection")


def test_a_private_endpoint_leads_to_its_own_vault(world: World) -> None:
    world.put(clouds.vnet_path("net"), {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}})
    subnet = f"{clouds.vnet_path('net')}/subnets/default"
    world.put(subnet, {"addressPrefix": "10.1.0.0/24"}, None)
    world.put("mygroup/Microsoft.KeyVault/vaults/another", {"tenantId": TENANT})
    sources = []
    for name in ("myvault", "another"):
        target = str(clouds.rid(f"mygroup/Microsoft.KeyVault/vaults/{name}"))
        connection = {"name": "c", "properties": {"privateLinkServiceId": target, "groupIds": ["vault"]}}
        made = world.put(
            f"mygroup/Microsoft.Network/privateEndpoints/{name}",
            {"subnet": {"id": str(clouds.rid(subnet))}, "privateLinkServiceConnections": [connection]},
        )
        sources.append(world.engine.snapshot().value(made.id, private_link.LINK) or "")
    world.vault(publicNetworkAccess="Disabled")
    world.source = sources[0]
    assert world.code("GET", "/secrets/one") == (404, "SecretNotFound")
    world.source = sources[1]
    assert world.code("GET", "/secrets/one") == (403, "ForbiddenByConnection")


def test_a_value_is_sealed_where_it_is_kept(world: World) -> None:
    world.send("PUT", "/secrets/one", {"value": "plain-words-in-the-open"})
    kept = b"".join(path.read_bytes() for path in world.folder.glob("ringfence.db*"))
    assert b"plain-words-in-the-open" not in kept
    assert (world.folder / "vault.key").stat().st_mode & 0o777 == 0o600
