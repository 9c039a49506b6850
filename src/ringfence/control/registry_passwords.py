"""The two passwords of a registry's admin user: made when first asked for, in the open because Azure shows them too.

Whether the admin user is enabled is the registry's property; whom a password lets in is `api/registry`'s.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from ringfence.control import store
from ringfence.control.blobs import account_of

__all__ = ["NAMES", "RegistryPasswords", "account_of"]

_PASSWORDS = sa.Table(
    "registry_passwords",
    store.metadata,
    sa.Column("registry", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
#: As Azure names them.
NAMES = ("password", "password2")


class RegistryPasswords:
    """new_secret: fresh, of at least 128 random bits, printable."""

    def __init__(self, opened: store.Store, new_secret: Callable[[], str]) -> None:
        self._store, self._new_secret = opened, new_secret

    def get(self, registry: str) -> tuple[str, str]:
        """Both, in the order of NAMES. registry: a `blobs.account_of` value."""
        found = self._read(registry)
        if len(found) < len(NAMES):
            with self._store.begin() as connection:
                for name in NAMES:
                    row = {"registry": registry, "name": name, "value": self._new_secret()}
                    connection.execute(sa.insert(_PASSWORDS).prefix_with("OR IGNORE").values(row))
            found = self._read(registry)
        return found[NAMES[0]], found[NAMES[1]]

    def renew(self, registry: str, name: str) -> tuple[str, str]:
        """Replace one of them; both as they are then."""
        self.get(registry)
        with self._store.begin() as connection:
            here = _PASSWORDS.c.registry == registry, _PASSWORDS.c.name == name
            connection.execute(sa.update(_PASSWORDS).where(*here).values(value=self._new_secret()))
        return self.get(registry)

    def _read(self, registry: str) -> dict[str, str]:
        query = sa.select(_PASSWORDS.c.name, _PASSWORDS.c.value).where(_PASSWORDS.c.registry == registry)
        with self._store.read() as connection:
            return {name: value for name, value in connection.execute(query)}
