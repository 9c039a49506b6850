"""Resource Manager over HTTP, in process: a real store, a real token, the memory driver."""

from __future__ import annotations

import datetime as dt
import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp
from tests import clouds

from ringfence.api.arm import app
from ringfence.api.arm.credentials import Credentials
from ringfence.api.arm.directory import Subscription
from ringfence.api.entra.tokens import Signer, Subject
from ringfence.api.entra.verify import Verifier
from ringfence.api.kubernetes.keys import Keys
from ringfence.api.terminals import Terminals
from ringfence.control import first_owner
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.drivers.memory import MemoryDriver

SUBSCRIPTION = clouds.SUBSCRIPTION
TENANT = "99999999-8888-7777-6666-555555555555"
ORIGIN = "https://management.azure.com"
GROUP = f"{SUBSCRIPTION}/resourceGroups/mygroup"
VNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/mynetwork"
NSG = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/guard"
NIC = f"{GROUP}/providers/Microsoft.Network/networkInterfaces/nic"
WORKSPACE = f"{GROUP}/providers/Microsoft.MachineLearningServices/workspaces/ws"
COMPUTE = f"{WORKSPACE}/computes/myaks"
MANAGEMENT = "https://management.azure.com/"

Answer = httpx.Response
Json = Mapping[str, Any]


class Arm:
    """One installation. Every request carries a good token and an api-version unless it says otherwise."""

    def __init__(self, folder: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> None:
        self.driver = MemoryDriver(time.monotonic)
        self.store = Store(folder / "ringfence.db")
        self.now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)  # noqa: TID251 - a test's clock is the real one
        self.signer = Signer(key, TENANT, lambda: self.now(), _new_id)
        identities = Identities(self.store, lambda: secrets.token_bytes(16), lambda: self.now())
        self.engine = Engine(self.store, self.driver, clock=lambda: self.now(), new_id=_new_id, identities=identities)
        verifier = Verifier(key.public_key(), TENANT, lambda: self.now(), standing=lambda who, _: identities.groups_of(who))
        subscription = Subscription(SUBSCRIPTION.rpartition("/")[2], TENANT)
        first_owner.ensure_owner(self.engine, subscription.id, "object")
        credentials = Credentials(
            self.engine, Keys(secrets.token_bytes(32)), b"-- a certificate --", TENANT, lambda account: account.encode()
        )
        self.terminals = Terminals(self.engine, time.monotonic)
        built = app.build(self.engine, verifier, subscription, credentials, issue=self.terminals.issue)
        self.client = asking(built, ORIGIN)
        self.token = self.signer.issue(Subject("client", "object"), MANAGEMENT)

    def close(self) -> None:
        self.engine.close()
        self.store.close()

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        version: str | None = "2024-01-01",
        headers: Mapping[str, str] | None = None,
        query: str = "",
    ) -> Answer:
        """path: a path, or the absolute URL of a poll. body: JSON, or bytes as they are."""
        parts = [f"api-version={version}"] if version is not None and "api-version" not in path else []
        parts += [query] if query else []
        url = path + ("?" + "&".join(parts) if parts else "")
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"} | dict(headers or {})
        return self.client.request(method, url, content=content, headers=sent)

    def get(self, path: str, **more: Any) -> Answer:
        return self.send("GET", path, **more)

    def put(self, path: str, body: object, **more: Any) -> Answer:
        return self.send("PUT", path, body, **more)

    def made(self, path: str, body: Json) -> dict[str, Any]:
        """PUT, followed to its end; the document that GET shows then."""
        answer = self.put(path, body)
        assert answer.status_code in (200, 201), answer.text
        self.follow(answer)
        document: dict[str, Any] = self.get(path).json()
        assert document["properties"]["provisioningState"] == "Succeeded", document
        return document

    def follow(self, answer: Answer) -> dict[str, Any]:
        """The status document of an operation that has ended; {} when there was none to follow."""
        url = answer.headers.get("Azure-AsyncOperation")
        deadline = time.monotonic() + 5.0
        while url is not None:
            status: dict[str, Any] = self.get(url).json()
            if status["status"] in ("Succeeded", "Failed", "Canceled"):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.01)
        return {}

    def group(self) -> None:
        self.made(GROUP, {"location": "eastus2"})

    def network(self) -> None:
        """The group and a network with the subnet `default`."""
        self.group()
        subnet = {"name": "default", "properties": {"addressPrefix": "10.1.0.0/22"}}
        self.made(VNET, network(subnet))

    def workspace(self) -> None:
        self.network()
        self.made(WORKSPACE, {"location": "eastus2", "identity": {"type": "SystemAssigned"}, "properties": {}})


def network(*subnets: Json, prefix: str = "10.1.0.0/16") -> dict[str, Any]:
    return {"location": "eastus2", "properties": {"addressSpace": {"addressPrefixes": [prefix]}, "subnets": list(subnets)}}


def cluster(**more: Any) -> dict[str, Any]:
    """The body of snippet 1."""
    networking = {
        "subnetId": f"{VNET}/subnets/default",
        "serviceCidr": "10.0.0.0/16",
        "dnsServiceIP": "10.0.0.10",
        "dockerBridgeCidr": "172.17.0.1/16",
    }
    inner = {"aksNetworkingConfiguration": networking, **more}
    return {"location": "eastus2", "properties": {"computeType": "AKS", "computeLocation": "eastus2", "properties": inner}}


def error(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """The error of an answer in ARM's form, with the status and code expected."""
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    found: dict[str, Any] = answer.json()["error"]
    assert found["message"]
    return found


def _new_id() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16)))
