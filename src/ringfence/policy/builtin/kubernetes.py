"""Roles for managed clusters and what runs in them (Azure's category Containers, the part of AKS)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

_CLUSTERS = "Microsoft.ContainerService/managedClusters"
_AROUND = """
    Microsoft.Authorization/*/read
    Microsoft.Resources/subscriptions/operationresults/read
    Microsoft.Resources/subscriptions/read
    Microsoft.Resources/subscriptions/resourceGroups/read
    """
_CREDENTIAL = f"{_CLUSTERS}/listClusterUserCredential/action"


def _names(text: str) -> list[str]:
    return text.split()


def _within(*names: str) -> str:
    """Data actions below a cluster."""
    return " ".join(f"{_CLUSTERS}/{name}" for line in names for name in line.split())


#: What a reader reads and a writer writes, and what both only read.
_WRITTEN = """
    apps/daemonsets apps/deployments apps/replicasets apps/statefulsets autoscaling/horizontalpodautoscalers batch/cronjobs
    batch/jobs configmaps endpoints extensions/daemonsets extensions/deployments extensions/ingresses
    extensions/networkpolicies extensions/replicasets networking.k8s.io/ingresses networking.k8s.io/networkpolicies
    persistentvolumeclaims pods policy/poddisruptionbudgets replicationcontrollers serviceaccounts services events
    """
_READ = """
    apps/controllerrevisions/read discovery.k8s.io/endpointslices/read events.k8s.io/events/read limitranges/read
    metrics.k8s.io/pods/read metrics.k8s.io/nodes/read namespaces/read resourcequotas/read
    """

ROLES = (
    role(
        "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8",
        "Azure Kubernetes Service Cluster Admin Role",
        "List cluster admin credential action.",
        f"""
        {_CLUSTERS}/listClusterAdminCredential/action
        {_CLUSTERS}/accessProfiles/listCredential/action
        {_CLUSTERS}/read
        {_CLUSTERS}/runcommand/action
        """,
    ),
    role(
        "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
        "Azure Kubernetes Service Cluster User Role",
        "List cluster user credential action.",
        f"{_CREDENTIAL} {_CLUSTERS}/read",
    ),
    role(
        "1afdec4b-e479-420e-99e7-f82237c7c5e6",
        "Azure Kubernetes Service Cluster Monitoring User",
        "List cluster monitoring user credential action.",
        f"{_CLUSTERS}/listClusterMonitoringUserCredential/action {_CLUSTERS}/read",
    ),
    role(
        "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
        "Azure Kubernetes Service Contributor Role",
        "Grants access to read and write Azure Kubernetes Service clusters",
        """
        Microsoft.Authorization/*/read
        Microsoft.ContainerService/locations/*
        Microsoft.ContainerService/managedClusters/*
        Microsoft.ContainerService/managedclustersnapshots/*
        Microsoft.ContainerService/snapshots/*
        Microsoft.Insights/alertRules/*
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        """,
    ),
    role(
        "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
        "Azure Kubernetes Service RBAC Cluster Admin",
        "Lets you manage all resources in the cluster.",
        f"{_AROUND} {_CREDENTIAL}",
        data=f"{_CLUSTERS}/*",
    ),
    role(
        "3498e952-d568-435e-9b2c-8d77e338d7f7",
        "Azure Kubernetes Service RBAC Admin",
        "Lets you manage all resources under cluster/namespace, except update or delete resource quotas and namespaces.",
        f"{_AROUND} {_CREDENTIAL}",
        data=f"{_CLUSTERS}/*",
        data_excepted=_within("resourcequotas/write resourcequotas/delete namespaces/write namespaces/delete"),
    ),
    role(
        "7f6c6a51-bcf8-42ba-9220-52d62157d7db",
        "Azure Kubernetes Service RBAC Reader",
        "Allows read-only access to see most objects in a namespace. It does not allow viewing roles or role bindings. This role "
        "does not allow viewing Secrets, since reading the contents of Secrets enables access to ServiceAccount credentials in "
        "the namespace, which would allow API access as any ServiceAccount in the namespace (a form of privilege escalation). "
        "Applying this role at cluster scope will give access across all namespaces.",
        _AROUND,
        data=_within(_READ, *(f"{name}/read" for name in _names(_WRITTEN))),
    ),
    role(
        "a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb",
        "Azure Kubernetes Service RBAC Writer",
        "Allows read/write access to most objects in a namespace.This role does not allow viewing or modifying roles or role "
        "bindings. However, this role allows accessing Secrets and running Pods as any ServiceAccount in the namespace, so it "
        "can be used to gain the API access levels of any ServiceAccount in the namespace. Applying this role at cluster scope "
        "will give access across all namespaces.",
        _AROUND,
        data=_within(
            _READ,
            "coordination.k8s.io/leases/read coordination.k8s.io/leases/write coordination.k8s.io/leases/delete secrets/*",
            *(f"{name}/*" for name in _names(_WRITTEN)),
        ),
    ),
)
