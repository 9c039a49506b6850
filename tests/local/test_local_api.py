"""The local API: what `ringfence` asks for, and what it is told when it asks wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp
from tests import clouds
from tests.control.engine_world import COMPUTE, NSG, OTHER, VNET, World

from ringfence.api.local import app
from ringfence.api.local.locations import Locations
from ringfence.api.local.status import Status
from ringfence.control.identities import Principal, administrator
from ringfence.policy import places


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    found.engine.start()
    yield found
    found.close()


@pytest.fixture
def client(world: World, asking: Callable[[ASGIApp, str], httpx.Client]) -> httpx.Client:
    locations = Locations(world.engine, world.driver)
    status = Status(world.engine, locations, version="1", started=world.engine.clock(), enforced=False)
    return asking(app.build(world.engine, locations, status), "http://ringfence")


def test_status_of_an_empty_installation(client: httpx.Client) -> None:
    found = client.get("/status").json()
    assert found["version"] == "1" and found["enforced"] is False and found["locations"] == ["internet"]
    assert found["clusters"] == found["services"] == found["networks"] == found["operations"] == []


def test_status_of_a_cluster(world: World, client: httpx.Client) -> None:
    world.cluster()
    found = client.get("/status").json()
    (cluster,) = found["clusters"]
    assert (cluster["name"], cluster["state"], cluster["nodes"]) == ("myaks", "Succeeded", 3)
    assert cluster["loadBalancer"] == "PublicIp" and cluster["frontend"].startswith("198.19.")
    (network,) = found["networks"]
    assert (network["name"], network["addressSpace"], network["subnets"]) == ("mynetwork", ["10.1.0.0/16"], ["default"])
    assert found["locations"] == ["internet", "mynetwork/default"]


def test_status_names_the_rule_that_blocks_the_probes(world: World, client: httpx.Client) -> None:
    world.cluster()
    world.put(NSG, {})
    world.put(VNET, clouds.network("10.1.0.0/16"), also={"subnets/default": clouds.subnet("10.1.0.0/22", NSG)})
    row = client.get("/status").json()["clusters"][0]
    assert row["endpoint"] == "up" and "fault" not in row
    (frontend,) = places.frontends(world.engine.snapshot())
    world.driver.sicken(f"{frontend.targets[0]}:80")
    assert client.get("/status").json()["clusters"][0]["endpoint"] == "up", "it has only just come to be"
    world.put(f"{NSG}/securityRules/DenyAll", clouds.rule(4096, "Deny"), location=None)
    row = client.get("/status").json()["clusters"][0]
    assert row["state"] == "Succeeded" and row["endpoint"] == "down"
    assert "'DenyAll'" in row["fault"] and str(clouds.rid(NSG)) in row["fault"] and "AzureLoadBalancer" in row["fault"]
    world.driver.recover()
    assert client.get("/status").json()["clusters"][0]["endpoint"] == "up"


def test_status_names_what_is_in_progress(world: World, client: httpx.Client) -> None:
    world.network()
    world.workspace()
    world.driver.slow_down("router/", 60.0)
    world.accept(COMPUTE, clouds.aks(VNET))
    (operation,) = client.get("/status").json()["operations"]
    assert operation["kind"] == "Create" and operation["resource"].endswith("/computes/myaks")
    waited = client.post("/wait", json={"timeoutS": 0.1}).json()
    assert waited["settled"] is False and len(waited["operations"]) == 1
    world.driver.recover()
    assert client.post("/wait", json={"timeoutS": 5}).json() == {"settled": True, "operations": []}


def test_the_operator_signs_a_person_in(world: World, client: httpx.Client) -> None:
    identities = world.engine.identities
    administrator.ensure(identities, Principal(client_id="c", object_id="o", display_name="admin"), "s", world.engine.clock())
    device, code = identities.grants.ask("az", {"scope": "openid"})
    answer = client.post("/sign-in", json={"code": code})
    assert answer.json()["user"] == administrator.PERSON and answer.json()["approved"] is True
    assert identities.grants.poll(device, "az")[0] == "approved"
    _, code = identities.grants.ask("az", {})
    for body, status, word in (
        ({"code": "AAAAAAAAA"}, 404, "CodeNotFound"),
        ({"code": code, "user": "nobody"}, 404, "UserNotFound"),
        ({"user": "admin"}, 400, "InvalidRequestContent"),
    ):
        answer = client.post("/sign-in", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, word)
    assert client.post("/sign-in", json={"code": code, "user": "admin", "decline": True}).json()["approved"] is False


def test_the_internet_is_a_location(client: httpx.Client) -> None:
    found = client.post("/locations", json={"at": "internet"}).json()
    assert found == {
        "location": "internet",
        "namespace": "memory:nic/internet",
        "address": "198.19.255.4",
        "resolver": "168.63.129.16",
    }


def test_a_subnet_is_a_location_once_it_is_asked_for(world: World, client: httpx.Client) -> None:
    world.network()
    before = world.engine.snapshot().version
    found = client.post("/locations", json={"at": "MyNetwork/Default"}).json()
    assert found["location"] == "mynetwork/default" and found["address"] == "10.1.0.4"
    assert found["namespace"].startswith("memory:nic/") and world.engine.snapshot().version > before
    made = world.engine.snapshot().version
    by_id = client.post("/locations", json={"at": str(world.id(f"{VNET}/subnets/default"))}).json()
    assert by_id == found and world.engine.snapshot().version == made, "it is made once"
    world.delete(f"{VNET}/subnets/default")
    assert client.post("/locations", json={"at": "mynetwork/default"}).status_code == 404
    world.consistent()


def test_an_interface_is_a_location_by_its_id(world: World, client: httpx.Client) -> None:
    """A command there starts under the rules of the interface's own group, too."""
    world.network()
    nic = {"ipConfigurations": [{"name": "one", "properties": {"subnet": {"id": str(world.id(f"{VNET}/subnets/default"))}}}]}
    path = "mygroup/Microsoft.Network/networkInterfaces/nic"
    world.put(path, nic)
    made = world.engine.snapshot().version
    found = client.post("/locations", json={"at": str(world.id(path)).upper()}).json()
    assert found["location"] == str(world.id(path)) and found["address"] == "10.1.0.4"
    assert world.engine.snapshot().version == made, "it is there already"


def test_twins_are_told_apart_by_id(world: World, client: httpx.Client) -> None:
    world.network()
    twin = clouds.vnet_path("mynetwork", "othergroup")
    world.network(twin)
    answer = client.post("/locations", json={"at": "mynetwork/default"})
    assert answer.status_code == 400 and "othergroup" in answer.json()["error"]["message"]
    id = str(world.id(f"{twin}/subnets/default"))
    assert client.post("/locations", json={"at": id}).json()["location"] == id
    assert id in {entry["location"] for entry in client.get("/locations").json()["locations"]}


@pytest.mark.parametrize(
    "at", ["", "nowhere", "mynetwork", "a/b", "/subscriptions/x", "/../x", "x" * 5000, "a\u0000/b", "internet "]
)
def test_places_that_are_none(world: World, client: httpx.Client, at: str) -> None:
    world.network()
    answer = client.post("/locations", json={"at": at})
    assert answer.status_code in (400, 404) and len(answer.content) < 2000
    if answer.json()["error"]["code"] == "LocationNotFound":
        assert "mynetwork/default" in answer.json()["error"]["message"], "the answer names the locations there are"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"at": 1}', b'{"at": null}', b"\xff", b"[" * 50_000, b"x" * 70_000])
def test_bodies_that_are_none(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/locations", content=body)
    assert answer.status_code in (400, 413) and answer.json()["error"]["code"]
    assert client.post("/wait", json={"timeoutS": "long"}).status_code == 400
    assert client.post("/wait", json={"timeoutS": -1}).status_code == 400


def test_a_location_that_cannot_be_made_says_why(world: World, client: httpx.Client) -> None:
    world.network(subnet="10.1.0.0/29")
    nic = {"ipConfigurations": [{"name": "one", "properties": {"subnet": {"id": str(world.id(f"{VNET}/subnets/default"))}}}]}
    for number in range(3):
        world.put(f"mygroup/Microsoft.Network/networkInterfaces/nic{number}", nic)
    answer = client.post("/locations", json={"at": "mynetwork/default"})
    assert answer.status_code == 400 and answer.json()["error"]["code"] == "SubnetIsFull"


def test_logs_counters_health(world: World, client: httpx.Client) -> None:
    world.cluster()
    world.put(NSG, {})
    world.put(OTHER, clouds.network("10.3.0.0/16"))
    assert client.get("/logs?service=ghost").status_code == 404
    assert set(client.get("/counters").json()["networks"]) == {str(world.id(VNET)), str(world.id(OTHER)), "internet"}
    (targets,) = client.get("/health").json()["balancers"].values()
    assert list(targets.values()) == [True]
    assert client.get("/elsewhere").status_code == 404
