"""A small world to start processes in: endpoints without a fabric, images without packages, scripts as text."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ringfence.desired.state import Bundle, File, Observed, Readiness, ServiceAccount, Workload
from ringfence.drivers.linux import image_store, processes
from ringfence.drivers.linux.bundles import Bundles
from ringfence.drivers.linux.cgroups import Cgroups
from ringfence.drivers.linux.folders import Folders
from ringfence.drivers.linux.namespaces import Namespaces
from ringfence.drivers.linux.routers import Routers
from ringfence.drivers.linux.workloads import Workloads
from ringfence.kernel import syscalls

ECHO = "def init(): pass\ndef run(data): return data\n"
SCORING = Path(__file__).resolve().parents[2] / "src" / "ringfence" / "scoring"
PORT = 5001
ENDPOINT = "nic/one"
ENVIRONMENT, DIGEST = "/azureml-envs/azureml_test", "d" * 64


def files_of(account: ServiceAccount) -> dict[str, str]:
    return {"token": f"of {account.name}", "namespace": account.namespace}


class World:
    """One endpoint, one image; a state folder and a runtime folder that vanish with the sandbox."""

    def __init__(self, *, cgroups: bool) -> None:
        self.folders = Folders(Path("/run/state"), Path("/run/ringfence"))
        self.folders.state.mkdir(mode=0o700)
        self.folders.prepare()
        self.groups = _own_groups() if cgroups else []
        self.cgroups = Cgroups(self.groups)
        self.namespaces = Namespaces(self.folders.runtime / "netns")
        self.namespaces.create("one").close()
        self.bundles = Bundles(self.folders.bundles, self.folders.blobs)
        self._image()
        self._opened: list[Workloads] = []

    def workloads(self) -> Workloads:
        """What a freshly started daemon has."""
        self._opened.append(Workloads(self.folders, self.cgroups, SCORING, self.namespace, self.dial, files_of))
        return self._opened[-1]

    def routers(self) -> Routers:
        return Routers(self.folders, self.cgroups, self.namespace)

    def namespace(self, endpoint: str) -> str:
        name = endpoint.removeprefix("nic/")
        if name not in self.namespaces.names():
            raise KeyError(endpoint)
        return str(self.namespaces.folder / name)

    def dial(self, endpoint: str) -> socket.socket:
        descriptor = os.open(self.namespace(endpoint), os.O_RDONLY | os.O_CLOEXEC)
        try:
            with syscalls.in_network_namespace(descriptor):
                return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            os.close(descriptor)

    def workload(self, script: str = ECHO, *, key: str = "pod/a-0", memory_mb: int = 256, **more: object) -> Workload:
        """A workload of this script, whose bundle lies ready."""
        values: dict[str, object] = {
            "key": key,
            "endpoint": ENDPOINT,
            "image": "img/test",
            "bundle": self.bundle({"score.py": script.encode()}),
            "variables": (("AZUREML_ENTRY_SCRIPT", "score.py"), ("AZUREML_MODEL_DIR", "/var/azureml-app/models")),
            "cpu": 1.0,
            "memory_mb": memory_mb,
            "port": PORT,
            **more,
        }
        return Workload(**values)  # type: ignore[arg-type]

    def bundle(self, files: dict[str, bytes]) -> str:
        """The key of a bundle with this content."""
        listed = tuple(File(path=path, blob=self.blob(content)) for path, content in files.items())
        key = "bundle/" + hashlib.sha256(repr(listed).encode()).hexdigest()[:16]
        self.bundles.put(Bundle(key=key, files=listed))
        assert self.bundles.observe()[key].readiness is Readiness.READY
        return key

    def blob(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        path = self.folders.blobs / digest[:2] / digest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return digest

    def connect(self, port: int = PORT) -> http.client.HTTPConnection:
        """A connection that starts inside the endpoint's namespace."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.sock = self.dial(ENDPOINT)
        connection.sock.settimeout(20)
        connection.sock.connect(("127.0.0.1", port))
        return connection

    def score(self, body: str) -> object:
        connection = self.connect()
        connection.request("POST", "/score", body.encode(), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status == 200, text
        return json.loads(text)

    def close(self) -> None:
        for workloads in self._opened:
            workloads.close()
        self.bundles.close()
        for supervisors in processes.scan(self.folders.statuses, "").values():
            for supervisor in supervisors:
                supervisor.signal(signal.SIGTERM)
        until(lambda: not processes.scan(self.folders.statuses, ""), 20)
        for folder in self.groups:
            os.rmdir(folder)

    def _image(self) -> None:
        """An image as if it had been pulled: an environment without packages, with the interpreter of these tests."""
        image_store.prepare(self.folders)
        made = self.folders.images / ".new-test"
        inside, mounts = made / f"rootfs{ENVIRONMENT}", [ENVIRONMENT]
        (inside / "bin").mkdir(parents=True)
        interpreter = Path(sys.base_prefix, "bin", f"python3.{sys.version_info[1]}").resolve()
        (inside / "bin" / "python").symlink_to(interpreter)
        (inside / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
        prefix = os.path.realpath(sys.base_prefix)
        if not f"{prefix}/".startswith("/usr/"):
            Path(f"{made}/rootfs{prefix}").mkdir(parents=True)
            mounts.append(prefix)
        labels = {"com.ringfence.mounts": json.dumps(mounts)}
        config = {"Entrypoint": [f"{ENVIRONMENT}/bin/python"], "Labels": labels}
        image_store.publish(self.folders, made, DIGEST, config)
        if len(mounts) > 1:
            syscalls.bind(prefix, f"{self.folders.images}/roots/{DIGEST}/rootfs{prefix}")
        image_store.note(self.folders, "img/test", "f", DIGEST)


def until(done: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for it, and fail when it does not come."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)


def settled(workloads: Workloads, key: str = "pod/a-0", seconds: float = 20) -> Observed:
    """The observation of a workload once it is no longer starting."""
    end = time.monotonic() + seconds
    while True:
        seen = workloads.observe().get(key)
        if seen is not None and seen.readiness is not Readiness.STARTING:
            return seen
        assert time.monotonic() < end, seen
        time.sleep(0.02)


def _own_groups() -> list[str]:
    """Folders for control groups, as the sandbox is given them; none where this machine lets nobody make any."""
    made = []
    for controller in ("memory", "cpu", "pids", ""):
        parent = Path("/sys/fs/cgroup", controller)
        usable = (parent / "cgroup.controllers").exists() if not controller else (parent / "tasks").exists()
        if usable and os.access(parent, os.W_OK):
            folder = parent / f"ringfence-test-{os.urandom(4).hex()}"
            folder.mkdir()
            made.append(str(folder))
    return made
