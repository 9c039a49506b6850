"""What stands around resources: subscriptions, tenants, locations, providers, and lists of resources of every type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm import documents
from ringfence.api.arm.asked import Asked
from ringfence.api.arm.registry import PROVIDERS, ROWS, Row, rows_of
from ringfence.control.engine import Engine
from ringfence.model import deployment, errors
from ringfence.model.directory import DOMAIN
from ringfence.model.ids import GROUP_TYPE, ResourceId
from ringfence.model.resource import Resource, region_of
from ringfence.policy import access, authority, tags

_MOST = 1000
#: Types with lists of their own.
_APART = frozenset({GROUP_TYPE.lower(), deployment.DEPLOYMENT})


@dataclass(frozen=True, slots=True)
class Subscription:
    """The one subscription of an installation. id, tenant: GUIDs in lower case."""

    id: str
    tenant: str
    name: str = "Ringfence"

    @property
    def scope(self) -> ResourceId:
        return ResourceId(self.id)

    def document(self) -> Mapping[str, object]:
        return {
            "id": f"/subscriptions/{self.id}",
            "subscriptionId": self.id,
            "tenantId": self.tenant,
            "displayName": self.name,
            "state": "Enabled",
            "subscriptionPolicies": {
                "locationPlacementId": "Public_2014-09-01",
                "quotaId": "PayAsYouGo_2014-09-01",
                "spendingLimit": "Off",
            },
            "authorizationSource": "RoleBased",
            "managedByTenants": [],
        }


class Directory:
    """Read-only answers about a subscription."""

    def __init__(self, engine: Engine, subscription: Subscription) -> None:
        self._engine = engine
        self._subscription = subscription

    def subscriptions(self, asked: Asked) -> Response:
        """The one there is, for who has a role anywhere in it."""
        seen = access.visible(self._engine.snapshot(), asked.caller, self._subscription.scope)
        return answers.listing([self._subscription.document()] if seen else [])

    def subscription(self, asked: Asked) -> Response:
        """Raises Forbidden."""
        self._visible(asked, "Microsoft.Resources/subscriptions")
        return answers.document(self._subscription.document())

    def tenants(self) -> Response:
        tenant = self._subscription.tenant
        shown = {"tenantId": tenant, "displayName": self._subscription.name, "defaultDomain": DOMAIN}
        return answers.listing(
            [{"id": f"/tenants/{tenant}", **shown, "tenantCategory": "Home", "domains": [shown["defaultDomain"]]}]
        )

    def management_groups(self, asked: Asked, name: str) -> Response:
        """The tenant's root group, which the subscription lies in; there is no other. Raises Forbidden, NotFound."""
        tenant, kind = self._subscription.tenant, "Microsoft.Management/managementGroups"
        snapshot, scope = self._engine.snapshot(), f"/providers/{kind}/{name or tenant}"
        if name:
            access.require(snapshot, asked.caller, f"{kind}/read", scope)
        if name.lower() not in ("", tenant):
            raise errors.NotFound("NotFound", f"'{scope[:300]}' not found. There is the tenant's root group, '{tenant}'.")
        shown = {
            "id": f"/providers/{kind}/{tenant}",
            "type": kind,
            "name": tenant,
            "properties": {"tenantId": tenant, "displayName": "Tenant Root Group"},
        }
        if name:
            return answers.document(shown)
        return answers.listing([shown] if access.permits(snapshot, asked.caller, f"{kind}/read", scope) else [])

    def locations(self, asked: Asked) -> Response:
        """Raises Forbidden."""
        self._visible(asked, "Microsoft.Resources/subscriptions/locations")
        base = f"/subscriptions/{self._subscription.id}/locations"
        return answers.listing(
            [
                {
                    "id": f"{base}/{name}",
                    "name": name,
                    "type": "Region",
                    "displayName": display,
                    "regionalDisplayName": display,
                    "metadata": {"regionType": "Physical", "regionCategory": "Recommended"},
                }
                for name, display in tags.REGIONS.items()
            ]
        )

    def providers(self, asked: Asked, name: str) -> Response:
        """All namespaces, or one. Raises Forbidden, NotFound (`InvalidResourceNamespace`)."""
        self._visible(asked, "Microsoft.Resources/subscriptions/providers")
        if not name:
            return answers.listing([self._provider(spelling) for spelling in PROVIDERS.values()])
        if name.lower() not in PROVIDERS:
            raise unknown_namespace(name)
        return answers.document(self._provider(PROVIDERS[name.lower()]))

    def _provider(self, namespace: str) -> Mapping[str, object]:
        kinds = [
            {
                "resourceType": "/".join(row.kinds),
                "locations": list(tags.REGIONS.values()) if row.located else [],
                "apiVersions": list(row.versions),
                "capabilities": "SupportsTags, SupportsLocation" if row.located else "None",
            }
            for row in rows_of(namespace)
        ]
        return {
            "id": f"/subscriptions/{self._subscription.id}/providers/{namespace}",
            "namespace": namespace,
            "registrationPolicy": "RegistrationRequired",
            "registrationState": "Registered",
            "resourceTypes": kinds,
        }

    def resources(self, asked: Asked, scope: ResourceId) -> Response:
        """`$filter`, `$expand` and `$top`, over what the caller may read. Raises Invalid, Forbidden, NotFound."""
        snapshot = self._engine.snapshot()
        authority.require_sight(snapshot, asked.caller, "Microsoft.Resources/subscriptions/resources", scope)
        if scope.group is not None:
            self._engine.get(scope)
        wanted = matcher(asked.query.get("$filter", ""))
        expand = {word.strip().lower() for word in asked.query.get("$expand", "").split(",")}
        found = [r for r in snapshot if _listed(r) and r.id.within(scope) and wanted(r)]
        found = authority.readable(snapshot, asked.caller, found)
        found.sort(key=lambda r: r.key)
        top = asked.query.get("$top", str(_MOST))
        if not (top.isascii() and top.isdigit() and len(top) <= 9):
            raise errors.Invalid("InvalidTopInQueryString", f"The $top '{top[:50]}' in the query string is not a number.")
        return answers.listing([self._summary(r, expand) for r in found[: int(top)]])

    def _visible(self, asked: Asked, type: str) -> None:
        """What is said about a subscription to everybody who has a role in it. Raises Forbidden."""
        authority.require_sight(self._engine.snapshot(), asked.caller, type, self._subscription.scope)

    def _summary(self, resource: Resource, expand: set[str]) -> Mapping[str, object]:
        shown = documents.summary(self._engine.snapshot(), resource, self._subscription.tenant)
        times = {"createdtime": ("createdTime", resource.created_at), "changedtime": ("changedTime", resource.changed_at)}
        shown |= {name: when.isoformat() for word, (name, when) in times.items() if word in expand}
        if "provisioningstate" in expand:
            shown["provisioningState"] = resource.state.value
        return shown


def unknown_namespace(name: str) -> errors.NotFound:
    return errors.NotFound("InvalidResourceNamespace", f"The resource namespace '{name[:100]}' is invalid.")


def unknown_type(namespace: str, kinds: str, version: str) -> errors.NotFound:
    return errors.NotFound(
        "InvalidResourceType",
        f"The resource type '{kinds[:200]}' could not be found in the namespace '{namespace[:100]}' for api version '{version}'. "
        f"The supported types are '{', '.join('/'.join(row.kinds) for row in rows_of(namespace))}'.",
    )


def row_of(type: str, version: str) -> Row:
    """The row of a type in any casing. Raises NotFound in ARM's words."""
    row = ROWS.get(type.lower())
    if row is not None:
        return row
    namespace, _, kinds = type.partition("/")
    if namespace.lower() not in PROVIDERS:
        raise unknown_namespace(namespace)
    raise unknown_type(PROVIDERS[namespace.lower()], kinds, version)


def _listed(resource: Resource) -> bool:
    """Lists of everything hold top-level resources, as Azure's do."""
    return len(resource.id.types) == 1 and resource.type in ROWS and resource.type not in _APART


_CLAUSE = re.compile(r"(?P<field>[A-Za-z]+)\s+(?P<not>eq|ne)\s+'(?P<value>(?:[^']|'')*)'\s*")
_SUBSTRING = re.compile(r"substringof\(\s*'(?P<value>(?:[^']|'')*)'\s*,\s*(?P<field>[A-Za-z]+)\s*\)\s*", re.IGNORECASE)
_AND = re.compile(r"and\s+", re.IGNORECASE)

_FIELDS: Mapping[str, Callable[[Resource], str]] = {
    "resourcetype": lambda r: r.type,
    "resourcegroup": lambda r: (r.id.group or "").lower(),
    "name": lambda r: r.id.name.lower(),
    "location": lambda r: r.region,
}


def matcher(text: str) -> Callable[[Resource], bool]:
    """`$filter` as a test: eq, ne and substringof over name, resourceType, resourceGroup, location and tags, joined by and.

    Raises Invalid (`InvalidFilterInQueryString`) for everything else: a filter that is not understood filters nothing.
    """
    tests: list[Callable[[Resource], bool]] = []
    tag: dict[str, str] = {}
    rest = text.strip()
    while rest:
        match = _SUBSTRING.match(rest) or _CLAUSE.match(rest)
        if match is None or len(text) > 4096:
            raise _bad_filter(text)
        field, value = match["field"].lower(), match["value"].replace("''", "'")
        if field in ("tagname", "tagvalue") and match.re is _CLAUSE and match["not"] == "eq":
            tag[field] = value
        else:
            tests.append(_test(text, field, value, match))
        rest = rest[match.end() :]
        joined = _AND.match(rest)
        if rest and (joined is None or joined.end() == len(rest)):
            raise _bad_filter(text)
        rest = rest[joined.end() :] if joined is not None else rest
    return lambda r: all(test(r) for test in tests) and _tagged(r, tag)


def _test(text: str, field: str, value: str, match: re.Match[str]) -> Callable[[Resource], bool]:
    read = _FIELDS.get(field)
    if read is None:
        raise _bad_filter(text)
    wanted = region_of(value) if field == "location" else value.lower()
    if match.re is _SUBSTRING:
        return lambda r: wanted in read(r)
    if match["not"] == "ne":
        return lambda r: read(r) != wanted
    return lambda r: read(r) == wanted


def _tagged(resource: Resource, tag: Mapping[str, str]) -> bool:
    if "tagname" not in tag:
        return "tagvalue" not in tag
    values = [value for name, value in resource.tags.items() if name.lower() == tag["tagname"].lower()]
    return bool(values) and ("tagvalue" not in tag or tag["tagvalue"] in values)


def _bad_filter(text: str) -> errors.Invalid:
    return errors.Invalid("InvalidFilterInQueryString", f"Invalid $filter '{text[:200]}' specified in the query string.")
