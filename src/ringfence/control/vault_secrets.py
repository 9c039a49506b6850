"""Secrets of key vaults: versions of a value under a name, sealed before they are stored.

A vault is told from its predecessor of the same name by its guid, so that a new one starts empty. A name
that was deleted keeps its versions until it is recovered or purged, as soft delete has it; who may do that
is `api/vault`'s question.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet

from ringfence.control import store
from ringfence.model import access, errors
from ringfence.model.resource import Resource, Snapshot

_SECRETS = sa.Table(
    "vault_secrets",
    store.metadata,
    sa.Column("vault", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Text, nullable=False),
    sa.Column("deleted_at", sa.Text),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What stands beside a value. begins, ends: seconds since 1970."""

    content_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    enabled: bool = True
    begins: int | None = None
    ends: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One version. deleted_at: since when its name is deleted."""

    name: str
    version: str
    value: str
    about: About
    created_at: dt.datetime
    changed_at: dt.datetime
    deleted_at: dt.datetime | None = None


def vault_of(vault: Resource) -> str:
    """The identity under which a vault's secrets are kept."""
    return vault.guid("vault")


def load_key(path: Path) -> bytes:
    """The key that seals values, made on first use (mode 0600). Raises OSError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with open(os.open(fresh, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    return path.read_bytes()


class Secrets:
    """Every method may be called from any thread. vault: as `vault_of` gives it; names match in any casing."""

    def __init__(self, opened: store.Store, key: bytes, clock: Callable[[], dt.datetime], new_id: Callable[[], str]) -> None:
        self._store = opened
        self._new_id = new_id
        self._seal = Fernet(key)
        self._clock = clock

    def sweep(self, snapshot: Snapshot) -> None:
        """At the start: forget what belonged to vaults that are gone."""
        known = [vault_of(vault) for vault in snapshot.of_type(access.VAULT)]
        with self._store.begin() as connection:
            connection.execute(sa.delete(_SECRETS).where(_SECRETS.c.vault.not_in(known)))

    def put(self, vault: str, name: str, value: str, about: About) -> Secret:
        """A new version. Raises Conflict (`ObjectIsDeletedButRecoverable`)."""
        now = self._clock()
        with self._store.begin() as connection:
            held = self._of(connection, vault, name)
            if held and held[-1].deleted_at is not None:
                raise errors.Conflict(
                    "ObjectIsDeletedButRecoverable",
                    f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this "
                    "state, the secret can only be recovered or purged.",
                )
            made = Secret(
                name=name, version=self._new_id().replace("-", ""), value=value, about=about, created_at=now, changed_at=now
            )
            connection.execute(
                sa.insert(_SECRETS).values(
                    vault=vault,
                    name=name.lower(),
                    version=made.version,
                    number=len(held),
                    sealed=self._seal.encrypt(json.dumps([name, value]).encode()),
                    about=_written(about),
                    created_at=now.isoformat(),
                    changed_at=now.isoformat(),
                )
            )
        return made

    def change(self, vault: str, name: str, version: str, about: About) -> None:
        """What stands beside a version."""
        with self._store.begin() as connection:
            connection.execute(
                sa.update(_SECRETS)
                .where(_SECRETS.c.vault == vault, _SECRETS.c.name == name.lower(), _SECRETS.c.version == version)
                .values(about=_written(about), changed_at=self._clock().isoformat())
            )

    def versions(self, vault: str, name: str) -> list[Secret]:
        """Oldest first, deleted or not; [] for a name that is not there."""
        with self._store.read() as connection:
            return self._of(connection, vault, name)

    def latest(self, vault: str) -> list[Secret]:
        """The newest version of each name, by name, deleted ones among them."""
        with self._store.read() as connection:
            rows = connection.execute(sa.select(_SECRETS).where(_SECRETS.c.vault == vault).order_by(_SECRETS.c.number)).all()
        newest = {row.name: row for row in rows}
        return [self._opened(newest[name]) for name in sorted(newest)]

    def mark(self, vault: str, name: str, *, deleted: bool) -> None:
        """Delete a name, or recover it."""
        when = self._clock().isoformat() if deleted else None
        with self._store.begin() as connection:
            where = (_SECRETS.c.vault == vault, _SECRETS.c.name == name.lower())
            connection.execute(sa.update(_SECRETS).where(*where).values(deleted_at=when))

    def purge(self, vault: str, name: str) -> None:
        with self._store.begin() as connection:
            connection.execute(sa.delete(_SECRETS).where(_SECRETS.c.vault == vault, _SECRETS.c.name == name.lower()))

    def _of(self, connection: sa.Connection, vault: str, name: str) -> list[Secret]:
        where = (_SECRETS.c.vault == vault, _SECRETS.c.name == name.lower())
        rows = connection.execute(sa.select(_SECRETS).where(*where).order_by(_SECRETS.c.number)).all()
        return [self._opened(row) for row in rows]

    def _opened(self, row: sa.Row[tuple[object, ...]]) -> Secret:
        held = row._mapping
        name, value = json.loads(self._seal.decrypt(bytes(held["sealed"])))
        gone = held["deleted_at"]
        return Secret(
            name=name,
            version=held["version"],
            value=value,
            about=About(**json.loads(held["about"])),
            created_at=dt.datetime.fromisoformat(held["created_at"]),
            changed_at=dt.datetime.fromisoformat(held["changed_at"]),
            deleted_at=None if gone is None else dt.datetime.fromisoformat(gone),
        )


def _written(about: About) -> str:
    return json.dumps(
        {
            "content_type": about.content_type,
            "tags": dict(about.tags),
            "enabled": about.enabled,
            "begins": about.begins,
            "ends": about.ends,
        }
    )
