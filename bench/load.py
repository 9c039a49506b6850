"""Bounded load with wrk, and the way into the namespace of a pod.

wrk is a Debian package. Every run ends by itself after its seconds.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Load:
    """Requests per second and latencies in milliseconds."""

    rps: float
    p50_ms: float
    p99_ms: float


def wrk(prefix: list[str], url: str, body: str, key: str, *, connections: int, seconds: int) -> Load:
    """prefix: the command that puts wrk where it starts from. Ends the program if any answer is not 200."""
    if shutil.which("wrk") is None:
        raise SystemExit("bench: wrk is missing; install it with: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as script:
        script.write(f"wrk.method = 'POST'\nwrk.body = [==[{body}]==]\n")
        script.write(f"wrk.headers['Content-Type'] = 'application/json'\nwrk.headers['Authorization'] = 'Bearer {key}'\n")
    Path(script.name).chmod(0o644)
    command = [*prefix, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, url]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    finally:
        Path(script.name).unlink()
    rps = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    if rps is None or failed:
        raise SystemExit(f"bench: {url} did not answer 200 every time:\n{printed}")
    return Load(float(rps[1]), _latency(printed, "50%"), _latency(printed, "99%"))


def _latency(printed: str, which: str) -> float:
    found = re.search(rf"{which}\s+([\d.]+)(us|ms|s)", printed)
    assert found, printed
    return float(found[1]) * _UNITS[found[2]]


def _descends(pid: int, ancestor: int) -> bool:
    """Whether a process is inside the sandbox of this holder: another one may run on the machine."""
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return pid == ancestor


def into_pod(holder: int) -> list[str]:
    """The command prefix that starts a program in the network namespace of the first pod found, on its loopback."""
    sandbox = os.readlink(f"/proc/{holder}/ns/net")
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            command, network = (folder / "cmdline").read_bytes(), os.readlink(folder / "ns/net")
        except OSError:  # it ended meanwhile, or is not ours
            continue
        if b"scoring" in command and network != sandbox and _descends(int(folder.name), holder):
            return ["nsenter", "-t", str(holder), "-U", "--preserve-credentials", f"--net=/proc/{folder.name}/ns/net"]
    raise SystemExit("bench: no scoring process was found")
