"""A data plane over HTTP on the engine and the memory driver: one workspace with a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp
from tests.ml.plane import GROUP, NUMBERS, SUBNET, TENANT, WORKSPACE, Clock, Plane

from ringfence.api.blob import app as blob
from ringfence.api.entra import tokens
from ringfence.api.entra.verify import Verifier
from ringfence.api.ml import app
from ringfence.control import first_owner
from ringfence.control.blobs import Blobs, account_of
from ringfence.control.content import Contents
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities
from ringfence.control.store import Store
from ringfence.drivers.memory import MemoryDriver
from ringfence.model import group, ml, network, storage


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def plane(tmp_path: Path, key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[Plane]:
    clock, driver, store = Clock(), MemoryDriver(time.monotonic), Store(tmp_path / "ringfence.db")

    def new_id() -> str:
        return f"00000000-0000-0000-0000-{next(NUMBERS):012x}"

    engine = Engine(store, driver, clock=clock, new_id=new_id, identities=Identities(store, lambda: b"0" * 16, clock))
    blobs = Blobs(store, Contents(tmp_path / "blobs", new_id), clock, new_id)
    signer = tokens.Signer(key, TENANT, clock, new_id)
    application = app.build(engine, blobs, Verifier(key.public_key(), TENANT, clock), TENANT)

    def account(name: str, _: str) -> str | None:
        found = [r for r in engine.snapshot().of_type(storage.STORAGE_ACCOUNT) if r.id.name.lower() == name]
        return account_of(found[0]) if found else None

    first_owner.ensure_owner(engine, "sub", "oid")
    client = asking(application, "https://eastus2.api.azureml.ms")
    client.headers["Authorization"] = f"Bearer {signer.issue(tokens.Subject('app', 'oid'), 'https://management.azure.com/')}"
    engine.start()
    storage_client = asking(blob.build(blobs, account, clock, new_id), "https://unused.blob.core.windows.net")
    made = Plane(engine, driver, clock, signer, client, storage_client)
    space = network.AddressSpace(address_prefixes=("10.1.0.0/16",))
    made.put(GROUP, group.Group())
    made.put(SUBNET.parent, network.VirtualNetwork(address_space=space))
    made.put(SUBNET, network.Subnet(address_prefix="10.1.0.0/22"), None)
    made.put(WORKSPACE, ml.Workspace())
    networking = ml.AksNetworking(subnet_id=str(SUBNET))
    made.put(
        WORKSPACE.child("computes", "aks"),
        ml.Compute(compute_type="AKS", properties=ml.Aks(aks_networking_configuration=networking)),
    )
    yield made
    engine.close()
    store.close()
