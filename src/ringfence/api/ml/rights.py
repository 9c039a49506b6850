"""Which operation of Azure Machine Learning each route of the data plane is: one table, closed by default.

Names are those of Microsoft.MachineLearningServices, as its documentation of roles lists them
(azure-docs, machine-learning/how-to-assign-roles). Who may do what is `policy.access`.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from ringfence.api.ml.routing import Route, Target
from ringfence.model import errors, serving
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Snapshot
from ringfence.policy import access, authority
from ringfence.policy.access import Caller

_WORKSPACE = "Microsoft.MachineLearningServices/workspaces"
_ARTIFACTS = "metadata/artifacts"
#: By service and first segments of a route's pattern; within, by method. The longest pattern that begins a route's counts.
#: `services/*` is named after where the service runs, `aks` or `aci`.
_OPERATIONS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("artifact", "artifacts"): {"GET": f"{_ARTIFACTS}/read", "POST": f"{_ARTIFACTS}/write", "DELETE": f"{_ARTIFACTS}/delete"},
    ("modelmanagement", "assets"): {"GET": "assets/read", "POST": "assets/write", "DELETE": "assets/delete"},
    ("modelmanagement", "models"): {
        "GET": "models/read",
        "POST": "models/write",
        "PATCH": "models/write",
        "DELETE": "models/delete",
    },
    ("environment", "environments"): {
        "GET": "environments/read",
        "PUT": "environments/write",
        "POST": "environments/build/action",
        "DELETE": "environments/write",
    },
    ("rp", "computes"): {"GET": "computes/read", "POST": "computes/listKeys/action"},
    ("modelmanagement", "operations"): {"GET": "read"},
    ("modelmanagement", "services"): {
        "GET": "services/read",
        "POST": "services/*/write",
        "PATCH": "services/*/write",
        "DELETE": "services/*/delete",
    },
    ("modelmanagement", "services/{name}/listkeys"): {"POST": "services/*/listkeys/action"},
    ("modelmanagement", "services/{name}/regenerateKeys"): {"POST": "services/*/write"},
    ("modelmanagement", "services/{name}/token"): {"POST": "services/*/score/action"},
}


def require(snapshot: Snapshot, caller: Caller, route: Route, about: Target, params: Mapping[str, str], body: JsonValue) -> None:
    """Raises Forbidden (`AuthorizationFailed`), before anything is said about what is there."""
    operation = operation_of(route)
    if operation is None:
        raise errors.Forbidden(
            "AuthorizationFailed",
            f"No operation is known for {route.method} {route.service}/{route.pattern}, so nobody may do it.",
        )
    scope = about.workspace
    name = params.get("name", "")
    if "services/" in operation and name and "/" not in name:
        scope = scope.child("services", name)
    if "*" in operation:
        operation = operation.replace("*", _runs_on(snapshot, scope, body))
    access.require(snapshot, caller, f"{_WORKSPACE}/{operation}", scope)


def operation_of(route: Route) -> str | None:
    """Below the workspace's type; None for a route that the table does not know."""
    segments = route.pattern.split("/")
    for length in range(len(segments), 0, -1):
        found = _OPERATIONS.get((route.service, "/".join(segments[:length])))
        if found is not None:
            return found.get(route.method)
    return None


def _runs_on(snapshot: Snapshot, scope: ResourceId, body: JsonValue) -> str:
    """Where a service runs: the one that is there, else the one that is asked for. scope: the service, or its workspace."""
    asked = body.get("createRequest", body) if isinstance(body, Mapping) else None
    name, kind = (asked.get("name"), asked.get("computeType")) if isinstance(asked, Mapping) else (None, None)
    if scope.type.lower() != serving.SERVICE and isinstance(name, str) and "/" not in name:
        scope = scope.child("services", name)
    found = snapshot.get(scope)
    if found is not None and isinstance(found.properties, serving.Service):
        return authority.runs_on(found.properties.compute_type)
    return authority.runs_on(kind if isinstance(kind, str) else "")
