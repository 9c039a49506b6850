"""Objects of every kind, and what stands around them: the organization, its domains and directory roles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from ringfence.api.graph import links, wording
from ringfence.api.graph.asked import Answer, Asked, Row
from ringfence.api.graph.view import role
from ringfence.model.directory import DOMAIN, GLOBAL_ADMINISTRATOR

_MOST = 1000
_ANY = "directoryobject"


def rows() -> tuple[Row, ...]:
    """The handlers."""
    return (
        ("POST", "directoryObjects/getByIds", _get_by_ids),
        ("GET", "directoryObjects/{}", _get),
        ("POST", "directoryObjects/{}/checkMemberGroups", lambda asked, key: links.check_groups(asked, _id(asked, key))),
        ("POST", "directoryObjects/{}/getMemberGroups", lambda asked, key: links.group_ids(asked, _id(asked, key))),
        ("POST", "directoryObjects/{}/getMemberObjects", lambda asked, key: links.group_ids(asked, _id(asked, key), roles=True)),
        ("GET", "servicePrincipals/{}/memberOf", partial(_groups, False)),
        ("GET", "servicePrincipals/{}/transitiveMemberOf", partial(_groups, True)),
        ("POST", "servicePrincipals/{}/getMemberGroups", lambda asked, key: links.group_ids(asked, _id(asked, key))),
        ("POST", "servicePrincipals/{}/getMemberObjects", lambda asked, key: links.group_ids(asked, _id(asked, key), roles=True)),
        ("GET", "organization", _organization),
        ("GET", "domains", _domains),
        ("GET", "directoryRoles", lambda asked: asked.many([role(GLOBAL_ADMINISTRATOR)], "directoryRoles")),
        ("GET", "directoryRoles/{}/members", _role_members),
        ("GET", "oauth2PermissionGrants", lambda asked: asked.many([], "oauth2PermissionGrants")),
    )


def _id(asked: Asked, key: str) -> str:
    return str(asked.view.need(key)["id"])


def _get(asked: Asked, key: str) -> Answer:
    found = asked.view.need(key)
    answer = asked.one(found, "directoryObjects")
    assert answer.body is not None
    return Answer(200, {**answer.body, "@odata.type": found["@odata.type"]})


def _groups(transitive: bool, asked: Asked, key: str) -> Answer:
    return links.groups(asked, links.find(asked, "servicePrincipal", key), transitive=transitive)


def _get_by_ids(asked: Asked) -> Answer:
    """Those of the ids that exist and are of the kinds asked for."""
    ids = links.strings(asked, "ids", _MOST)
    kinds = {kind.lower() for kind in (links.strings(asked, "types", 50) if asked.body.get("types") else [_ANY])}
    found = asked.view.these(dict.fromkeys(ids))
    wanted = [d for d in found if _ANY in kinds or str(d["@odata.type"]).rpartition(".")[2].lower() in kinds]
    shown = [{name: value for name, value in d.items() if not name.startswith("_")} for d in wanted]
    return Answer(
        200, {"@odata.context": f"https://graph.microsoft.com/{asked.version}/$metadata#directoryObjects", "value": shown}
    )


def _role_members(asked: Asked, key: str) -> Answer:
    if key.removeprefix("roleTemplateId=").strip("'") != GLOBAL_ADMINISTRATOR:
        raise wording.missing(key)
    return asked.many(asked.view.these(sorted(asked.view.directory.roles)), "directoryObjects")


def _domain() -> Mapping[str, object]:
    return {
        "id": DOMAIN,
        "authenticationType": "Managed",
        "isDefault": True,
        "isInitial": True,
        "isVerified": True,
        "isRoot": True,
    }


def _domains(asked: Asked) -> Answer:
    return asked.many([dict(_domain())], "domains")


def _organization(asked: Asked) -> Answer:
    verified = {"capabilities": "Email", "isDefault": True, "isInitial": True, "name": DOMAIN, "type": "Managed"}
    shown = {"id": asked.view.tenant, "displayName": "Ringfence", "tenantType": "AAD", "verifiedDomains": [verified]}
    return asked.many([shown], "organization")
