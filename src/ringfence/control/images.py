"""Images of container registries: which repository holds which manifests, tags and blobs.

Rows here, contents in `content`. A content is stored first and its row written in one transaction
after it, so that everything a client was told is kept survives any crash. An upload is a row and
the contents of its chunks: a client goes on with it after a restart where the last chunk ended.
Wording and rights are `api/registry`'s. A registry is told from its predecessor of the same name
by its time of creation, so that a new one starts empty.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ringfence.control import store
from ringfence.control.blobs import account_of
from ringfence.control.content import Content, Contents
from ringfence.model import errors, registry
from ringfence.model.resource import Snapshot


def _table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    where = (sa.Column(part, sa.Text, primary_key=True) for part in ("registry", "repository"))
    return sa.Table(name, store.metadata, *where, *columns)


_BLOBS = _table(
    "registry_blobs",
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)
_MANIFESTS = _table(
    "registry_manifests",
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("media_type", sa.Text, nullable=False),
    sa.Column("artifact_type", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("annotations", sa.JSON, nullable=False),
    sa.Column("image_size", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)
#: What a manifest refers to: blobs, and manifests of an index.
_LINKS = _table(
    "registry_links",
    sa.Column("manifest", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True),
)
_TAGS = _table(
    "registry_tags",
    sa.Column("tag", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Text, nullable=False),
)
_UPLOADS = _table(
    "registry_uploads",
    sa.Column("upload", sa.Text, primary_key=True),
    sa.Column("created_at", sa.Text, nullable=False),
)
_CHUNKS = _table(
    "registry_chunks",
    sa.Column("upload", sa.Text, primary_key=True),
    sa.Column("begin", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
)
_TABLES = (_BLOBS, _MANIFESTS, _LINKS, _TAGS, _UPLOADS, _CHUNKS)

#: How long uploads that were not finished, and blobs that no manifest came to name, are kept.
_KEPT = dt.timedelta(days=7)
#: Bytes of one blob: as Azure Container Registry limits a layer.
MOST_BLOB = 200 * 1024**3
MOST_MANIFEST = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Repository:
    """Where images are. registry: a `blobs.account_of` value."""

    registry: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A stored manifest. sha256: without the algorithm. subject: the digest it refers to, or "". image_size: of all it names."""

    sha256: str
    size: int
    media_type: str
    artifact_type: str = ""
    subject: str = ""
    annotations: dict[str, str]
    image_size: int = 0
    created_at: dt.datetime

    @property
    def digest(self) -> str:
        return f"sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    sha256: str
    created_at: dt.datetime
    changed_at: dt.datetime


class Images:
    """The registries' memory. Every method may be called from any thread."""

    def __init__(
        self, opened: store.Store, contents: Contents, clock: Callable[[], dt.datetime], new_id: Callable[[], str]
    ) -> None:
        self._store = opened
        self.contents = contents
        self._clock = clock
        self._new_id = new_id

    def now(self) -> dt.datetime:
        return self._clock()

    def sweep(self, snapshot: Snapshot) -> frozenset[str]:
        """At the start: forget registries that are gone and what was begun long ago. Returns the contents that are named."""
        alive = {account_of(r) for r in snapshot.of_type(registry.REGISTRY)}
        old = (self._clock() - _KEPT).isoformat()
        with self._store.begin() as connection:
            for table in _TABLES:
                known = set(connection.scalars(sa.select(table.c.registry).distinct()))
                for gone in known - alive:
                    connection.execute(sa.delete(table).where(table.c.registry == gone))
            stale = sa.select(_UPLOADS.c.upload).where(_UPLOADS.c.created_at < old)
            connection.execute(sa.delete(_CHUNKS).where(_CHUNKS.c.upload.in_(stale)))
            connection.execute(sa.delete(_UPLOADS).where(_UPLOADS.c.created_at < old))
            connection.execute(sa.delete(_BLOBS).where(_BLOBS.c.created_at < old, _unlinked()))
            named = [connection.scalars(sa.select(table.c.sha256)) for table in (_BLOBS, _MANIFESTS, _CHUNKS)]
            return frozenset(sha256 for found in named for sha256 in found)

    def blob(self, at: Repository, sha256: str) -> int | None:
        """The size of a blob of this repository in bytes; None when it holds none of that digest."""
        with self._store.read() as connection:
            return connection.scalar(sa.select(_BLOBS.c.size).where(*_in(_BLOBS, at), _BLOBS.c.sha256 == sha256))

    def keep(self, at: Repository, content: Content) -> None:
        """Let the repository hold a stored content."""
        with self._store.begin() as connection:
            self._keep(connection, at, content.sha256, content.size)

    def mount(self, at: Repository, source: Repository, sha256: str) -> bool:
        """Let the repository hold a blob of another one. False when that has none."""
        size = self.blob(source, sha256)
        if size is None:
            return False
        with self._store.begin() as connection:
            self._keep(connection, at, sha256, size)
        return True

    def forget_blob(self, at: Repository, sha256: str) -> bool:
        """Take a blob out of the repository. False when it had none."""
        with self._store.begin() as connection:
            found = connection.execute(sa.delete(_BLOBS).where(*_in(_BLOBS, at), _BLOBS.c.sha256 == sha256))
            return found.rowcount > 0

    def begin(self, at: Repository) -> str:
        """A new upload's name."""
        upload = self._new_id()
        with self._store.begin() as connection:
            connection.execute(sa.insert(_UPLOADS).values(**_row(at), upload=upload, created_at=self._clock().isoformat()))
        return upload

    def received(self, at: Repository, upload: str) -> int:
        """How many bytes of it are kept. Raises NotFound (BLOB_UPLOAD_UNKNOWN)."""
        with self._store.read() as connection:
            return sum(size for _, size in self._chunks(connection, at, upload))

    def append(self, at: Repository, upload: str, begin: int, chunk: Content) -> int:
        """Keep the next chunk; returns the bytes kept now. Raises NotFound, Conflict (BLOB_UPLOAD_INVALID) for a gap."""
        with self._store.begin() as connection:
            kept = sum(size for _, size in self._chunks(connection, at, upload))
            if begin != kept:
                raise errors.Conflict("BLOB_UPLOAD_INVALID", f"The upload has {kept} bytes; the next chunk has to begin there.")
            if chunk.size:
                values = {"upload": upload, "begin": begin, "sha256": chunk.sha256, "size": chunk.size}
                connection.execute(sa.insert(_CHUNKS).values(**_row(at), **values))
            return kept + chunk.size

    def complete(self, at: Repository, upload: str, sha256: str) -> int:
        """Make the chunks a blob; returns its size. Raises NotFound, Invalid (DIGEST_INVALID) when they are another content."""
        with self._store.read() as connection:
            chunks = self._chunks(connection, at, upload)
        if len(chunks) == 1:
            content = Content(chunks[0][0], "", chunks[0][1])
        else:
            content = self.contents.join([chunk for chunk, _ in chunks], MOST_BLOB)
        if content.sha256 != sha256:
            raise errors.Invalid("DIGEST_INVALID", f"The upload has the digest sha256:{content.sha256}, not sha256:{sha256}.")
        with self._store.begin() as connection:
            self._keep(connection, at, sha256, content.size)
            self._forget_upload(connection, upload)
        return content.size

    def cancel(self, at: Repository, upload: str) -> None:
        """Raises NotFound (BLOB_UPLOAD_UNKNOWN)."""
        with self._store.begin() as connection:
            self._chunks(connection, at, upload)
            self._forget_upload(connection, upload)

    def put_manifest(self, at: Repository, manifest: Manifest, links: Iterable[str], tag: str | None) -> None:
        """One transaction. links: the sha256 of what it names; they are checked by the caller."""
        now = self._clock().isoformat()
        with self._store.begin() as connection:
            values = {
                "sha256": manifest.sha256,
                "size": manifest.size,
                "media_type": manifest.media_type,
                "artifact_type": manifest.artifact_type,
                "subject": manifest.subject,
                "annotations": manifest.annotations,
                "image_size": manifest.image_size,
                "created_at": manifest.created_at.isoformat(),
            }
            connection.execute(sa.insert(_MANIFESTS).prefix_with("OR IGNORE").values(**_row(at), **values))
            for sha256 in set(links):
                link = {"manifest": manifest.sha256, "sha256": sha256}
                connection.execute(sa.insert(_LINKS).prefix_with("OR IGNORE").values(**_row(at), **link))
            if tag is not None:
                old = connection.scalar(sa.select(_TAGS.c.created_at).where(*_in(_TAGS, at), _TAGS.c.tag == tag))
                tagged = {"tag": tag, "sha256": manifest.sha256, "created_at": old or now, "changed_at": now}
                connection.execute(sa.insert(_TAGS).prefix_with("OR REPLACE").values(**_row(at), **tagged))

    def manifest(self, at: Repository, reference: str) -> Manifest | None:
        """By `sha256:<hex>` or by tag."""
        with self._store.read() as connection:
            sha256 = _resolve(connection, at, reference)
            row = connection.execute(sa.select(_MANIFESTS).where(*_in(_MANIFESTS, at), _MANIFESTS.c.sha256 == sha256)).first()
            return None if row is None else _manifest(row)

    def manifests(self, at: Repository, after: str, most: int) -> Sequence[Manifest]:
        """By digest, beyond `after`."""
        query = sa.select(_MANIFESTS).where(*_in(_MANIFESTS, at), _MANIFESTS.c.sha256 > after)
        with self._store.read() as connection:
            return [_manifest(row) for row in connection.execute(query.order_by(_MANIFESTS.c.sha256).limit(most))]

    def referrers(self, at: Repository, digest: str) -> Sequence[Manifest]:
        """The manifests whose subject is `digest`."""
        query = sa.select(_MANIFESTS).where(*_in(_MANIFESTS, at), _MANIFESTS.c.subject == digest)
        with self._store.read() as connection:
            return [_manifest(row) for row in connection.execute(query.order_by(_MANIFESTS.c.sha256))]

    def delete_manifest(self, at: Repository, sha256: str) -> bool:
        """With its tags, and the blobs that no other manifest of the repository names. False when there is none."""
        with self._store.begin() as connection:
            found = connection.execute(sa.delete(_MANIFESTS).where(*_in(_MANIFESTS, at), _MANIFESTS.c.sha256 == sha256))
            if found.rowcount == 0:
                return False
            connection.execute(sa.delete(_TAGS).where(*_in(_TAGS, at), _TAGS.c.sha256 == sha256))
            named = set(connection.scalars(sa.select(_LINKS.c.sha256).where(*_in(_LINKS, at), _LINKS.c.manifest == sha256)))
            connection.execute(sa.delete(_LINKS).where(*_in(_LINKS, at), _LINKS.c.manifest == sha256))
            connection.execute(sa.delete(_BLOBS).where(*_in(_BLOBS, at), _BLOBS.c.sha256.in_(named), _unlinked()))
            return True

    def delete_repository(self, at: Repository) -> int:
        """Returns how many manifests went."""
        with self._store.begin() as connection:
            gone = connection.execute(sa.delete(_MANIFESTS).where(*_in(_MANIFESTS, at))).rowcount
            for table in (_TAGS, _LINKS, _BLOBS):
                connection.execute(sa.delete(table).where(*_in(table, at)))
            return gone

    def tags(self, at: Repository, after: str, most: int) -> Sequence[Tag]:
        """By name, beyond `after`."""
        query = sa.select(_TAGS).where(*_in(_TAGS, at), _TAGS.c.tag > after).order_by(_TAGS.c.tag).limit(most)
        with self._store.read() as connection:
            return [_tag(row) for row in connection.execute(query)]

    def tags_of(self, at: Repository, sha256: str) -> Sequence[str]:
        """The tags of one manifest, by name."""
        query = sa.select(_TAGS.c.tag).where(*_in(_TAGS, at), _TAGS.c.sha256 == sha256).order_by(_TAGS.c.tag)
        with self._store.read() as connection:
            return list(connection.scalars(query))

    def tag(self, at: Repository, name: str) -> Tag | None:
        with self._store.read() as connection:
            row = connection.execute(sa.select(_TAGS).where(*_in(_TAGS, at), _TAGS.c.tag == name)).first()
            return None if row is None else _tag(row)

    def untag(self, at: Repository, tag: str) -> bool:
        """The manifest stays. False when there is no such tag."""
        with self._store.begin() as connection:
            return connection.execute(sa.delete(_TAGS).where(*_in(_TAGS, at), _TAGS.c.tag == tag)).rowcount > 0

    def repositories(self, of: str, after: str, most: int) -> Sequence[str]:
        """Names of repositories that hold a manifest, beyond `after`."""
        query = (
            sa.select(_MANIFESTS.c.repository)
            .where(_MANIFESTS.c.registry == of, _MANIFESTS.c.repository > after)
            .distinct()
            .order_by(_MANIFESTS.c.repository)
            .limit(most)
        )
        with self._store.read() as connection:
            return list(connection.scalars(query))

    def used_bytes(self, of: str) -> int:
        """What a registry's contents take, each counted once."""
        every = sa.union(
            sa.select(_BLOBS.c.sha256, _BLOBS.c.size).where(_BLOBS.c.registry == of),
            sa.select(_MANIFESTS.c.sha256, _MANIFESTS.c.size).where(_MANIFESTS.c.registry == of),
        ).subquery()
        with self._store.read() as connection:
            return int(connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(every.c.size), 0))) or 0)

    def missing(self, at: Repository, blobs: Collection[str], manifests: Collection[str]) -> Sequence[str]:
        """Which of these the repository does not hold."""
        with self._store.read() as connection:
            lost = []
            for table, wanted in ((_BLOBS, blobs), (_MANIFESTS, manifests)):
                query = sa.select(table.c.sha256).where(*_in(table, at), table.c.sha256.in_(wanted))
                held = set(connection.scalars(query))
                lost += [sha256 for sha256 in wanted if sha256 not in held]
            return lost

    def _keep(self, connection: sa.Connection, at: Repository, sha256: str, size: int) -> None:
        values = {"sha256": sha256, "size": size, "created_at": self._clock().isoformat()}
        connection.execute(sa.insert(_BLOBS).prefix_with("OR REPLACE").values(**_row(at), **values))

    def _chunks(self, connection: sa.Connection, at: Repository, upload: str) -> list[tuple[str, int]]:
        """Contents and sizes, in order."""
        known = sa.select(_UPLOADS.c.upload).where(*_in(_UPLOADS, at), _UPLOADS.c.upload == upload)
        if connection.scalar(known) is None:
            raise errors.NotFound("BLOB_UPLOAD_UNKNOWN", f"There is no upload {upload[:64]!r} in this repository.")
        query = sa.select(_CHUNKS.c.sha256, _CHUNKS.c.size).where(_CHUNKS.c.upload == upload).order_by(_CHUNKS.c.begin)
        return [(sha256, size) for sha256, size in connection.execute(query)]

    def _forget_upload(self, connection: sa.Connection, upload: str) -> None:
        for table in (_CHUNKS, _UPLOADS):
            connection.execute(sa.delete(table).where(table.c.upload == upload))


def _in(table: sa.Table, at: Repository) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.registry == at.registry, table.c.repository == at.name


def _row(at: Repository) -> dict[str, str]:
    return {"registry": at.registry, "repository": at.name}


def _unlinked() -> sa.ColumnElement[bool]:
    """Blobs that no manifest of their repository names."""
    same = _LINKS.c.registry == _BLOBS.c.registry, _LINKS.c.repository == _BLOBS.c.repository
    return ~sa.exists(sa.select(_LINKS.c.sha256).where(*same, _LINKS.c.sha256 == _BLOBS.c.sha256))


def _resolve(connection: sa.Connection, at: Repository, reference: str) -> str:
    if reference.startswith("sha256:"):
        return reference.removeprefix("sha256:")
    return connection.scalar(sa.select(_TAGS.c.sha256).where(*_in(_TAGS, at), _TAGS.c.tag == reference)) or ""


def _manifest(row: sa.Row[tuple[object, ...]]) -> Manifest:
    return Manifest(
        sha256=row.sha256,
        size=row.size,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        subject=row.subject,
        annotations=row.annotations,
        image_size=row.image_size,
        created_at=dt.datetime.fromisoformat(row.created_at),
    )


def _tag(row: sa.Row[tuple[object, ...]]) -> Tag:
    created, changed = (dt.datetime.fromisoformat(text) for text in (row.created_at, row.changed_at))
    return Tag(row.tag, row.sha256, created, changed)
