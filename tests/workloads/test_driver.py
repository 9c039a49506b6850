"""The whole driver, as the reconciler uses it: a small cluster comes up, serves, changes, survives and goes."""

from __future__ import annotations

import hashlib
import http.client
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from ringfence.desired import diff
from ringfence.desired.state import (
    INTERNET,
    AnyItem,
    Binding,
    Bundle,
    Endpoint,
    File,
    Filter,
    Image,
    Network,
    Readiness,
    Route,
    Router,
    State,
    Target,
    Workload,
)
from ringfence.drivers.linux import image_store, processes
from ringfence.drivers.linux.driver import LinuxDriver

if TYPE_CHECKING:
    from tests.workloads.process_world import DIGEST, ECHO, SCORING, World, until
else:
    from process_world import DIGEST, ECHO, SCORING, World, until

NETWORK = Network(key="net/a", index=1, prefixes=("10.1.0.0/16",))
ADDRESSES = {"client": "10.1.0.4", "fe": "10.1.0.5", "pod0": "10.1.0.6", "pod1": "10.1.0.7"}
IMAGE = Image(key="img/test", endpoint="nic/client", registry="r.azurecr.io", repository="azureml/x", reference="latest")
#: Nothing but the image: it stays, because no registry is there to have it from again.
NOTHING = State.of([IMAGE])


class Cluster:
    """The desired state of one service, as one that asks for it would build it."""

    def __init__(self, world: World) -> None:
        self._world = world
        image_store.note(world.folders, IMAGE.key, IMAGE.fingerprint, DIGEST)

    def state(self, script: str = ECHO, *, replicas: int = 2, key: str = "k", **moved: str) -> State:
        """moved: endpoints that have another address."""
        bundle = self._bundle(script)
        addresses = {**ADDRESSES, **moved}
        endpoints = [Endpoint(key=f"nic/{name}", network=NETWORK.key, address=a) for name, a in addresses.items()]
        bindings = tuple(Binding(endpoint=e.key, address=e.address, subnet=None, nic=None) for e in endpoints)
        allowed = Filter(key="filter/a", network=NETWORK.key, rule_sets=(), bindings=bindings)
        pods = [self._pod(number, bundle) for number in range(replicas)]
        route = Route(
            service="s",
            auth=True,
            keys=(hashlib.sha256(f"Bearer {key}".encode()).hexdigest(),),
            targets=tuple(Target(address=addresses[f"pod{number}"], port=5001) for number in range(replicas)),
            timeout_ms=5000,
            max_concurrent=4,
            max_queue_wait_ms=1000,
        )
        needs = ("nic/fe", *(pod.key for pod in pods))
        router = Router(key="router/c", endpoint="nic/fe", port=80, routes=(route,), needs=needs)
        items: list[AnyItem] = [NETWORK, *endpoints, allowed, IMAGE, bundle, *pods, router]
        return State.of(items)

    def _bundle(self, script: str) -> Bundle:
        digest = hashlib.sha256(script.encode()).hexdigest()
        return Bundle(key=f"bundle/{digest[:12]}", files=(File(path="app/score.py", blob=self._world.blob(script.encode())),))

    @staticmethod
    def _pod(number: int, bundle: Bundle) -> Workload:
        return Workload(
            key=f"pod/x-{number}",
            needs=(f"nic/pod{number}", IMAGE.key, bundle.key),
            endpoint=f"nic/pod{number}",
            image=IMAGE.key,
            bundle=bundle.key,
            variables=(("AZUREML_ENTRY_SCRIPT", "app/score.py"),),
            cpu=1.0,
            memory_mb=256,
            port=5001,
        )


@pytest.fixture
def driver(world: World) -> Iterator[LinuxDriver]:
    made = start(world)
    yield made
    made.close()


def start(world: World) -> LinuxDriver:
    """A daemon's driver, ready for its first pass."""
    made = LinuxDriver(world.folders.state, SCORING, world.groups, world.folders.runtime)
    made.prepare()
    return made


def reconcile(driver: LinuxDriver, state: State, seconds: float = 30) -> int:
    """Pass after pass until nothing is left to do and everything is ready. Returns the number of passes."""
    end = time.monotonic() + seconds
    passes = 0
    while True:
        passes += 1
        observed = driver.observe()
        plan = diff.plan(state, observed)
        assert driver.apply(plan) == ()
        if plan.empty and all(observed[key].readiness is Readiness.READY for key in state.items):
            return passes
        assert time.monotonic() < end, (plan, observed)
        time.sleep(0.02)


def ask(driver: LinuxDriver, key: str = "k") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(ADDRESSES["fe"], 80, timeout=10)
    connection.sock = driver.open_socket("nic/client", socket.AF_INET, socket.SOCK_STREAM)
    connection.sock.settimeout(10)
    connection.sock.connect((ADDRESSES["fe"], 80))
    connection.request("POST", "/api/v1/service/s/score", b'"x"', {"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_a_cluster_comes_serves_changes_and_goes(world: World, driver: LinuxDriver) -> None:
    cluster = Cluster(world)
    reconcile(driver, cluster.state())
    assert ask(driver) == (200, b'"\\"x\\""')
    assert ask(driver, "wrong")[0] == 401
    before = processes.scan(world.folders.statuses, "")
    reconcile(driver, cluster.state(key="new"))
    assert (ask(driver, "k")[0], ask(driver, "new")[0]) == (401, 200)
    assert processes.scan(world.folders.statuses, "").keys() == before.keys()
    reconcile(driver, cluster.state("def init(): pass\ndef run(data): return 2\n", replicas=1))
    assert ask(driver) == (200, b"2")
    assert "POST /score 200" in driver.logs("pod/x-0") and "/api/v1/service/s/score 200" in driver.logs("router/c")
    assert driver.build_log("env/test") == ""
    reconcile(driver, NOTHING)
    assert processes.scan(world.folders.statuses, "") == {} and list(world.folders.bundles.iterdir()) == []
    assert [name for name in world.namespaces.names() if name.startswith("e") and name != "edge"] == []


def test_a_fresh_daemon_finds_everything_as_it_is(world: World, driver: LinuxDriver) -> None:
    state = Cluster(world).state()
    reconcile(driver, state)
    pids = sorted(s.pid for found in processes.scan(world.folders.statuses, "").values() for s in found)
    driver.close()
    again = start(world)
    observed = again.observe()
    assert diff.plan(state, observed).empty
    assert all(observed[key].readiness is Readiness.READY for key in state.items)
    assert ask(again)[0] == 200
    assert sorted(s.pid for found in processes.scan(world.folders.statuses, "").values() for s in found) == pids
    reconcile(again, NOTHING)
    again.close()


def test_a_version_that_does_not_load_leaves_the_other_one_its_files(world: World, driver: LinuxDriver) -> None:
    cluster = Cluster(world)
    reconcile(driver, cluster.state())
    broken = cluster.state("def init(): raise LookupError('no model here')\n")
    until(lambda: _failed(driver, broken) == {"pod/x-0", "pod/x-1"})
    assert ask(driver) == (200, b'"\\"x\\""')
    assert len(list(world.folders.bundles.iterdir())) == 2, "what still serves may have to be started again"
    assert {key for key in driver.observe() if key.startswith("bundle/")} == {k for k in broken.items if k.startswith("bundle/")}
    assert diff.plan(broken, driver.observe()).drop == ()
    reconcile(driver, cluster.state("def init(): pass\ndef run(data): return 2\n"))
    assert ask(driver) == (200, b"2")
    until(lambda: driver.observe() != {} and len(list(world.folders.bundles.iterdir())) == 1)
    reconcile(driver, NOTHING)


def _failed(driver: LinuxDriver, state: State) -> set[str]:
    """One pass, and which items have failed."""
    assert driver.apply(diff.plan(state, driver.observe())) == ()
    return {key for key, seen in driver.observe().items() if seen.readiness is Readiness.FAILED}


def test_an_endpoint_made_anew_brings_its_processes_with_it(world: World, driver: LinuxDriver) -> None:
    cluster = Cluster(world)
    reconcile(driver, cluster.state())
    reconcile(driver, cluster.state(pod0="10.1.0.55", fe=ADDRESSES["fe"]))
    assert ask(driver)[0] == 200
    reconcile(driver, NOTHING)


def test_the_internet_is_a_network_like_others_to_processes(world: World, driver: LinuxDriver) -> None:
    Cluster(world)
    here = Endpoint(key="nic/internet", network=INTERNET, address="198.19.255.4")
    assert driver.apply(diff.plan(State.of([here, IMAGE]), driver.observe())) == ()
    assert driver.namespace("nic/internet") in {str(world.namespaces.folder / name) for name in world.namespaces.names()}
    with pytest.raises(KeyError):
        driver.namespace("nic/absent")
    reconcile(driver, NOTHING)
