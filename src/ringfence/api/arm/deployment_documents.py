"""Documents of deployments, and of the operations in them: what Azure shows of a template that is carried out."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.api import errors as table
from ringfence.control.deployer import FAILED
from ringfence.model import errors
from ringfence.model.deployment import Deployment, Fault, Progress, Step
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource

_FAILED_MESSAGE = "At least one resource deployment operation failed. Please list deployment operations for details."
_SECURE = frozenset({"securestring", "secureobject"})

Document = dict[str, Any]


def properties(resource: Resource) -> Document:
    """`properties` of a deployment. Secure parameters are shown without their value."""
    asked = _asked(resource)
    found: Document = {
        "mode": asked.mode,
        "provisioningState": _state(resource),
        "timestamp": resource.changed_at.isoformat(),
        "duration": _duration(resource.created_at, resource.changed_at),
        "correlationId": asked.correlation,
        "parameters": _parameters(asked),
        "providers": _providers(asked.steps),
        "dependencies": [{"id": s.id, **_named(s.id), "dependsOn": [{"id": n} for n in s.needs]} for s in asked.steps if s.needs],
        "outputResources": [{"id": s.id} for s in asked.steps if s.progress is Progress.SUCCEEDED],
    }
    if asked.outputs is not None:
        found["outputs"] = asked.outputs
    if resource.state is ProvisioningState.FAILED:
        found["error"] = table.entry(failure(resource))
    return found


def failure(resource: Resource) -> errors.Problem:
    """`DeploymentFailed`, and in its details why."""
    asked = _asked(resource)
    faults = [f for f in (asked.fault, *(step.fault for step in asked.steps)) if f is not None]
    message = " ".join([_FAILED_MESSAGE, *(f"{fault.code}: {fault.message}" for fault in faults)])
    return errors.Invalid(FAILED, message, details=[_problem(fault) for fault in faults])


def operations(resource: Resource) -> list[Mapping[str, Any]]:
    """What has begun: the template's own resources first, then the deployments nested in it."""
    asked = _asked(resource)
    begun = [s for s in asked.steps if s.progress is not Progress.WAITING]
    nested: dict[str, list[Step]] = {}
    for step in begun:
        if step.within is not None:
            nested.setdefault(step.within, []).append(step)
    found = [_operation(resource.id, [step], step.id) for step in begun if step.within is None]
    for id, members in nested.items():
        whole = [step for step in asked.steps if step.within == id]
        found.append(_operation(resource.id, members if len(members) == len(whole) else whole, id))
    return found


def _operation(deployment: ResourceId, steps: Sequence[Step], target: str) -> Mapping[str, Any]:
    """One of a resource, or of a nested deployment with all its resources."""
    states = {step.progress for step in steps}
    state = next((s for s in (Progress.FAILED, Progress.RUNNING, Progress.WAITING) if s in states), Progress.SUCCEEDED)
    shown = Progress.RUNNING if state is Progress.WAITING else state
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{deployment.key}|{target.lower()}").hex.upper()[:16]
    started = min(step.started for step in steps if step.started is not None)
    ended = max((step.ended for step in steps if step.ended is not None), default=started)
    found: Document = {
        "provisioningOperation": "Create",
        "provisioningState": shown.value,
        "timestamp": ended,
        "duration": _duration(dt.datetime.fromisoformat(started), dt.datetime.fromisoformat(ended)),
        "targetResource": {"id": target, **_named(target)},
    }
    if shown is not Progress.RUNNING:
        found["statusCode"] = "BadRequest" if shown is Progress.FAILED else "Created" if steps[0].created else "OK"
    faults = [step.fault for step in steps if step.fault is not None]
    if faults:
        found["statusMessage"] = {"status": "Failed", **table.body(_problem(faults[0]))}
    return {"id": f"{deployment}/operations/{name}", "operationId": name, "properties": found}


def _named(id: str) -> Mapping[str, str]:
    parsed = ResourceId.parse(id)
    return {"resourceType": parsed.type, "resourceName": "/".join(parsed.names) or parsed.name}


def _state(resource: Resource) -> str:
    if resource.state.terminal or resource.state is ProvisioningState.DELETING:
        return resource.state.value
    begun = any(step.progress is not Progress.WAITING for step in _asked(resource).steps)
    return "Running" if begun else "Accepted"


def _parameters(asked: Deployment) -> Document:
    """As given, with their types."""
    template = asked.template if isinstance(asked.template, dict) else {}
    declared = template.get("parameters")
    given = asked.parameters if isinstance(asked.parameters, dict) else {}
    found: Document = {}
    for name, declaration in declared.items() if isinstance(declared, dict) else ():
        kind = str(declaration.get("type", "")) if isinstance(declaration, dict) else ""
        value = given.get(name)
        secret = kind.lower() in _SECURE or not isinstance(value, dict)
        found[name] = {"type": kind} if secret or not isinstance(value, dict) else {"type": kind, "value": value.get("value")}
    return found


def _providers(steps: Sequence[Step]) -> list[Mapping[str, Any]]:
    kinds: dict[str, set[str]] = {}
    for step in steps:
        provider, _, kind = ResourceId.parse(step.id).type.partition("/")
        kinds.setdefault(provider, set()).add(kind)
    return [{"namespace": p, "resourceTypes": [{"resourceType": k} for k in sorted(found)]} for p, found in kinds.items()]


def _duration(start: dt.datetime, end: dt.datetime) -> str:
    return f"PT{max((end - start).total_seconds(), 0.0):.3f}S"


def _problem(fault: Fault) -> errors.Problem:
    return errors.Problem(fault.code, fault.message, target=fault.target)


def _asked(resource: Resource) -> Deployment:
    assert isinstance(resource.properties, Deployment)
    return resource.properties
