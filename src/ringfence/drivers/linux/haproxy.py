"""HAProxy's control socket: one question, one answer; and the few questions that routers ask."""

from __future__ import annotations

import csv
import re
import socket
from collections.abc import Iterable
from pathlib import Path

_TIMEOUT_S = 2.0
_BATCH = 200
_VALUE = re.compile(r'found=yes.*value="([^"]*)"')


class Unreachable(Exception):
    """HAProxy does not answer, or not as it should; the message says what it said."""


def ask(path: Path, command: str) -> str:
    """Raises Unreachable."""
    received = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\n")
            while data := connection.recv(65536):
                received += data
    except OSError as error:
        raise Unreachable(f"{command.split()[0]}: {error}") from error
    return received.decode("utf-8", "replace").strip()


def digest(path: Path) -> str:
    """The `description` of the configuration that the newest process has. Raises Unreachable."""
    for line in ask(path, "show info").splitlines():
        name, _, value = line.partition(":")
        if name == "description":
            return value.strip()
    return ""


def lookup(path: Path, table: str, key: str) -> str | None:
    """One entry of a map. Raises Unreachable."""
    match = _VALUE.search(ask(path, f"get map {table} {key}"))
    return match.group(1) if match else None


def sessions(path: Path) -> dict[str, int]:
    """Requests in each backend, waiting ones included. Raises Unreachable."""
    head, *lines = ask(path, "show stat -1 2 -1").lstrip("# ").splitlines() or [""]
    rows = csv.DictReader(lines, head.rstrip(",").split(","))
    return {row["pxname"]: int(row["scur"]) for row in rows if row.get("svname") == "BACKEND"}


def replace(path: Path, table: str, entries: Iterable[str]) -> None:
    """A map's whole content, in one step as requests see it. entries: `key value` lines. Raises Unreachable."""
    prepared = ask(path, f"prepare map {table}")
    version = re.fullmatch(r"New version created: (\d+)", prepared)
    if version is None:
        raise Unreachable(f"prepare map {table}: {prepared}")
    lines = list(entries)
    commands = [
        f"add map @{version.group(1)} {table} <<\n" + "\n".join(lines[start : start + _BATCH]) + "\n"
        for start in range(0, len(lines), _BATCH)
    ]
    for command in (*commands, f"commit map @{version.group(1)} {table}"):
        answer = ask(path, command)
        if answer:
            raise Unreachable(f"map {table}: {answer}")
