"""Whether a name that is a host name is still to be had: `checkNameAvailability` of the namespaces that have such names.

Clients ask before they create. The rules are admission's own, so that the answer is what a PUT would meet.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

from ringfence.api.arm import wire
from ringfence.api.arm.asked import Asked
from ringfence.control.engine import Engine
from ringfence.model import access, errors, registry, storage
from ringfence.policy.admission import naming

ACTION = "checknameavailability"
#: Lower-case namespace -> the type whose names it is asked about.
_TYPES: Mapping[str, str] = {
    "microsoft.storage": storage.STORAGE_ACCOUNT,
    "microsoft.keyvault": access.VAULT,
    "microsoft.containerregistry": registry.REGISTRY,
}


def concerns(type: str) -> bool:
    """Whether the type of a collection's path (`Microsoft.Storage/checkNameAvailability`) is such a question."""
    namespace, _, action = type.lower().partition("/")
    return action == ACTION and namespace in _TYPES


def answer(engine: Engine, asked: Asked, type: str) -> Response:
    """Raises errors.Problem for a body without a name."""
    name = wire.parse(asked.body).get("name")
    if not isinstance(name, str):
        raise errors.Invalid("InvalidRequestContent", "The request has no 'name'.", target="name")
    problem = naming.availability(engine.snapshot(), _TYPES[type.lower().partition("/")[0]], name)
    if problem is None:
        return JSONResponse({"nameAvailable": True})
    reason = "AlreadyExists" if isinstance(problem, errors.Conflict) else "AccountNameInvalid"
    return JSONResponse({"nameAvailable": False, "reason": reason, "message": problem.message})
