"""Scoring processes: started in a cell, found again by their stamp, stopped by a signal.

`put` and `drop` return at once; how far a process is shows in `observe`. One that replaces
another on the same endpoint is started beside it: the old one serves until the new one does, and
goes on if that never comes. How a cell is
built is in `cell`, how a process is kept alive in `supervise`, what its environment and
its files are in `image_store` and `bundles`.
"""

from __future__ import annotations

import dataclasses
import math
import re
import signal
import socket
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from ringfence.desired.state import Key, Observed, Readiness, ServiceAccount, Workload
from ringfence.drivers.base import Failure
from ringfence.drivers.linux import bundles, cell_view, image_store, image_view, liveness, processes, run
from ringfence.drivers.linux.cgroups import CgroupError, Cgroups, Limits
from ringfence.drivers.linux.folders import Folders, slug
from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.drivers.linux.processes import Supervisor
from ringfence.drivers.linux.readiness import Address, Life, Prober

PREFIX = "pod/"
APP_ROOT = "/var/azureml-app"
_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"

#: The files of a service account, by their names in that folder.
Account = Callable[[ServiceAccount], Mapping[str, str]]

_RUNTIME, _PACKAGE = "/opt/ringfence", "ringfence_scoring"
_START = (
    f"import runpy, sys; sys.path.insert(0, {_RUNTIME!r}); runpy.run_module({_PACKAGE!r}, run_name='__main__', alter_sys=True)"
)
_DID_NOT_LOAD, _NOT_BUILT = 3, 126
_MOST_FAILURES = 3
_PROCESSES, _SCRATCH_MB, _SHARED_MB = 512, 512, 256
#: Interpreter, libraries and their threads' stacks, where only each process can be limited and not what it really uses.
_OVERHEAD_MB = 256
_PATIENCE_S = 0.05
#: For how long one that was replaced may finish: the longest a request may take, and some more.
_TIMEOUT_MS, _FAREWELL_S = 60_000, 10.0
_CRASHED = "Your container application crashed. This may be caused by errors in your scoring file's init() function."


class Workloads:
    """namespace: path of an endpoint's network namespace. dial: a socket in it; both raise KeyError. scoring: our server.

    account: what pods show their API server.
    """

    def __init__(
        self,
        folders: Folders,
        cgroups: Cgroups,
        scoring: Path,
        namespace: Callable[[Key], str],
        dial: Callable[[Key], socket.socket],
        account: Account,
    ) -> None:
        self._folders, self._cgroups, self._scoring = folders, cgroups, scoring
        self._namespace, self._account = namespace, account
        self._prober = Prober(dial)
        self._watch = liveness.Watch(dial, self._end)

    def observe(self) -> dict[Key, Observed]:
        """The newest process of each key. It is ready when it answers, and no older one does any more."""
        found = processes.scan(self._folders.statuses, PREFIX)
        newest = {key: (self._staying(supervisors) or supervisors)[0] for key, supervisors in found.items()}
        serving = {_life(s): Address(s.endpoint, s.port) for s in newest.values() if s.status.serving}
        ready = self._prober.ready(serving, _PATIENCE_S)
        self._watch.follow(
            {_life(s): probed for s in newest.values() if _life(s) in ready and (probed := _probed(s)) is not None}
        )
        return {key: self._observed(s, _life(s) in ready, len(found[key]) == 1) for key, s in newest.items()}

    def put(self, item: Workload) -> Failure | None:
        """Start it, beside what serves under this key on the same endpoint; anything else under this key is told to stop."""
        others = processes.scan(self._folders.statuses, item.key).get(item.key, [])
        staying = self._staying(others)
        if staying and staying[0].fingerprint == item.fingerprint and staying[0].status.state != "failed":
            return None
        beside = [s for s in staying if s.status.served and s.endpoint == item.endpoint]
        same = [s for s in beside if s.fingerprint == item.fingerprint]
        for supervisor in others:
            finishing = supervisor.status.state == "stopping" and supervisor.endpoint == item.endpoint
            if not finishing and supervisor not in (same or beside):
                supervisor.signal(signal.SIGTERM)
        if same:
            return None
        try:
            group = processes.new_group(item.key)
            spec = self._spec(item, group, [s.pid for s in beside])
            run.launch(spec, processes.stamps(item, group))
        except KeyError:
            return Failure(item.key, "NetworkNotReady", f"The endpoint {item.endpoint} of {item.key} does not exist.")
        except (CgroupError, image_store.NotPulled, image_view.UnfitImage, run.LaunchError) as error:
            return Failure(item.key, "ContainerCannotRun", f"{item.key} cannot be started: {error}")
        return None

    def drop(self, key: Key) -> None:
        """Ask it to finish; it is gone when `observe` no longer reports it."""
        for supervisor in processes.scan(self._folders.statuses, key).get(key, []):
            supervisor.signal(signal.SIGTERM)

    def alive(self, keys: frozenset[Key]) -> bool:
        """Whether a process of any of these keys is left, on its way out or not."""
        return not keys.isdisjoint(processes.scan(self._folders.statuses, PREFIX))

    def close(self) -> None:
        """Stop looking; the processes go on."""
        self._prober.close()
        self._watch.close()

    def uses(self, dropped: Collection[Key]) -> frozenset[Key]:
        """Bundles and images that processes of other keys than these run from, or may be started from again."""
        found = processes.scan(self._folders.statuses, PREFIX)
        return frozenset(used for key, supervisors in found.items() if key not in dropped for s in supervisors for used in s.uses)

    def _end(self, key: Key, life: Life, reason: str) -> None:
        """Kill the program of this very life; its supervisor starts it again."""
        for supervisor in processes.scan(self._folders.statuses, key).get(key, []):
            if _life(supervisor) == life and supervisor.status.serving:
                with self._folders.log(key).open("a") as log:
                    log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S,000', time.gmtime())} E [0] ringfence - {reason}\n")
                dataclasses.replace(supervisor, pid=supervisor.status.child).signal(signal.SIGKILL)

    def _staying(self, supervisors: Iterable[Supervisor]) -> list[Supervisor]:
        return [s for s in supervisors if not processes.going(s, self._namespace)]

    def _observed(self, supervisor: Supervisor, ready: bool, alone: bool) -> Observed:
        status = supervisor.status
        if gone := processes.going(supervisor, self._namespace):
            return Observed(gone, Readiness.STARTING)
        if status.state == "failed" and alone:
            # It was given up because another one served; that has gone, so it is worth another start.
            return Observed("given up", Readiness.STARTING)
        if ready:
            return Observed(supervisor.fingerprint, Readiness.READY if alone else Readiness.STARTING)
        least = 1 if status.exit in (_DID_NOT_LOAD, _NOT_BUILT) else _MOST_FAILURES
        if status.failures < least:
            return Observed(supervisor.fingerprint, Readiness.STARTING)
        return Observed(supervisor.fingerprint, Readiness.FAILED, "CrashLoopBackOff", _why(status))

    def _credentials(self, item: Workload) -> dict[str, str]:
        files = self._account(item.account) if item.account is not None else {}
        return {f"{_ACCOUNT}/{name}": text for name, text in files.items()}

    def _spec(self, item: Workload, group: str, replaces: Sequence[int]) -> LaunchSpec:
        image = image_store.find(self._folders, item.image)
        program = image_view.program(image)
        name = slug(item.key)
        binds, links = cell_view.system()
        binds += cell_view.certificates(self._folders.trust)
        binds += image_view.binds(image)
        binds.append((str(bundles.content(self._folders.bundles, item.bundle)), APP_ROOT, "ro"))
        binds.append((str(self._scoring), f"{_RUNTIME}/{_PACKAGE}", "ro"))
        limited = self._cgroups.enforced
        limits = Limits(memory_mb=item.memory_mb, cpu=item.cpu, processes=_PROCESSES)
        return LaunchSpec(
            key=item.key,
            argv=[program, "-c", _START],
            variables=_variables(item, Path(program).parent.parent),
            directory=APP_ROOT,
            network=self._namespace(item.endpoint),
            hostname=name[:63],
            binds=binds,
            links=links,
            files={**cell_view.settings(name[:63], item.nameserver, item.search), **self._credentials(item)},
            scratch={"/tmp": _SCRATCH_MB, "/dev/shm": _SHARED_MB},
            root=str(self._folders.cell),
            groups=self._cgroups.make(group, limits),
            log=str(self._folders.log(item.key)),
            status=str(self._folders.statuses),
            data_bytes=0 if limited else (item.memory_mb + _OVERHEAD_MB) * 1024 * 1024,
            processes=0 if limited else _PROCESSES,
            replaces=replaces,
            tells=True,
            tries=_MOST_FAILURES if replaces else 0,
            final=(_DID_NOT_LOAD, _NOT_BUILT),
            retire_s=_longest_request_s(item) + _FAREWELL_S,
        )


def _probed(supervisor: Supervisor) -> liveness.Probed | None:
    rules, began = supervisor.liveness, supervisor.status.began
    return None if rules is None else liveness.Probed(supervisor.key, supervisor.endpoint, supervisor.port, began, rules)


def _life(supervisor: Supervisor) -> Life:
    return supervisor.pid, supervisor.started, supervisor.status.attempts


def _longest_request_s(item: Workload) -> float:
    told = dict(item.variables)
    return (int(told.get("SCORING_TIMEOUT_MS", _TIMEOUT_MS)) + int(told.get("MAX_QUEUE_WAIT_MS", 0))) / 1000


def _variables(item: Workload, environment: Path) -> dict[str, str]:
    # A library that starts a thread per core of the machine wastes a small share of it; the user's own choice comes after.
    threads = str(max(1, math.ceil(item.cpu))) if item.cpu else ""
    defaults = {
        "PATH": f"{environment}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/tmp",
        "TMPDIR": "/tmp",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "VIRTUAL_ENV": str(environment),
        "AML_APP_ROOT": APP_ROOT,
        "SSL_CERT_FILE": cell_view.CERTIFICATES,
        "REQUESTS_CA_BUNDLE": cell_view.CERTIFICATES,
        **({name: threads for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} if threads else {}),
    }
    return {**defaults, **dict(item.variables), "SERVER_PORT": str(item.port)}


def _why(status: processes.Status) -> str:
    log = status.said
    if status.oom:
        return f"{_CRASHED} It was ended because it went over its memory limit; ask for more memory, or load less."
    if status.exit == _NOT_BUILT:
        return f"The sandbox of the container could not be built: {_last_lines(log)}"
    if status.exit == _DID_NOT_LOAD:
        return f"{_CRASHED} {_last_lines(log)}"
    how = f"was killed by signal {-status.exit}" if status.exit < 0 else f"ended with exit code {status.exit}"
    return f"{_CRASHED} The process {how}, {status.failures} times in a row. {_last_lines(log)}"


def _last_lines(log: str) -> str:
    """The last traceback of a log, or its last lines."""
    lines = [line for line in log.splitlines() if " ringfence - the process " not in line]
    begins = [number for number, line in enumerate(lines) if "Traceback (most recent call last)" in line]
    if begins:
        lines = lines[begins[-1] :]
        ends = [n for n, line in enumerate(lines) if n and re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line)]
        lines = lines[: ends[0]] if ends else lines
    return "\n".join(lines[-30:])[-3000:]
