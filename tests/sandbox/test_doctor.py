"""Finding out what a machine lacks: on this one, and on ones that forbid a step."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from ringfence.kernel import nft
from ringfence.sandbox import doctor, isolation, preflight
from ringfence.sandbox.errors import CannotIsolate, SandboxError

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box
else:
    from boxes import Box

_EXAMINE = "from ringfence.sandbox import doctor; print([c for c in doctor.examine() if not c.ok and c.required])"


def test_this_machine_is_fit_and_it_takes_less_than_a_second() -> None:
    before = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("user", "net", "mnt", "pid")}
    begun = time.perf_counter()
    checks = doctor.examine()
    assert time.perf_counter() - begun < 1
    assert [check for check in checks if check.required and not check.ok] == []
    assert {"HAProxy", "libnftables", "namespaces", "packet filter: load balancing"} <= {check.name for check in checks}
    assert {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in before} == before


@pytest.mark.parametrize(
    ("limit", "step"),
    [("max_user_namespaces", isolation.USER_STEP), ("max_net_namespaces", "making a network namespace")],
)
def test_a_limit_of_namespaces_is_named_with_its_remedy(box: Box, limit: str, step: str) -> None:
    forbid = f"echo 0 > /proc/sys/user/{limit}; exec {sys.executable} -c '{_EXAMINE}'"
    done = box.program("unshare", "--user", "--map-root-user", "sh", "-c", forbid)
    assert step in done.stdout and f"sysctl -w user.{'max_user_namespaces'}" in done.stdout
    up = box.program("unshare", "--user", "--map-root-user", "sh", "-c", f"echo 0 > /proc/sys/user/{limit}; exec \"$@\"", "sh",
                     sys.executable, "-m", "ringfence.cli", "--state", str(box.state), "up")  # fmt: skip
    assert up.returncode == 1
    assert f"does not let Ringfence isolate anything: {step} failed" in up.stderr and "what to do: raise the limits" in up.stderr


def test_a_masked_proc_is_named_with_its_remedy(box: Box) -> None:
    mask = f"mount -t tmpfs none /proc/sys; exec {sys.executable} -c '{_EXAMINE}'"
    done = box.program("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mask)
    assert isolation.PROC_STEP in done.stdout and "systempaths=unconfined" in done.stdout


def test_missing_packages_are_named_in_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any, **__: Any) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nothing)
    monkeypatch.setattr(nft, "available", lambda: False)
    with pytest.raises(SandboxError) as raised:
        preflight.check()
    assert raised.value.fact == "HAProxy and libnftables are not installed"
    assert raised.value.remedy == "apt-get install haproxy libnftables1 (as root)"
    missing = {check.name: check.remedy for check in doctor.examine() if not check.ok and check.required}
    assert missing == {
        "HAProxy": "apt-get install haproxy (as root)",
        "libnftables": "apt-get install libnftables1 (as root)",
    }


def test_remedies_name_the_setting_that_forbids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(isolation, "_SETTINGS", (("kernel.ostype", "Something"),))
    assert isolation.remedy(isolation.USER_STEP, errno.EPERM).startswith("allow it: sysctl -w kernel.ostype=Something")
    monkeypatch.setattr(isolation, "_SETTINGS", ())
    assert "seccomp=unconfined" in isolation.remedy(isolation.USER_STEP, errno.EPERM)


def test_a_refused_step_carries_its_name() -> None:
    with pytest.raises(CannotIsolate, match="a step failed") as raised, isolation.step("a step"):
        raise PermissionError(errno.EPERM, "no")
    assert raised.value.step == "a step" and raised.value.remedy
