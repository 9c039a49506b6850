"""The directory's writer: applications, service principals, users and groups, who is in what, who administers it.

Every write is one transaction; reading happens on a frozen value that is loaded again
after a write. This process is the only writer.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping

import sqlalchemy as sa
from pydantic import JsonValue

from ringfence.control import store
from ringfence.control.identities import loading, secrets
from ringfence.control.identities.grants import Grants
from ringfence.control.identities.secrets import Principal
from ringfence.model import errors
from ringfence.model.directory import Credential, Directory, Kind, Object, Relation

#: When the sessions of a person that count began, in their document.
SESSIONS = "signInSessionsValidFromDateTime"


class Identities:
    """The directory of the one tenant. new_salt: 16 random bytes. clock: the time, with a zone."""

    def __init__(self, opened: store.Store, new_salt: Callable[[], bytes], clock: Callable[[], dt.datetime]) -> None:
        self._store = opened
        self.new_salt = new_salt
        self._clock = clock
        self.grants = Grants(opened, new_salt, clock)
        self._lock = threading.Lock()
        self._known: Directory | None = None

    def directory(self) -> Directory:
        """The whole directory, as of the last write."""
        with self._lock:
            if self._known is None:
                with self._store.read() as connection:
                    self._known = loading.load(connection)
            return self._known

    def groups_of(self, object_id: str) -> frozenset[str]:
        """Object ids of all groups that a principal is in, directly or through others."""
        return self.directory().groups_of(object_id)

    def create(
        self,
        kind: Kind,
        document: Mapping[str, JsonValue],
        name: str | None = None,
        *,
        password: str = "",
        links: Iterable[tuple[Relation, str]] = (),
    ) -> Object:
        """A new object; a user with a password, anything with owners and members. name: see `Object`, None takes the object id.

        Raises Conflict.
        """
        object_id = self.new_id()
        row = {
            "object_id": object_id,
            "kind": kind,
            "name": (name or object_id).lower(),
            "document": dict(document),
            "created_at": self._clock().isoformat(),
        }
        linked = [{"relation": r, "holder": object_id, "target": target.lower()} for r, target in dict.fromkeys(links)]
        with self.writing() as connection:
            insert(connection, row, kind)
            if password:
                self.replace_password(connection, object_id, password)
            if linked:
                connection.execute(store.directory_links.insert(), linked)
        return self.need(object_id)

    def need(self, object_id: str) -> Object:
        """Raises NotFound (`Request_ResourceNotFound`)."""
        found = self.directory().get(object_id)
        if found is None:
            raise _missing(object_id)
        return found

    def change(self, object_id: str, document: Mapping[str, JsonValue], name: str | None = None, *, password: str = "") -> None:
        """Replace the document, the name, a password. Who is disabled or has a new password is signed out.

        Raises NotFound, Conflict.
        """
        old, table = self.need(object_id), store.directory_objects
        values: dict[str, object] = {"document": dict(document)}
        if password:
            values["document"] = {**document, SESSIONS: self._clock().isoformat()}
        if name is not None:
            values["name"] = name.lower()
        with self.writing() as connection:
            try:
                connection.execute(table.update().where(table.c.object_id == old.object_id).values(values))
            except sa.exc.IntegrityError as error:
                raise _taken(old.kind) from error
            if password:
                self.replace_password(connection, old.object_id, password)
            if password or (old.enabled and document.get("accountEnabled") is False):
                _forget_grants(connection, old.object_id)

    def delete(self, object_id: str) -> None:
        """Remove an object and all of it; with an application goes its service principal. Raises NotFound."""
        found, table = self.need(object_id), store.directory_objects
        going = [found.object_id]
        if found.kind == "application":
            service = self.directory().named("servicePrincipal", found.name)
            going += [] if service is None else [service.object_id]
        with self.writing() as connection:
            connection.execute(table.delete().where(table.c.object_id.in_(going)))
            connection.execute(store.directory_links.delete().where(store.directory_links.c.target.in_(going)))

    def link(self, relation: Relation, holder: str, target: str) -> None:
        """Make `target` a member or an owner. Raises Conflict when it is one."""
        row = {"relation": relation, "holder": holder, "target": target.lower()}
        with self.writing() as connection:
            try:
                connection.execute(store.directory_links.insert(), [row])
            except sa.exc.IntegrityError as error:
                message = (
                    f"One or more added object references already exist for the following modified properties: '{relation}s'."
                )
                raise errors.Conflict("Request_BadRequest", message) from error

    def unlink(self, relation: Relation, holder: str, target: str) -> bool:
        """Returns whether it was one."""
        table = store.directory_links
        mine = (table.c.relation == relation) & (table.c.holder == holder) & (table.c.target == target.lower())
        with self.writing() as connection:
            return connection.execute(table.delete().where(mine)).rowcount > 0

    def add_secret(
        self, owner: str, label: str | None = None, starts_at: dt.datetime | None = None, ends_at: dt.datetime | None = None
    ) -> tuple[Credential, str]:
        """A new secret of an application, and its text, which is never known again. It holds two years unless told."""
        text = base64.urlsafe_b64encode(self.new_salt() + self.new_salt()).decode().rstrip("=")
        begins = starts_at or self._clock()
        credential = Credential(
            key_id=self.new_id(),
            label=label,
            hint=text[:3],
            starts_at=begins,
            ends_at=ends_at or begins + dt.timedelta(days=730),
        )
        with self.writing() as connection:
            secrets.insert(connection, owner, credential, text, self.new_salt())
        return credential, text

    def remove_secret(self, owner: str, key_id: str) -> bool:
        """Returns whether there was one. Tokens that were given for it hold until they expire, as in Entra."""
        table = store.credentials
        with self.writing() as connection:
            found = connection.execute(table.delete().where((table.c.owner == owner) & (table.c.key_id == key_id.lower())))
            return found.rowcount > 0

    def set_password(self, user: str, password: str) -> None:
        """Replace a person's password. Every session ends with the old one. Raises NotFound."""
        self.change(user, self.need(user).document, password=password)

    def standing(self, object_id: str, issued_at: dt.datetime) -> frozenset[str] | None:
        """The groups of an object that a token of `issued_at` still speaks for.

        None: it is gone or disabled, or has signed out everywhere since. Entra lets most tokens run
        out instead; here nothing outlives who it stands for.
        """
        directory = self.directory()
        found = directory.get(object_id)
        if found is None or not found.enabled:
            return None
        since = found.document.get(SESSIONS)
        if isinstance(since, str) and issued_at < dt.datetime.fromisoformat(since).replace(microsecond=0):
            return None
        return directory.groups_of(object_id)

    def sign_out(self, user: str) -> None:
        """End every session of a person. Raises NotFound."""
        found, table = self.need(user), store.directory_objects
        changed = {**found.document, SESSIONS: self._clock().isoformat()}
        with self.writing() as connection:
            connection.execute(table.update().where(table.c.object_id == found.object_id).values(document=changed))
            _forget_grants(connection, found.object_id)

    def authenticate(self, client_id: str, secret: str) -> Principal:
        """The application whose secret this is. Raises Expired, Unauthenticated (`invalid_client`)."""
        directory, client = self.directory(), client_id.lower()
        service = directory.named("servicePrincipal", client)
        owners = frozenset(o.object_id for o in (directory.named("application", client), service) if o is not None)
        with self._store.read() as connection:
            secrets.check_secret(connection, owners, secret, self._clock())
        if service is None:
            raise errors.Unauthenticated("invalid_client", "The application has no service principal in the tenant.")
        return _principal(service)

    def get(self, client_id: str) -> Principal | None:
        """The service principal of an application, by client id."""
        found = self.directory().named("servicePrincipal", client_id)
        return None if found is None else _principal(found)

    def sign_in(self, name: str, password: str) -> Object:
        """The person whose password this is. Raises Unauthenticated (`invalid_grant`)."""
        person = self.directory().named("user", name)
        with self._store.read() as connection:
            secrets.check_password(connection, person, password)
        assert person is not None
        return person

    def replace_password(self, connection: sa.Connection, user: str, password: str) -> None:
        """Inside a transaction of `writing`."""
        secrets.replace_password(connection, user, password, self.new_salt(), self._clock())

    def new_id(self) -> str:
        """A new GUID."""
        return str(uuid.UUID(bytes=self.new_salt(), version=4))

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction; what is known in memory is read again after it."""
        with self._store.begin() as connection:
            yield connection
        with self._lock:
            self._known = None


def insert(connection: sa.Connection, row: Mapping[str, object], kind: Kind) -> None:
    """A row of an object. Raises Conflict when another of its kind has its name."""
    try:
        connection.execute(store.directory_objects.insert(), [dict(row)])
    except sa.exc.IntegrityError as error:
        raise _taken(kind) from error


def _taken(kind: Kind) -> errors.Conflict:
    property = "userPrincipalName" if kind == "user" else "appId"
    return errors.Conflict("Request_BadRequest", f"Another object with the same value for property {property} already exists.")


def _missing(object_id: str) -> errors.NotFound:
    """In Graph's words."""
    return errors.NotFound(
        "Request_ResourceNotFound",
        f"Resource '{object_id[:100]}' does not exist or one of its queried reference-property objects are not present.",
    )


def _forget_grants(connection: sa.Connection, user: str) -> None:
    connection.execute(store.grants.delete().where(store.grants.c.user_id == user))


def _principal(service: Object) -> Principal:
    return Principal(client_id=service.name, object_id=service.object_id, display_name=service.display_name)
