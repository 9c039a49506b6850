"""What tokens of people are given for: device codes, authorization codes and refresh tokens.

Only digests are kept: whoever reads the database can redeem nothing. Codes are redeemed
once, in the transaction that finds them. A refresh token is replaced at each use; the one
before holds on for clients that ask side by side, as Entra's do, but only the newest few of a
sign-in do. Everything of a person goes with a new password, and with the person.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from pydantic import JsonValue

from ringfence.control import store

#: How long a person has to enter a code, and how often a client may ask about it, in seconds (RFC 8628 section 3.2).
DEVICE_LIFETIME_S, DEVICE_INTERVAL_S = 900, 5
_CODE_LIFETIME_S = 600
_REFRESH_LIFETIME = dt.timedelta(days=90)
_MOST_OF_A_SIGN_IN = 8
#: Letters and digits that nobody takes for one another.
_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CODE_LENGTH = 9

Outcome = Literal["pending", "slow", "approved", "declined", "expired", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was granted. document: what the client asked for."""

    client_id: str
    user_id: str
    document: Mapping[str, JsonValue]
    family: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A device's request that waits for a person."""

    user_code: str
    client_id: str


class Grants:
    """new_salt: 16 random bytes. clock: the time, with a zone."""

    def __init__(self, opened: store.Store, new_salt: Callable[[], bytes], clock: Callable[[], dt.datetime]) -> None:
        self._store = opened
        self._new_salt = new_salt
        self._clock = clock

    def ask(self, client_id: str, document: Mapping[str, JsonValue]) -> tuple[str, str]:
        """Begin a device's sign-in; its device code and the code that a person enters."""
        device, table = self._text(), store.grants
        asked = {"client_id": client_id.lower(), "document": dict(document)}
        user_code = "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in self._new_salt()[:_CODE_LENGTH])
        with self._store.begin() as connection:
            connection.execute(table.delete().where(table.c.expires_at < self._clock().isoformat()))
            connection.execute(table.delete().where((table.c.kind == "device") & (table.c.handle == user_code)))
            self._insert(connection, "device", device, DEVICE_LIFETIME_S, handle=user_code, state="pending", **asked)
        return device, user_code

    def waiting(self, user_code: str) -> Request | None:
        """The request that a code stands for, while it waits."""
        with self._store.read() as connection:
            row = connection.execute(sa.select(store.grants).where(self._waits(user_code))).first()
        return None if row is None else Request(row.handle, row.client_id)

    def decide(self, user_code: str, user_id: str, *, approved: bool) -> bool:
        """A person's answer; the first one counts. Returns whether the code was waiting."""
        values = {"state": "approved" if approved else "declined", "user_id": user_id}
        with self._store.begin() as connection:
            return connection.execute(store.grants.update().where(self._waits(user_code)).values(values)).rowcount > 0

    def poll(self, device_code: str, client_id: str) -> tuple[Outcome, Grant | None]:
        """What became of a device's request; an approved one is redeemed by this very call."""
        table, now = store.grants, self._clock()
        mine = (table.c.digest == _digest(device_code)) & (table.c.kind == "device")
        with self._store.begin() as connection:
            row = connection.execute(sa.select(table).where(mine)).first()
            if row is None or row.client_id != client_id.lower():
                return "unknown", None
            if row.expires_at <= now.isoformat():
                return "expired", None
            if row.state != "pending":
                connection.execute(table.delete().where(mine))
                return ("approved", _grant(row)) if row.state == "approved" else ("declined", None)
            asked = row.document.get("polledAt")
            connection.execute(table.update().where(mine).values(document={**row.document, "polledAt": now.isoformat()}))
        early = isinstance(asked, str) and now - dt.datetime.fromisoformat(asked) < dt.timedelta(seconds=DEVICE_INTERVAL_S - 1)
        return ("slow" if early else "pending"), None

    def give_code(self, client_id: str, user_id: str, document: Mapping[str, JsonValue]) -> str:
        """An authorization code (RFC 6749 section 4.1)."""
        code = self._text()
        given = {"client_id": client_id.lower(), "user_id": user_id, "document": dict(document)}
        with self._store.begin() as connection:
            self._insert(connection, "code", code, _CODE_LIFETIME_S, **given)
        return code

    def redeem_code(self, code: str, client_id: str) -> Grant | None:
        """What a code stands for, once."""
        table = store.grants
        mine = (table.c.digest == _digest(code)) & (table.c.kind == "code") & (table.c.client_id == client_id.lower())
        with self._store.begin() as connection:
            row = connection.execute(sa.select(table).where(mine)).first()
            connection.execute(table.delete().where(mine))
        return None if row is None or row.expires_at <= self._clock().isoformat() else _grant(row)

    def give_refresh(self, grant: Grant) -> str:
        """A refresh token, of a new sign-in or of the one that `grant` belongs to."""
        token, table = self._text(), store.grants
        family = grant.family or str(uuid.UUID(bytes=self._new_salt(), version=4))
        given = {"client_id": grant.client_id, "user_id": grant.user_id, "document": dict(grant.document)}
        lifetime = int(_REFRESH_LIFETIME.total_seconds())
        with self._store.begin() as connection:
            self._insert(connection, "refresh", token, lifetime, handle=family, **given)
            mine = (table.c.kind == "refresh") & (table.c.handle == family)
            newest: sa.Select[tuple[int]] = (
                sa.select(sa.literal_column("rowid")).where(mine).order_by(sa.text("rowid DESC")).limit(_MOST_OF_A_SIGN_IN)
            )
            connection.execute(table.delete().where(mine & sa.literal_column("rowid").not_in(newest)))
            connection.execute(table.delete().where(table.c.expires_at < self._clock().isoformat()))
        return token

    def refreshing(self, token: str, client_id: str) -> Grant | None:
        """What a refresh token stands for."""
        table = store.grants
        mine = (table.c.digest == _digest(token)) & (table.c.kind == "refresh") & (table.c.client_id == client_id.lower())
        with self._store.read() as connection:
            row = connection.execute(sa.select(table).where(mine)).first()
        return None if row is None or row.expires_at <= self._clock().isoformat() else _grant(row)

    def revoke(self, user_id: str) -> None:
        """End everything that was granted to a person."""
        with self._store.begin() as connection:
            connection.execute(store.grants.delete().where(store.grants.c.user_id == user_id))

    def _insert(self, connection: sa.Connection, kind: str, text: str, lifetime_s: int, **columns: object) -> None:
        ends = self._clock() + dt.timedelta(seconds=lifetime_s)
        row = {"kind": kind, "digest": _digest(text), "handle": "", "user_id": None, "state": "given", **columns}
        connection.execute(store.grants.insert(), [{**row, "expires_at": ends.isoformat()}])

    def _waits(self, user_code: str) -> sa.ColumnElement[bool]:
        table = store.grants
        named = (table.c.kind == "device") & (table.c.handle == user_code.strip().upper().replace("-", ""))
        return named & (table.c.state == "pending") & (table.c.expires_at > self._clock().isoformat())

    def _text(self) -> str:
        return base64.urlsafe_b64encode(self._new_salt() + self._new_salt()).decode().rstrip("=")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _grant(row: sa.Row[tuple[object, ...]]) -> Grant:
    family = row.handle if row.kind == "refresh" else ""
    return Grant(client_id=row.client_id, user_id=row.user_id, document=row.document, family=family)
