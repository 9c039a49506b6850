"""Blobs of storage accounts: which name stands for which content.

Rows here, contents in `content`. A content is stored first and its row written in one
transaction after it, so that a name never stands for half a content; contents without
a row are swept at the start. An account is told from its predecessor of the same name
by its time of creation, so that a new account starts empty. Signatures and Azure's
wording are in `api/blob`.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from ringfence.control import store
from ringfence.control.content import Content, Contents
from ringfence.model import errors, serving, storage
from ringfence.model.resource import Resource, Snapshot

_ACCOUNTS = sa.Table(
    "storage_keys",
    store.metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("key", sa.LargeBinary, nullable=False),
)
_CONTAINERS = sa.Table(
    "containers",
    store.metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("container", sa.Text, primary_key=True),
)
_BLOBS = sa.Table(
    "blobs",
    store.metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("container", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False, index=True),
    sa.Column("md5", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("etag", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Text, nullable=False),
)
_BLOCKS = sa.Table(
    "blocks",
    store.metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("container", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("block", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)

#: How long blocks that no list has named are kept (Azure Storage: a week).
_BLOCKS_KEPT = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a blob is. account: an `account_of` value."""

    account: str
    container: str
    name: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob as it stands. sizes in bytes; etag without quotes."""

    name: str
    content: Content
    content_type: str
    metadata: Mapping[str, str]
    etag: str
    created_at: dt.datetime
    changed_at: dt.datetime


@dataclass(frozen=True, slots=True)
class About:
    """What a writer says of a blob."""

    content_type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to be true at the moment of writing. absent: no such blob yet; etag: exactly this one."""

    absent: bool = False
    etag: str | None = None


def account_of(resource: Resource) -> str:
    """The account's identity in this module: the resource and when it was made."""
    return f"{resource.key}|{resource.created_at.isoformat()}"


def in_use(snapshot: Snapshot) -> frozenset[str]:
    """The contents that resources name by themselves: they stay even if their blob is deleted."""
    assets = (r.properties for r in snapshot.of_type(serving.ASSET))
    services = (r.properties for r in snapshot.of_type(serving.SERVICE))
    of_assets = {blob.sha256 for asset in assets if isinstance(asset, serving.Asset) for blob in asset.blobs}
    of_services = {file.blob for service in services if isinstance(service, serving.Service) for file in service.files}
    return frozenset(of_assets | of_services)


class Blobs:
    """The blob service's memory. Every method may be called from any thread."""

    def __init__(
        self, opened: store.Store, contents: Contents, clock: Callable[[], dt.datetime], new_id: Callable[[], str]
    ) -> None:
        self._store = opened
        self.contents = contents
        self._clock = clock
        self._new_id = new_id

    def sweep(self, snapshot: Snapshot, also: frozenset[str] = frozenset()) -> int:
        """At the start: forget what belonged to accounts that are gone, and blocks that no list named for a week.

        Then contents that nothing names are removed. also: those that others name. Returns how many files went.
        """
        alive = {account_of(r) for r in snapshot.of_type(storage.STORAGE_ACCOUNT)}
        old = (self._clock() - _BLOCKS_KEPT).isoformat()
        with self._store.begin() as connection:
            for table in (_ACCOUNTS, _CONTAINERS, _BLOBS, _BLOCKS):
                known = set(connection.scalars(sa.select(table.c.account).distinct()))
                for gone in known - alive:
                    connection.execute(sa.delete(table).where(table.c.account == gone))
            connection.execute(sa.delete(_BLOCKS).where(_BLOCKS.c.created_at < old))
            named = set(connection.scalars(sa.select(_BLOBS.c.sha256))) | set(connection.scalars(sa.select(_BLOCKS.c.sha256)))
        return self.contents.sweep(named | in_use(snapshot) | also)

    def key(self, account: str) -> bytes:
        """The account's signing key, 64 random bytes made when first asked for."""
        query = sa.select(_ACCOUNTS.c.key).where(_ACCOUNTS.c.account == account)
        with self._store.read() as connection:
            found = connection.scalar(query)
        if found is None:
            with self._store.begin() as connection:
                fresh = {"account": account, "key": secrets.token_bytes(64)}
                connection.execute(sa.insert(_ACCOUNTS).prefix_with("OR IGNORE").values(fresh))
                found = connection.scalar(query)
        assert found is not None
        return bytes(found)

    def ensure_container(self, account: str, container: str) -> None:
        """Make the container unless it is there."""
        if not self.has_container(account, container):
            with self._store.begin() as connection:
                row = {"account": account, "container": container}
                connection.execute(sa.insert(_CONTAINERS).prefix_with("OR IGNORE").values(row))

    def has_container(self, account: str, container: str) -> bool:
        query = sa.select(_CONTAINERS.c.container).where(_CONTAINERS.c.account == account, _CONTAINERS.c.container == container)
        with self._store.read() as connection:
            return connection.scalar(query) is not None

    def find(self, at: Address) -> Blob | None:
        with self._store.read() as connection:
            return _blob(_row(connection, at))

    def get(self, at: Address) -> Blob:
        """Raises errors.NotFound: ContainerNotFound or BlobNotFound."""
        found = self.find(at)
        if found is None:
            if not self.has_container(at.account, at.container):
                raise errors.NotFound("ContainerNotFound", f"There is no container {at.container!r}.")
            raise errors.NotFound("BlobNotFound", f"There is no blob {at.name!r} in the container {at.container!r}.")
        return found

    def put(self, at: Address, content: Content, about: About, condition: Condition) -> Blob:
        """Let a name stand for a stored content; one transaction. Raises NotFound, Conflict, PreconditionFailed."""
        with self._store.begin() as connection:
            return self._write(connection, at, content, about, condition)

    def stage(self, at: Address, block: str, content: Content) -> None:
        """Keep a block until a list names it. Raises errors.NotFound for a missing container."""
        with self._store.begin() as connection:
            self._need_container(connection, at)
            values = {"account": at.account, "container": at.container, "name": at.name, "block": block}
            now = self._clock().isoformat()
            insert = sa.insert(_BLOCKS).prefix_with("OR REPLACE").values(**values, sha256=content.sha256, created_at=now)
            connection.execute(insert)

    def staged(self, at: Address) -> Mapping[str, str]:
        """The uncommitted blocks of a name: block id -> content."""
        query = sa.select(_BLOCKS.c.block, _BLOCKS.c.sha256).where(*_at(_BLOCKS, at))
        with self._store.read() as connection:
            return {block: sha256 for block, sha256 in connection.execute(query)}

    def commit(self, at: Address, content: Content, about: About, condition: Condition) -> Blob:
        """As `put`, and forget the uncommitted blocks of the name."""
        with self._store.begin() as connection:
            blob = self._write(connection, at, content, about, condition)
            connection.execute(sa.delete(_BLOCKS).where(*_at(_BLOCKS, at)))
            return blob

    def set_metadata(self, at: Address, metadata: Mapping[str, str], condition: Condition) -> Blob:
        """Replace a blob's metadata. Raises NotFound, PreconditionFailed."""
        with self._store.begin() as connection:
            self._need_container(connection, at)
            self._judge(_row(connection, at), condition)
            if _row(connection, at) is None:
                raise errors.NotFound("BlobNotFound", f"There is no blob {at.name!r} in the container {at.container!r}.")
            changed = {"metadata": json.dumps(dict(metadata)), "etag": self._etag(), "changed_at": self._clock().isoformat()}
            connection.execute(sa.update(_BLOBS).where(*_at(_BLOBS, at)).values(changed))
            blob = _blob(_row(connection, at))
            assert blob is not None
            return blob

    def delete(self, at: Address) -> None:
        """Take a name away; its content goes at the next sweep, unless something else names it. Raises errors.NotFound."""
        with self._store.begin() as connection:
            self._need_container(connection, at)
            if connection.execute(sa.delete(_BLOBS).where(*_at(_BLOBS, at))).rowcount == 0:
                raise errors.NotFound("BlobNotFound", f"There is no blob {at.name!r} in the container {at.container!r}.")

    def list(self, account: str, container: str, prefix: str, after: str, most: int) -> Sequence[Blob]:
        """Blobs by name, beyond `after`, at most `most`. Raises errors.NotFound for a missing container."""
        query = (
            sa.select(_BLOBS)
            .where(_BLOBS.c.account == account, _BLOBS.c.container == container, _BLOBS.c.name > after)
            .where(sa.func.substr(_BLOBS.c.name, 1, len(prefix)) == prefix)
            .order_by(_BLOBS.c.name)
            .limit(most)
        )
        with self._store.read() as connection:
            self._need_container(connection, Address(account, container, ""))
            return [blob for row in connection.execute(query) if (blob := _blob(row)) is not None]

    def _write(self, connection: sa.Connection, at: Address, content: Content, about: About, condition: Condition) -> Blob:
        self._need_container(connection, at)
        old = _row(connection, at)
        self._judge(old, condition)
        now = self._clock().isoformat()
        row = {"account": at.account, "container": at.container, "name": at.name}
        row |= {"sha256": content.sha256, "md5": content.md5, "content_type": about.content_type}
        row |= {"metadata": json.dumps(dict(about.metadata)), "etag": self._etag(), "changed_at": now}
        row |= {"created_at": now if old is None else old.created_at}
        connection.execute(sa.insert(_BLOBS).prefix_with("OR REPLACE").values(**row, size=content.size))
        blob = _blob(_row(connection, at))
        assert blob is not None
        return blob

    def _judge(self, row: sa.Row[tuple[object, ...]] | None, condition: Condition) -> None:
        if condition.absent and row is not None:
            raise errors.Conflict("BlobAlreadyExists", "The blob exists already.")
        if condition.etag is not None and (row is None or row.etag != condition.etag):
            raise errors.PreconditionFailed("ConditionNotMet", "The blob's ETag is another one.")

    def _need_container(self, connection: sa.Connection, at: Address) -> None:
        here = _CONTAINERS.c.account == at.account, _CONTAINERS.c.container == at.container
        if connection.scalar(sa.select(_CONTAINERS.c.container).where(*here)) is None:
            raise errors.NotFound("ContainerNotFound", f"There is no container {at.container!r}.")

    def _etag(self) -> str:
        return "0x8" + self._new_id().replace("-", "").upper()[:14]


def _at(table: sa.Table, at: Address) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.account == at.account, table.c.container == at.container, table.c.name == at.name


def _row(connection: sa.Connection, at: Address) -> sa.Row[tuple[object, ...]] | None:
    return connection.execute(sa.select(_BLOBS).where(*_at(_BLOBS, at))).first()


def _blob(row: sa.Row[tuple[object, ...]] | None) -> Blob | None:
    if row is None:
        return None
    return Blob(
        name=row.name,
        content=Content(row.sha256, row.md5, row.size),
        content_type=row.content_type,
        metadata=json.loads(row.metadata),
        etag=row.etag,
        created_at=dt.datetime.fromisoformat(row.created_at),
        changed_at=dt.datetime.fromisoformat(row.changed_at),
    )
