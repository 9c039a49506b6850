"""One row per kind of object that the API server knows. What objects there are is `objects`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_READ = ("get", "list", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """group: "" for the core group. plural: as in paths. reviewed: a kind that is only posted and answered at once."""

    group: str = ""
    version: str = "v1"
    plural: str
    kind: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    reviewed: bool = False

    @property
    def verbs(self) -> tuple[str, ...]:
        return ("create",) if self.reviewed else _READ

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """As messages name it: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_ALL = ("all",)
KINDS = (
    Kind(plural="configmaps", kind="ConfigMap", short=("cm",)),
    Kind(plural="endpoints", kind="Endpoints", short=("ep",)),
    Kind(plural="events", kind="Event", short=("ev",)),
    Kind(plural="namespaces", kind="Namespace", namespaced=False, short=("ns",)),
    Kind(plural="nodes", kind="Node", namespaced=False, short=("no",)),
    Kind(plural="pods", kind="Pod", short=("po",), categories=_ALL, subresources=("log",)),
    Kind(plural="secrets", kind="Secret"),
    Kind(plural="serviceaccounts", kind="ServiceAccount", short=("sa",)),
    Kind(plural="services", kind="Service", short=("svc",), categories=_ALL),
    Kind(group="apps", plural="deployments", kind="Deployment", short=("deploy",), categories=_ALL),
    Kind(group="apps", plural="replicasets", kind="ReplicaSet", short=("rs",), categories=_ALL),
    Kind(group="authentication.k8s.io", plural="selfsubjectreviews", kind="SelfSubjectReview", namespaced=False, reviewed=True),
    Kind(
        group="authorization.k8s.io",
        plural="selfsubjectaccessreviews",
        kind="SelfSubjectAccessReview",
        namespaced=False,
        reviewed=True,
    ),
    Kind(
        group="authorization.k8s.io",
        plural="selfsubjectrulesreviews",
        kind="SelfSubjectRulesReview",
        namespaced=False,
        reviewed=True,
    ),
    Kind(group="discovery.k8s.io", plural="endpointslices", kind="EndpointSlice"),
)
#: By group, version and plural.
BY_PATH: Mapping[tuple[str, str, str], Kind] = {(k.group, k.version, k.plural): k for k in KINDS}
#: The kinds of which there are objects, by their name.
SHOWN: Mapping[str, Kind] = {k.kind: k for k in KINDS if not k.reviewed}
GROUPS = tuple(sorted({k.group for k in KINDS if k.group}))


def of_group(group: str) -> tuple[Kind, ...]:
    return tuple(k for k in KINDS if k.group == group)
