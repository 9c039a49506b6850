"""A cluster with a scoring service on it, and its API server over HTTP, in process: a real store, the memory driver."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
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
from tests.clouds import Cloud

from ringfence.api.arm import app as arm
from ringfence.api.arm.credentials import Credentials
from ringfence.api.arm.directory import Subscription
from ringfence.api.entra.tokens import Signer, Subject
from ringfence.api.entra.verify import Verifier
from ringfence.api.kubernetes import app
from ringfence.api.kubernetes.cluster import Cluster, find
from ringfence.api.kubernetes.identity import AUDIENCES, Authenticator
from ringfence.api.kubernetes.keys import Account, Keys
from ringfence.api.kubernetes.kubeconfig import SERVER_APP
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.desired.build import build
from ringfence.desired.state import Observed
from ringfence.drivers.memory import MemoryDriver
from ringfence.model import authorization, compute
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import roles

TENANT = "99999999-8888-7777-6666-555555555555"
SUBSCRIPTION = clouds.SUBSCRIPTION.rpartition("/")[2]
CA = "-----BEGIN CERTIFICATE-----\n"
SOMEBODY = "5a5a5a5a-0000-4000-8000-000000000001"

Json = dict[str, Any]


def seen(cloud: Cloud, changes: Mapping[str, Observed] | None = None) -> Cluster:
    """The only cluster of a cloud, with everything as wanted but what `changes` says (by key)."""
    state = build(cloud.snapshot)
    observed = {item.key: Observed(item.fingerprint) for item in state} | dict(changes or {})
    found = find(cloud.snapshot, state, observed, id=managed_cluster(cloud.snapshot).id)
    assert found is not None
    return found


def managed_cluster(snapshot: Snapshot) -> Resource:
    return snapshot.of_type(compute.MANAGED_CLUSTER)[0]


def assignment(role: str, scope: ResourceId | str, principal: str = SOMEBODY) -> Resource:
    """role: the name of a built-in one."""
    guid = next(guid for guid, one in roles.BUILT_IN.items() if one.name == role)
    return Resource(
        id=authorization.assignment_id(SUBSCRIPTION, str(uuid.UUID(bytes=secrets.token_bytes(16)))),
        properties=authorization.RoleAssignment(scope=str(scope), role=guid, principal_id=principal),
        created_at=clouds.NOW,
        changed_at=clouds.NOW,
    )


def with_entra(snapshot: Snapshot, **profile: object) -> Snapshot:
    """The only cluster takes tokens of Entra. profile: members of its `aadProfile`."""
    cluster = managed_cluster(snapshot)
    properties = cluster.properties.model_copy(update={"aad_profile": {"managed": True, **profile}})
    return snapshot.changed([dataclasses.replace(cluster, properties=properties)])


class World:
    """One installation with the seed's cluster and a service on it."""

    def __init__(self, folder: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> None:
        self.driver = MemoryDriver(time.monotonic)
        self.store = Store(folder / "ringfence.db")
        identities = Identities(self.store, lambda: secrets.token_bytes(16), _clock)
        self.engine = Engine(self.store, self.driver, clock=_clock, new_id=_new_id, identities=identities)
        self.signer = Signer(key, TENANT, _clock, _new_id)
        self.keys = Keys.load(folder / "clusters.key")
        verifier = Verifier(key.public_key(), TENANT, _clock)
        callers = Authenticator(self.keys, verifier.accepting(AUDIENCES), _clock)
        self.app = app.build(self.engine, callers, CA, _clock)
        credentials = Credentials(self.engine, self.keys, CA.encode(), TENANT)
        self._asking = asking
        self.arm = asking(
            arm.build(self.engine, verifier, Subscription(SUBSCRIPTION, TENANT), credentials), "https://management.azure.com"
        )

    def start(self) -> None:
        self.engine.start()
        for path, body, location in _seed():
            self.engine.put(clouds.resource(path, body, location))
        vnet = clouds.vnet_path("mynetwork")
        subnet = clouds.resource(f"{vnet}/subnets/default", clouds.subnet("10.1.0.0/22"), None)
        self.engine.put(clouds.resource(vnet, clouds.network("10.1.0.0/16")), also=[subnet])
        self.engine.put(clouds.resource(f"{clouds.ws_path()}/computes/myaks", clouds.aks(vnet)))
        self.settle()
        blobs = [{"path": "diabetes.pkl", "sha256": clouds.DIGEST}]
        self.put(f"{clouds.ws_path()}/assets/diabetes-1", {"name": "diabetes", "blobs": blobs})
        model = {"name": "diabetes", "version": 1, "url": "aml://asset/diabetes-1"}
        self.put(f"{clouds.ws_path()}/models/diabetes/versions/1", model)
        self.put(f"{clouds.ws_path()}/services/diabetes", clouds.service())
        self.settle()

    def put(self, path: str, body: Mapping[str, Any]) -> None:
        self.engine.put(clouds.resource(path, body, None))

    def settle(self) -> None:
        assert self.engine.wait_settled(10.0)

    def close(self) -> None:
        self.engine.close()
        self.store.close()

    @property
    def cluster(self) -> Resource:
        return managed_cluster(self.engine.snapshot())

    def server(self, **headers: str) -> httpx.Client:
        """The API server, by its name; as the local administrator unless there is an Authorization."""
        found = find(self.engine.snapshot(), self.engine.state(), self.engine.observed(), id=self.cluster.id)
        assert found is not None
        client = self._asking(self.app, f"https://{found.hosts[0]}")
        client.headers["Authorization"] = f"Bearer {self.keys.token(self.cluster, Account.ADMIN)}"
        client.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return client

    def token(self, audience: str = SERVER_APP, object_id: str = SOMEBODY) -> str:
        """An Authorization of somebody of Entra."""
        return f"Bearer {self.signer.issue(Subject('client', object_id), audience)}"


def _seed() -> list[tuple[str, Mapping[str, Any], str | None]]:
    groups: list[tuple[str, Mapping[str, Any], str | None]] = [(name, {}, "eastus2") for name in ("mygroup", "mlgroup")]
    return [*groups, (clouds.ws_path(), {"friendlyName": "ws"}, "eastus2")]


def parsed(value: str) -> str:
    """The text of a kubeconfig, as Azure encodes it."""
    return base64.b64decode(value).decode()


def _clock() -> dt.datetime:
    return dt.datetime.fromtimestamp(time.time(), dt.UTC)


def _new_id() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16)))
