"""References between objects: members and owners, added by `$ref` and removed; the groups that something is in."""

from __future__ import annotations

from collections.abc import Iterable

from ringfence.api.graph import rights, wording
from ringfence.api.graph.asked import NOTHING, Answer, Asked
from ringfence.api.graph.documents import Document
from ringfence.control.identities import Identities
from ringfence.model.directory import Kind, Relation


def find(asked: Asked, kind: Kind, key: str) -> str:
    """The object id behind a path's key: an object id, a UPN, or an application id as `appId='…'`. Raises NotFound."""
    directory, given = asked.view.directory, key
    if key.startswith("appId="):
        given = key.partition("=")[2].strip("'\"")
        named = directory.named(kind, given)
        document = asked.view.get(named.object_id) if named is not None else _by_app_id(asked, kind, given)
    elif kind == "user" and "@" in key:
        named = directory.named("user", key)
        document = asked.view.get(named.object_id) if named is not None else None
    else:
        document = asked.view.get(key)
    if document is None or document["@odata.type"] != f"#microsoft.graph.{kind}":
        raise wording.missing(given)
    return str(document["id"])


def _by_app_id(asked: Asked, kind: Kind, client_id: str) -> Document | None:
    """Managed identities have application ids, and no application."""
    return next((d for d in asked.view.all(kind) if d.get("appId") == client_id.lower()), None)


def stored(asked: Asked, kind: Kind, key: str) -> str:
    """As `find`, of an object that can be changed: a managed identity is its resource's. Raises Invalid, NotFound."""
    found = find(asked, kind, key)
    if asked.view.directory.get(found) is None:
        raise wording.bad(
            f"The service principal '{found}' is a managed identity. It comes and goes with its Azure resource; change that."
        )
    return found


def held(asked: Asked, relation: Relation, holder: str) -> Answer:
    """The members or owners of an object."""
    return asked.many(asked.view.these(asked.view.directory.held(relation, holder)), "directoryObjects")


def transitive_members(asked: Asked, group: str) -> Answer:
    """Members of a group and of the groups in it."""
    found: dict[str, None] = {}
    left = [group]
    while left:
        for member in asked.view.directory.held("member", left.pop()):
            if member not in found:
                found[member] = None
                left.append(member)
    return asked.many(asked.view.these(found), "directoryObjects")


def groups(asked: Asked, object_id: str, *, transitive: bool) -> Answer:
    """The groups that an object is in, and its directory roles."""
    directory = asked.view.directory
    ids = directory.groups_of(object_id) if transitive else directory.holders("member", object_id)
    return asked.many([*asked.view.these(sorted(ids)), *asked.view.roles_of(object_id)], "directoryObjects")


def group_ids(asked: Asked, object_id: str, *, roles: bool = False) -> Answer:
    """`getMemberGroups`, and with roles `getMemberObjects`."""
    only = asked.body.get("securityEnabledOnly")
    if not isinstance(only, bool | None):
        raise wording.invalid_value("securityEnabledOnly")
    found = sorted(asked.view.directory.groups_of(object_id))
    more = sorted(asked.view.directory.roles.get(object_id, frozenset())) if roles and not only else []
    return asked.strings([*found, *more])


def check_groups(asked: Asked, object_id: str) -> Answer:
    """`checkMemberGroups`: which of these the object is in."""
    wanted = strings(asked, "groupIds", 20)
    return asked.strings([id for id in wanted if id.lower() in asked.view.directory.groups_of(object_id)])


def add(asked: Asked, identities: Identities, relation: Relation, holder: str) -> Answer:
    """`POST …/members/$ref`. Raises Forbidden, NotFound, Conflict."""
    rights.require_owner(asked, holder)
    target = asked.view.need(_referred(asked))
    if target["id"] == holder:
        raise wording.bad("A group cannot be a member of itself.")
    if target["@odata.type"] == "#microsoft.graph.application":
        raise wording.bad(f"An invalid operation was included in the following modified references: '{relation}s'.")
    identities.link(relation, holder, str(target["id"]))
    return NOTHING


def remove(asked: Asked, identities: Identities, relation: Relation, holder: str, target: str) -> Answer:
    """`DELETE …/members/{id}/$ref`. Raises Forbidden, NotFound."""
    rights.require_owner(asked, holder)
    if not identities.unlink(relation, holder, target):
        raise wording.missing(target)
    return NOTHING


def strings(asked: Asked, name: str, most: int) -> list[str]:
    """A list of strings in the body. Raises Invalid."""
    found = asked.body.get(name)
    if not isinstance(found, list):
        raise wording.required(name)
    texts = [one for one in found if isinstance(one, str)]
    if len(texts) != len(found) or len(texts) > most:
        raise wording.bad(f"'{name}' is a list of at most {most} strings.")
    return texts


def bound(asked: Asked, name: str) -> Iterable[str]:
    """Object ids of `owners@odata.bind` and its kin."""
    if f"{name}@odata.bind" not in asked.body:
        return ()
    ids = [_last_id(url) for url in strings(asked, f"{name}@odata.bind", 20)]
    return [str(asked.view.need(id)["id"]) for id in ids]


def _referred(asked: Asked) -> str:
    return _last_id(asked.text("@odata.id"))


def _last_id(url: str) -> str:
    """The object id at the end of a reference, `…/directoryObjects/{id}` or `…/users('{id}')`."""
    return url.rstrip("/").rpartition("/")[2].rpartition("(")[2].strip("()'\"")
