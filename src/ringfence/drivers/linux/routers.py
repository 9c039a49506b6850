"""Inference routers: an HAProxy in a cell per cluster, changed without losing a request.

A change of keys goes into the running process by its control socket. Any other change is
checked, written and taken over by a reload, in which the listening socket passes from the old
process to the new one. What a router's configuration says is in `router_config`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ringfence.desired.state import Key, Observed, Readiness, Router
from ringfence.drivers.base import Failure
from ringfence.drivers.linux import cell_view, certificates, haproxy, processes, router_config, run
from ringfence.drivers.linux.certificates import Issue, NoIssuer
from ringfence.drivers.linux.cgroups import CgroupError, Cgroups, Limits
from ringfence.drivers.linux.folders import Folders, slug, tail
from ringfence.drivers.linux.launch_spec import LaunchSpec
from ringfence.drivers.linux.processes import Supervisor
from ringfence.drivers.linux.router_config import CONFIG, KEYS, STATE, Rendered, UnfitRouter

PREFIX = "router/"

_CONFIG_FOLDER = "/etc/router"
_SEARCH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin"
_MEMORY_MB, _PROCESSES, _SCRATCH_MB = 256, 64, 16
_CHECK_S, _RELOAD_S = 10.0, 5.0
_MOST_FAILURES = 3


def _now() -> dt.datetime:
    return dt.datetime.fromtimestamp(time.time(), dt.UTC)


class RouterError(Exception):
    """A router cannot be made or changed; the message is fit for an operator."""


class Routers:
    """namespace: path of an endpoint's network namespace; raises KeyError. issue: makes certificates for names.

    clock: the time, with a zone.
    """

    def __init__(
        self,
        folders: Folders,
        cgroups: Cgroups,
        namespace: Callable[[Key], str],
        issue: Issue | None = None,
        clock: Callable[[], dt.datetime] = _now,
    ) -> None:
        self._folders, self._cgroups, self._namespace = folders, cgroups, namespace
        self._issue, self._clock = issue, clock

    def observe(self) -> dict[Key, Observed]:
        found = processes.scan(self._folders.statuses, PREFIX)
        return {key: self._observed(key, supervisors[0]) for key, supervisors in found.items()}

    def running(self, key: Key) -> bool:
        """Whether `put` would change a running process instead of starting one."""
        return any(not processes.going(s, self._namespace) for s in processes.scan(self._folders.statuses, key).get(key, []))

    def put(self, item: Router) -> Failure | None:
        """Start or change it; a change has taken effect when this returns."""
        try:
            rendered = router_config.render(item, self._certificate(item))
            folder = self._checked(item.key, rendered)
            others = processes.scan(self._folders.statuses, item.key).get(item.key, [])
            if others and others[0].endpoint == item.endpoint and not processes.going(others[0], self._namespace):
                self._change(item, rendered, folder, others[0])
            else:
                self._start(item, folder, others)
        except KeyError:
            return Failure(item.key, "NetworkNotReady", f"The endpoint {item.endpoint} of {item.key} does not exist.")
        except (RouterError, UnfitRouter, NoIssuer, haproxy.Unreachable, CgroupError, run.LaunchError) as error:
            return Failure(item.key, "RouterFailed", f"The inference router {item.key} cannot be set up: {error}")
        return None

    def load(self, key: Key) -> Mapping[str, int]:
        """Requests that are being answered or wait, by service; {} while the router does not say."""
        with contextlib.suppress(haproxy.Unreachable):
            found = haproxy.sessions(self._control(key))
            return {service: number for name, number in found.items() if (service := router_config.service_of(name)) is not None}
        return {}

    def drop(self, key: Key) -> None:
        """Stop it; it is gone when `observe` no longer reports it."""
        for supervisor in processes.scan(self._folders.statuses, key).get(key, []):
            supervisor.signal(signal.SIGTERM)

    def _observed(self, key: Key, supervisor: Supervisor) -> Observed:
        if gone := processes.going(supervisor, self._namespace):
            return Observed(gone, Readiness.STARTING)
        with contextlib.suppress(haproxy.Unreachable):
            fingerprint = haproxy.lookup(self._control(key), STATE, router_config.FINGERPRINT)
            if fingerprint is not None:
                # Another fingerprint than the wanted one has it put again, with a new certificate.
                return Observed("its certificate ends" if certificates.due(self._folder(key), self._clock()) else fingerprint)
        loading = self._written(key) or supervisor.fingerprint
        if supervisor.status.failures < _MOST_FAILURES:
            return Observed(loading, Readiness.STARTING)
        text = tail(self._folders.log(key), 2000)
        return Observed(loading, Readiness.FAILED, "RouterFailed", f"The inference router does not start: {text}")

    def _certificate(self, item: Router) -> str:
        """What the router ends TLS with; "" when it does not. Raises NoIssuer."""
        folder = self._folder(item.key)
        folder.mkdir(parents=True, exist_ok=True)
        if item.tls is None or item.tls.certificate:
            certificates.forget(folder)
        return "" if item.tls is None else certificates.text(folder, item.tls, self._issue, self._clock())

    def _start(self, item: Router, folder: Path, others: list[Supervisor]) -> None:
        network = self._namespace(item.endpoint)
        for supervisor in others:
            supervisor.signal(signal.SIGTERM)
        self._publish(item.key, folder)
        group = processes.new_group(item.key)
        spec = self._spec(item, network, group, others[0].pid if others else 0)
        run.launch(spec, processes.stamps(item, group))

    def _change(self, item: Router, rendered: Rendered, folder: Path, supervisor: Supervisor) -> None:
        control = self._control(item.key)
        _until(lambda: bool(haproxy.digest(control)), "it does not answer on its control socket")
        same = haproxy.digest(control) == rendered.digest
        self._publish(item.key, folder)
        if same:
            for table in (KEYS, STATE):
                haproxy.replace(control, table, rendered.files[table].splitlines())
            return
        supervisor.signal(signal.SIGUSR2)
        wanted = rendered.digest, item.fingerprint
        fault = "the reload did not take effect"
        _until(lambda: (haproxy.digest(control), haproxy.lookup(control, STATE, router_config.FINGERPRINT)) == wanted, fault)

    def _checked(self, key: Key, rendered: Rendered) -> Path:
        """The files, in a folder of their own, after HAProxy has read them."""
        folder = self._folder(key) / "next"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in rendered.files.items():
            if name in rendered.secret:
                certificates.write_secret(folder / name, text)
            else:
                (folder / name).write_text(text)
        try:
            done = run.finish([_program(), "-c", "-C", str(folder), "-f", CONFIG], timeout_s=_CHECK_S)
        except (OSError, TimeoutError) as error:
            raise RouterError(f"haproxy does not run: {error}") from error
        if done.code:
            raise RouterError(f"haproxy refuses the configuration: {done.output.strip()[-1500:]}")
        return folder

    def _publish(self, key: Key, folder: Path) -> None:
        place = self._folder(key) / "config"
        place.mkdir(exist_ok=True)
        left = {path.name for path in place.iterdir()}
        for path in folder.iterdir():
            left.discard(path.name)
            path.rename(place / path.name)
        # What no configuration names any more, keys above all, does not stay behind.
        for name in left:
            (place / name).unlink()

    def _spec(self, item: Router, network: str, group: str, after: int) -> LaunchSpec:
        name = slug(item.key)
        folder = self._folder(item.key)
        sockets = folder / "sockets"
        sockets.mkdir(exist_ok=True)
        # The cell's user writes here; the folder above keeps everyone else out.
        sockets.chmod(0o777)
        binds, links = cell_view.system()
        binds += [(str(folder / "config"), _CONFIG_FOLDER, "ro"), (str(sockets), router_config.SOCKETS, "rw")]
        limits = Limits(memory_mb=_MEMORY_MB, cpu=0, processes=_PROCESSES)
        return LaunchSpec(
            key=item.key,
            argv=[_program(), "-W", "-C", _CONFIG_FOLDER, "-f", CONFIG],
            variables={"PATH": _SEARCH},
            directory="/",
            network=network,
            hostname=name[:63],
            binds=binds,
            links=links,
            files=cell_view.settings(name[:63], ""),
            scratch={"/tmp": _SCRATCH_MB},
            root=str(self._folders.cell),
            groups=self._cgroups.make(group, limits),
            log=str(self._folders.log(item.key)),
            status=str(self._folders.statuses),
            processes=0 if self._cgroups.enforced else _PROCESSES,
            after=after,
            grace_s=3.0,
        )

    def _written(self, key: Key) -> str:
        """The fingerprint that the next process will read."""
        path = self._folder(key) / "config" / STATE
        return path.read_text().split()[1] if path.exists() else ""

    def _control(self, key: Key) -> Path:
        return self._folder(key) / "sockets" / "control.sock"

    def _folder(self, key: Key) -> Path:
        return self._folders.routers / slug(key)


def _program() -> str:
    found = shutil.which("haproxy", path=_SEARCH)
    if found is None:
        raise RouterError("haproxy is not installed; install it: apt-get install haproxy")
    return os.path.realpath(found)


def _until(done: Callable[[], bool], fault: str) -> None:
    """Wait for it. Raises RouterError with the fault and HAProxy's last words."""
    until = time.monotonic() + _RELOAD_S
    said = ""
    while time.monotonic() < until:
        try:
            if done():
                return
        except haproxy.Unreachable as error:
            said = f": {error}"
        time.sleep(0.01)
    raise RouterError(f"{fault}{said}")
