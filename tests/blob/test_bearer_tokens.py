"""Tokens at the blob service: `Storage Blob Data *` on the account or on one container, and nothing by other roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp
from tests.access import grants
from tests.blob.test_blob_service import ACCOUNT, NOW, account, refusal

from ringfence.api.blob import app
from ringfence.api.blob.bearer import Bearers
from ringfence.control.blobs import Blobs
from ringfence.control.content import Contents
from ringfence.control.store import Store
from ringfence.model import errors
from ringfence.model.resource import Snapshot
from ringfence.policy.access import Caller

WHERE = str(account("acct").id)
PUT = {"x-ms-blob-type": "BlockBlob"}
BLOB = "/azureml/model.pkl"


class Tokens:
    """`Bearer alice` is Alice."""

    def verify(self, authorization: str | None) -> Caller:
        name = (authorization or "").partition(" ")[2]
        if name == "expired":
            raise errors.Unauthenticated("ExpiredAuthenticationToken", "The access token expired.")
        return Caller(object_id=name, client_id="app")


@pytest.fixture
def ask(tmp_path: Path, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[Callable[..., httpx.Client]]:
    store = Store(tmp_path / "ringfence.db")
    numbers = iter(range(1000))
    blobs = Blobs(store, Contents(tmp_path / "blobs", lambda: f"id{next(numbers)}"), lambda: NOW, lambda: f"{next(numbers):032x}")
    for container in ("azureml", "other"):
        blobs.ensure_container(ACCOUNT, container)

    def made(*assigned: tuple[str, str, str]) -> httpx.Client:
        world: Snapshot = grants.world(assigned).changed([account("acct")])
        service = app.build(
            blobs, {"acct": ACCOUNT}.get, lambda: NOW, lambda: "request", bearers=Bearers(lambda: world, Tokens())
        )
        client = asking(service, "https://acct.blob.core.windows.net")
        client.headers["Authorization"] = "Bearer alice"
        return client

    yield made
    store.close()


def test_a_contributor_of_blobs_writes_reads_lists_and_deletes(ask: Callable[..., httpx.Client]) -> None:
    client = ask(("alice", "Storage Blob Data Contributor", WHERE))
    assert client.put(BLOB, content=b"model", headers=PUT).status_code == 201
    assert client.get(BLOB).content == b"model"
    assert "model.pkl" in client.get("/azureml?restype=container&comp=list").text
    assert client.delete(BLOB).status_code == 202


def test_a_reader_of_blobs_reads(ask: Callable[..., httpx.Client]) -> None:
    owner = ask(("alice", "Storage Blob Data Owner", WHERE))
    assert owner.put(BLOB, content=b"model", headers=PUT).status_code == 201
    client = ask(("alice", "Storage Blob Data Reader", WHERE))
    assert client.get(BLOB).content == b"model"
    for answer in (client.put(BLOB, content=b"other", headers=PUT), client.delete(BLOB)):
        assert refusal(answer) == (403, "AuthorizationPermissionMismatch")
    assert client.get(BLOB).content == b"model"


@pytest.mark.parametrize("role", ["Owner", "Contributor", "Storage Account Contributor", "AzureML Data Scientist"])
def test_roles_of_the_control_plane_open_no_blob(ask: Callable[..., httpx.Client], role: str) -> None:
    client = ask(("alice", role, "/"))
    assert refusal(client.get(BLOB)) == (403, "AuthorizationPermissionMismatch")


def test_a_role_on_one_container_says_nothing_about_another(ask: Callable[..., httpx.Client]) -> None:
    client = ask(("alice", "Storage Blob Data Contributor", f"{WHERE}/blobServices/default/containers/azureml"))
    assert client.put(BLOB, content=b"model", headers=PUT).status_code == 201
    assert refusal(client.put("/other/model.pkl", content=b"model", headers=PUT)) == (403, "AuthorizationPermissionMismatch")


def test_a_token_that_does_not_hold_is_answered_with_a_401(ask: Callable[..., httpx.Client]) -> None:
    client = ask(("alice", "Storage Blob Data Owner", WHERE))
    assert refusal(client.get(BLOB, headers={"Authorization": "Bearer expired"})) == (401, "InvalidAuthenticationInfo")
    assert refusal(client.get(BLOB, headers={"Authorization": "SharedKey acct:xyz"})) == (401, "NoAuthenticationInformation")
