"""All benchmarks of the system, each with its baseline or its goal beside it.

    make bench            everything
    python bench/run.py start networks

Single figures are medians; this machine is noisy, so read ratios, not absolute times.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import box

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


ALL = {"start": start, "networks": networks, "cluster": cluster}

if __name__ == "__main__":
    for name in sys.argv[1:] or ALL:
        ALL[name]()
