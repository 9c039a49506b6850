"""Digests of secrets and passwords, and whether one is right.

A secret of an application is random and long, so a salted SHA-256 digest is enough; a
person's password is neither, so it goes through scrypt (RFC 7914). The time an answer
takes tells nothing about who exists.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from dataclasses import dataclass

import sqlalchemy as sa

from ringfence.control import store
from ringfence.model import errors
from ringfence.model.directory import Credential, Object

#: Cost of a password: 16 MiB and some 40 ms.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a token stands for. client_id: of the application; object_id: of its service principal in the tenant."""

    client_id: str
    object_id: str
    display_name: str


def of_application(salt: bytes, secret: str) -> bytes:
    """The digest of an application's secret."""
    return hashlib.sha256(salt + secret.encode("utf-8", "surrogatepass")).digest()


def of_person(salt: bytes, password: str) -> bytes:
    """The digest of a person's password."""
    given = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(given, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, dklen=32)


FOREVER = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


class Expired(errors.Unauthenticated):
    """The secret was right once."""


def check_secret(connection: sa.Connection, owners: frozenset[str], secret: str, now: dt.datetime) -> None:
    """Whether it is a secret of one of `owners` that holds now. Raises Expired, Unauthenticated (`invalid_client`)."""
    rows = connection.execute(sa.select(store.credentials).where(store.credentials.c.owner.in_(owners))).all()
    found = [row for row in rows if hmac.compare_digest(of_application(row.salt, secret), row.digest)]
    if not rows:
        of_application(b"\0" * 16, secret)
    if any(_holds(row, now) for row in found):
        return
    if found:
        raise Expired("invalid_client", f"The secret {found[0].key_id} is expired.")
    raise errors.Unauthenticated("invalid_client", "The client is unknown or the client secret provided is not its own.")


def check_password(connection: sa.Connection, person: Object | None, password: str) -> None:
    """Whether it is the person's password. Raises Unauthenticated (`invalid_grant`), the same for an unknown person."""
    owner = person.object_id if person is not None else ""
    row = connection.execute(sa.select(store.credentials).where(store.credentials.c.owner == owner)).first()
    salt, digest = (row.salt, row.digest) if row is not None else (b"\0" * 16, b"")
    if not hmac.compare_digest(of_person(salt, password), digest):
        raise errors.Unauthenticated("invalid_grant", "Invalid username or password.")


def _holds(row: sa.Row[tuple[object, ...]], now: dt.datetime) -> bool:
    return dt.datetime.fromisoformat(row.starts_at) <= now < dt.datetime.fromisoformat(row.ends_at)


def insert(connection: sa.Connection, owner: str, credential: Credential, text: str, salt: bytes) -> None:
    """Keep a secret of an application, as a digest."""
    row = {
        "key_id": credential.key_id,
        "owner": owner,
        "label": credential.label,
        "hint": credential.hint,
        "salt": salt,
        "digest": of_application(salt, text),
        "starts_at": credential.starts_at.isoformat(),
        "ends_at": credential.ends_at.isoformat(),
    }
    connection.execute(store.credentials.insert(), [row])


def replace_password(connection: sa.Connection, user: str, password: str, salt: bytes, now: dt.datetime) -> None:
    """A person has one password; its row has the person's own id."""
    table = store.credentials
    connection.execute(table.delete().where(table.c.owner == user))
    row = {"key_id": user, "owner": user, "label": None, "hint": "", "salt": salt, "digest": of_person(salt, password)}
    row |= {"starts_at": now.isoformat(), "ends_at": FOREVER.isoformat()}
    connection.execute(table.insert(), [row])
