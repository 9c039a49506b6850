"""Roles for networks (Azure's category Networking)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"

ROLES = (
    role(
        NETWORK_CONTRIBUTOR,
        "Network Contributor",
        "Lets you manage networks, but not access to them.",
        """
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Network/*
        Microsoft.ResourceHealth/availabilityStatuses/read
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Support/*
        """,
    ),
)
