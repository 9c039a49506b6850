"""How a fresh process recognises what is ours: stamps on kernel objects.

An endpoint is stamped on the alias of its router-side link. What lives in an nftables
table is stamped by an empty chain in that same table, written in the transaction that
completes the content: whoever removes the table removes the stamp with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

TABLE = "fabric"
"""The one nftables table of ours in a namespace (family ip)."""

_LAYOUT = "rf2"  # raise it when chains, maps or names change their meaning: older content is then not recognised
_KEY = re.compile(r"[a-z0-9][a-z0-9/_.-]{0,99}")
_CHAIN = re.compile(rf"{_LAYOUT}\.(?P<kind>[a-z]+)\.(?P<key>{_KEY.pattern})\.(?P<fingerprint>[0-9a-f]{{16}})")
_ALIAS = re.compile(rf"{_LAYOUT}:(?P<key>{_KEY.pattern}):(?P<fingerprint>[0-9a-f]{{16}})")


@dataclass(frozen=True, slots=True)
class Stamp:
    """kind: "network", "filter", "balancer", "services", "endpoint" or "peering"."""

    kind: str
    key: str
    fingerprint: str

    @property
    def chain(self) -> str:
        return f"{_LAYOUT}.{self.kind}.{self.key}.{self.fingerprint}"

    @property
    def alias(self) -> str:
        return f"{_LAYOUT}:{self.key}:{self.fingerprint}"


def stamp(kind: str, key: str, fingerprint: str) -> Stamp:
    """Raises ValueError on a key that a kernel object cannot carry."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"key {key!r}: at most 100 characters, lower case letters, digits and `/_.-`")
    return Stamp(kind, key, fingerprint)


def in_chains(names: Iterable[str]) -> tuple[Stamp, ...]:
    """The stamps among the names of chains."""
    found = (_CHAIN.fullmatch(name) for name in names)
    return tuple(Stamp(match["kind"], match["key"], match["fingerprint"]) for match in found if match)


def in_alias(alias: str) -> Stamp | None:
    """The stamp on a link, or None for a link that is not ours."""
    match = _ALIAS.fullmatch(alias)
    return Stamp("endpoint", match["key"], match["fingerprint"]) if match else None
