"""Users: creation with a password, changes, removal, and the caller's own page (`/me`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pydantic import JsonValue

from ringfence.api.graph import documents, links, rights, wording
from ringfence.api.graph.asked import NOTHING, Answer, Asked, Row
from ringfence.control.identities import Identities
from ringfence.model import errors
from ringfence.model.directory import DOMAIN

_ALLOWED = frozenset(
    {"accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile", "givenName", "surname", "jobTitle"}
    | {"mobilePhone", "officeLocation", "preferredLanguage", "businessPhones", "usageLocation", "department", "mail"}
    | {"onPremisesImmutableId", "passwordPolicies", "userType"}
)
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'.-_!#^~")
_SHORTEST, _LONGEST, _CLASSES = 8, 256, 3


class Users:
    """The handlers."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def rows(self) -> tuple[Row, ...]:
        return (
            ("GET", "users", lambda asked: asked.many(asked.view.all("user"), "users")),
            ("POST", "users", self._create),
            ("GET", "users/{}", self._get),
            ("PATCH", "users/{}", self._change),
            ("DELETE", "users/{}", self._delete),
            ("GET", "users/{}/memberOf", partial(self._groups, False)),
            ("GET", "users/{}/transitiveMemberOf", partial(self._groups, True)),
            ("POST", "users/{}/getMemberGroups", partial(self._ids, False)),
            ("POST", "users/{}/getMemberObjects", partial(self._ids, True)),
            ("POST", "users/{}/checkMemberGroups", lambda asked, key: links.check_groups(asked, links.find(asked, "user", key))),
            ("POST", "users/{}/revokeSignInSessions", self._sign_out),
            ("GET", "users/{}/ownedObjects", self._owned),
            ("GET", "me", lambda asked: self._get(asked, self._me(asked))),
            ("GET", "me/memberOf", lambda asked: self._groups(False, asked, self._me(asked))),
            ("GET", "me/transitiveMemberOf", lambda asked: self._groups(True, asked, self._me(asked))),
            ("POST", "me/getMemberGroups", lambda asked: self._ids(False, asked, self._me(asked))),
            ("POST", "me/getMemberObjects", lambda asked: self._ids(True, asked, self._me(asked))),
            ("POST", "me/revokeSignInSessions", lambda asked: self._sign_out(asked, self._me(asked))),
            ("GET", "me/ownedObjects", lambda asked: self._owned(asked, self._me(asked))),
        )

    def _get(self, asked: Asked, key: str) -> Answer:
        return asked.one(asked.view.need(links.find(asked, "user", key)), "users")

    def _create(self, asked: Asked) -> Answer:
        rights.require_administrator(asked)
        document = _read(asked.body)
        if "accountEnabled" not in document:
            raise wording.required("accountEnabled")
        for name in ("displayName", "mailNickname", "userPrincipalName"):
            asked.text(name)
        name, password = _principal_name(document), _password(document)
        if not password:
            raise wording.required("passwordProfile")
        made = self._identities.create("user", {**document, "userPrincipalName": name}, name, password=password)
        return asked.one(documents.of(self._identities.directory(), made, asked.view.tenant), "users", 201)

    def _change(self, asked: Asked, key: str) -> Answer:
        rights.require_administrator(asked)
        found = self._identities.need(links.find(asked, "user", key))
        change = _read(asked.body)
        password = _password(change)
        name = _principal_name(change) if "userPrincipalName" in change else None
        merged = {n: value for n, value in {**found.document, **change}.items() if value is not None}
        self._identities.change(found.object_id, merged, name, password=password)
        return NOTHING

    def _delete(self, asked: Asked, key: str) -> Answer:
        rights.require_administrator(asked)
        self._identities.delete(links.find(asked, "user", key))
        return NOTHING

    def _groups(self, transitive: bool, asked: Asked, key: str) -> Answer:
        return links.groups(asked, links.find(asked, "user", key), transitive=transitive)

    def _ids(self, roles: bool, asked: Asked, key: str) -> Answer:
        return links.group_ids(asked, links.find(asked, "user", key), roles=roles)

    def _owned(self, asked: Asked, key: str) -> Answer:
        found = sorted(asked.view.directory.holders("owner", links.find(asked, "user", key)))
        return asked.many(asked.view.these(found), "directoryObjects")

    def _sign_out(self, asked: Asked, key: str) -> Answer:
        found = links.find(asked, "user", key)
        if found != asked.caller.object_id:
            rights.require_administrator(asked)
        self._identities.sign_out(found)
        return Answer(
            200, {"@odata.context": f"https://graph.microsoft.com/{asked.version}/$metadata#Edm.Boolean", "value": True}
        )

    def _me(self, asked: Asked) -> str:
        """The caller, who has to be a person. Raises Invalid (`BadRequest`)."""
        found = asked.view.directory.get(asked.caller.object_id)
        if found is None or found.kind != "user":
            raise errors.Invalid("BadRequest", "/me request is only valid with delegated authentication flow.")
        return found.object_id


def _read(body: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    found = {name: value for name, value in body.items() if not name.startswith("@odata.")}
    for name in found:
        if name not in _ALLOWED:
            raise wording.invalid_property(name)
    if not isinstance(found.get("accountEnabled", True), bool):
        raise wording.invalid_value("accountEnabled")
    for name in ("displayName", "mailNickname", "userPrincipalName"):
        if name in found and not (isinstance(found[name], str) and 0 < len(str(found[name])) <= 256):
            raise wording.invalid_value(name)
    return found


def _principal_name(document: Mapping[str, JsonValue]) -> str:
    """`name@domain`, of the tenant's domain. Raises Invalid."""
    given = str(document.get("userPrincipalName") or "")
    name, _, domain = given.partition("@")
    if domain.lower() != DOMAIN:
        raise wording.bad(
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain names in "
            f"your organization: {DOMAIN}."
        )
    if not name or len(name) > 64 or not set(name) <= _NAME or name.startswith(".") or name.endswith("."):
        raise wording.bad("Property userPrincipalName is invalid.")
    return given


def _password(document: dict[str, JsonValue]) -> str:
    """The password of a profile, which is taken out of it; "" when there is none. Raises Invalid (Entra's password policy)."""
    profile = document.get("passwordProfile")
    if profile is None:
        return ""
    if not isinstance(profile, dict):
        raise wording.invalid_value("passwordProfile")
    password = profile.get("password")
    document["passwordProfile"] = {name: value for name, value in profile.items() if name != "password"}
    if password is None:
        return ""
    tests = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    if (
        not isinstance(password, str)
        or not _SHORTEST <= len(password) <= _LONGEST
        or sum(any(test(c) for c in password) for test in tests) < _CLASSES
    ):
        raise wording.bad(
            "The specified password does not comply with password complexity requirements. Please provide a different password: "
            f"{_SHORTEST} to {_LONGEST} characters, of three of lower case, upper case, digits and symbols."
        )
    return password
