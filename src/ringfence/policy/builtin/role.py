"""What a role is: names of actions on the control plane and on the data plane, with exceptions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One entry of a role, in Azure's words. `*` in a name stands for anything, across segments."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A built-in role. guid: in lower case."""

    guid: str
    name: str
    description: str
    permissions: tuple[Permission, ...]


def role(guid: str, name: str, description: str, actions: str = "", **more: str) -> Role:
    """A role of one entry. Names of actions are separated by white space, as none holds any.

    more: `excepted` (notActions), `data` (dataActions), `data_excepted` (notDataActions).
    """
    entry = Permission(
        actions=tuple(actions.split()),
        not_actions=tuple(more.pop("excepted", "").split()),
        data_actions=tuple(more.pop("data", "").split()),
        not_data_actions=tuple(more.pop("data_excepted", "").split()),
    )
    if more:
        raise TypeError(f"unknown lists of a role: {sorted(more)}")
    return Role(guid=guid, name=name, description=description, permissions=(entry,))
