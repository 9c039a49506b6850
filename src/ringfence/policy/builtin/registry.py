"""Roles for registries and container groups (Azure's category Containers, without AKS)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

ROLES = (
    role(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
        "AcrPull",
        "acr pull",
        "Microsoft.ContainerRegistry/registries/pull/read",
    ),
    role(
        "8311e382-0749-4cb8-b61a-304f252e45ec",
        "AcrPush",
        "acr push",
        "Microsoft.ContainerRegistry/registries/pull/read Microsoft.ContainerRegistry/registries/push/write",
    ),
    role(
        "c2f4ef07-c644-48eb-af81-4b1b4947fb11",
        "AcrDelete",
        "acr delete",
        "Microsoft.ContainerRegistry/registries/artifacts/delete",
    ),
    role(
        "6cef56e8-d556-48e5-a04f-b8e64114680f",
        "AcrImageSigner",
        "acr image signer",
        "Microsoft.ContainerRegistry/registries/sign/write",
        data="Microsoft.ContainerRegistry/registries/trustedCollections/write",
    ),
    role(
        "cdda3590-29a3-44f6-95f2-9f980659eb04",
        "AcrQuarantineReader",
        "acr quarantine data reader",
        "Microsoft.ContainerRegistry/registries/quarantine/read",
        data="Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read",
    ),
    role(
        "c8d4ff99-41c3-41a8-9f60-21dfdad59608",
        "AcrQuarantineWriter",
        "acr quarantine data writer",
        "Microsoft.ContainerRegistry/registries/quarantine/read Microsoft.ContainerRegistry/registries/quarantine/write",
        data="""
        Microsoft.ContainerRegistry/registries/quarantinedArtifacts/read
        Microsoft.ContainerRegistry/registries/quarantinedArtifacts/write
        """,
    ),
    role(
        "5d977122-f97e-4b4d-a52f-6b43003ddb4d",
        "Azure Container Instances Contributor Role",
        "Grants read/write access to container groups provided by Azure Container Instances",
        """
        Microsoft.ContainerInstance/containerGroups/*
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        """,
    ),
)
