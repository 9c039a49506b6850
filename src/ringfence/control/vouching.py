"""Credentials that a request carries for somebody else: checked with the directory when they arrive, and never stored.

A cluster that acts as a service principal brings that one's secret. What is kept is who it is.
"""

from __future__ import annotations

import dataclasses

from ringfence.control.identities import Identities
from ringfence.model import compute, errors
from ringfence.model.resource import Resource


def vouched(identities: Identities, draft: Resource) -> Resource:
    """The draft without its secret, and with the principal that it proved to be.

    Raises Invalid (`ServicePrincipalValidationClientError`).
    """
    if not isinstance(draft.properties, compute.ManagedCluster):
        return draft
    profile = draft.properties.service_principal_profile
    if "service_principal_profile" not in draft.properties.model_fields_set:
        return draft
    known = None
    if profile.client_id.lower() != "msi" and profile.secret:
        try:
            known = identities.authenticate(profile.client_id, profile.secret).object_id
        except errors.Unauthenticated as refusal:
            raise errors.Invalid(
                "ServicePrincipalValidationClientError",
                f"The credentials of the service principal '{profile.client_id[:100]}' were refused by the directory: "
                f"{refusal.message} Give the client id and a secret of a service principal of this tenant.",
                target="servicePrincipalProfile",
            ) from refusal
    kept = profile.model_copy(update={"secret": None, "object_id": known})
    properties = draft.properties.model_copy(update={"service_principal_profile": kept})
    return dataclasses.replace(draft, properties=properties)
