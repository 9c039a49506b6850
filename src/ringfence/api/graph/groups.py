"""Security groups: creation, members, owners, removal."""

from __future__ import annotations

from functools import partial

from pydantic import JsonValue

from ringfence.api.graph import documents, links, rights, wording
from ringfence.api.graph.asked import NOTHING, Answer, Asked, Row
from ringfence.control.identities import Identities
from ringfence.model.directory import Relation

_ALLOWED = frozenset({"displayName", "description", "mailEnabled", "mailNickname", "securityEnabled", "visibility", "groupTypes"})


class Groups:
    """The handlers."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    def rows(self) -> tuple[Row, ...]:
        found: list[Row] = [
            ("GET", "groups", lambda asked: asked.many(asked.view.all("group"), "groups")),
            ("POST", "groups", self._create),
            ("GET", "groups/{}", lambda asked, key: asked.one(asked.view.need(links.find(asked, "group", key)), "groups")),
            ("PATCH", "groups/{}", self._change),
            ("DELETE", "groups/{}", self._delete),
            ("GET", "groups/{}/transitiveMembers", lambda asked, key: links.transitive_members(asked, _id(asked, key))),
            ("GET", "groups/{}/memberOf", lambda asked, key: links.groups(asked, _id(asked, key), transitive=False)),
            ("GET", "groups/{}/transitiveMemberOf", lambda asked, key: links.groups(asked, _id(asked, key), transitive=True)),
            ("POST", "groups/{}/getMemberGroups", lambda asked, key: links.group_ids(asked, _id(asked, key))),
            ("POST", "groups/{}/getMemberObjects", lambda asked, key: links.group_ids(asked, _id(asked, key))),
            ("POST", "groups/{}/checkMemberGroups", lambda asked, key: links.check_groups(asked, _id(asked, key))),
        ]
        relations: tuple[Relation, ...] = ("member", "owner")
        for relation in relations:
            found += [
                ("GET", f"groups/{{}}/{relation}s", partial(self._held, relation)),
                ("POST", f"groups/{{}}/{relation}s/$ref", partial(self._add, relation)),
                ("DELETE", f"groups/{{}}/{relation}s/{{}}/$ref", partial(self._remove, relation)),
            ]
        return tuple(found)

    def _create(self, asked: Asked) -> Answer:
        rights.require_creator(asked)
        document = _read(asked)
        for name in ("mailEnabled", "securityEnabled"):
            if name not in document:
                raise wording.required(name)
        for name in ("displayName", "mailNickname"):
            asked.text(name)
        relations: tuple[Relation, ...] = ("member", "owner")
        bound = [(relation, id) for relation in relations for id in links.bound(asked, f"{relation}s")]
        made = self._identities.create("group", document, links=[*rights.owner(asked), *bound])
        return asked.one(documents.of(self._identities.directory(), made, asked.view.tenant), "groups", 201)

    def _change(self, asked: Asked, key: str) -> Answer:
        found = _id(asked, key)
        rights.require_owner(asked, found)
        merged = {**self._identities.need(found).document, **_read(asked)}
        self._identities.change(found, {name: value for name, value in merged.items() if value is not None})
        return NOTHING

    def _delete(self, asked: Asked, key: str) -> Answer:
        found = _id(asked, key)
        rights.require_owner(asked, found)
        self._identities.delete(found)
        return NOTHING

    def _held(self, relation: Relation, asked: Asked, key: str) -> Answer:
        return links.held(asked, relation, _id(asked, key))

    def _add(self, relation: Relation, asked: Asked, key: str) -> Answer:
        return links.add(asked, self._identities, relation, _id(asked, key))

    def _remove(self, relation: Relation, asked: Asked, key: str, target: str) -> Answer:
        return links.remove(asked, self._identities, relation, _id(asked, key), target)


def _id(asked: Asked, key: str) -> str:
    return links.find(asked, "group", key)


def _read(asked: Asked) -> dict[str, JsonValue]:
    """Security groups only: nothing here delivers mail, and nothing works out who is in a dynamic group."""
    found = {name: value for name, value in asked.body.items() if "@odata." not in name}
    for name in found:
        if name not in _ALLOWED:
            raise wording.invalid_property(name)
    if found.get("mailEnabled", False) is not False or found.get("securityEnabled", True) is not True or found.get("groupTypes"):
        raise wording.bad("Ringfence serves security groups: mailEnabled is false, securityEnabled is true, groupTypes is empty.")
    if "displayName" in found and not (isinstance(found["displayName"], str) and 0 < len(found["displayName"]) <= 256):
        raise wording.invalid_value("displayName")
    return found
