"""Who calls a registry, asked of Entra's tokens and of the directory; and what their roles permit."""

from __future__ import annotations

from ringfence.api.entra.tokens import Signer, Subject
from ringfence.api.entra.verify import Verifier
from ringfence.api.registry.sign_in import AUDIENCE, AUDIENCES
from ringfence.api.registry.tokens import Holder
from ringfence.control.engine import Engine
from ringfence.drivers.base import Credential
from ringfence.model.resource import Resource
from ringfence.policy import access, principals


class Hosts:
    """What hosts have to sign in with. signer: of the tenant."""

    def __init__(self, engine: Engine, signer: Signer, tenant: str) -> None:
        self._engine, self._signer, self._tenant = engine, signer, tenant

    def managed(self, object_id: str) -> Credential | None:
        """What the instance metadata service gives a host for its managed identity, on the host itself; None where there is
        no such identity."""
        known = principals.managed(self._engine.snapshot())
        found = next((principal for principal in known if principal.object_id == object_id), None)
        if found is None:
            return None
        return Credential(token=self._signer.issue(Subject(found.client_id, found.object_id), AUDIENCE))

    def service(self, client_id: str) -> Credential:
        """What a host of a cluster that is a service principal takes to the sign-in service."""
        return Credential(client_id=client_id, tenant=self._tenant, assertion=self._signer.assertion(client_id))


class Callers:
    """verifier: of the tenant."""

    def __init__(self, verifier: Verifier, engine: Engine) -> None:
        self._verifier = verifier.accepting(AUDIENCES)
        self._engine = engine

    def by_token(self, token: str) -> Holder:
        caller = self._verifier.verify(f"Bearer {token}")
        return Holder(object_id=caller.object_id, client_id=caller.client_id, name=caller.name)

    def by_secret(self, client_id: str, secret: str) -> Holder:
        principal = self._engine.identities.authenticate(client_id, secret)
        return Holder(object_id=principal.object_id, client_id=principal.client_id)

    def permits(self, holder: Holder, action: str, named: Resource) -> bool:
        """By the roles and groups of now, however long a token was to hold."""
        groups = self._engine.identities.groups_of(holder.object_id)
        caller = access.Caller(object_id=holder.object_id, client_id=holder.client_id, name=holder.name, groups=groups)
        return access.permits(self._engine.snapshot(), caller, action, named.id)
