"""All benchmarks of the system, each with its baseline or its goal beside it.

    make bench            everything
    python bench/run.py start networks

Single figures are medians; this machine is noisy, so read ratios, not absolute times.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import box
import load

import access

LINE = "{:<62} {:>12}   {}"


def say(what: str, value: str, goal: str) -> None:
    print(LINE.format(what, value, goal), flush=True)


def start() -> None:
    """From `ringfence up` on a prepared machine to a signed token, three times; memory and CPU of the idle control plane."""
    totals = []
    for _ in range(3):
        begun = time.perf_counter()
        with box.Box() as ringfence:
            ringfence.arm("token")
            totals.append(time.perf_counter() - begun)
            if len(totals) == 3:
                idle(ringfence)
    say("up to a signed token (3 runs)", f"{statistics.median(totals):.2f} s", "goal < 2 s")


def idle(ringfence: box.Box) -> None:
    pid = ringfence.status()["processes"]["controlPlane"]
    before, begun = cpu_ticks(pid), time.perf_counter()
    time.sleep(10)
    share = (cpu_ticks(pid) - before) / (time.perf_counter() - begun)
    resident = next(line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    say("idle control plane, resident memory", f"{int(resident) / 1024:.0f} MB", "goal < 120 MB")
    say("idle control plane, CPU", f"{share:.1f} %", "no busy loop")


def cpu_ticks(pid: int) -> int:
    """User and system time in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def networks() -> None:
    """100 empty VNets with two subnets and an NSG of 50 rules each, one after the other over ARM."""
    with box.Box() as ringfence:
        found = ringfence.arm("networks", 100, 50)
    each = found["each_s"]
    early, late = statistics.median(each[5:15]), statistics.median(each[90:])
    say("100 VNets, 2 subnets and an NSG of 50 rules each, over ARM", f"{found['total_s']:.2f} s", "goal < 5 s")
    say("one more VNet at 10", f"{early * 1000:.1f} ms", "")
    say("one more VNet at 100", f"{late * 1000:.1f} ms", f"{late / early:.2f} times; goal: the same")


def cluster() -> None:
    """A three-node cluster behind an internal load balancer, PUT to Succeeded, polling every 20 ms."""
    with box.Box() as ringfence:
        seconds = ringfence.arm("cluster")["cluster_s"]
    say("three-node cluster, PUT to Succeeded", f"{seconds:.2f} s", "goal < 1 s")


def deployment() -> None:
    """A second deployment with its environment built, and what the secured path costs a scored request."""
    with box.Box() as ringfence:
        ringfence.arm("cluster")
        printed = ringfence.at("vnet0/cluster", box.client_python(), str(box.ROOT / "bench" / "deployment.py"))
        found = json.loads(printed.strip().splitlines()[-1])
        say("deployment with a cached environment, POST to first score", f"{found['deploy_s']:.2f} s", "goal < 3 s")
        path(ringfence, found)


def path(ringfence: box.Box, found: dict[str, str]) -> None:
    """The same pod asked through NSG, internal load balancer and router, and directly on its loopback, in turn."""
    through = [*box.CLI, "--state", str(ringfence.state), "exec", "--at", "vnet0/cluster", "--"]
    direct = load.into_pod(ringfence.status()["processes"]["holder"])
    given = {"body": found["body"], "key": found["key"], "seconds": 3}
    for connections in (1, 16, 64):
        rounds: dict[str, list[load.Load]] = {"secured": [], "direct": []}
        for _ in range(3):
            rounds["direct"].append(load.wrk(direct, "http://127.0.0.1:5001/score", connections=connections, **given))
            rounds["secured"].append(load.wrk(through, found["uri"], connections=connections, **given))
        for name, loads in rounds.items():
            middle = sorted(loads, key=lambda one: one.rps)[1]
            shown = f"p50 {middle.p50_ms:.2f} ms, p99 {middle.p99_ms:.2f} ms"
            say(f"scored requests, {connections} connections, {name}", f"{middle.rps:.0f} /s", shown)
        ratios = [s.rps / d.rps for s, d in zip(rounds["secured"], rounds["direct"], strict=True)]
        say(f"secured / direct, {connections} connections", f"{statistics.median(ratios):.2f}", "goal 0.5")


def decisions() -> None:
    """One authorization decision in memory, for a principal with 1,000 role assignments."""
    found = access.measure(1000)
    loop = f"a plain loop: {found['loop_us']:.0f} us"
    say("authorization decision, 1,000 assignments", f"{found['first_us']:.1f} us", f"goal < 20 us; {loop}")


def document() -> None:
    """The whole document, typed by a script with the Azure CLI and the SDK, whose own waiting is most of it."""
    with box.Box() as ringfence:
        clients = ("--az", box.az(), "--client-python", box.client_python())
        walk = [sys.executable, str(box.ROOT / "examples" / "document" / "walk.py"), "--json", "--state", str(ringfence.state)]
        found = json.loads(
            subprocess.run([*walk, *clients], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        )
    say(f"the whole document, {len(found['checks'])} checks", f"{found['seconds']:.0f} s", "goal < 90 s")


ALL = {
    "decisions": decisions,
    "start": start,
    "networks": networks,
    "cluster": cluster,
    "deployment": deployment,
    "document": document,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name]()
