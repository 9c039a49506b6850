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
    role(
        "b12aa53e-6015-4669-85d0-8515ebb3ae7f",
        "Private DNS Zone Contributor",
        "Lets you manage private DNS zone resources, but not the virtual networks they are linked to.",
        """
        Microsoft.Insights/alertRules/*
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Support/*
        Microsoft.Network/privateDnsZones/*
        Microsoft.Network/privateDnsOperationResults/*
        Microsoft.Network/privateDnsOperationStatuses/*
        Microsoft.Network/virtualNetworks/read
        Microsoft.Network/virtualNetworks/join/action
        Microsoft.Authorization/*/read
        """,
    ),
    role(
        "befefa01-2a29-4197-83a8-272ff33ce314",
        "DNS Zone Contributor",
        "Lets you manage DNS zones and record sets in Azure DNS, but does not let you control who has access to them.",
        """
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Network/dnsZones/*
        Microsoft.ResourceHealth/availabilityStatuses/read
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Support/*
        """,
    ),
)
