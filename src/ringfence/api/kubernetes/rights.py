"""What a user may do at an API server: cluster administrators, what everybody may, and Azure RBAC for Kubernetes.

With Azure RBAC a request is a data action on the cluster or on one of its namespaces
(`Microsoft.ContainerService/managedClusters/apps/deployments/read`), and role assignments
decide. Without it, the groups that the cluster names as administrators are all that Azure adds.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.api.kubernetes.cluster import Cluster
from ringfence.api.kubernetes.identity import AUTHENTICATED, MASTERS, User
from ringfence.api.kubernetes.kinds import SHOWN
from ringfence.policy import access

_PROVIDER = "Microsoft.ContainerService/managedClusters"
_AZURE_SAYS_NO = "User does not have access to the resource in Azure. Update role assignment to allow access."
_AZURE_SAYS_YES = "Access allowed by Azure RBAC"

#: Azure's word for each verb; one that is not here is a word of its own kind, or none.
_WORDS = {
    **dict.fromkeys(("get", "list", "watch"), "read"),
    **dict.fromkeys(("create", "update", "patch"), "write"),
    **dict.fromkeys(("delete", "deletecollection"), "delete"),
    **{verb: f"{verb}/action" for verb in ("bind", "escalate", "use", "impersonate")},
}
_OPEN = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz", "/.well-known")
_REVIEWS = frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"})
#: What the monitoring account reads.
_MONITORED = frozenset({"nodes", "pods", "services", "endpoints", "namespaces", "events", "deployments", "replicasets"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What is asked, as an authorizer sees it. path: of a request that is about no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    def words(self, user: User) -> str:
        """`User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
        if self.path:
            return f'User "{user.name}" cannot {self.verb} path "{self.path}"'
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        where = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        return f'User "{user.name}" cannot {self.verb} resource "{what}" in API group "{self.group}" {where}'


@dataclass(frozen=True, slots=True)
class Decision:
    """reason: in the authorizer's words, "" for none."""

    allowed: bool
    reason: str = ""


def decide(cluster: Cluster, user: User, asked: Attributes) -> Decision:
    """Whether a user may do this."""
    if MASTERS in user.groups:
        return Decision(True)
    if _everybodys(user, asked) or _monitors(user, asked):
        return Decision(True)
    if user.caller is None:
        return Decision(False)
    if cluster.admin_groups & user.caller.groups:
        return Decision(True)
    if not cluster.azure_rbac:
        return Decision(False)
    scope = f"{cluster.resource.id}/namespaces/{asked.namespace}" if asked.namespace else str(cluster.resource.id)
    actions = _actions(asked)
    permitted = [access.permits(cluster.snapshot, user.caller, action, scope, data=True) for action in actions]
    if permitted and all(permitted):
        return Decision(True, _AZURE_SAYS_YES)
    return Decision(False, _AZURE_SAYS_NO)


def _everybodys(user: User, asked: Attributes) -> bool:
    """The roles `system:discovery` and `system:basic-user`, which everyone who is known has."""
    if AUTHENTICATED not in user.groups:
        return False
    if asked.path:
        return asked.verb == "get" and any(asked.path == path or asked.path.startswith(f"{path}/") for path in _OPEN)
    return asked.verb == "create" and asked.resource in _REVIEWS


def _monitors(user: User, asked: Attributes) -> bool:
    reads = asked.verb in ("get", "list", "watch") and asked.resource in _MONITORED and not asked.subresource
    return reads and "system:monitoring" in user.groups


def _actions(asked: Attributes) -> tuple[str, ...]:
    """The data actions of a request; of `*`, all that it stands for. A verb that Azure has no word for has none."""
    if asked.path:
        return (f"{_PROVIDER}{asked.path}/{_WORDS.get(asked.verb, asked.verb)}",)
    verbs = sorted(set(_WORDS)) if asked.verb == "*" else [asked.verb]
    found = []
    for group, resource in _resources(asked):
        within = f"{_PROVIDER}/{group}/{resource}" if group else f"{_PROVIDER}/{resource}"
        if (resource, asked.subresource) == ("pods", "exec"):
            found.append(f"{within}/exec/action")
        else:
            found += [f"{within}/{_WORDS[verb]}" for verb in verbs if verb in _WORDS]
    return tuple(dict.fromkeys(found))


def _resources(asked: Attributes) -> list[tuple[str, str]]:
    if asked.resource != "*":
        return [(asked.group, asked.resource)]
    return [(kind.group, kind.plural) for kind in SHOWN.values() if asked.group in ("*", kind.group)]
