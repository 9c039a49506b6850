"""What Graph shows of an object. Properties that nothing here gives a meaning have the value that Graph's new objects have."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ringfence.api.graph import certificates
from ringfence.model import identity
from ringfence.model.directory import DOMAIN, Directory, Object
from ringfence.model.resource import Resource
from ringfence.policy.principals import Principal

Document = dict[str, Any]

#: Of users, the properties that are shown only to who selects them.
_UNSELECTED = frozenset(
    {"accountEnabled", "mailNickname", "createdDateTime", "userType", "passwordPolicies", "signInSessionsValidFromDateTime"}
    | {"onPremisesImmutableId", "usageLocation", "department"}
)
_WEB: Document = {"homePageUrl": None, "logoutUrl": None, "redirectUris": [], "redirectUriSettings": []}
_IMPLICIT = {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False}


def when(moment: dt.datetime) -> str:
    """A time as Graph writes it."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def of(directory: Directory, found: Object, tenant: str) -> Document:
    """Of any object; with `@odata.type`."""
    shown = _BY_KIND[found.kind](directory, found, tenant)
    return {"@odata.type": f"#microsoft.graph.{found.kind}", **shown}


def _application(_: Directory, found: Object, __: str) -> Document:
    kept = dict(found.document)
    web = {**_WEB, "implicitGrantSettings": dict(_IMPLICIT), **_object(kept.pop("web", None))}
    return {
        "id": found.object_id,
        "deletedDateTime": None,
        "appId": found.name,
        "createdDateTime": when(found.created_at),
        "description": None,
        "disabledByMicrosoftStatus": None,
        "groupMembershipClaims": None,
        "identifierUris": [],
        "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None,
        "notes": None,
        "publisherDomain": DOMAIN,
        "serviceManagementReference": None,
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "addIns": [],
        "api": {"oauth2PermissionScopes": [], "requestedAccessTokenVersion": None, "preAuthorizedApplications": []},
        "appRoles": [],
        "optionalClaims": None,
        "passwordCredentials": [credential(c) for c in found.credentials],
        "publicClient": {"redirectUris": []},
        "requiredResourceAccess": [],
        "spa": {"redirectUris": []},
        **kept,
        "keyCredentials": certificates.shown(kept.get("keyCredentials")),
        "web": web,
    }


def credential(found: Any, text: str | None = None) -> Document:
    """A secret; its text only when it is new."""
    return {
        "customKeyIdentifier": None,
        "displayName": found.label,
        "endDateTime": when(found.ends_at),
        "hint": found.hint or None,
        "keyId": found.key_id,
        "secretText": text,
        "startDateTime": when(found.starts_at),
    }


def _service_principal(directory: Directory, found: Object, tenant: str) -> Document:
    application = directory.named("application", found.name)
    named = application.document.get("identifierUris") if application is not None else None
    uris = named if isinstance(named, list) else []
    shown = application.display_name if application is not None else found.display_name
    return _principal(found.object_id, found.name, shown, when(found.created_at), tenant) | {
        **found.document,
        "displayName": shown,
        "keyCredentials": certificates.shown(found.document.get("keyCredentials")),
        "passwordCredentials": [credential(c) for c in found.credentials],
        "servicePrincipalNames": [*uris, found.name],
        "servicePrincipalType": "Application",
    }


def managed_identity(principal: Principal, source: Resource, tenant: str) -> Document:
    """The service principal of a managed identity, with the resource it belongs to."""
    explicit = source.type == identity.USER_ASSIGNED
    shown = _principal(principal.object_id, principal.client_id, principal.name, when(source.created_at), tenant)
    kind = {"@odata.type": "#microsoft.graph.servicePrincipal", "servicePrincipalType": "ManagedIdentity"}
    return {**shown, **kind, "alternativeNames": [f"isExplicit={explicit}", str(source.id)], "appOwnerOrganizationId": None}


def _principal(object_id: str, client_id: str, name: str, created: str, tenant: str) -> Document:
    return {
        "id": object_id,
        "deletedDateTime": None,
        "accountEnabled": True,
        "alternativeNames": [],
        "appDisplayName": name,
        "appDescription": None,
        "appId": client_id,
        "appOwnerOrganizationId": tenant,
        "appRoleAssignmentRequired": False,
        "createdDateTime": created,
        "description": None,
        "displayName": name,
        "homepage": None,
        "loginUrl": None,
        "logoutUrl": None,
        "notes": None,
        "replyUrls": [],
        "servicePrincipalNames": [client_id],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "addIns": [],
        "appRoles": [],
        "keyCredentials": [],
        "oauth2PermissionScopes": [],
        "passwordCredentials": [],
    }


def _user(_: Directory, found: Object, __: str) -> Document:
    kept = {name: value for name, value in found.document.items() if name != "passwordProfile"}
    empty = ("displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname")
    return {
        "businessPhones": [],
        **dict.fromkeys(empty),
        "userPrincipalName": found.name,
        "id": found.object_id,
        "accountEnabled": True,
        "mailNickname": None,
        "createdDateTime": when(found.created_at),
        "userType": "Member",
        "passwordPolicies": None,
        "onPremisesImmutableId": None,
        "usageLocation": None,
        "department": None,
        "signInSessionsValidFromDateTime": when(found.created_at),
        **kept,
        "_unselected": _UNSELECTED,
    }


def _group(_: Directory, found: Object, __: str) -> Document:
    empty = ("classification", "description", "expirationDateTime", "mail", "membershipRule", "visibility", "isAssignableToRole")
    return {
        "id": found.object_id,
        "deletedDateTime": None,
        **dict.fromkeys(empty),
        "createdDateTime": when(found.created_at),
        "creationOptions": [],
        "groupTypes": [],
        "proxyAddresses": [],
        "renewedDateTime": when(found.created_at),
        "resourceBehaviorOptions": [],
        "resourceProvisioningOptions": [],
        "securityIdentifier": None,
        **found.document,
    }


def _object(value: object) -> Document:
    return dict(value) if isinstance(value, dict) else {}


_BY_KIND = {"application": _application, "servicePrincipal": _service_principal, "user": _user, "group": _group}
