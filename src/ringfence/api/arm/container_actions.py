"""What can be asked of a container group beside reading and writing it: start, stop, restart, logs, exec, attach.

Logs are text; exec and attach answer with an address and a password for a connection that
`api.terminals` serves. Documents are `containers`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue
from starlette.responses import JSONResponse, Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm import wire
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.paths import About, Path
from ringfence.api.errors import MethodNotAllowed
from ringfence.control.engine import Engine
from ringfence.model import containers, errors
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy import container_groups

_PREFIX = f"{containers.CONTAINER_GROUP}/"
#: How long an action waits for its operation, in seconds: clients take 204 as its end.
_PATIENCE_S = 20.0
_MOST_LINES = 100_000
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a client connects, and what it has to say first. The password opens one connection."""

    uri: str
    password: str


@dataclass(frozen=True, slots=True)
class Session:
    """What a connection is for. command: to run in the container, or empty to follow its output."""

    group: ResourceId
    region: str
    container: str
    command: str = ""
    rows: int = 24
    columns: int = 80


#: Keeps a session and returns its ticket.
Issue = Callable[[Session], Ticket]


class ContainerActions:
    """issue: None where no connection can be served."""

    def __init__(self, engine: Engine, issue: Issue | None) -> None:
        self._engine = engine
        self._issue = issue
        self._of_group = {"start": self._start, "stop": self._stop, "restart": self._restart}

    def concerns(self, path: Path) -> bool:
        """Whether a path names an action or a part of a container group."""
        return path.about is About.COLLECTION and path.type.lower().startswith(_PREFIX)

    def answer(self, asked: Asked, path: Path) -> Response:
        """Raises errors.Problem."""
        assert path.id is not None
        verb = path.type.lower().removeprefix(_PREFIX)
        if verb in self._of_group and asked.method == "POST":
            return self._of_group[verb](self._engine.get(path.id))
        if verb == "outboundnetworkdependenciesendpoints" and asked.method == "GET":
            self._engine.get(path.id)
            return JSONResponse([])
        match verb.split("/"), asked.method:
            case ["containers", "logs"], "GET":
                return self._logs(asked, path.id)
            case ["containers", "exec"], "POST":
                return self._exec(asked, path.id)
            case ["containers", "attach"], "POST":
                group, container = self._container(path.id)
                return self._ticket(Session(group.id, group.region, container.name))
        message = f"The requested resource '{path.type[:200]}' does not support http method '{asked.method[:20]}'."
        raise MethodNotAllowed("MethodNotAllowed", message)

    def _start(self, group: Resource) -> Response:
        return self._run(group, containers.Run(stopped=False, nonce=self._engine.new_id()))

    def _stop(self, group: Resource) -> Response:
        return self._run(group, containers.Run(stopped=True))

    def _restart(self, group: Resource) -> Response:
        if container_groups.of(group).run.stopped:
            message = f"The container group '{group.id.name}' is stopped. Start it instead."
            raise errors.Conflict("ContainerGroupStopped", message, target=str(group.id))
        return self._run(group, containers.Run(nonce=self._engine.new_id()))

    def _run(self, group: Resource, run: containers.Run) -> Response:
        properties = container_groups.of(group).model_copy(update={"run": run})
        accepted = self._engine.put(dataclasses.replace(group, properties=properties), if_match=group.etag)
        operation = self._engine.wait(accepted.operation.id, _PATIENCE_S)
        if operation.code:
            raise errors.Conflict(operation.code, operation.message, target=str(group.id))
        return answers.nothing(204)

    def _logs(self, asked: Asked, id: ResourceId) -> Response:
        group, container = self._container(id)
        text = self._engine.container_log(group.id, container.name)
        lines = text.splitlines(keepends=True)
        tail = asked.query.get("tail", "")
        wanted = min(int(tail), _MOST_LINES) if tail.isdigit() and len(tail) < 10 else _MOST_LINES
        return answers.document({"content": "".join(lines[max(0, len(lines) - wanted) :])})

    def _exec(self, asked: Asked, id: ResourceId) -> Response:
        group, container = self._container(id)
        body = wire.parse(asked.body)
        command, size = body.get("command"), body.get("terminalSize") or {}
        if not isinstance(command, str) or not command.strip() or not isinstance(size, dict):
            raise errors.Invalid("InvalidRequestContent", "The command to execute is missing.", target="command")
        seen = self._engine.instances(group.id).get(container.name)
        if seen is None or seen.state != "Running":
            message = f"The container '{container.name}' of the container group '{group.id.name}' is not running."
            raise errors.Conflict("ContainerNotRunning", message, target=str(id))
        rows, columns = _extent(size.get("rows"), 24), _extent(size.get("cols"), 80)
        return self._ticket(Session(group.id, group.region, container.name, command, rows, columns))

    def _ticket(self, session: Session) -> Response:
        if self._issue is None:
            raise errors.Unsupported("NotSupported", "Connections into containers are not served here.")
        ticket = self._issue(session)
        return answers.document({"webSocketUri": ticket.uri, "password": ticket.password})

    def _container(self, id: ResourceId) -> tuple[Resource, containers.Container]:
        group = self._engine.get(id.parent)
        for container in container_groups.of(group).containers:
            if container.name.lower() == id.name.lower():
                return group, container
        message = f"The container '{id.name[:100]}' does not exist in the container group '{group.id.name}'."
        raise errors.NotFound("ContainerNotFound", message, target=str(id))


def _extent(value: JsonValue, otherwise: int) -> int:
    return min(value, _MOST_ROWS) if isinstance(value, int) and value > 0 else otherwise
