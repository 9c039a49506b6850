"""The inference router: who may ask what, what happens when nobody can answer, and changes under load."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import json
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from ringfence.desired.state import Readiness, Route, Router, Target
from ringfence.drivers.linux import processes, router_config

if TYPE_CHECKING:
    from tests.workloads.process_world import ENDPOINT, World, settled, until
else:
    from process_world import ENDPOINT, World, settled, until

KEY = "router/c"


def digest(key: str) -> str:
    return hashlib.sha256(f"Bearer {key}".encode()).hexdigest()


def route(service: str, *ports: int, keys: tuple[str, ...] = (), **more: object) -> Route:
    values: dict[str, object] = {
        "service": service,
        "auth": bool(keys),
        "keys": tuple(digest(key) for key in keys),
        "targets": tuple(Target(address="127.0.0.1", port=port) for port in ports),
        "timeout_ms": 5000,
        "max_concurrent": 8,
        "max_queue_wait_ms": 500,
        **more,
    }
    return Route(**values)  # type: ignore[arg-type]


def router(*routes: Route) -> Router:
    return Router(key=KEY, endpoint=ENDPOINT, port=80, routes=routes)


def start(world: World, *routes: Route, scripts: dict[int, str] | None = None, wait_ms: int = 0) -> Router:
    """A router, and a workload per port that lets nothing wait longer than wait_ms; all ready."""
    workloads = world.workloads()
    for port, script in (scripts or {5001: "def init(): pass\ndef run(data): return data\n"}).items():
        made = world.workload(script, key=f"pod/p-{port}", port=port)
        variables = (*made.variables, ("MAX_QUEUE_WAIT_MS", str(wait_ms)))
        assert workloads.put(dataclasses.replace(made, variables=variables)) is None
    item = router(*routes)
    routers = world.routers()
    assert routers.put(item) is None
    until(lambda: KEY in routers.observe() and routers.observe()[KEY].readiness is Readiness.READY)
    for port in scripts or {5001: ""}:
        assert settled(workloads, f"pod/p-{port}").readiness is Readiness.READY
    return item


def ask(world: World, path: str, key: str | None = None, **headers: str) -> tuple[int, dict[str, str], str]:
    connection = world.connect(80)
    fields = {"Content-Type": "application/json", **headers, **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("POST", path, b'"x"', fields)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def test_a_request_meets_its_service_with_its_key(world: World) -> None:
    start(world, route("keyed", 5001, keys=("k1", "k2")), route("open", 5001), route("idle", keys=("k1",)))
    base = "/api/v1/service"
    table: list[tuple[str, str | None, int, str]] = [
        (f"{base}/keyed/score", "k1", 200, ""),
        (f"{base}/keyed/score", "k2", 200, ""),
        (f"{base}/keyed/score", "k3", 401, "Unauthorized"),
        (f"{base}/keyed/score", None, 401, "Unauthorized"),
        (f"{base}/keyed/", None, 401, "Unauthorized"),
        (f"{base}/open/score", None, 200, ""),
        (f"{base}/open/score", "whatever", 200, ""),
        (f"{base}/idle/score", "k1", 503, "ServiceUnavailable"),
        (f"{base}/idle/score", "k2", 401, "Unauthorized"),
        (f"{base}/nobody/score", "k1", 404, "NotFound"),
        (f"{base}//score", "k1", 404, "NotFound"),
        (f"{base}", "k1", 404, "NotFound"),
        ("/score", "k1", 404, "NotFound"),
        ("/", None, 404, "NotFound"),
    ]
    for path, key, status, code in table:
        got, headers, text = ask(world, path, key)
        assert got == status, (path, key, text)
        if code:
            assert json.loads(text)["error"]["code"] == code
            assert headers["content-type"] == "application/json"
        assert ("www-authenticate" in headers) == (status == 401)
    connection = world.connect(80)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()


def test_the_service_sees_the_rest_of_the_path_and_no_key(world: World) -> None:
    script = "def init(): pass\ndef run(data, request_headers): return sorted(request_headers)\n"
    start(world, route("s", 5001, keys=("k",)), scripts={5001: script})
    status, headers, text = ask(world, "/api/v1/service/s/score?a=b", "k", **{"x-ms-client-request-id": "mine"})
    assert status == 200 and headers["x-ms-client-request-id"] == "mine"
    assert "Authorization" not in json.loads(text) and "X-Ms-Client-Request-Id" in json.loads(text)
    assert ask(world, "/api/v1/service/s", "k")[0] == 405, "the service's own root"
    two = world.connect(80)
    two.putrequest("POST", "/api/v1/service/s/score")
    for key in ("Bearer k", "Bearer wrong"):
        two.putheader("Authorization", key)
    two.putheader("Content-Length", "0")
    two.endheaders()
    assert two.getresponse().status == 401, "two keys are none"
    two.close()


def test_a_slow_or_full_or_dead_service_is_told_apart(world: World) -> None:
    script = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(1)\n    return 1\n"
    start(
        world,
        route("slow", 5001, timeout_ms=200),
        route("full", 5001, max_concurrent=1, max_queue_wait_ms=100),
        route("dead", 6009),
        scripts={5001: script},
        wait_ms=100,
    )
    assert ask(world, "/api/v1/service/slow/score")[0] == 504
    assert ask(world, "/api/v1/service/dead/score")[0] == 503
    time.sleep(1)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(ask(world, "/api/v1/service/full/score")[0])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [503, 503, 200], "refused at once and not when their turn comes"


def test_a_crash_while_a_request_is_answered_is_a_bad_gateway(world: World) -> None:
    start(world, route("s", 5001), scripts={5001: "import os\ndef init(): pass\ndef run(data): os._exit(1)\n"})
    status, _, text = ask(world, "/api/v1/service/s/score")
    assert (status, json.loads(text)["error"]["code"]) == (502, "BadGateway")


def test_a_dead_replica_costs_no_request(world: World) -> None:
    start(world, route("s", 5001, 6009))
    began = time.monotonic()
    assert [ask(world, "/api/v1/service/s/score")[0] for _ in range(6)] == [200] * 6
    assert time.monotonic() - began < 0.5


def test_keys_change_at_once_on_open_connections(world: World) -> None:
    item = start(world, route("s", 5001, keys=("old",)))
    routers = world.routers()
    connection = world.connect(80)

    def status(key: str) -> int:
        connection.request("GET", "/api/v1/service/s/score?a=1", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert (status("old"), status("new")) == (200, 401)
    held = connection.sock
    changed = router(route("s", 5001, keys=("new",)))
    assert changed.fingerprint != item.fingerprint
    assert routers.put(changed) is None
    assert (status("old"), status("new")) == (401, 200)
    assert connection.sock is held, "the same connection all along"
    connection.close()
    assert world.routers().observe()[KEY].fingerprint == changed.fingerprint


def test_no_request_is_lost_while_everything_changes(world: World) -> None:
    echo = "def init(): pass\ndef run(data): return data\n"
    routes = route("s", 5001, 5002, keys=("k",))
    start(world, routes, scripts={5001: echo, 5002: echo})
    routers = world.routers()
    stop = threading.Event()
    faults: list[str] = []
    counts: list[int] = []

    def client(connection: http.client.HTTPConnection) -> None:
        done = 0
        while not stop.is_set():
            try:
                connection.request("POST", "/api/v1/service/s/score", b'"x"', {"Authorization": "Bearer k"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    faults.append(f"status {answer.status}")
                if answer.will_close:
                    connection.close()
                    connection = world.connect(80)
                done += 1
            except (OSError, http.client.HTTPException) as error:
                faults.append(repr(error))
                connection = world.connect(80)
        connection.close()
        counts.append(done)

    threads = [threading.Thread(target=client, args=(world.connect(80),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(6):
        changed = dataclasses.replace(routes, timeout_ms=5000 + number // 2, keys=(digest("k"), digest(f"other-{number}")))
        assert routers.put(router(changed, route(f"new-{number // 2}", 5001))) is None
        time.sleep(0.15)
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == [] and min(counts) > 20, (faults, counts)


def test_another_daemon_takes_a_router_over_as_it_is(world: World) -> None:
    start(world, route("a", 5001))
    changed = router(route("a", 5001), route("b", 5001))
    assert world.routers().put(changed) is None
    seen = world.routers().observe()[KEY]
    assert (seen.fingerprint, seen.readiness) == (changed.fingerprint, Readiness.READY)
    supervisor = processes.scan(world.folders.statuses, KEY)[KEY][0]
    assert supervisor.fingerprint != changed.fingerprint, "the stamp is of the first start; the state is asked of the process"
    assert "/api/v1/service/b/score 200" in _log_after(world, lambda: ask(world, "/api/v1/service/b/score"))


def test_a_killed_router_comes_back_with_its_last_state(world: World) -> None:
    start(world, route("a", 5001))
    changed = router(route("b", 5001))
    routers = world.routers()
    assert routers.put(changed) is None
    supervisor = processes.scan(world.folders.statuses, KEY)[KEY][0]
    dataclasses.replace(supervisor, pid=supervisor.status.child).signal(signal.SIGKILL)
    until(lambda: processes.scan(world.folders.statuses, KEY)[KEY][0].status.attempts == 2)
    until(lambda: routers.observe()[KEY].readiness is Readiness.READY)
    assert routers.observe()[KEY].fingerprint == changed.fingerprint
    assert ask(world, "/api/v1/service/b/score")[0] == 200
    routers.drop(KEY)
    until(lambda: not routers.observe())


def test_a_name_that_is_no_name_never_reaches_a_configuration(world: World) -> None:
    failure = world.routers().put(router(route("a\n    bind :81", 5001)))
    assert failure is not None and "cannot be routed" in failure.message
    with pytest.raises(router_config.UnfitRouter):
        router_config.render(router(route("../x", 5001)))


def _log_after(world: World, action: Callable[[], object]) -> str:
    action()
    path = world.folders.log(KEY)
    until(lambda: "/api/v1/service/b/score" in path.read_text())
    return path.read_text()
