"""The scoring server alone: an echo script on loopback, with wrk, beside the reference server if one is at hand.

    python bench/scoring.py
    python bench/scoring.py --reference PYTHON     an interpreter that has azureml-inference-server-http

The two take turns, so that both see the same noise. wrk keeps its connections; the reference
closes each after one request, which is a good part of the difference.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
ECHO = "def init(): pass\ndef run(data): return data\n"
POST = 'wrk.method = "POST"; wrk.body = \'{"data": [[1, 2, 3]]}\'; wrk.headers["Content-Type"] = "application/json"\n'
ROUNDS, SECONDS = 3, 2


@contextlib.contextmanager
def serving(argv: Sequence[str], port: int, folder: Path) -> Iterator[str]:
    """A server of the echo script; gives its URL."""
    variables = {
        **os.environ,
        "AML_APP_ROOT": str(folder),
        "AZUREML_ENTRY_SCRIPT": "echo.py",
        "AZUREML_MODEL_DIR": str(folder),
        "SERVER_PORT": str(port),
        "PYTHONPATH": str(SOURCE),
    }
    quiet = subprocess.DEVNULL
    with subprocess.Popen(argv, cwd=folder, env=variables, stdout=quiet, stderr=quiet) as process:
        try:
            end = time.monotonic() + 20
            while socket.socket().connect_ex(("127.0.0.1", port)):
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit(f"{argv[0]} does not serve")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}/score"
        finally:
            process.terminate()


def load(url: str, connections: int, script: Path) -> tuple[float, float, float]:
    """Requests per second, p50 and p99 in milliseconds."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", str(script), url]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors: connect" in told:
        raise SystemExit(told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    assert rate is not None
    return float(rate.group(1)), _milliseconds(told, "50"), _milliseconds(told, "99")


def _milliseconds(told: str, percentile: str) -> float:
    found = re.search(rf"{percentile}%\s+([\d.]+)(us|ms|s)", told)
    assert found is not None
    return float(found.group(1)) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found.group(2)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", help="a Python interpreter that has azureml-inference-server-http")
    reference = parser.parse_args().reference
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        (folder / "echo.py").write_text(ECHO)
        (folder / "post.lua").write_text(POST)
        port = free_port()
        urls = {"ringfence": stack.enter_context(serving([sys.executable, "-m", "ringfence.scoring"], port, folder))}
        if reference:
            port = free_port()
            argv = [reference, "-m", "azureml_inference_server_http", "--entry_script", "echo.py", "--port", str(port)]
            urls["reference"] = stack.enter_context(serving(argv, port, folder))
        for connections in (1, 16, 64):
            rounds: dict[str, list[tuple[float, float, float]]] = {server: [] for server in urls}
            for _ in range(ROUNDS):
                for server, url in urls.items():
                    rounds[server].append(load(url, connections, folder / "post.lua"))
            rates = {server: statistics.median(rate for rate, _, _ in found) for server, found in rounds.items()}
            for server, found in rounds.items():
                p50, p99 = (statistics.median(values) for values in list(zip(*found, strict=True))[1:])
                ratio = f"ours is {rates['ringfence'] / rates[server]:.1f} times that" if server != "ringfence" else ""
                print(f"{connections:3d} connections  {server:10s} {rates[server]:8.0f}/s", end="  ")
                print(f"p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  {ratio}", flush=True)


if __name__ == "__main__":
    main()
