"""Microsoft.ManagedIdentity user-assigned identities: a principal that is a resource of its own.

Which principal it is follows from the resource (`policy.principals`); the identities that
resources carry are in their envelope (`Resource.identity`).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from ringfence.model.resource import Properties

USER_ASSIGNED = "microsoft.managedidentity/userassignedidentities"


class UserAssignedIdentity(Properties):
    """isolation_scope: "None"; a regional one would promise an isolation between regions that is not there."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "principalId", "clientId", "tenantId"})

    isolation_scope: Literal["None"] | None = None
