"""Who may do what with the secrets of a vault: its access policies, or Azure RBAC where it says so.

Sources: key-vault/general/rbac-guide.md (data actions), assign-access-policy.md (permissions). One permission
model holds at a time (`enableRbacAuthorization`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.model import errors
from ringfence.model.access import Vault
from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import access

_SECRETS = "Microsoft.KeyVault/vaults/secrets"
#: Permission of an access policy -> the data action that RBAC asks for.
DATA_ACTIONS: Mapping[str, str] = {
    "get": f"{_SECRETS}/getSecret/action",
    "list": f"{_SECRETS}/readMetadata/action",
    "set": f"{_SECRETS}/setSecret/action",
    "update": f"{_SECRETS}/update/action",
    "delete": f"{_SECRETS}/delete",
    "recover": f"{_SECRETS}/recover/action",
    "purge": f"{_SECRETS}/purge/action",
}


def require(snapshot: Snapshot, caller: access.Caller, vault: Resource, permission: str, name: str = "") -> None:
    """permission: a key of DATA_ACTIONS. name: of the secret. Raises Forbidden (`ForbiddenByPolicy`, `ForbiddenByRbac`)."""
    assert isinstance(vault.properties, Vault)
    who = f"appid={caller.client_id};oid={caller.object_id}"
    if vault.properties.enable_rbac_authorization:
        action = DATA_ACTIONS[permission]
        scope = vault.id.child("secrets", name) if name else vault.id
        if not access.permits(snapshot, caller, action, scope, data=True):
            raise errors.Forbidden(
                "ForbiddenByRbac",
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
                f"definitions were changed recently, please observe propagation time.\r\nCaller: {who}\r\nAction: '{action}'\r\n"
                f"Resource: '{scope.key}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null\r\n"
                f"Vault: {vault.id.name};location={vault.region}",
            )
        return
    if not _in_policies(vault.properties, caller, "set" if permission == "update" else permission):
        raise errors.Forbidden(
            "ForbiddenByPolicy",
            f"The user, group or application '{who}' does not have secrets {permission} permission on key vault "
            f"'{vault.id.name};location={vault.region}'. For help resolving this issue, please see "
            "https://go.microsoft.com/fwlink/?linkid=2125287",
        )


def _in_policies(vault: Vault, caller: access.Caller, permission: str) -> bool:
    known = {caller.object_id.lower(), *(group.lower() for group in caller.groups)}
    for policy in vault.access_policies:
        if not isinstance(policy, dict) or str(policy.get("objectId", "")).lower() not in known:
            continue
        application = policy.get("applicationId")
        if isinstance(application, str) and application.lower() != caller.client_id.lower():
            continue
        permissions = policy.get("permissions")
        granted = permissions.get("secrets") if isinstance(permissions, dict) else None
        if isinstance(granted, list) and {str(one).lower() for one in granted} & {permission, "all"}:
            return True
    return False
