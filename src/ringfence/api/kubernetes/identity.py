"""Who is asking an API server: a local account, a service account, or somebody of Entra. What they may do is `rights`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from ringfence.api.kubernetes.cluster import Cluster
from ringfence.api.kubernetes.keys import SUBJECTS, Account, Keys
from ringfence.api.kubernetes.kubeconfig import SERVER_APP
from ringfence.api.kubernetes.statuses import unauthorized
from ringfence.model import errors
from ringfence.policy.access import Caller

#: Audiences of the tokens that an API server takes: the application of all of them, in both spellings.
AUDIENCES = frozenset({SERVER_APP, f"spn:{SERVER_APP}"})

AUTHENTICATED = "system:authenticated"
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """caller: who they are in Entra; None for an account of the cluster itself."""

    name: str
    groups: tuple[str, ...]
    caller: Caller | None = None
    extra: dict[str, list[str]] = field(default_factory=dict)


class Verifier(Protocol):
    """Whether a token of Entra holds."""

    def verify(self, authorization: str | None) -> Caller:
        """Raises errors.Problem."""
        ...


class Authenticator:
    """verifier: of tokens for AUDIENCES."""

    def __init__(self, keys: Keys, verifier: Verifier, clock: Callable[[], dt.datetime]) -> None:
        self._keys = keys
        self._verifier = verifier
        self._clock = clock

    def user(self, cluster: Cluster, authorization: str | None, certificate: bytes | None) -> User:
        """certificate: the client's, DER, as TLS got it. A token decides where both are given. Raises Refusal (401)."""
        if authorization is not None:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise unauthorized()
            return self._of_token(cluster, token.strip(), authorization)
        if certificate is not None:
            account = self._keys.holder(cluster.resource, certificate, self._clock())
            if account is not None:
                return self._local(cluster, account)
        raise unauthorized()

    def _of_token(self, cluster: Cluster, token: str, authorization: str) -> User:
        account = self._keys.account(cluster.resource, token)
        if account is not None:
            return self._local(cluster, account)
        service_account = self._keys.service_account(cluster.resource, token)
        if service_account is not None:
            namespace = service_account.split(":")[2]
            return User(
                name=service_account,
                groups=("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED),
            )
        if not cluster.entra:
            raise unauthorized()
        try:
            caller = self._verifier.verify(authorization)
        except errors.Problem as problem:
            raise unauthorized() from problem
        groups = (*sorted(caller.groups), AUTHENTICATED)
        return User(name=caller.name or caller.object_id, groups=groups, caller=caller, extra={"oid": [caller.object_id]})

    def _local(self, cluster: Cluster, account: Account) -> User:
        if cluster.local_accounts_disabled:
            raise unauthorized()
        name, groups = SUBJECTS[account]
        return User(name=name, groups=(*groups, AUTHENTICATED))
