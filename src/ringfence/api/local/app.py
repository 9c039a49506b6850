"""The local API, on the unix socket of the state folder: for `ringfence` on this machine and for nobody else.

Whoever may open the socket is the operator, so there is no token. Answers are JSON;
refusals have the body that Azure Resource Manager's have.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ringfence.api import errors as table
from ringfence.api.local import approvals
from ringfence.api.local.locations import Locations
from ringfence.api.local.status import Status
from ringfence.control.engine import Engine
from ringfence.control.identities import administrator
from ringfence.desired.state import INTERNET, Key, Network
from ringfence.drivers.base import RuleCount
from ringfence.model import errors, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource

log = logging.getLogger(__name__)

_MOST_BYTES = 65536
_LONGEST_WAIT_S = 600.0

_Query = Mapping[str, str]
_Body = Mapping[str, object]


class Local:
    """The handlers; each runs in a thread."""

    def __init__(self, engine: Engine, locations: Locations, status: Status) -> None:
        self._engine = engine
        self._locations = locations
        self._status = status

    def status(self, _: _Query, __: _Body) -> object:
        return self._status.document()

    def list_locations(self, _: _Query, __: _Body) -> object:
        return {"locations": [{"location": name, "subnet": str(id) if id else None} for name, id in self._locations.names()]}

    def reach(self, _: _Query, body: _Body) -> object:
        at = body.get("at")
        if not isinstance(at, str):
            raise errors.Invalid(
                "InvalidRequestContent", 'The body has to be {"at": "internet" or "VNET/SUBNET" or a subnet\'s id}.'
            )
        found = self._locations.reach(at)
        return {name: value for name, value in asdict(found).items() if name != "key"}

    def logs(self, query: _Query, _: _Body) -> object:
        """`?service=NAME` or its id; `&build=1` for the build of its environment."""
        service = self._service(query.get("service", ""))
        read = self._engine.build_log if query.get("build") == "1" else self._engine.logs
        return {"service": str(service.id), "text": read(service.id)}

    def counters(self, _: _Query, __: _Body) -> object:
        counted = self._engine.counters()
        return {"networks": {self._network(key): [_count(count) for count in counts] for key, counts in counted.items()}}

    def health(self, _: _Query, __: _Body) -> object:
        return {"balancers": {key: dict(targets) for key, targets in self._engine.health().items()}}

    def wait(self, _: _Query, body: _Body) -> object:
        """`{"timeoutS": 30}`: until nothing is in progress."""
        seconds = body.get("timeoutS", 30.0)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_WAIT_S:
            raise errors.Invalid(
                "InvalidRequestContent", f"timeoutS is a number from 0 to {_LONGEST_WAIT_S:g}.", target="timeoutS"
            )
        settled = self._engine.wait_settled(float(seconds))
        return {"settled": settled, "operations": [str(o.resource_id) for o in self._engine.pending()]}

    def sign_in(self, _: _Query, body: _Body) -> object:
        """`{"code": …, "user": UPN, "decline": true}`: answer a device's sign-in for a person, without their password."""
        code, user = body.get("code"), body.get("user") or administrator.PERSON
        if not isinstance(code, str) or not isinstance(user, str):
            raise errors.Invalid("InvalidRequestContent", 'The body has to be {"code": "the code", "user": "NAME@DOMAIN"}.')
        return approvals.decide(self._engine.identities, code, user, approved=body.get("decline") is not True)

    def _service(self, name: str) -> Resource:
        """By name, or by id where several have the name."""
        everyone = self._engine.snapshot().of_type(serving.SERVICE)
        if name.startswith("/"):
            found = [s for s in everyone if s.id == ResourceId.parse(name)]
        else:
            found = [s for s in everyone if s.id.name.lower() == name.lower()]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(str(s.id) for s in found)
            raise errors.Invalid("AmbiguousService", f"Several services are called {name[:200]}. Name one by its id: {ids}.")
        there = ", ".join(sorted(s.id.name for s in everyone)) or "none"
        raise errors.NotFound("ServiceNotFound", f"There is no service {name[:200]!r}. There are: {there}.")

    def _network(self, key: Key) -> str:
        """The id of the virtual network behind a key of desired state; the edge is called `internet`."""
        if key == INTERNET:
            return "internet"
        item = self._engine.state().items.get(key)
        if not isinstance(item, Network) or not item.owners:
            return key
        vnet = self._engine.snapshot().get(item.owners[0])
        return str(vnet.id) if vnet is not None else key


def build(engine: Engine, locations: Locations, status: Status) -> Starlette:
    """The application for `run/control.sock`."""
    local = Local(engine, locations, status)
    reads = {"/status": local.status, "/locations": local.list_locations, "/logs": local.logs}
    reads |= {"/counters": local.counters, "/health": local.health}
    writes = {"/locations": local.reach, "/wait": local.wait, "/sign-in": local.sign_in}
    routes = [Route(path, _endpoint(handler), methods=["GET"]) for path, handler in reads.items()]
    routes += [Route(path, _endpoint(handler), methods=["POST"]) for path, handler in writes.items()]
    return Starlette(routes=[*routes, Route("/{path:path}", _endpoint(_unknown), methods=["GET", "POST", "PUT", "DELETE"])])


def _endpoint(handler: Callable[[_Query, _Body], object]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            body = await _body(request)
            return JSONResponse(await run_in_threadpool(handler, dict(request.query_params), body))
        except errors.Problem as problem:
            log.info("local %s %s refused: %s %s", request.method, request.url.path[:200], problem.code, problem)
            return JSONResponse(table.body(problem), table.status(problem))
        except Exception:  # the boundary: the cause goes to the log
            log.exception("local %s %s failed", request.method, request.url.path[:200])
            return JSONResponse(table.internal(), 500)

    return answer


def _unknown(_: _Query, __: _Body) -> object:
    raise errors.NotFound("NotFound", "The local API has /status, /locations, /logs, /counters, /health, /sign-in and /wait.")


async def _body(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return {}
    taken = bytearray()
    async for chunk in request.stream():
        taken += chunk
        if len(taken) > _MOST_BYTES:
            raise errors.TooLarge("RequestEntityTooLarge", f"The body has more than {_MOST_BYTES} bytes.")
    try:
        found = json.loads(taken or b"{}")
    except (ValueError, RecursionError) as error:
        raise errors.Invalid("InvalidRequestContent", "The body is not JSON.") from error
    if not isinstance(found, dict):
        raise errors.Invalid("InvalidRequestContent", "The body has to be a JSON object.")
    return found


def _count(count: RuleCount) -> Mapping[str, object]:
    return {
        "ruleSet": count.rule_set,
        "direction": count.direction,
        "rule": count.rule,
        "allow": count.allow,
        "packets": count.packets,
    }
