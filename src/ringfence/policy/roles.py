"""Roles: the built-in ones by GUID, and what a custom one permits. The tables are in `policy.builtin`."""

from __future__ import annotations

from collections.abc import Mapping

from ringfence.model import authorization
from ringfence.policy.builtin import (
    general,
    identity,
    kubernetes,
    machine_learning,
    monitor,
    networking,
    registry,
    security,
    storage,
)
from ringfence.policy.builtin.role import Permission, Role

_TABLES = (general, networking, storage, registry, kubernetes, machine_learning, identity, security, monitor)

#: By GUID, in lower case.
BUILT_IN: Mapping[str, Role] = {role.guid: role for table in _TABLES for role in table.ROLES}


def permission(entry: authorization.Permission) -> Permission:
    """An entry of a custom role."""
    return Permission(
        actions=entry.actions,
        not_actions=entry.not_actions,
        data_actions=entry.data_actions,
        not_data_actions=entry.not_data_actions,
    )
