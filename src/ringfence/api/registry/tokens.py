"""A registry's own tokens: a refresh token says who somebody is, an access token what it allows.

RS256, signed with a key of the registries that opens nothing else; audience is the one registry.
Who gets one is decided in `sign_in`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

_ALGORITHM, _ISSUER = "RS256", "Azure Container Registry"
_ACCESS_S, _REFRESH_S = 75 * 60, 3 * 60 * 60
_LONGEST = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Whom a token stands for. admin: the registry's admin user. An object id of "" is nobody, who may do what is public."""

    object_id: str = ""
    client_id: str = ""
    name: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """One thing that a token allows. kind: "repository" or "registry"."""

    kind: str
    name: str
    actions: tuple[str, ...]


class Tokens:
    """clock: with a zone."""

    def __init__(self, key: rsa.RSAPrivateKey, clock: Callable[[], dt.datetime], new_id: Callable[[], str]) -> None:
        self._key, self._clock, self._new_id = key, clock, new_id

    def refresh(self, host: str, holder: Holder) -> str:
        who = {"sub": holder.object_id, "appid": holder.client_id, "name": holder.name}
        permissions = {"actions": ["read", "write", "delete"], "notActions": None}
        return self._sign(host, "refresh_token", _REFRESH_S, {**who, "admin": holder.admin, "permissions": permissions})

    def access(self, host: str, holder: Holder, allowed: Sequence[Access]) -> str:
        listed = [{"type": one.kind, "name": one.name, "actions": list(one.actions)} for one in allowed]
        who = {"sub": holder.object_id or holder.name, "appid": holder.client_id}
        return self._sign(host, "access_token", _ACCESS_S, {**who, "access": listed, "roles": []})

    def holder(self, host: str, token: str) -> Holder | None:
        """Whom a refresh token stands for; None when it does not hold here."""
        claims = self._verified(host, token, "refresh_token")
        if claims is None:
            return None
        return Holder(
            object_id=str(claims["sub"]),
            client_id=str(claims["appid"]),
            name=str(claims.get("name", "")),
            admin=claims.get("admin") is True,
        )

    def allowed(self, host: str, token: str) -> tuple[Access, ...] | None:
        """What an access token allows; None when it does not hold here."""
        claims = self._verified(host, token, "access_token")
        listed = claims.get("access") if claims is not None else None
        if not isinstance(listed, list):
            return None
        return tuple(Access(one["type"], one["name"], tuple(one["actions"])) for one in listed)

    def _sign(self, host: str, kind: str, lifetime_s: int, claims: Mapping[str, object]) -> str:
        now = int(self._clock().timestamp())
        fixed = {"jti": self._new_id(), "iss": _ISSUER, "aud": host, "iat": now, "nbf": now, "exp": now + lifetime_s}
        return jwt.encode({**claims, **fixed, "version": "1.0", "grant_type": kind}, self._key, algorithm=_ALGORITHM)

    def _verified(self, host: str, token: str, kind: str) -> Mapping[str, object] | None:
        if len(token) > _LONGEST:
            return None
        options: jwt.types.Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_sub": False}
        try:
            claims: Mapping[str, object] = jwt.decode(
                token, self._key.public_key(), algorithms=[_ALGORITHM], audience=host, issuer=_ISSUER, options=options
            )
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None
        expires = claims.get("exp")
        alive = isinstance(expires, int) and self._clock().timestamp() < expires
        return claims if alive and claims.get("grant_type") == kind else None
