"""Roles for logs and metrics (Azure's category Monitor)."""

from __future__ import annotations

from ringfence.policy.builtin.role import role

ROLES = (
    role(
        "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
        "Monitoring Reader",
        "Can read all monitoring data.",
        "*/read Microsoft.OperationalInsights/workspaces/search/action Microsoft.Support/*",
    ),
    role(
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "Monitoring Metrics Publisher",
        "Enables publishing metrics against Azure resources",
        """
        Microsoft.Insights/Register/Action
        Microsoft.Support/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        """,
        data="Microsoft.Insights/Metrics/Write Microsoft.Insights/Telemetry/Write",
    ),
    role(
        "73c42c96-874c-492b-b04d-ab87d138a893",
        "Log Analytics Reader",
        "Log Analytics Reader can view and search all monitoring data as well as and view monitoring settings, including viewing "
        "the configuration of Azure diagnostics on all Azure resources.",
        """
        */read
        Microsoft.OperationalInsights/workspaces/analytics/query/action
        Microsoft.OperationalInsights/workspaces/search/action
        Microsoft.Support/*
        """,
        excepted="Microsoft.OperationalInsights/workspaces/sharedKeys/read",
    ),
    role(
        "92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        "Log Analytics Contributor",
        "Log Analytics Contributor can read all monitoring data and edit monitoring settings. Editing monitoring settings "
        "includes adding the VM extension to VMs; reading storage account keys to be able to configure collection of logs from "
        "Azure Storage; adding solutions; and configuring Azure diagnostics on all Azure resources.",
        """
        */read
        Microsoft.ClassicCompute/virtualMachines/extensions/*
        Microsoft.ClassicStorage/storageAccounts/listKeys/action
        Microsoft.Compute/virtualMachines/extensions/*
        Microsoft.HybridCompute/machines/extensions/write
        Microsoft.Insights/alertRules/*
        Microsoft.Insights/diagnosticSettings/*
        Microsoft.OperationalInsights/*
        Microsoft.OperationsManagement/*
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourcegroups/deployments/*
        Microsoft.Storage/storageAccounts/listKeys/action
        Microsoft.Support/*
        """,
    ),
    role(
        "ae349356-3a1b-4a5e-921d-050484c6347e",
        "Application Insights Component Contributor",
        "Can manage Application Insights components",
        """
        Microsoft.Authorization/*/read
        Microsoft.Insights/alertRules/*
        Microsoft.Insights/generateLiveToken/read
        Microsoft.Insights/metricAlerts/*
        Microsoft.Insights/components/*
        Microsoft.Insights/scheduledqueryrules/*
        Microsoft.Insights/topology/read
        Microsoft.Insights/transactions/read
        Microsoft.Insights/webtests/*
        Microsoft.ResourceHealth/availabilityStatuses/read
        Microsoft.Resources/deployments/*
        Microsoft.Resources/subscriptions/resourceGroups/read
        Microsoft.Support/*
        """,
    ),
)
