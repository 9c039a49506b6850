"""Service principals and their secrets. What a principal may do is not decided here.

A secret is kept as a salted SHA-256 digest: it is random and long (never a person's
password), so a slow hash would only slow down signing in.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from ringfence.control import store
from ringfence.model import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a token stands for. client_id: of the application; object_id: of its service principal in the tenant."""

    client_id: str
    object_id: str
    tenant_id: str
    display_name: str


class Identities:
    """The principals in the store. new_salt: 16 random bytes."""

    def __init__(self, opened: store.Store, new_salt: Callable[[], bytes]) -> None:
        self._store = opened
        self._new_salt = new_salt

    def put(self, principal: Principal, secret: str) -> None:
        """Create or replace a principal and its secret."""
        salt = self._new_salt()
        row = {
            "client_id": principal.client_id.lower(),
            "object_id": principal.object_id.lower(),
            "tenant_id": principal.tenant_id.lower(),
            "display_name": principal.display_name,
            "salt": salt,
            "digest": _digest(salt, secret),
        }
        table = store.identities
        with self._store.begin() as connection:
            connection.execute(table.delete().where(table.c.client_id == row["client_id"]))
            connection.execute(table.insert(), [row])

    def get(self, client_id: str) -> Principal | None:
        """By client id, in any casing."""
        row = self._row(client_id)
        return None if row is None else _principal(row)

    def authenticate(self, client_id: str, secret: str) -> Principal:
        """The principal whose secret this is. Raises Unauthenticated (`invalid_client`), the same for both causes."""
        row = self._row(client_id)
        # The digest is computed for unknown ids as well, so that the time taken tells nothing.
        salt, digest = (row.salt, row.digest) if row is not None else (b"\0" * 16, b"")
        if not hmac.compare_digest(_digest(salt, secret), digest) or row is None:
            raise errors.Unauthenticated(
                "invalid_client", f"The client {client_id[:64]!r} is unknown or the client secret provided is not its own."
            )
        return _principal(row)

    def _row(self, client_id: str) -> sa.Row[tuple[object, ...]] | None:
        table = store.identities
        with self._store.read() as connection:
            return connection.execute(sa.select(table).where(table.c.client_id == client_id.lower())).first()


def _digest(salt: bytes, secret: str) -> bytes:
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogatepass")).digest()


def _principal(row: sa.Row[tuple[object, ...]]) -> Principal:
    return Principal(client_id=row.client_id, object_id=row.object_id, tenant_id=row.tenant_id, display_name=row.display_name)
