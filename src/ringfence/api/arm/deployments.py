"""Deployments of templates over HTTP: PUT, validate, operations, lists; and how their resources are read and shown.

What a template means is `policy.templates`; it is carried out by `control.deployer`, one
resource after the other, each with the body and the admission of its own PUT.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue
from starlette.responses import Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm import deployment_documents, directory, documents, lenient, wire
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.registry import spelled
from ringfence.control.acceptance import Request
from ringfence.control.engine import Engine
from ringfence.model import errors
from ringfence.model.deployment import DEPLOYMENT, DeployedBy, Deployment, Step
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import access, authority
from ringfence.policy.access import Caller
from ringfence.policy.templates import planning

_ASKED = frozenset({"mode", "template", "parameters", "debugsetting", "expressionevaluationoptions"})
#: The version that bodies in templates are answered in; any is served.
_VERSION = "2024-03-01"

_Object = Mapping[str, JsonValue]


class Bodies:
    """control.deployer's reader."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._tenant = tenant

    @property
    def tenant(self) -> str:
        return self._tenant

    def read(self, snapshot: Snapshot, id: ResourceId, body: _Object) -> Request:
        """Raises errors.Problem: no such type, no PUT of it, or a body that it does not have."""
        row = directory.row_of(id.type, _VERSION)
        if "PUT" not in row.verbs or row.type.lower() == DEPLOYMENT:
            raise errors.Unsupported("NotSupported", f"Ringfence does not deploy the type '{row.type}'.", target=str(id))
        put = wire.put(row, spelled(id), body, snapshot, self._engine.clock())
        return Request(draft=put.draft, also=put.also, remove=put.remove)

    def show(self, snapshot: Snapshot, id: ResourceId) -> _Object | None:
        found = snapshot.get(id)
        return None if found is None else documents.document(snapshot, found, tenant=self._tenant)


class Deployments:
    """tenant: of the one subscription."""

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._bodies = Bodies(engine, tenant)
        engine.deployer.read_with(self._bodies)

    def put(self, asked: Asked, id: ResourceId) -> Response:
        """201 or 200, and an operation to follow. Raises errors.Problem before anything is deployed."""
        known = self._engine.snapshot().get(id)
        if known is not None and not known.state.terminal and known.state is not ProvisioningState.DELETING:
            message = f"Unable to edit or replace deployment '{id.name}': previous deployment is still active."
            raise errors.Conflict("DeploymentActive", message)
        accepted = self._engine.put(
            self._draft(asked, id), if_match=asked.if_match, if_none_match=asked.if_none_match, caller=asked.caller
        )
        headers = answers.following(accepted.operation, asked.version, None)
        shown = documents.document(self._engine.snapshot(), accepted.resource)
        return answers.document(shown, 201 if accepted.created else 200, headers)

    def validate(self, asked: Asked, id: ResourceId) -> Response:
        """The deployment as it would be, with nothing deployed. Raises errors.Problem."""
        draft = self._draft(asked, id)
        shown = documents.document(self._engine.snapshot(), draft)
        validated = [{"id": step.id} for step in _steps(draft)]
        return answers.document(shown | {"properties": shown["properties"] | {"validatedResources": validated}})

    def operations(self, id: ResourceId) -> Response:
        """Raises NotFound (`DeploymentNotFound`)."""
        found = self._engine.snapshot().get(id)
        if found is None:
            raise errors.NotFound("DeploymentNotFound", f"Deployment '{id.name}' could not be found.")
        return answers.listing(deployment_documents.operations(found))

    def listed(self, asked: Asked, scope: ResourceId) -> Response:
        """Those to a group. To the subscription there are none: nested ones are part of the deployment they stand in."""
        snapshot = self._engine.snapshot()
        authority.require_list(snapshot, asked.caller, "Microsoft.Resources/deployments", scope)
        if scope.group is None:
            return answers.listing([])
        self._engine.get(scope.group_id)
        found = [r for r in snapshot.of_type(DEPLOYMENT) if r.id.within(scope.group_id)]
        return answers.listing([documents.document(snapshot, r) for r in authority.readable(snapshot, asked.caller, found)])

    def _draft(self, asked: Asked, id: ResourceId) -> Resource:
        snapshot, now = self._engine.snapshot(), self._engine.clock()
        self._engine.get(id.group_id)
        given = _asked(wire.parse(lenient.strict(asked.body)))
        template, parameters = given["template"], given.get("parameters")
        request = planning.Request(deployment=id, tenant=self._bodies.tenant, template=template, parameters=parameters)
        plan = planning.plan(snapshot, request, lambda known: self._bodies.show(snapshot, known))
        _permitted(snapshot, asked.caller, plan)
        self._readable(snapshot, plan)
        steps = tuple(
            Step(id=str(spelled(p.id)), needs=tuple(sorted(p.needs)), within=str(p.within) if p.within else None)
            for p in plan.resources
        )
        properties = Deployment(
            mode="Incremental",
            template=template,
            parameters=parameters,
            correlation=self._engine.new_id(),
            steps=steps,
            caller=deployment_caller(asked.caller),
        )
        return Resource(id=spelled(id), properties=properties, created_at=now, changed_at=now)

    def _readable(self, snapshot: Snapshot, plan: planning.Plan) -> None:
        """Every body that is known by now is one of its type."""
        problems: list[errors.Problem] = []
        for planned in plan.resources:
            try:
                if planned.body is not None:
                    self._bodies.read(snapshot, planned.id, planned.body)
                else:
                    directory.row_of(planned.id.type, _VERSION)
            except errors.Problem as problem:
                problems.append(errors.Problem(problem.code, f"{planned.id}: {problem.message}", target=problem.target))
        if problems:
            message = "The template deployment is not valid: " + "; ".join(f"{p.code}: {p.message}" for p in problems)
            raise errors.Invalid("InvalidTemplateDeployment", message[:4000], details=problems)


def deployment_caller(caller: Caller) -> DeployedBy:
    """Whose rights each resource of a deployment needs, for the row."""
    return DeployedBy(
        object_id=caller.object_id,
        client_id=caller.client_id,
        name=caller.name,
        groups=tuple(sorted(caller.groups)),
        tenant_id=caller.tenant_id,
    )


def _permitted(snapshot: Snapshot, caller: Caller, plan: planning.Plan) -> None:
    """The right to write every resource of a template, before any is deployed. Raises Forbidden."""
    refused = []
    for planned in plan.resources:
        action = authority.action(planned.id.type, authority.WRITE)
        if not access.permits(snapshot, caller, action, planned.id):
            message = (
                f"Authorization failed for template resource '{planned.id.name}' of type '{planned.id.type}'. The client "
                f"'{caller.name or caller.client_id}' with object id '{caller.object_id}' does not have permission to perform "
                f"action '{action}' at scope '{planned.id}'."
            )
            refused.append(errors.Forbidden("AuthorizationFailed", message, target=str(planned.id)))
    if refused:
        summary = "; ".join(problem.message for problem in refused)
        message = f"Deployment failed with multiple errors: '{summary}'"
        raise errors.Forbidden("InvalidTemplateDeployment", message[:4000], details=refused)


def _asked(body: _Object) -> _Object:
    """The members of `properties`, by lower-case name. Raises Invalid, Unsupported."""
    given = body.get("properties")
    if not isinstance(given, Mapping):
        raise errors.Invalid("InvalidRequestContent", "A deployment has to have 'properties'.", target="properties")
    found = {name.lower(): value for name, value in given.items() if value is not None}
    surplus = sorted(found.keys() - _ASKED)
    if surplus:
        message = f"Ringfence does not serve '{surplus[0][:100]}' of a deployment: templates and parameters are sent inline."
        raise errors.Unsupported("NotSupported", message, target=f"properties.{surplus[0][:100]}")
    if not isinstance(found.get("template"), Mapping):
        raise errors.Invalid("InvalidTemplate", "A deployment has to have a 'template', which is an object.", target="template")
    if str(found.get("mode", "Incremental")).lower() != "incremental":
        message = "Ringfence deploys in the mode Incremental. Complete would delete what the template does not name."
        raise errors.Unsupported("NotSupported", message, target="properties.mode")
    return found


def _steps(draft: Resource) -> tuple[Step, ...]:
    assert isinstance(draft.properties, Deployment)
    return draft.properties.steps
