"""Scoring servers as processes of their own, on a loopback port, with scripts given as text; and replies, read byte by byte."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"

SCRIPT = """
import math, sys, time
def init():
    print("hello", "there")
    sys.stderr.write("to stderr\\n")
def run(data, request_headers, other=5):
    kinds = {"none": None, "tuple": ("x", 201), "nan": math.nan, "bytes": b"x", "text": "é", "dict": {"a": [1]}}
    if data in kinds: return kinds[data]
    if data == "raise": raise ValueError("boom")
    if data == "exit": sys.exit(4)
    if data == "timeout": raise TimeoutError("mine")
    if data == "slow":
        until = time.time() + 3
        while time.time() < until: pass
    if data == "sleep": time.sleep(3)
    if data == "headers": return {k: v for k, v in request_headers.items() if k.startswith("X-T")}
    return [data, other]
"""


@dataclass(frozen=True)
class Answer:
    """One reply. fields: lower-case names; repeats joined with a comma."""

    line: str
    fields: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.line.split()[1])

    def json(self) -> object:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(json.loads(self.body)["message"])


class Server:
    """A running server of one script."""

    def __init__(self, folder: Path, script: str, variables: dict[str, str], *, ready: bool = True) -> None:
        self.folder = folder
        (folder / "score.py").write_text(script)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log_path = folder / "log.txt"
        defaults = {"AML_APP_ROOT": str(folder), "AZUREML_ENTRY_SCRIPT": "score.py", "AZUREML_MODEL_DIR": str(folder)}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ringfence.scoring"],
                cwd=folder,
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(SOURCE),
                    "SERVER_PORT": str(self.port),
                    **defaults,
                    **variables,
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if ready:
            self.await_ready()

    def await_ready(self) -> None:
        end = time.monotonic() + 10
        while "ready for serving traffic" not in self.log():
            assert self.process.poll() is None and time.monotonic() < end, self.log()
            time.sleep(0.01)

    def log(self) -> str:
        return self.log_path.read_text()

    def logged(self, text: str) -> str:
        """The log, once this is in it; access lines are written a moment later."""
        end = time.monotonic() + 5
        while text not in self.log():
            assert time.monotonic() < end, self.log()
            time.sleep(0.01)
        return self.log()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 10)

    def raw(self, data: bytes) -> Answer:
        with self.connect() as connection:
            connection.sendall(data)
            return receive(connection, head_only=data.startswith(b"HEAD"))

    def ask(self, method: str = "POST", path: str = "/score", body: bytes | str = b"", **fields: str) -> Answer:
        """fields: header fields, `_` for `-`; a JSON content type unless another is given."""
        content = body.encode() if isinstance(body, str) else body
        named = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in fields.items()}}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return self.raw(
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n{lines}\r\n".encode() + content
        )

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


def receive(connection: socket.socket, *, head_only: bool = False) -> Answer:
    """One reply from a connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, f"the connection ended after {data!r}"
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode("latin-1").split("\r\n")
    fields: dict[str, str] = {}
    for text in rest:
        name, _, value = text.partition(": ")
        fields[name.lower()] = f"{fields[name.lower()]},{value}" if name.lower() in fields else value
    length = 0 if head_only else int(fields["content-length"])
    whole = bytearray(body)
    while len(whole) < length:
        whole += connection.recv(1 << 20)
    return Answer(line, fields, bytes(whole))
