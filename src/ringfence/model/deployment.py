"""Microsoft.Resources deployments: what a template asked for, resource by resource, and how far each is.

What a template means is `policy.templates`; what carries one out is `control.deployer`.
"""

from __future__ import annotations

from enum import Enum

from pydantic import JsonValue

from ringfence.model.resource import Properties

DEPLOYMENT = "microsoft.resources/deployments"


class Progress(Enum):
    """How far one resource of a deployment is."""

    WAITING = "Waiting"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Fault(Properties):
    """Why a resource was not deployed: Azure's code and message, as its own PUT would have had them."""

    code: str
    message: str
    target: str | None = None


class Step(Properties):
    """One resource. id, needs, within: ids. operation: the one that makes it true. Times are ISO 8601."""

    id: str
    needs: tuple[str, ...] = ()
    within: str | None = None
    progress: Progress = Progress.WAITING
    operation: str | None = None
    created: bool = True
    started: str | None = None
    ended: str | None = None
    fault: Fault | None = None


class DeployedBy(Properties):
    """Who asked for a deployment, as their token said it: each resource is written with their rights."""

    object_id: str
    client_id: str
    name: str = ""
    groups: tuple[str, ...] = ()
    tenant_id: str = ""


class Deployment(Properties):
    """steps: none before what it needs. outputs: once all have succeeded. fault: of the outputs. caller: None, the platform."""

    mode: str = "Incremental"
    template: JsonValue = None
    parameters: JsonValue = None
    correlation: str = ""
    steps: tuple[Step, ...] = ()
    outputs: JsonValue = None
    fault: Fault | None = None
    caller: DeployedBy | None = None
