"""Signing in at a registry, as at Azure's: `/oauth2/exchange`, `/oauth2/token`, and Basic in place of a token.

An Entra token is exchanged for the registry's refresh token, that one (or a user and password)
for an access token, which holds those of the wanted actions that the caller's roles allow now.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl

from ringfence.api.registry import scopes
from ringfence.api.registry.answers import Need, RegistryError, unauthorized
from ringfence.api.registry.tokens import Access, Holder, Tokens
from ringfence.control.registry_passwords import RegistryPasswords, account_of
from ringfence.model import errors, registry
from ringfence.model.resource import Resource
from ringfence.policy import registries

#: The user name that goes with a token in place of a password.
NOBODY = "00000000-0000-0000-0000-000000000000"
AUDIENCE = "https://containerregistry.azure.net"
#: Audiences of Entra's tokens that a registry exchanges.
AUDIENCES = frozenset(
    {
        AUDIENCE,
        f"{AUDIENCE}/",
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.core.windows.net",
        "https://management.core.windows.net/",
    }
)
_PUBLIC_PULL = ("pull", "metadata_read")


class Directory(Protocol):
    """Who may sign in, and who may do what."""

    def by_token(self, token: str) -> Holder:
        """The caller behind an Entra token. Raises errors.Unauthenticated."""
        ...

    def by_secret(self, client_id: str, secret: str) -> Holder:
        """An application. Raises errors.Unauthenticated."""
        ...

    def permits(self, holder: Holder, action: str, named: Resource) -> bool: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """One per process; `host` is the registry's login server in every call."""

    tokens: Tokens
    directory: Directory
    passwords: RegistryPasswords

    def exchange(self, named: Resource, host: str, form: Mapping[str, str]) -> Mapping[str, str]:
        """`/oauth2/exchange`: an Entra access token for a refresh token. Raises RegistryError."""
        if form.get("grant_type") not in ("access_token", "access_token_refresh_token"):
            raise RegistryError("BAD_REQUEST", "grant_type has to be access_token")
        self._service(host, form.get("service", ""))
        try:
            holder = self.directory.by_token(form.get("access_token", ""))
        except errors.Unauthenticated as error:
            raise unauthorized(host, None) from error
        if not any(self.directory.permits(holder, action, named) for action in registries.ACTIONS.values()):
            raise unauthorized(host, None)
        return {"refresh_token": self.tokens.refresh(host, holder)}

    def token(self, named: Resource, host: str, form: Mapping[str, str], basic: str | None) -> Mapping[str, object]:
        """`/oauth2/token`: what is wanted and allowed, as an access token. Raises RegistryError."""
        self._service(host, form.get("service", ""))
        holder = self._holder(named, host, form, basic)
        wanted = scopes.requested([form.get("scope", "")])
        allowed = [one for one in (self._allowed(named, holder, access) for access in wanted) if one.actions]
        token = self.tokens.access(host, holder, allowed)
        return {"access_token": token, "token": token, "expires_in": 4500}

    def admit(self, named: Resource, host: str, authorization: str | None, need: Need) -> None:
        """Raises RegistryError (UNAUTHORIZED) unless the header allows what is needed."""
        kind, name, actions = need
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() == "basic":
            held = self._allowed(named, self._basic(named, host, given, need), Access(kind, name, actions)).actions
        elif scheme.lower() == "bearer":
            allowed = self.tokens.allowed(host, given.strip())
            if allowed is None:
                raise unauthorized(host, need)
            held = tuple(action for one in allowed if (one.kind, one.name) == (kind, name) for action in one.actions)
        else:
            raise unauthorized(host, need)
        if not (set(actions) <= set(held) or "*" in held):
            raise unauthorized(host, need, insufficient=True)

    def known(self, named: Resource, host: str, authorization: str | None) -> None:
        """Raises RegistryError unless the header is anybody's; what it allows does not matter (`GET /v2/`)."""
        scheme, _, given = (authorization or "").partition(" ")
        if scheme.lower() == "basic":
            self._basic(named, host, given, None)
        elif scheme.lower() != "bearer" or self.tokens.allowed(host, given.strip()) is None:
            raise unauthorized(host, None)

    def _holder(self, named: Resource, host: str, form: Mapping[str, str], basic: str | None) -> Holder:
        scheme, _, given = (basic or "").partition(" ")
        if scheme.lower() == "basic":
            return self._basic(named, host, given, None)
        match form.get("grant_type", ""):
            case "refresh_token":
                holder = self.tokens.holder(host, form.get("refresh_token", ""))
                if holder is None:
                    raise unauthorized(host, None)
                return holder
            case "password":
                return self._password(named, host, form.get("username", ""), form.get("password", ""), None)
            case "":
                assert isinstance(named.properties, registry.Registry)
                if not named.properties.anonymous_pull_enabled:
                    raise unauthorized(host, None)
                return Holder()
            case _:
                raise RegistryError("BAD_REQUEST", "grant_type has to be refresh_token or password")

    def _allowed(self, named: Resource, holder: Holder, wanted: Access) -> Access:
        """The part of what is wanted that its roles allow."""
        known = tuple(registries.ACTIONS)
        asked = wanted.actions
        if "*" in asked:
            asked = ("catalog",) if wanted.kind == "registry" else known
        held = tuple(a for a in asked if self._may(named, holder, "catalog" if wanted.kind == "registry" else a))
        if "*" in wanted.actions and held:
            held = ("*",) if wanted.kind == "registry" else held
        return Access(wanted.kind, wanted.name, held)

    def _may(self, named: Resource, holder: Holder, what: str) -> bool:
        assert isinstance(named.properties, registry.Registry)
        action = registries.ACTIONS.get(what)
        if action is None:
            return False
        if holder.admin:
            return named.properties.admin_user_enabled
        if what in _PUBLIC_PULL and named.properties.anonymous_pull_enabled:
            return True
        return bool(holder.object_id) and self.directory.permits(holder, action, named)

    def _basic(self, named: Resource, host: str, given: str, need: Need | None) -> Holder:
        try:
            user, colon, password = base64.b64decode(given.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise unauthorized(host, need) from error
        if not colon:
            raise unauthorized(host, need)
        return self._password(named, host, user, password, need)

    def _password(self, named: Resource, host: str, user: str, password: str, need: Need | None) -> Holder:
        """The admin user, a token in place of a password, or an application's id and secret."""
        assert isinstance(named.properties, registry.Registry)
        if user == NOBODY:
            holder = self.tokens.holder(host, password)
        elif user.lower() == named.id.name.lower():
            right = any(hmac.compare_digest(one.encode(), password.encode()) for one in self.passwords.get(account_of(named)))
            holder = Holder(name=user, admin=True) if right and named.properties.admin_user_enabled else None
        else:
            try:
                holder = self.directory.by_secret(user, password)
            except errors.Unauthenticated:
                holder = None
        if holder is None:
            raise unauthorized(host, need)
        return holder

    def _service(self, host: str, service: str) -> None:
        if service.lower() != host:
            raise RegistryError("BAD_REQUEST", f"service has to be {host}", {"service": service[:200]})


def form(body: bytes) -> dict[str, str]:
    """A form in UTF-8; scopes may be repeated, of others the last counts. Raises RegistryError."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError as error:
        raise RegistryError("BAD_REQUEST", "the body is not a form in UTF-8") from error
    return joined(pairs)


def joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Parameters by name, scopes of all repetitions in one."""
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]} {value}" if name == "scope" and name in found else value
    return found
