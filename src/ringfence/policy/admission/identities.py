"""Identities that a resource is to act with: the user-assigned ones among them exist.

Whether the caller may assign them is a linked check (`policy.links`); how an identity is
written is the wire's business.
"""

from __future__ import annotations

from collections.abc import Iterator

from ringfence.model import errors
from ringfence.model.resource import ProvisioningState
from ringfence.policy import principals
from ringfence.policy.admission.case import Case, Finding


def identities_exist(case: Case) -> Iterator[Finding]:
    """Resource Manager asks the identity's own provider, and repeats its answer (azure-cli#31837 shows the form)."""
    for id in principals.user_assigned(case.new):
        found = case.snapshot.get(id)
        if found is None or found.state is ProvisioningState.DELETING:
            yield errors.Invalid(
                "FailedIdentityOperation",
                f"Identity operation for resource '{case.new.id}' failed with error 'Failed to perform resource identity "
                'operation. Status: \'BadRequest\'. Response: \'{"error":{"code":"BadRequest","message":"Resource '
                f"'{id}' was not found.\"}}}}'.'. Create the identity first, or leave it out.",
                target="identity.userAssignedIdentities",
            )


RULES = (identities_exist,)
