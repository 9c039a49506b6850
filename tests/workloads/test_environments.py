"""Environments: ordered over the socket, built with what the machine has, found again on the disk."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ringfence.desired.state import Environment, Observed, Readiness
from ringfence.drivers.linux import environments
from ringfence.drivers.linux.environments import Environments
from ringfence.drivers.linux.folders import Folders
from ringfence.sandbox import builder, environment_build, interpreters, package_sources
from ringfence.sandbox.builder import Builder
from ringfence.sandbox.environment_build import BuildFailed, Order

NAME = "abc123"
ITEM = Environment(key=f"env/{NAME}", python="", pip=())


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "s", tmp_path / "r")
    made.prepare()
    made.builds.parent.mkdir()
    return made


@contextlib.contextmanager
def serving(folders: Folders) -> Iterator[None]:
    """The builder of the host's side, on its socket."""
    listener = socket.socket(socket.AF_UNIX)
    # The folders of pytest are deep, and the address of a socket is short.
    here = os.open(folders.builds.parent, os.O_PATH)
    listener.bind(f"/proc/self/fd/{here}/build.sock")
    listener.listen()
    os.close(here)
    stop = threading.Event()
    thread = threading.Thread(target=builder.serve, args=(folders.state, listener, stop))
    thread.start()
    yield
    stop.set()
    thread.join()
    folders.builds.unlink()


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one small package, and nowhere else to look."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "VALUE = 7\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(
            "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\n")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(package_sources, "_from_files", lambda variables: {})
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


def settled(client: Environments, seconds: float = 60) -> Observed:
    end = time.monotonic() + seconds
    while True:
        seen = client.observe().get(ITEM.key)
        if seen is not None and seen.readiness is not Readiness.STARTING:
            return seen
        assert time.monotonic() < end, seen
        time.sleep(0.02)


def test_an_environment_is_built_used_put_aside_and_taken_back(folders: Folders, packages: Path) -> None:
    item = dataclasses.replace(ITEM, pip=("tiny>=1", "tiny==1.0; python_version >= '3'"))
    client = Environments(folders)
    with serving(folders):
        assert client.put(item) is None
        assert settled(client) == Observed(item.fingerprint)
        log = folders.build_log(item.key).read_text()
        assert "Installing tiny>=1" in log and "+ tiny==1.0" in log and "is ready: Python 3." in log
        built = environments.find(folders.environments, item.key)
        assert list(built.folder.glob("lib/python3.*/site-packages/__pycache__/tiny.*.pyc")), "compiled, for a read-only disk"
        assert json.loads((built.folder / "ringfence.json").read_text())["fingerprint"] == item.fingerprint
        assert built.prefixes and not (built.folder / "bin" / "python").readlink().is_symlink()
    assert settled(client) == Observed(item.fingerprint), "found on the disk when no builder answers"
    with serving(folders):
        assert client.drop(item.key) is None
        assert client.observe() == {} and built.folder.exists()
        assert client.put(item) is None
        assert client.observe() == {item.key: Observed(item.fingerprint)}, "without building it again"


def test_a_package_that_does_not_exist_fails_with_the_reason(folders: Folders, packages: Path) -> None:
    client = Environments(folders)
    with serving(folders):
        assert client.put(dataclasses.replace(ITEM, pip=("absent==9",))) is None
        seen = settled(client)
        assert (seen.readiness, seen.code) == (Readiness.FAILED, "ImageBuildFailure")
        assert "absent" in seen.message and "absent" in folders.build_log(ITEM.key).read_text()
        assert client.drop(ITEM.key) is None and client.observe() == {}
    with pytest.raises(environments.NotBuilt):
        environments.find(folders.environments, ITEM.key)


def test_without_a_builder_an_order_fails_and_says_so(folders: Folders) -> None:
    failure = Environments(folders).put(ITEM)
    assert failure is not None and "builder cannot be asked" in failure.message
    assert Environments(folders).observe() == {}


@pytest.mark.parametrize(
    "line",
    [
        "-r /etc/passwd",
        "--index-url=http://x",
        "./local",
        "/abs",
        "x @ file:///etc",
        "file:///etc/x.whl",
        "x\n-r y",
        "",
        "-e .",
        "http://x/y",
    ],
)
def test_a_requirement_cannot_name_a_file_or_an_option(tmp_path: Path, line: str) -> None:
    order = Order(NAME, "f", "", (line,), (), ())
    with pytest.raises(BuildFailed, match="names neither a package nor an https address"):
        environment_build.build(tmp_path, order, threading.Event())
    assert "FAILED" in (tmp_path / "logs" / "builds" / f"{NAME}.log").read_text()


@pytest.mark.parametrize(
    "line", ["scikit-learn", "a[b,c]>=1,<2", "a==1.0 ; python_version<'4'", "a @ https://h/x.whl", "git+https://h/r@main"]
)
def test_a_requirement_may_name_a_package_or_a_web_address(line: str) -> None:
    environment_build._check(Order(NAME, "f", "", (line,), (), ()))


def test_a_debian_package_that_is_not_here_fails_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="apt-get install no-such-package"):
        environment_build.build(tmp_path, Order(NAME, "f", "", (), (), ("no-such-package",)), threading.Event())


class Bench:
    """A builder whose builds are under the test's control."""

    def __init__(self, state: Path) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []
        self.go = threading.Event()
        self.fault: Exception | None = None
        self.builder = Builder(state, self._build)

    def _build(self, state: Path, order: Order, stop: threading.Event) -> None:
        self.started.append(order.fingerprint)
        while not self.go.is_set() and not stop.wait(0.01):
            continue
        if stop.is_set():
            time.sleep(0.05)
            self.ended.append(order.fingerprint)
            raise BuildFailed("given up")
        if self.fault:
            raise self.fault
        folder = state / "environments" / order.name
        folder.mkdir()
        (folder / environment_build.MARKER).write_text(json.dumps({"fingerprint": order.fingerprint}))

    def put(self, fingerprint: str = "f", name: str = NAME) -> str:
        answer = self.builder.answer(
            {"op": "put", "name": name, "fingerprint": fingerprint, "python": "", "pip": [], "index_options": [], "apt": []}
        )
        return str(answer["state"])

    def state(self, name: str = NAME) -> str:
        return str(self.builder.answer({"op": "list"})["builds"][name]["state"])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.builder.close()


def eventually(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_order_given_twice_is_one_build(bench: Bench) -> None:
    assert bench.put() == bench.put() == "starting"
    bench.go.set()
    eventually(lambda: bench.state() == "ready")
    assert bench.put() == "ready" and bench.started == ["f"]


def test_no_more_than_two_are_built_at_once(bench: Bench) -> None:
    for name in ("a", "b", "c", "d"):
        bench.put(name=name)
    eventually(lambda: len(bench.started) == 2)
    time.sleep(0.05)
    assert len(bench.started) == 2
    bench.go.set()
    eventually(lambda: all(bench.state(name) == "ready" for name in ("a", "b", "c", "d")))


def test_a_failed_build_is_kept_until_it_is_dropped_and_ordered_again(bench: Bench) -> None:
    bench.fault = OSError("disk is full")
    bench.go.set()
    bench.put()
    eventually(lambda: bench.state() == "failed")
    assert bench.put() == "failed"
    bench.fault = None
    bench.builder.answer({"op": "drop", "name": NAME})
    bench.put()
    eventually(lambda: bench.state() == "ready")


def test_another_content_under_a_name_stops_the_build_before(bench: Bench) -> None:
    bench.put("one")
    eventually(lambda: bench.started == ["one"])
    bench.put("two")
    eventually(lambda: bench.started == ["one", "two"])
    assert bench.ended == ["one"], "never two at work on one folder"
    bench.go.set()
    eventually(lambda: bench.state() == "ready")


def test_only_the_latest_unused_environments_are_kept(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "_KEPT", 2)
    bench.go.set()
    for number in range(4):
        name = f"e{number}"
        bench.put(name=name)
        eventually(lambda name=name: bench.state(name) == "ready")  # type: ignore[misc]
        bench.builder.answer({"op": "drop", "name": name})
        time.sleep(0.01)
    eventually(lambda: sorted(p.name for p in (tmp_path / "environments").iterdir() if p.is_dir()) == ["e2", "e3"])


@pytest.mark.parametrize(
    "request_", [{}, {"op": "burn"}, {"op": "drop", "name": "../x"}, {"op": "put", "name": "a"}, {"op": "put", "name": 3}]
)
def test_a_malformed_request_changes_nothing(bench: Bench, request_: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        bench.builder.answer(request_)
    assert bench.builder.answer({"op": "list"}) == {"builds": {}}


def have(*minors: int) -> list[interpreters.Interpreter]:
    return [interpreters.Interpreter((3, minor), Path(f"/usr/bin/python3.{minor}")) for minor in minors]


@pytest.mark.parametrize(
    ("wanted", "minors", "chosen", "remarked"),
    [
        ("3.11", (9, 11, 13), 11, False),
        ("3.11.4", (9, 11), 11, False),
        ("==3.10", (10, 11), 10, False),
        ("3.6", (9, 11), 9, True),
        ("3.12", (11, 13), 13, True),
        ("3.14", (9, 13), 13, True),
        ("2.7", (8, 11), 8, True),
    ],
)
def test_the_nearest_interpreter_is_chosen_and_another_version_is_told(
    wanted: str, minors: tuple[int, ...], chosen: int, remarked: bool
) -> None:
    interpreter, remark = interpreters.choose(wanted, have(*minors))
    assert interpreter.version == (3, chosen)
    assert bool(remark) == remarked and (not remark or f"Python 3.{chosen} is used" in remark)


def test_any_version_is_ours_and_none_at_all_is_an_error() -> None:
    found = interpreters.find()
    assert interpreters.choose("", found)[1] == "" and all(i.version >= (3, 8) and not i.path.is_symlink() for i in found)
    with pytest.raises(interpreters.NoInterpreter, match="apt-get install python3"):
        interpreters.choose("3.11", [])


def test_the_machines_pip_settings_become_uvs(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    indexes = "index-url = https://a/simple\nextra-index-url = https://b/simple\n  https://c/simple\n"
    file.write_text(f"[global]\n{indexes}[install]\nno_index = no\n")
    variables = {
        "HOME": str(tmp_path),
        "PIP_CONFIG_FILE": str(file),
        "PIP_CERT": "/c.pem",
        "PIP_FIND_LINKS": f"{tmp_path} /absent",
    }
    sources = package_sources.of_machine(variables)
    assert sources.variables() | {} == {
        "UV_DEFAULT_INDEX": "https://a/simple",
        "UV_INDEX": "https://b/simple https://c/simple",
        "UV_FIND_LINKS": str(tmp_path),
        "SSL_CERT_FILE": "/c.pem",
    }
    assert ["/absent" in remark for remark in sources.remarks] == [True]


def test_an_index_that_nobody_answers_at_is_left_out_with_a_remark(tmp_path: Path) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    options = [
        ("--extra-index-url", f"http://user:secret@127.0.0.1:{port}/simple"),
        ("--extra-index-url", tmp_path.as_uri()),
        ("-f", str(tmp_path)),
        ("--trusted-host", "h"),
        ("--no-deps", ""),
    ]
    sources = package_sources.with_options(package_sources.Sources(), options)
    assert sources.extra == [tmp_path.as_uri()] and sources.links == [str(tmp_path)] and sources.trusted == ["h"]
    assert len(sources.remarks) == 2 and "cannot be reached" in sources.remarks[0] and "secret" not in sources.remarks[0]
    assert "--no-deps" in sources.remarks[1]
