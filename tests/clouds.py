"""Snapshots for tests of the thinking rooms, made the way the engine makes them: companions, rules, addresses.

Nothing is stored and nothing runs; a refusal is raised as the problem that a client would get.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from ringfence.desired import alloc
from ringfence.model import authorization, catalog, compute
from ringfence.model.ids import ResourceId
from ringfence.model.resource import ProvisioningState, Resource, Snapshot
from ringfence.policy import admission, principals
from ringfence.policy.companions import companions
from ringfence.policy.private_companions import accompanied

SUBSCRIPTION = "/subscriptions/11111111-2222-3333-4444-555555555555"
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
DIGEST = "a" * 64

Body = Mapping[str, Any]


def rid(path: str) -> ResourceId:
    """`GROUP/Provider/type/name…` or `GROUP` as an id."""
    group, _, rest = path.partition("/")
    return ResourceId.parse(f"{SUBSCRIPTION}/resourceGroups/{group}" + (f"/providers/{rest}" if rest else ""))


def vnet_path(name: str, group: str = "mygroup") -> str:
    return f"{group}/Microsoft.Network/virtualNetworks/{name}"


def nsg_path(name: str, group: str = "mygroup") -> str:
    return f"{group}/Microsoft.Network/networkSecurityGroups/{name}"


def ws_path(name: str = "ws", group: str = "mlgroup") -> str:
    return f"{group}/Microsoft.MachineLearningServices/workspaces/{name}"


def resource(path: str, properties: Body, location: str | None = "eastus2", at: dt.datetime = NOW) -> Resource:
    """A resource as a request would draft it."""
    id = rid(path)
    model = catalog.PROPERTIES[id.type.lower()]
    return Resource(id=id, location=location, properties=model.model_validate(properties), created_at=at, changed_at=at)


class Cloud:
    """A snapshot that requests change."""

    #: Whether the identity of each cluster has its role in the networks at once, as after the document's four steps.
    trusting = True

    def __init__(self) -> None:
        self.snapshot = Snapshot()

    def put(
        self, path: str, properties: Body, *, location: str | None = "eastus2", also: Mapping[str, Body] | None = None
    ) -> list[str]:
        """Create or replace; `also`: children by the rest of their path. Returns warnings, raises the first problem."""
        drafts = [resource(path, properties, location)]
        drafts += [resource(f"{path}/{rest}", body, None) for rest, body in (also or {}).items()]
        stored = [self._merged(draft) for draft in drafts]
        after = self.snapshot.changed(stored)
        made = [companion for one in stored for companion in (*companions(after, one), *accompanied(after, one))]
        grants = [contributor(one) for one in (*made, *stored) if self.trusting and one.type == compute.MANAGED_CLUSTER]
        after = after.changed([*made, *grants])
        warnings: list[str] = []
        for one in stored:
            problems, advice = admission.check(after, one, self.snapshot.get(one.id))
            for problem in problems:
                raise problem
            warnings += advice
        allocations = alloc.plan_all(after, [*made, *stored])
        self.snapshot = after.changed(allocated=allocations, version=self.snapshot.version + 1)
        return warnings

    def delete(self, path: str) -> None:
        """Begin to delete: everything below and managed goes too. Raises the first problem."""
        root = self.snapshot.need(rid(path))
        going = {r.key for r in self.snapshot if r.id.within(root.id)}
        while more := {r.key for r in self.snapshot if r.managed_by in going or r.parent in going} - going:
            going |= more
        marked = [dataclasses.replace(self.snapshot.need(key), state=ProvisioningState.DELETING) for key in sorted(going)]
        after = self.snapshot.changed(marked)
        for one in marked:
            for problem in admission.check_delete(after, one):
                raise problem
        self.snapshot = after

    def gone(self, path: str) -> None:
        """Delete and forget."""
        self.delete(path)
        left = [r.key for r in self.snapshot if r.state is ProvisioningState.DELETING]
        self.snapshot = self.snapshot.changed(gone=left)

    def _merged(self, draft: Resource) -> Resource:
        old = self.snapshot.get(draft.id)
        if old is None:
            return draft
        return dataclasses.replace(draft, properties=draft.properties.merged(old.properties), created_at=old.created_at)


def contributor(cluster: Resource, scope: str = SUBSCRIPTION) -> Resource:
    """A role assignment: the identity of a cluster is Network Contributor."""
    known = principals.of(cluster)
    assigned = authorization.RoleAssignment(
        scope=scope, role="4d97b98b-1d4f-4787-a291-c67834d212e7", principal_id=known.object_id if known is not None else ""
    )
    id = authorization.assignment_id(SUBSCRIPTION.rpartition("/")[2], cluster.guid(f"contributor {scope}"))
    return Resource(id=id, properties=assigned, created_at=NOW, changed_at=NOW)


def subnet(prefix: str, nsg: str | None = None, **more: Any) -> dict[str, Any]:
    """The properties of a subnet; nsg: a path."""
    body: dict[str, Any] = {"addressPrefix": prefix, **more}
    return body if nsg is None else {**body, "networkSecurityGroup": {"id": str(rid(nsg))}}


def network(*prefixes: str, **more: Any) -> dict[str, Any]:
    return {"addressSpace": {"addressPrefixes": list(prefixes)}, **more}


def rule(priority: int, access: str = "Allow", direction: str = "Inbound", **more: Any) -> dict[str, Any]:
    """A rule for everything but what `more` says."""
    return {
        "priority": priority,
        "access": access,
        "direction": direction,
        "protocol": "*",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "*",
    } | more


def aks(vnet: str | None = None, subnet: str = "default", **more: Any) -> dict[str, Any]:
    """The body of snippet 1: a cluster in a subnet of a network, by path."""
    inner: dict[str, Any] = dict(more)
    if vnet is not None:
        inner["aksNetworkingConfiguration"] = {
            "subnetId": str(rid(f"{vnet}/subnets/{subnet}")),
            "serviceCidr": "10.0.0.0/16",
            "dnsServiceIP": "10.0.0.10",
            "dockerBridgeCidr": "172.17.0.1/16",
        }
    return {"computeType": "AKS", "properties": inner} if inner else {"computeType": "AKS"}


def environment(*pip: str, script: str = "source/score.py") -> dict[str, Any]:
    """An inline environment, as azureml-core sends it."""
    conda = {"channels": ["anaconda"], "dependencies": ["python=3.10.14", {"pip": list(pip)}], "name": "project_environment"}
    return {
        "name": "diabetes",
        "version": None,
        "environmentVariables": {"AZUREML_ENTRY_SCRIPT": script, "EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
        "python": {"userManagedDependencies": False, "interpreterPath": "python", "condaDependencies": conda},
        "docker": {"baseImage": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20250508.v1", "baseDockerfile": None},
        "spark": {"repositories": [], "packages": [], "precachePackages": True},
        "databricks": {"mavenLibraries": [], "pypiLibraries": []},
        "r": None,
    }


def service(cluster: str = "myaks", models: Sequence[str] = ("diabetes:1",), **more: Any) -> dict[str, Any]:
    """The properties of a scoring service."""
    return {
        "computeName": cluster,
        "numReplicas": 1,
        "containerResourceRequirements": {"cpu": 0.5, "memoryInGB": 1},
        "environmentImageRequest": {"modelIds": list(models), "environment": environment("scikit-learn")},
        "files": [{"path": "12345678.tar.gz", "blob": DIGEST, "unpack": True}],
        "primaryKey": "first",
        "secondaryKey": "second",
    } | more


def seed_cloud() -> Cloud:
    """The seed's world before its snippets: groups, two networks, a group of rules, a workspace."""
    cloud = Cloud()
    for group in ("mygroup", "myvnetresourcegroup", "mlgroup"):
        cloud.put(group, {})
    cloud.put(nsg_path("mynetwork-nsg"), {})
    cloud.put(
        vnet_path("mynetwork"), network("10.1.0.0/16"), also={"subnets/default": subnet("10.1.0.0/22", nsg_path("mynetwork-nsg"))}
    )
    other = vnet_path("myvnetname", "myvnetresourcegroup")
    cloud.put(other, network("10.2.0.0/16"), also={"subnets/default": subnet("10.2.0.0/24")})
    cloud.put(ws_path(), {"friendlyName": "ws"})
    return cloud


def model(cloud: Cloud, name: str = "diabetes", version: int = 1, *paths: str) -> None:
    """Register a model of the given files."""
    asset = f"{name}-{version}"
    blobs = [{"path": path, "sha256": DIGEST} for path in (paths or (f"{name}.pkl",))]
    cloud.put(f"{ws_path()}/assets/{asset}", {"name": name, "blobs": blobs}, location=None)
    body = {"name": name, "version": version, "url": f"aml://asset/{asset}"}
    cloud.put(f"{ws_path()}/models/{name}/versions/{version}", body, location=None)


def served_cloud() -> Cloud:
    """The seed's world with snippet 1's cluster and one service on it."""
    cloud = seed_cloud()
    cloud.put(f"{ws_path()}/computes/myaks", aks(vnet_path("mynetwork")))
    model(cloud)
    cloud.put(f"{ws_path()}/services/diabetes", service(), location=None)
    return cloud
