"""The blob service over HTTP: verbs, conditions, limits, and what is left on disk after each."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import itertools
import xml.etree.ElementTree as xml
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message

from ringfence.api.blob import app, sas
from ringfence.control.blobs import Address, Blobs, account_of
from ringfence.control.content import Contents
from ringfence.control.store import Store
from ringfence.model import serving, storage
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource, Snapshot

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)
NAME = "LocalUpload/c/model.pkl"
GROUP = ResourceId("sub", "group")


def account(name: str, created: dt.datetime = NOW) -> Resource:
    id = GROUP.resource("Microsoft.Storage/storageAccounts", name)
    return Resource(id=id, properties=storage.StorageAccount(), created_at=created, changed_at=created)


ACCOUNT = account_of(account("acct"))
PUT = {"x-ms-blob-type": "BlockBlob"}


@dataclass
class World:
    """A blob service with one account `acct` and a container `azureml`; `client` speaks to it."""

    client: httpx.Client
    service: Starlette
    blobs: Blobs
    folder: Path

    def url(self, name: str = NAME, permissions: str = "rcwdl", container: str = "azureml", **more: str) -> str:
        scope = sas.Scope("acct", container)
        query = sas.sign(self.blobs.key(ACCOUNT), scope, permissions, NOW - dt.timedelta(1), NOW + dt.timedelta(1))
        return f"/{container}/{name}?{query}" + "".join(f"&{k}={v}" for k, v in more.items())

    def files(self) -> set[str]:
        return {path.name for path in self.folder.rglob("*") if path.is_file()}

    def put(self, content: bytes = b"content", name: str = NAME, **headers: str) -> httpx.Response:
        return self.client.put(self.url(name), content=content, headers=PUT | headers)


@pytest.fixture
def world(tmp_path: Path, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[World]:
    numbers = itertools.count()
    store = Store(tmp_path / "ringfence.db")
    contents = Contents(tmp_path / "blobs", lambda: f"id{next(numbers):032x}")
    blobs = Blobs(store, contents, lambda: NOW, lambda: f"{next(numbers):032x}")
    blobs.ensure_container(ACCOUNT, "azureml")
    accounts = {"acct": ACCOUNT}
    limits = app.Limits(blob=1000, block=1000, block_list=10_000, committed=5000)
    service = app.build(blobs, lambda name, _: accounts.get(name), lambda: NOW, lambda: "request", limits)
    yield World(asking(service, "https://acct.blob.core.windows.net"), service, blobs, tmp_path / "blobs")
    store.close()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    code = xml.fromstring(answer.text).findtext("Code") or ""
    assert answer.headers["x-ms-error-code"] == code and answer.headers["content-type"].startswith("application/xml")
    return answer.status_code, code


def test_what_was_put_comes_back(world: World) -> None:
    content = bytes(range(256))
    md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
    about = {"Content-MD5": md5, "x-ms-meta-name": "v", "x-ms-blob-content-type": "text/x", "If-None-Match": "*"}
    created = world.put(content, **about)
    assert created.status_code == 201 and created.headers["content-md5"] == md5
    assert created.headers["x-ms-request-id"] == "request"
    got = world.client.get(world.url())
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, content, "text/x")
    assert got.headers["etag"] == created.headers["etag"] and got.headers["x-ms-meta-name"] == "v"
    head = world.client.head(world.url())
    assert head.content == b"" and head.headers["content-length"] == "256" and head.headers["x-ms-blob-type"] == "BlockBlob"
    assert base64.b64decode(head.headers["content-sha256"]) == hashlib.sha256(content).digest()
    assert world.files() == {hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize(
    ("header", "status", "body", "range_"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=nonsense", 200, b"0123456789", None),
        ("bytes=10-", 416, None, None),
        ("bytes=5-4", 416, None, None),
    ],
)
def test_ranges(world: World, header: str, status: int, body: bytes | None, range_: str | None) -> None:
    world.put(b"0123456789")
    answer = world.client.get(world.url(), headers={"x-ms-range": header})
    assert answer.status_code == status and answer.headers.get("content-range") == range_
    assert body is None or answer.content == body


def test_an_empty_blob_is_a_blob(world: World) -> None:
    assert world.put(b"").status_code == 201
    assert world.client.get(world.url()).content == b""


def test_a_name_is_taken_once(world: World) -> None:
    first = world.put(b"first", **{"If-None-Match": "*"})
    assert refusal(world.put(b"second", **{"If-None-Match": "*"})) == (409, "BlobAlreadyExists")
    assert refusal(world.put(b"second", **{"If-Match": '"0xother"'})) == (412, "ConditionNotMet")
    assert world.put(b"third", **{"If-Match": first.headers["etag"]}).status_code == 201
    assert world.client.get(world.url()).content == b"third"


def test_creating_is_not_overwriting(world: World) -> None:
    world.put(b"first")
    answer = world.client.put(world.url(permissions="c"), content=b"second", headers=PUT)
    assert refusal(answer) == (409, "BlobAlreadyExists")


def test_conditions_of_a_read(world: World) -> None:
    etag = world.put().headers["etag"]
    assert world.client.get(world.url(), headers={"If-None-Match": etag}).status_code == 304
    assert refusal(world.client.get(world.url(), headers={"If-Match": '"0xother"'})) == (412, "ConditionNotMet")


def test_blocks_become_a_blob_in_the_order_of_the_list(world: World) -> None:
    ids = [base64.b64encode(f"block{i:03d}==".encode()).decode() for i in range(3)]
    for id, content in zip(ids, (b"a" * 900, b"b" * 900, b"c" * 900), strict=True):
        # Some clients encode the id once more than needed.
        doubled = id.replace("=", "%253D")
        assert world.client.put(world.url(comp="block", blockid=doubled), content=content).status_code == 201
    assert refusal(world.client.get(world.url())) == (404, "BlobNotFound")
    listed = "".join(f"<Latest>{ids[i]}</Latest>" for i in (2, 0, 1))
    body = f"<?xml version='1.0'?><BlockList>{listed}</BlockList>".encode()
    answer = world.client.put(world.url(comp="blocklist"), content=body, headers={"x-ms-blob-content-type": "text/x"})
    assert answer.status_code == 201
    assert world.client.get(world.url()).content == b"c" * 900 + b"a" * 900 + b"b" * 900
    # The blocks are used up: the same list names nothing now.
    assert refusal(world.client.put(world.url(comp="blocklist"), content=body)) == (400, "InvalidBlockList")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<BlockList><Latest>bm90aGVyZQ==</Latest></BlockList>", "InvalidBlockList"),
        (b"<BlockList><Committed>bm90aGVyZQ==</Committed></BlockList>", "InvalidBlockList"),
        (b"<Other/>", "InvalidBlockList"),
        (b"<BlockList><Latest>!</Latest></BlockList>", "InvalidBlockId"),
        (b"<BlockList>", "InvalidXmlDocument"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><BlockList>&b;</BlockList>', "InvalidXmlDocument"),
        (b"", "InvalidXmlDocument"),
    ],
)
def test_block_lists_that_are_none(world: World, body: bytes, code: str) -> None:
    assert refusal(world.client.put(world.url(comp="blocklist"), content=body)) == (400, code)


def test_metadata_is_replaced(world: World) -> None:
    world.put(b"", **{"x-ms-meta-old": "1"})
    assert world.client.put(world.url(comp="metadata"), headers={"x-ms-meta-new": "2"}).status_code == 200
    head = world.client.head(world.url())
    assert head.headers["x-ms-meta-new"] == "2" and "x-ms-meta-old" not in head.headers
    assert world.client.get(world.url(comp="metadata")).headers["x-ms-meta-new"] == "2"


def test_a_deleted_blob_is_gone(world: World) -> None:
    world.put()
    assert world.client.delete(world.url()).status_code == 202
    assert refusal(world.client.delete(world.url())) == (404, "BlobNotFound")


def test_a_listing_goes_page_by_page(world: World) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        world.put(name.encode(), name)
    seen, marker = [], ""
    while True:
        url = world.url("", restype="container", comp="list", prefix="a/", maxresults="2", marker=marker)
        page = xml.fromstring(world.client.get(url.replace("/?", "?")).content)
        seen.append([blob.findtext("Name") for blob in page.iter("Blob")])
        marker = page.findtext("NextMarker") or ""
        if not marker:
            break
    assert seen == [["a/1", "a/2"], ["a/3"]]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 400, "MissingRequiredHeader"),
        ({"x-ms-blob-type": "PageBlob"}, 400, "InvalidHeaderValue"),
        (PUT | {"Content-MD5": base64.b64encode(b"0" * 16).decode()}, 400, "Md5Mismatch"),
        (PUT | {"Content-MD5": "short"}, 400, "InvalidMd5"),
        (PUT | {"x-ms-content-crc64": "AAAA"}, 400, "UnsupportedHeader"),
        (PUT | {"If-None-Match": '"0x1"'}, 400, "UnsupportedHeader"),
        (PUT | {"x-ms-meta-not-a-name": "1"}, 400, "InvalidMetadata"),
        (PUT | {"x-ms-meta-a": "1" * 9000}, 400, "InvalidMetadata"),
        (PUT | {"Content-Length": "many"}, 400, "InvalidHeaderValue"),
    ],
)
def test_uploads_that_are_refused_leave_nothing(world: World, headers: dict[str, str], status: int, code: str) -> None:
    assert refusal(world.client.put(world.url(), content=b"content", headers=headers)) == (status, code)
    assert world.files() == set()
    assert refusal(world.client.get(world.url())) == (404, "BlobNotFound")


def test_too_much_is_refused_with_and_without_an_announcement(world: World) -> None:
    assert refusal(world.put(b"x" * 1001)) == (413, "RequestBodyTooLarge")

    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 600] * 2

    answer = world.client.put(world.url(), content=chunks(), headers=PUT | {"Transfer-Encoding": "chunked"})
    assert refusal(answer) == (413, "RequestBodyTooLarge")
    assert world.files() == set()


def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    async def half() -> int:
        whole: Message = {"type": "http.request", "body": b"half", "more_body": True}
        sent = iter([whole, {"type": "http.disconnect"}])
        status: list[int] = []

        async def receive() -> Message:
            return next(sent)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])

        path, _, query = world.url().partition("?")
        headers = [(b"host", b"acct.blob.core.windows.net"), (b"x-ms-blob-type", b"BlockBlob"), (b"content-length", b"100")]
        scope = {"type": "http", "method": "PUT", "path": path, "query_string": query.encode(), "headers": headers}
        await world.service(scope | {"http_version": "1.1", "root_path": ""}, receive, send)
        return status[0]

    assert asyncio.run(half()) == 400
    assert world.files() == set()


def test_the_sweep_takes_halves_and_what_nothing_names(world: World) -> None:
    world.put(b"kept")
    world.put(b"gone", "x")
    world.put(b"in use", "y")
    world.client.delete(world.url("x"))
    world.client.delete(world.url("y"))
    half = world.blobs.contents.begin(100)
    half.write(b"half")
    used = hashlib.sha256(b"in use").hexdigest()
    blob = serving.Blob(path="y", sha256=used)
    id = GROUP.resource("Microsoft.MachineLearningServices/workspaces", "ws").child("assets", "a")
    asset = Resource(id=id, properties=serving.Asset(name="a", blobs=(blob,)), created_at=NOW, changed_at=NOW)
    assert world.blobs.sweep(Snapshot.of([account("acct"), asset])) == 2
    assert world.files() == {hashlib.sha256(b"kept").hexdigest(), used}
    half.abort()
    # The account is made anew: what the old one held goes.
    assert world.blobs.sweep(Snapshot.of([account("acct", NOW + dt.timedelta(seconds=1))])) == 2
    assert world.files() == set() and not world.blobs.has_container(ACCOUNT, "azureml")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/azureml/a/%2e%2e/b", 400, "InvalidUri"),
        ("/azureml/a//b", 400, "InvalidUri"),
        ("/azureml/a%00b", 400, "InvalidUri"),
        ("/azureml/" + "a" * 1025, 400, "InvalidUri"),
        ("/AZUREML/a", 400, "InvalidUri"),
        ("/x/a", 400, "InvalidUri"),
        ("/", 400, "InvalidUri"),
        ("/azureml/a", 401, "NoAuthenticationInformation"),
        ("/azureml/a?sig=x", 403, "AuthenticationFailed"),
        ("/azureml/a?comp=lease&sig=x", 400, "InvalidQueryParameterValue"),
        ("/azureml/a?sig=x&sig=y", 400, "InvalidQueryParameterValue"),
        ("/azureml/a?sp=r%0A&sig=x", 403, "AuthenticationFailed"),
    ],
)
def test_paths_and_queries_that_lead_nowhere(world: World, path: str, status: int, code: str) -> None:
    url = httpx.URL("https://acct.blob.core.windows.net", raw_path=path.encode())
    assert refusal(world.client.get(url)) == (status, code)


def test_accounts_and_containers_that_are_not_there(world: World) -> None:
    answer = world.client.get(world.url(), headers={"Host": "other.blob.core.windows.net"})
    assert refusal(answer) == (404, "ResourceNotFound")
    answer = world.client.put(world.url(container="missing"), content=b"", headers=PUT)
    assert refusal(answer) == (404, "ContainerNotFound")
    assert world.client.request("PATCH", world.url()).status_code == 405


def test_a_refusal_says_why_the_signature_fails(world: World) -> None:
    url = world.url().replace("sp=rcwdl", "sp=rcwdlx")
    answer = world.client.get(url)
    assert refusal(answer) == (403, "AuthenticationFailed")
    assert xml.fromstring(answer.text).findtext("AuthenticationErrorDetail") == "Signature did not match."
    assert "RequestId:request" in answer.text
    head = world.client.head(url)
    assert head.status_code == 403 and head.headers["x-ms-error-code"] == "AuthenticationFailed" and head.content == b""


def test_a_new_account_of_the_same_name_starts_empty(world: World) -> None:
    world.put()
    assert world.blobs.find(Address(ACCOUNT, "azureml", NAME)) is not None
    other = account_of(account("acct", NOW + dt.timedelta(seconds=1)))
    assert world.blobs.find(Address(other, "azureml", NAME)) is None
    assert world.blobs.key(ACCOUNT) == world.blobs.key(ACCOUNT) != world.blobs.key(other)
