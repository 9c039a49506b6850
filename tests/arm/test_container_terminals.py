"""Connections into containers: tickets from Resource Manager, one use each, bytes in both directions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.arm.arm_world import Arm, error
from tests.arm.test_container_instances import APP, group, with_subnet

from ringfence.api.arm.container_actions import Session
from ringfence.api.terminals import Terminals
from ringfence.model.ids import ResourceId
from ringfence.policy import container_groups

_PATIENCE_S = 10.0
_EXEC = f"{APP}/containers/app/exec"


@pytest.fixture
def terminals(arm: Arm) -> Terminals:
    """The desk of an installation in which a group runs."""
    with_subnet(arm)
    arm.made(APP, group())
    return arm.terminals


def ticket(arm: Arm, body: Any, path: str = _EXEC) -> tuple[str, str]:
    answer = arm.send("POST", path, body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    host, _, rest = found["webSocketUri"].removeprefix("wss://").partition("/")
    assert host in container_groups.hosts(arm.engine.snapshot()) and container_groups.is_terminal_host(host)
    return f"/{rest}", found["password"]


class Wire:
    """A client's side of one connection, in the loop of the test."""

    def __init__(self, terminals: Terminals, path: str) -> None:
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[Any] = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": path.partition("?")[0], "headers": [], "query_string": b"", "subprotocols": []}
        self._task = asyncio.create_task(terminals(scope, self._in.get, self._out.put))

    def say(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self._in.put_nowait({"type": "websocket.receive", kind: message})

    async def hear(self) -> bytes | int:
        """What came, or the code with which the connection was closed."""
        while (message := await asyncio.wait_for(self._out.get(), _PATIENCE_S))["type"] == "websocket.accept":
            continue
        return bytes(message["bytes"]) if message["type"] == "websocket.send" else int(message["code"])

    async def leave(self) -> None:
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(self._task, _PATIENCE_S)


def told(terminals: Terminals, path: str, *said: str | bytes) -> list[bytes | int]:
    """What is heard after each thing that is said."""

    async def talk() -> list[bytes | int]:
        wire, heard = Wire(terminals, path), []
        for message in said:
            wire.say(message)
            heard.append(await wire.hear())
        await wire.leave()
        return heard

    return asyncio.run(talk())


def test_a_command_talks_to_who_has_the_ticket(arm: Arm, terminals: Terminals) -> None:
    path, password = ticket(arm, {"command": "/bin/sh -l", "terminalSize": {"rows": 30, "cols": 90}})
    assert path.endswith("?rows=30&cols=90")
    assert told(terminals, path, password, b"hello", b"exit") == [b"['/bin/sh', '-l'] 30x90\r\n", b"hello", 1000]


@pytest.mark.parametrize("said", ["", "wrong"])
def test_a_wrong_password_uses_the_ticket_up(arm: Arm, terminals: Terminals, said: str) -> None:
    path, password = ticket(arm, {"command": "sh"})
    assert told(terminals, path, said) == told(terminals, path, password) == [1008]


def test_a_ticket_counts_once(arm: Arm, terminals: Terminals) -> None:
    path, password = ticket(arm, {"command": "sh"})
    assert told(terminals, path, password) == [b"['sh'] 24x80\r\n"]
    assert told(terminals, path, password) == [1008]


def test_a_ticket_does_not_count_for_long(arm: Arm, terminals: Terminals) -> None:
    moment = [0.0]
    desk = Terminals(arm.engine, lambda: moment[0])
    given = desk.issue(Session(ResourceId.parse(APP), "eastus2", "app", "sh"))
    moment[0] = 61.0
    assert told(desk, "/exec/" + given.uri.rpartition("/")[2], given.password) == [1008]


def test_attach_follows_what_the_container_prints(arm: Arm, terminals: Terminals) -> None:
    path, password = ticket(arm, None, f"{APP}/containers/app/attach")
    (heard,) = told(terminals, path, password)
    assert isinstance(heard, bytes) and heard.endswith(b"is ready.\n")


def test_there_is_no_ticket_into_what_does_not_run(arm: Arm, terminals: Terminals) -> None:
    assert arm.send("POST", f"{APP}/stop").status_code == 204
    error(arm.send("POST", _EXEC, {"command": "sh"}), 409, "ContainerNotRunning")
    error(arm.send("POST", _EXEC, {}), 400, "InvalidRequestContent")
