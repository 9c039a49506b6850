"""Who may write in the directory (Entra's default user permissions).

Global Administrators everything. Everybody may read. People may register applications and
create security groups, and own what they made; owners may change what they own. An
application without a directory role writes nothing.
"""

from __future__ import annotations

from ringfence.api.graph import wording
from ringfence.api.graph.asked import Asked
from ringfence.model.directory import Relation


def administers(asked: Asked) -> bool:
    return asked.view.directory.administers(asked.caller.object_id)


def require_administrator(asked: Asked) -> None:
    """Raises Forbidden (`Authorization_RequestDenied`)."""
    if not administers(asked):
        raise wording.denied()


def require_creator(asked: Asked) -> None:
    """May register applications and create groups: people. Raises Forbidden."""
    caller = asked.view.directory.get(asked.caller.object_id)
    if not administers(asked) and (caller is None or caller.kind != "user"):
        raise wording.denied()


def require_owner(asked: Asked, object_id: str) -> None:
    """May change this object. Raises Forbidden."""
    if not administers(asked) and asked.caller.object_id not in asked.view.directory.held("owner", object_id):
        raise wording.denied()


def owner(asked: Asked) -> tuple[tuple[Relation, str], ...]:
    """Who owns what this request creates: the person who makes it."""
    caller = asked.view.directory.get(asked.caller.object_id)
    return (("owner", caller.object_id),) if caller is not None and caller.kind == "user" else ()
