"""A small control plane for tests of the sandbox: it answers on control.sock and makes a namespace per location.

Run as a program by the holder, as the real one would be.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from ringfence.kernel import netlink, syscalls

FOLDER = Path("/run/ringfence/netns")


def namespace(location: str) -> str:
    """One with a loopback interface and nothing else; it outlives this process by its mount."""
    path = FOLDER / location.replace("/", "-")
    if path.exists():
        return str(path)
    path.touch()
    if os.fork() == 0:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        rtnl = netlink.Rtnl()
        rtnl.set_up(netlink.LOOPBACK)
        rtnl.commit()
        syscalls.bind("/proc/self/ns/net", str(path), recursive=False)
        os._exit(0)
    os.wait()
    return str(path)


def answer(method: str, path: str, body: bytes) -> tuple[int, Any]:
    if (method, path) == ("POST", "/locations"):
        at = json.loads(body)["at"]
        if at == "nowhere":
            return 404, {"error": {"code": "LocationNotFound", "message": "There is no location 'nowhere'."}}
        return 200, {"location": at, "namespace": namespace(at), "address": "192.0.2.4", "resolver": "168.63.129.16"}
    if path == "/locations":
        return 200, {"locations": ["internet", "mynetwork/default"]}
    if path.startswith("/logs?service="):
        return 200, {"text": f"log of {path.partition('=')[2]}\n"}
    groups = os.environ.get("RINGFENCE_CGROUPS", "")
    return 200, {"clusters": [{"name": "inference", "address": "192.0.2.7"}], "cgroups": groups, "arguments": sys.argv[1:]}


def serve(state: Path) -> None:
    address = state / "run" / "control.sock"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen(16)
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                request = connection.recv(65536)
                head, _, body = request.partition(b"\r\n\r\n")
                if not head:
                    continue
                method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
                status, document = answer(method, path, body)
                connection.sendall(f"HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n{json.dumps(document)}".encode())


if __name__ == "__main__":
    if "--crash" in sys.argv:
        sys.exit("the stand-in ends at once, as it was told")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    serve(Path(sys.argv[sys.argv.index("--state") + 1]))
