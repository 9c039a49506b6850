"""The first administrator, as the state folder's `admin.json` names it: an application and a person."""

from __future__ import annotations

import datetime as dt
import uuid

import sqlalchemy as sa
from pydantic import JsonValue

from ringfence.control import store
from ringfence.control.identities import secrets
from ringfence.control.identities.directory import Identities, insert
from ringfence.control.identities.secrets import Principal
from ringfence.model import errors
from ringfence.model.directory import DOMAIN, GLOBAL_ADMINISTRATOR, Credential, Kind

#: The person that operators without a browser sign in as.
PERSON = f"admin@{DOMAIN}"


def person_id(principal: Principal) -> str:
    """The object id of the person."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"person {principal.object_id.lower()}"))


def ensure(identities: Identities, principal: Principal, secret: str, now: dt.datetime) -> None:
    """The application may sign in with `secret`, which is the person's first password too; both administer the directory.

    Applied again, it restores what is missing, and a secret that stands in `admin.json` replaces others.
    """
    application = str(uuid.uuid5(uuid.NAMESPACE_OID, f"application {principal.client_id.lower()}"))
    client = principal.client_id.lower()
    wanted: tuple[tuple[Kind, str, str], ...] = (
        ("application", application, client),
        ("servicePrincipal", principal.object_id.lower(), client),
        ("user", person_id(principal), PERSON),
    )
    with identities.writing() as connection:
        for kind, object_id, name in wanted:
            made = not _there(connection, store.directory_objects.c.object_id == object_id)
            if made and _there(connection, (store.directory_objects.c.kind == kind) & (store.directory_objects.c.name == name)):
                continue  # the name of a person who was removed, given to another one since
            if made:
                _make(connection, kind, object_id, name, principal.display_name, now)
            if kind == "application":
                _have_secret(identities, connection, object_id, secret, now)
            elif made and kind == "user":
                identities.replace_password(connection, object_id, secret)
            if kind != "application":
                role = {"role": GLOBAL_ADMINISTRATOR, "principal": object_id}
                connection.execute(store.directory_roles.insert().prefix_with("OR IGNORE"), [role])


def _there(connection: sa.Connection, which: sa.ColumnElement[bool]) -> bool:
    return connection.execute(sa.select(store.directory_objects.c.name).where(which)).first() is not None


def _make(connection: sa.Connection, kind: Kind, object_id: str, name: str, shown: str, now: dt.datetime) -> None:
    document: dict[str, JsonValue] = {"displayName": shown}
    if kind == "user":
        document |= {"userPrincipalName": name, "mailNickname": name.partition("@")[0], "accountEnabled": True}
    row = {"object_id": object_id, "kind": kind, "name": name, "document": document, "created_at": now.isoformat()}
    insert(connection, row, kind)


def _have_secret(identities: Identities, connection: sa.Connection, owner: str, text: str, now: dt.datetime) -> None:
    try:
        secrets.check_secret(connection, frozenset({owner}), text, now)
    except errors.Unauthenticated:
        table = store.credentials
        connection.execute(table.delete().where(table.c.owner == owner))
        given = Credential(key_id=identities.new_id(), label=None, hint=text[:3], starts_at=now, ends_at=secrets.FOREVER)
        secrets.insert(connection, owner, given, text, identities.new_salt())
