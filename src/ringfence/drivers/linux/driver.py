"""The Linux driver: the fabric in the kernel, and the processes on it, behind the seam of `drivers.base`.

Only the order of things is decided here: a router that runs is changed before what it used
is taken away, and processes end before their namespaces do.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ringfence.desired.diff import Plan
from ringfence.desired.state import AnyItem, Bundle, Container, Environment, Image, ImageBuild, Key, Observed, Router, Workload
from ringfence.drivers.base import Credential, Failure, Instance, Registries, RuleCount
from ringfence.drivers.linux import environments, image_store, instances, processes
from ringfence.drivers.linux.bundles import Bundles
from ringfence.drivers.linux.certificates import Issue
from ringfence.drivers.linux.cgroups import Cgroups
from ringfence.drivers.linux.containers import PREFIX as CONTAINERS
from ringfence.drivers.linux.containers import Containers
from ringfence.drivers.linux.environments import Environments
from ringfence.drivers.linux.fabric import ROOT, Fabric
from ringfence.drivers.linux.folders import Folders, tail
from ringfence.drivers.linux.pulls import PREFIX as PULLS
from ringfence.drivers.linux.pulls import Pulls
from ringfence.drivers.linux.routers import PREFIX as ROUTERS
from ringfence.drivers.linux.routers import Routers
from ringfence.drivers.linux.workloads import PREFIX as WORKLOADS
from ringfence.drivers.linux.workloads import Account, Workloads

_LOG_TAIL = 256 * 1024
#: How long `apply` waits for processes to finish what they are answering before their network goes.
_FAREWELL_S = 1.5
_SWEEP_S = 30.0

_Process = Environment | ImageBuild | Image | Bundle | Workload | Container | Router


class LinuxDriver:
    """state_dir: kept over restarts. scoring: the scoring server's folder. cgroups: folders in which groups may be made.

    issue: makes certificates for names. account: the files that a service account has in its pods.
    """

    def __init__(
        self,
        state_dir: Path,
        scoring: Path,
        cgroups: Iterable[str] = (),
        runtime_dir: Path = ROOT,
        issue: Issue | None = None,
        account: Account = lambda _: {},
    ) -> None:
        self._folders = Folders(state_dir, runtime_dir)
        self._cgroups = Cgroups(cgroups)
        self._fabric = Fabric(runtime_dir)
        self._workloads = Workloads(self._folders, self._cgroups, scoring, self.namespace, self._dial, account)
        self._containers = Containers(
            self._folders, self._cgroups, self.namespace, lambda key: image_store.find(self._folders, key)
        )
        self._routers = Routers(self._folders, self._cgroups, self.namespace, issue)
        self._environments = Environments(self._folders)
        self._pulls = Pulls(self._folders, lambda key, kind: self.open_socket(key, socket.AF_INET, kind), self._credential)
        self._registries: Registries | None = None
        self._bundles = Bundles(self._folders.bundles, self._folders.blobs)
        self._kept: set[Key] = set()
        self._swept = 0.0

    def prepare(self) -> None:
        """Once, before the first pass: make folders and the edge, remove what a dead process left half-made. Raises OSError."""
        self._folders.prepare()
        self._fabric.prepare()
        self._bundles.prepare()
        self._pulls.prepare()

    def serve(self, registries: Registries) -> None:
        """Build images with these, and pull with their credentials. Once, before the first pass."""
        self._registries = registries

    def observe(self) -> Mapping[Key, Observed]:
        fabric = self._fabric.observe()
        self._sweep()
        self._let_go()
        parts = (
            self._workloads.observe(),
            self._containers.observe(),
            self._routers.observe(),
            self._environments.observe(),
            self._bundles.observe(),
            self._pulls.observe(),
            self._registries.builds() if self._registries is not None else {},
        )
        return fabric | {key: seen for part in parts for key, seen in part.items() if key not in self._kept}

    def apply(self, plan: Plan) -> tuple[Failure, ...]:
        failures: list[Failure] = []
        early = [item for item in plan.put if isinstance(item, Router) and self._routers.running(item.key)]
        for router in early:
            failures += self._put(router)
        ours = [key for key in plan.drop if self._is_process(key)]
        used = self._workloads.uses(plan.drop) | self._containers.uses(plan.drop)
        for key in ours:
            if key in used:
                self._kept.add(key)
            else:
                failures += self._drop(key)
        others = [key for key in plan.drop if key not in ours]
        if others:
            self._await_farewell(frozenset(ours))
            failures += self._fabric.drop(others)
        fabric = [item for item in plan.put if not isinstance(item, _Process)]
        if fabric:
            failures += self._fabric.put(fabric)
            self._pulls.hurry()
        for item in plan.put:
            if isinstance(item, _Process) and item not in early:
                failures += self._put(item)
        return tuple(failures)

    def logs(self, key: Key) -> str:
        return tail(self._folders.log(key), _LOG_TAIL)

    def build_log(self, key: Key) -> str:
        return tail(self._folders.build_log(key), _LOG_TAIL)

    def instance(self, key: Key) -> Instance | None:
        found = processes.scan(self._folders.statuses, key).get(key, [])
        return instances.of(found[0].status) if found else None

    def terminal(self, key: Key, command: Sequence[str], rows: int, columns: int) -> socket.socket:
        return self._containers.terminal(key, command, rows, columns)

    def counters(self, network: Key) -> tuple[RuleCount, ...]:
        return self._fabric.counters(network)

    def health(self) -> Mapping[Key, Mapping[str, bool]]:
        return self._fabric.health()

    def load(self, key: Key) -> Mapping[str, int]:
        return self._routers.load(key)

    def namespace(self, key: Key) -> str:
        return self._fabric.namespace(key)

    def open_socket(self, key: Key, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        return self._fabric.open_socket(key, family, kind)

    def close(self) -> None:
        """Stop looking after things; what runs and filters goes on."""
        self._workloads.close()
        self._bundles.close()
        self._pulls.close()
        self._fabric.close()

    def _dial(self, endpoint: Key) -> socket.socket:
        return self._fabric.open_socket(endpoint, socket.AF_INET, socket.SOCK_STREAM)

    def _let_go(self) -> None:
        """Drop what was kept, no longer wanted and so not reported, for a process that has been replaced meanwhile."""
        if self._kept:
            for key in self._kept - self._workloads.uses(()) - self._containers.uses(()):
                if not self._drop(key):
                    self._kept.discard(key)

    def _put(self, item: AnyItem) -> list[Failure]:
        self._kept.discard(item.key)
        failure: Failure | None = None
        match item:
            case Workload():
                failure = self._workloads.put(item)
            case Container():
                failure = self._containers.put(item)
            case Router():
                failure = self._routers.put(item)
            case Environment():
                failure = self._environments.put(item)
            case ImageBuild():
                failure = self._order(item)
            case Image():
                self._pulls.put(item)
            case Bundle():
                self._bundles.put(item)
            case _:
                raise ValueError(f"{item.key} is a {type(item).__name__}, which is no process")
        return [failure] if failure else []

    def _order(self, item: ImageBuild) -> Failure | None:
        if self._registries is None:
            return Failure(item.key, "ImageBuildFailure", "Nothing keeps images here.")
        try:
            self._registries.build(item, environments.find(self._folders.environments, item.environment).folder)
        except environments.NotBuilt as error:
            return Failure(item.key, "ImageBuildFailure", str(error))
        return None

    def _credential(self, item: Image) -> Credential | None:
        return self._registries.credential(item) if self._registries is not None else None

    @staticmethod
    def _is_process(key: Key) -> bool:
        return key.startswith((WORKLOADS, CONTAINERS, ROUTERS, PULLS, "env/", "bundle/", "build/"))

    def _drop(self, key: Key) -> list[Failure]:
        failure: Failure | None = None
        if key.startswith(WORKLOADS):
            self._workloads.drop(key)
        elif key.startswith(CONTAINERS):
            self._containers.drop(key)
        elif key.startswith(ROUTERS):
            self._routers.drop(key)
        elif key.startswith(PULLS):
            self._pulls.drop(key)
        elif key.startswith("build/"):
            if self._registries is not None:
                self._registries.forget(key)
        elif key.startswith("env/"):
            failure = self._environments.drop(key)
        else:
            self._bundles.drop(key)
        return [failure] if failure else []

    def _await_farewell(self, dropped: frozenset[Key]) -> None:
        until = time.monotonic() + _FAREWELL_S
        while (self._workloads.alive(dropped) or self._containers.alive(dropped)) and time.monotonic() < until:
            time.sleep(0.02)

    def _sweep(self) -> None:
        """Once in a while: what killed supervisors left behind."""
        if time.monotonic() - self._swept > _SWEEP_S:
            self._swept = time.monotonic()
            processes.sweep(self._folders.statuses)
            self._containers.sweep()
            self._cgroups.sweep(processes.groups(self._folders.statuses))
