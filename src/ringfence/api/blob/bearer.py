"""Bearer tokens at the blob service: the data actions that a caller's roles give on a container (RULES.md section 9).

What a signature gives is in letters (`sas`); a token's roles are put into the same letters, so
that the handlers know one kind of right. Source: Azure Storage REST reference, "Authorize with
Microsoft Entra ID", permissions for calling data operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from ringfence.api.blob.answers import BlobError
from ringfence.model import errors, storage
from ringfence.model.resource import Snapshot
from ringfence.policy import access
from ringfence.policy.access import Caller

#: Audiences of Azure Storage, as clients spell them.
AUDIENCES = frozenset({"https://storage.azure.com", "https://storage.azure.com/"})

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
#: Letters of a signature, and the data actions of which one gives them.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "r": ("read",),
    "l": ("read",),
    "c": ("write", "add/action"),
    "w": ("write",),
    "d": ("delete",),
}


class Verifier(Protocol):
    """Whom a token for Azure Storage names."""

    def verify(self, authorization: str | None) -> Caller:
        """Raises errors.Unauthenticated."""
        ...


class Bearers:
    """snapshot: as of now; cheap to call."""

    def __init__(self, snapshot: Callable[[], Snapshot], verifier: Verifier) -> None:
        self._snapshot = snapshot
        self._verifier = verifier

    def admit(self, authorization: str, account: str, container: str, needed: str) -> str:
        """The letters that the caller has on a container. needed: the letters of which one has to be there.

        Raises BlobError: InvalidAuthenticationInfo, AuthorizationPermissionMismatch.
        """
        try:
            caller = self._verifier.verify(authorization)
        except errors.Unauthenticated as problem:
            raise BlobError("InvalidAuthenticationInfo", auth=problem.message) from problem
        snapshot = self._snapshot()
        granted = "".join(
            letter
            for letter, actions in _ACTIONS.items()
            for found in snapshot.of_type(storage.STORAGE_ACCOUNT)
            if found.id.name.lower() == account.lower()
            and any(
                access.permits(snapshot, caller, f"{_BLOBS}/{action}", _scope(str(found.id), container), data=True)
                for action in actions
            )
        )
        if not set(granted) & set(needed):
            raise BlobError("AuthorizationPermissionMismatch")
        return granted


def _scope(account: str, container: str) -> str:
    return f"{account}/blobServices/default/containers/{container}"
