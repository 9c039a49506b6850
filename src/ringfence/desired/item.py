"""What every item of the contract with drivers has: a key, owners, needs, and a fingerprint over the rest.

The items themselves are in `state`, `contents` and `container_items`. Imports nothing of ours.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, is_dataclass
from typing import ClassVar

Key = str

#: The platform address of every VNet: resolver and source of health probes.
PLATFORM_ADDRESS = "168.63.129.16"

#: Fields that a fingerprint does not cover.
_APART = ("owners", "_fingerprint")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What every item has. owners: lower-case resource ids whose operations wait for this item."""

    rank: ClassVar[int] = 0
    key: Key
    owners: tuple[str, ...] = ()
    needs: tuple[Key, ...] = ()
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """16 hex digits over everything but the owners; equal content, equal fingerprint. Computed once."""
        if not self._fingerprint:
            object.__setattr__(self, "_fingerprint", hashlib.sha256(_canonical(self).encode()).hexdigest()[:16])
        return self._fingerprint


def _canonical(value: object) -> str:
    if is_dataclass(value) and not isinstance(value, type):
        inner = ",".join(f"{f.name}={_canonical(getattr(value, f.name))}" for f in fields(value) if f.name not in _APART)
        return f"{type(value).__name__}({inner})"
    if isinstance(value, tuple):
        return "[" + ",".join(_canonical(v) for v in value) + "]"
    return repr(value)
