"""Scoring processes in their cells: what they can do, what they cannot, and how they come, stay and go."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.desired.state import Readiness, ServiceAccount
from ringfence.drivers.linux import processes

if TYPE_CHECKING:
    from tests.workloads.process_world import World, files_of, settled, until
else:
    from process_world import World, files_of, settled, until

HOSTILE = """
import ctypes, os, socket, subprocess, sys
def init(): pass
def attempt(name, action):
    try:
        return [name, True, repr(action())[:200]]
    except BaseException as error:
        return [name, False, repr(error)[:200]]
def write(path):
    with open(path, "w") as file:
        file.write("x")
def libc(call, *arguments):
    result = getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), call)
def run(data):
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    return {
        "tries": [
            attempt("state", lambda: os.listdir(data)),
            attempt("socket", lambda: socket.socket(socket.AF_UNIX).connect(data + "/run/control.sock")),
            attempt("app", lambda: write("/var/azureml-app/x")),
            attempt("usr", lambda: write("/usr/x")),
            attempt("root", lambda: write("/x")),
            attempt("sysctl", lambda: write("/proc/sys/net/ipv4/ip_forward")),
            attempt("kernel", lambda: write("/proc/sys/kernel/hostname")),
            attempt("userns", lambda: libc("unshare", 0x10000000)),
            attempt("netns", lambda: libc("unshare", 0x40000000)),
            attempt("mount", lambda: libc("mount", b"none", b"/tmp", b"tmpfs", 0, None)),
            attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
            attempt("setuid", lambda: os.setuid(0)),
            attempt("scratch", lambda: write("/tmp/x")),
            attempt("shared", lambda: write("/dev/shm/x")),
            attempt("null", lambda: write("/dev/null")),
        ],
        "pids": sorted(int(n) for n in os.listdir("/proc") if n.isdigit()),
        "uid": [os.getuid(), os.getgid()],
        "status": {name: status[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "NoNewPrivs")},
        "root": sorted(os.listdir("/")),
        "interfaces": socket.if_nameindex(),
        "variables": sorted(os.environ),
        "host": socket.gethostname(),
    }
"""

_CELL = {"azureml-envs", "dev", "etc", "opt", "proc", "run", "sys", "tmp", "var", Path(sys.base_prefix).parts[1]}
"""`run` because the state folder of these tests is in it; the last for an interpreter outside /usr."""


def test_a_script_is_served_and_found_again_by_another_daemon(world: World) -> None:
    item = world.workload()
    workloads = world.workloads()
    assert workloads.put(item) is None
    seen = settled(workloads)
    assert (seen.fingerprint, seen.readiness) == (item.fingerprint, Readiness.READY)
    assert world.score('[1, "é"]') == '[1, "é"]'
    assert "POST /score 200" in _log(world, "POST /score")
    again = world.workloads()
    assert again.observe()[item.key] == seen, "known at the first look"
    assert again.put(item) is None and len(processes.scan(world.folders.statuses, item.key)[item.key]) == 1
    again.drop(item.key)
    until(lambda: item.key not in workloads.observe())
    assert not list(world.folders.statuses.iterdir())


def test_a_hostile_script_stays_in_its_cell(world: World) -> None:
    (world.folders.state / "run").mkdir()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(world.folders.state / "run" / "control.sock"))
    listener.listen()
    workloads = world.workloads()
    assert workloads.put(world.workload(HOSTILE)) is None
    assert settled(workloads).readiness is Readiness.READY
    told = world.score(str(world.folders.state))
    assert isinstance(told, dict)
    succeeded = {name for name, ok, _ in told["tries"] if ok}
    assert succeeded == {"scratch", "shared", "null"}, told["tries"]
    assert told["pids"] == [1]
    assert told["uid"] == [65534, 65534]
    zero = "0" * 16
    assert told["status"] == {"CapEff": zero, "CapPrm": zero, "CapBnd": zero, "NoNewPrivs": "1"}
    assert set(told["root"]) <= {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", *_CELL}
    assert told["interfaces"] == [[1, "lo"]]
    assert not [name for name in told["variables"] if name.startswith("RINGFENCE")]
    assert told["host"] == "pod-a-0"
    listener.close()


def test_a_pod_finds_the_files_of_its_service_account(world: World) -> None:
    script = (
        "import pathlib\n"
        "def init(): pass\n"
        "def run(folder):\n"
        "    found = {path.name: path.read_text() for path in pathlib.Path(folder).glob('*')}\n"
        "    return found | {'resolv.conf': pathlib.Path('/etc/resolv.conf').read_text()}\n"
    )
    account = ServiceAccount(server="s", namespace="azureml-ws", name="default")
    search = ("azureml-ws.svc.cluster.local", "cluster.local")
    workloads = world.workloads()
    assert workloads.put(world.workload(script, account=account, search=search, nameserver="10.0.0.10")) is None
    assert settled(workloads).readiness is Readiness.READY
    told = world.score("/var/run/secrets/kubernetes.io/serviceaccount")
    resolver = "nameserver 10.0.0.10\nsearch azureml-ws.svc.cluster.local cluster.local\noptions ndots:5\n"
    assert told == {**files_of(account), "resolv.conf": resolver}
    for place in ("cmdline", "environ"):  # the token is in no other place that others see
        for pid in filter(str.isdigit, os.listdir("/proc")):
            assert b"of default" not in Path("/proc", pid, place).read_bytes()


def test_a_stamp_in_a_workloads_own_process_counts_nothing(world: World) -> None:
    script = (
        "import subprocess\n"
        "def init():\n    subprocess.Popen(['/usr/bin/sleep', '60'], env={'RINGFENCE_ITEM': 'pod/forged'})\n"
        "def run(data): return 1\n"
    )
    workloads = world.workloads()
    assert workloads.put(world.workload(script)) is None
    assert settled(workloads).readiness is Readiness.READY
    assert any(b"pod/forged" in Path("/proc", pid, "environ").read_bytes() for pid in os.listdir("/proc") if pid.isdigit())
    assert set(workloads.observe()) == {"pod/a-0"}


def test_a_script_that_does_not_load_fails_with_its_traceback(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(world.workload("def init():\n    raise LookupError('no model here')\ndef run(data): return 1\n")) is None
    seen = settled(workloads)
    assert (seen.readiness, seen.code) == (Readiness.FAILED, "CrashLoopBackOff")
    assert "LookupError: no model here" in seen.message and "score.py" in seen.message
    assert "LookupError" in _log(world, "LookupError")


def test_a_script_that_keeps_dying_fails_after_the_third_time(world: World) -> None:
    workloads = world.workloads()
    item = world.workload("import os\ndef init(): os._exit(7)\ndef run(data): return 1\n")
    assert workloads.put(item) is None
    seen = settled(workloads)
    assert (seen.readiness, seen.code) == (Readiness.FAILED, "CrashLoopBackOff")
    assert "exit code 7, 3 times" in seen.message


def test_a_process_that_dies_is_started_again(world: World) -> None:
    script = "import os\ndef init(): pass\ndef run(data):\n    if data == 'die': os._exit(1)\n    return os.getpid()\n"
    workloads = world.workloads()
    assert workloads.put(world.workload(script)) is None
    assert settled(workloads).readiness is Readiness.READY
    connection = world.connect()
    connection.request("POST", "/score", b"die", {"Content-Type": "text/plain"})
    until(lambda: workloads.observe()["pod/a-0"].readiness is Readiness.STARTING)
    connection.close()
    assert settled(workloads).readiness is Readiness.READY
    assert world.score("x") == 1


def test_memory_has_a_limit(world: World) -> None:
    script = "def init():\n    global hoard\n    hoard = bytearray(b'x' * (1 << 30))\ndef run(data): return 1\n"
    workloads = world.workloads()
    assert workloads.put(world.workload(script, memory_mb=96)) is None
    seen = settled(workloads)
    assert seen.readiness is Readiness.FAILED
    assert ("went over its memory limit" if world.cgroups.enforced else "MemoryError") in seen.message


def test_changed_content_replaces_the_process(world: World) -> None:
    workloads = world.workloads()
    first = world.workload("def init(): pass\ndef run(data): return 1\n")
    assert workloads.put(first) is None
    assert settled(workloads).fingerprint == first.fingerprint
    second = world.workload("def init(): pass\ndef run(data): return 2\n")
    assert workloads.put(second) is None
    until(lambda: workloads.observe()["pod/a-0"].fingerprint == second.fingerprint)
    assert settled(workloads).readiness is Readiness.READY
    assert world.score("x") == 2
    until(lambda: len(processes.scan(world.folders.statuses, "pod/")["pod/a-0"]) == 1)


def test_a_dropped_process_answers_what_it_has_begun(world: World) -> None:
    script = "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.6)\n    return 'done'\n"
    workloads = world.workloads()
    assert workloads.put(world.workload(script)) is None
    assert settled(workloads).readiness is Readiness.READY
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(world.score("x")))
    asking.start()
    time.sleep(0.2)
    workloads.drop("pod/a-0")
    asking.join()
    assert answers == ["done"]
    until(lambda: not workloads.observe())


def test_processes_outlive_the_daemon_that_started_them(world: World) -> None:
    item = world.workload()
    daemon = os.fork()
    if daemon == 0:
        workloads = world.workloads()
        workloads.put(item)
        settled(workloads)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(daemon, 0)[1]) == signal.SIGKILL
    supervisor = processes.scan(world.folders.statuses, "pod/")[item.key][0]
    assert Path(f"/proc/{supervisor.pid}/stat").read_text().rpartition(")")[2].split()[1] == "1", "a child of the first process"
    assert settled(world.workloads()).readiness is Readiness.READY
    assert world.score("still here") == "still here"


def test_a_killed_supervisor_takes_its_process_along(world: World) -> None:
    workloads = world.workloads()
    assert workloads.put(world.workload()) is None
    assert settled(workloads).readiness is Readiness.READY
    supervisor = processes.scan(world.folders.statuses, "pod/")["pod/a-0"][0]
    supervisor.signal(signal.SIGKILL)
    until(lambda: not Path("/proc", str(supervisor.status.child)).exists())
    until(lambda: not workloads.observe())
    processes.sweep(world.folders.statuses)
    assert not list(world.folders.statuses.glob("*.json"))

    def swept() -> bool:
        world.cgroups.sweep(processes.groups(world.folders.statuses))
        return not _groups_left(world)

    until(swept)


def test_a_process_whose_endpoint_was_made_anew_is_not_taken_for_the_wanted_one(world: World) -> None:
    workloads = world.workloads()
    item = world.workload()
    assert workloads.put(item) is None
    assert settled(workloads).fingerprint == item.fingerprint
    world.namespaces.create("one").close()
    assert workloads.observe()[item.key].fingerprint == "stranded"
    assert workloads.put(item) is None
    until(lambda: workloads.observe()[item.key].readiness is Readiness.READY)
    assert world.score("x") == "x"


def test_what_cannot_start_says_why(world: World) -> None:
    workloads = world.workloads()
    missing = world.workload()
    failure = workloads.put(dataclasses.replace(missing, image="img/absent"))
    assert failure is not None and "img/absent is not pulled" in failure.message
    failure = workloads.put(dataclasses.replace(missing, endpoint="nic/absent"))
    assert failure is not None and failure.code == "NetworkNotReady"
    gone = dataclasses.replace(missing, bundle="bundle/absent")
    assert workloads.put(gone) is None
    seen = settled(workloads)
    assert seen.readiness is Readiness.FAILED and "the sandbox of the container could not be built" in seen.message.lower()


def test_a_log_stays_within_its_bounds(world: World) -> None:
    script = "def init():\n    for n in range(200000): print('line', n, 'x' * 80)\ndef run(data): return 1\n"
    workloads = world.workloads()
    assert workloads.put(world.workload(script)) is None
    assert settled(workloads).readiness is Readiness.READY
    path = world.folders.log("pod/a-0")
    sizes = [p.stat().st_size for p in (path, path.with_name(path.name + ".1"))]
    assert all(size <= 4 * 1024 * 1024 for size in sizes) and sum(sizes) > 4 * 1024 * 1024
    assert "line 199999 " in _log(world, "line 199999 ")


def test_two_cells_on_one_machine_do_not_see_each_other(world: World) -> None:
    script = "import os\ndef init(): open('/tmp/mark', 'w').close()\ndef run(data): return [os.listdir('/tmp'), os.getpid()]\n"
    world.namespaces.create("two").close()
    workloads = world.workloads()
    assert workloads.put(world.workload(script)) is None
    assert workloads.put(world.workload(script, key="pod/b-0", endpoint="nic/two")) is None
    assert settled(workloads).readiness is settled(workloads, "pod/b-0").readiness is Readiness.READY
    assert world.score("x") == [["mark"], 1]


def _log(world: World, wanted: str) -> str:
    path = world.folders.log("pod/a-0")
    until(lambda: wanted in path.read_text())
    return path.read_text()


def _groups_left(world: World) -> list[str]:
    return [entry.path for folder in world.groups for entry in os.scandir(folder) if entry.is_dir()]


def test_the_status_file_is_plain(world: World) -> None:
    """What another program, or a later version, may rely on."""
    workloads = world.workloads()
    assert workloads.put(world.workload()) is None
    assert settled(workloads).readiness is Readiness.READY
    supervisor = processes.scan(world.folders.statuses, "pod/")["pod/a-0"][0]
    value = json.loads((world.folders.statuses / f"{supervisor.pid}.json").read_text())
    assert value["key"] == "pod/a-0" and value["state"] == "running" and value["attempts"] == 1
