"""Applications and service principals: registering, secrets, owners, removal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial

from pydantic import JsonValue

from ringfence.api.graph import certificates, documents, links, rights, wording
from ringfence.api.graph.asked import NOTHING, Answer, Asked, Row
from ringfence.control.identities import Identities
from ringfence.model import errors
from ringfence.model.directory import Kind

#: What a body may set. The others of Graph's properties are its own, or would promise what nothing here does.
_APPLICATION = frozenset(
    {"displayName", "description", "identifierUris", "isFallbackPublicClient", "notes", "signInAudience", "tags", "web"}
    | {"publicClient", "spa", "api", "appRoles", "requiredResourceAccess", "optionalClaims", "groupMembershipClaims"}
    | {"serviceManagementReference", "isDeviceOnlyAuthSupported", "keyCredentials", "passwordCredentials"}
)
_SERVICE = frozenset(
    {"appId", "accountEnabled", "displayName", "description", "notes", "tags", "homepage", "loginUrl", "logoutUrl", "replyUrls"}
    | {"appRoleAssignmentRequired", "keyCredentials", "servicePrincipalType", "alternativeNames"}
)
_AUDIENCES = ("AzureADMyOrg", "AzureADMultipleOrgs", "AzureADandPersonalMicrosoftAccount")


class Applications:
    """The handlers."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def rows(self) -> tuple[Row, ...]:
        found: list[Row] = [
            ("POST", "applications", self._register),
            ("PATCH", "applications/{}", partial(self._change, "application", _APPLICATION)),
            ("POST", "servicePrincipals", self._create),
            ("PATCH", "servicePrincipals/{}", partial(self._change, "servicePrincipal", _SERVICE)),
            ("POST", "applications/{}/owners/$ref", self._add_owner),
            ("DELETE", "applications/{}/owners/{}/$ref", self._remove_owner),
            ("GET", "applications/{}/federatedIdentityCredentials", self._no_federation),
        ]
        for kind, path in (("application", "applications"), ("servicePrincipal", "servicePrincipals")):
            kind_: Kind = "application" if kind == "application" else "servicePrincipal"
            found += [
                ("GET", path, partial(self._list, kind_, path)),
                ("GET", f"{path}/{{}}", partial(self._get, kind_, path)),
                ("DELETE", f"{path}/{{}}", partial(self._delete, kind_)),
                ("GET", f"{path}/{{}}/owners", partial(self._owners, kind_)),
                ("POST", f"{path}/{{}}/addPassword", partial(self._add_password, kind_)),
                ("POST", f"{path}/{{}}/removePassword", partial(self._remove_password, kind_)),
            ]
        return tuple(found)

    def _list(self, kind: Kind, path: str, asked: Asked) -> Answer:
        return asked.many(asked.view.all(kind), path)

    def _get(self, kind: Kind, path: str, asked: Asked, key: str) -> Answer:
        return asked.one(asked.view.need(links.find(asked, kind, key)), path)

    def _register(self, asked: Asked) -> Answer:
        rights.require_creator(asked)
        document = _read(asked.body, _APPLICATION, {})
        asked.text("displayName")
        self._uris_are_free(asked, document, None)
        made = self._identities.create("application", document, self._identities.new_id(), links=rights.owner(asked))
        return asked.one(documents.of(self._identities.directory(), made, asked.view.tenant), "applications", 201)

    def _create(self, asked: Asked) -> Answer:
        rights.require_creator(asked)
        client = asked.text("appId")
        application = asked.view.directory.named("application", client)
        if application is None:
            raise wording.bad(
                f"The appId '{client[:100]}' of the service principal does not reference a valid application object."
            )
        rights.require_owner(asked, application.object_id)
        document = _read({name: value for name, value in asked.body.items() if name != "appId"}, _SERVICE, {})
        try:
            shown: dict[str, JsonValue] = {"displayName": application.display_name, **document}
            made = self._identities.create("servicePrincipal", shown, client, links=rights.owner(asked))
        except errors.Conflict as error:
            raise errors.Conflict(
                "Request_MultipleObjectsWithSameKeyValue",
                "The service principal cannot be created, updated, or restored because the service principal name "
                f"{client} is already in use.",
            ) from error
        return asked.one(documents.of(self._identities.directory(), made, asked.view.tenant), "servicePrincipals", 201)

    def _change(self, kind: Kind, allowed: frozenset[str], asked: Asked, key: str) -> Answer:
        found = self._mine(asked, kind, key)
        old = self._identities.need(found)
        change = _read(asked.body, allowed - {"appId"}, old.document)
        if kind == "application":
            self._uris_are_free(asked, change, found)
        merged = {name: _within(old.document.get(name), value) for name, value in {**old.document, **change}.items()}
        self._identities.change(found, {name: value for name, value in merged.items() if value is not None})
        return NOTHING

    def _delete(self, kind: Kind, asked: Asked, key: str) -> Answer:
        self._identities.delete(self._mine(asked, kind, key))
        return NOTHING

    def _owners(self, kind: Kind, asked: Asked, key: str) -> Answer:
        return links.held(asked, "owner", links.find(asked, kind, key))

    def _add_owner(self, asked: Asked, key: str) -> Answer:
        return links.add(asked, self._identities, "owner", links.find(asked, "application", key))

    def _remove_owner(self, asked: Asked, key: str, owner: str) -> Answer:
        return links.remove(asked, self._identities, "owner", links.find(asked, "application", key), owner)

    def _no_federation(self, asked: Asked, key: str) -> Answer:
        links.find(asked, "application", key)
        return asked.many([], "federatedIdentityCredentials")

    def _add_password(self, kind: Kind, asked: Asked, key: str) -> Answer:
        found = self._mine(asked, kind, key)
        given = asked.body.get("passwordCredential") or {}
        if not isinstance(given, dict):
            raise wording.invalid_value("passwordCredential")
        label = given.get("displayName")
        if label is not None and not isinstance(label, str):
            raise wording.invalid_value("displayName")
        starts, ends = _moment(given, "startDateTime"), _moment(given, "endDateTime")
        if ends is not None and starts is not None and ends <= starts:
            raise wording.bad("Credential lifetime: endDateTime has to be later than startDateTime.")
        credential, text = self._identities.add_secret(found, label, starts, ends)
        context = f"https://graph.microsoft.com/{asked.version}/$metadata#microsoft.graph.passwordCredential"
        return Answer(200, {"@odata.context": context, **documents.credential(credential, text)})

    def _remove_password(self, kind: Kind, asked: Asked, key: str) -> Answer:
        found = self._mine(asked, kind, key)
        if not self._identities.remove_secret(found, asked.text("keyId")):
            raise wording.bad("No password credential found with keyId.")
        return NOTHING

    def _mine(self, asked: Asked, kind: Kind, key: str) -> str:
        """The object, if the caller may change it: an application's owner owns its service principal too."""
        found = links.stored(asked, kind, key)
        application = asked.view.directory.named("application", asked.view.directory.objects[found].name)
        owned = asked.view.directory.held("owner", application.object_id) if application is not None else ()
        if asked.caller.object_id not in owned:
            rights.require_owner(asked, found)
        return found

    def _uris_are_free(self, asked: Asked, document: Mapping[str, JsonValue], own: str | None) -> None:
        uris = document.get("identifierUris") or []
        if not isinstance(uris, list) or not all(isinstance(uri, str) and ":" in uri for uri in uris):
            raise wording.bad("Invalid value specified for property 'identifierUris' of resource 'Application'.")
        for other in asked.view.directory.of_kind("application"):
            theirs = other.document.get("identifierUris")
            if other.object_id != own and isinstance(theirs, list) and set(map(str, theirs)) & set(map(str, uris)):
                raise wording.bad("Another object with the same value for property identifierUris already exists.")


def _read(body: Mapping[str, JsonValue], allowed: frozenset[str], old: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The properties that a body sets. Raises Invalid for those that it may not. old: what there is."""
    found: dict[str, JsonValue] = {}
    for name, value in body.items():
        if name.startswith("@odata."):
            continue
        if name not in allowed:
            raise wording.invalid_property(name)
        if name == "passwordCredentials":
            if value:
                raise wording.bad(f"'{name}' cannot be set here: secrets are made with addPassword.")
            continue
        if name == "keyCredentials":
            value = certificates.read(value, old.get(name))
        found[name] = value
    if "displayName" in found and not (isinstance(found["displayName"], str) and 0 < len(found["displayName"]) <= 256):
        raise wording.invalid_value("displayName")
    if found.get("signInAudience", "AzureADMyOrg") not in _AUDIENCES:
        raise wording.invalid_value("signInAudience")
    if not isinstance(found.get("accountEnabled", True), bool):
        raise wording.invalid_value("accountEnabled")
    return found


def _within(old: JsonValue, new: JsonValue) -> JsonValue:
    """A change of an object (`web`, `api`) leaves what it does not name."""
    return {**old, **new} if isinstance(old, dict) and isinstance(new, dict) else new


def _moment(given: Mapping[str, JsonValue], name: str) -> dt.datetime | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError as error:
        raise wording.invalid_value(name) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=dt.UTC)
