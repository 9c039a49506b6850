"""What documents of plain resources show beside what was asked for: endpoints and the like that clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringfence.model.firewall import NetworkRules
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import firewalls, names


def of_storage_account(_: Snapshot, account: Resource) -> Mapping[str, Any]:
    """Clients that add to the network rules expect the rules to be there from the start."""
    rules = firewalls.rules_of(account) or NetworkRules(bypass="AzureServices")
    return {
        "networkAcls": rules.model_dump(mode="json", by_alias=True, exclude_none=True),
        "primaryEndpoints": {"blob": f"https://{names.blob_host(account.id.name)}/"},
        "primaryLocation": account.region,
        "statusOfPrimary": "available",
        "creationTime": account.created_at.isoformat(),
    }


def of_vault(_: Snapshot, vault: Resource) -> Mapping[str, Any]:
    return {"vaultUri": f"https://{vault.id.name.lower()}.vault.azure.net/"}


def of_component(_: Snapshot, component: Resource) -> Mapping[str, Any]:
    key = component.guid("instrumentation")
    return {
        "AppId": component.guid("application"),
        "ApplicationId": component.id.name,
        "InstrumentationKey": key,
        "ConnectionString": f"InstrumentationKey={key}",
        "CreationDate": component.created_at.isoformat(),
    }


def of_log_workspace(_: Snapshot, workspace: Resource) -> Mapping[str, Any]:
    return {"customerId": workspace.guid("customer"), "createdDate": workspace.created_at.isoformat()}
