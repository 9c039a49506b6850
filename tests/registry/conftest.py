"""The world of a registry, closed after each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp
from tests.access import grants
from tests.registry.registry_world import ID, World


@pytest.fixture
def world(tmp_path: Path, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[World]:
    scope = str(ID)
    actions = {
        "push-app": ["pull/read", "push/write"],
        "pull-app": ["pull/read"],
        "delete-app": ["artifacts/delete"],
    }
    definitions, assigned = (
        [],
        [("reader-app", "Reader", scope), ("far-app", "Owner", "/subscriptions/sub/resourceGroups/group2")],
    )
    for number, (who, names) in enumerate(actions.items()):
        guid = f"00000000-0000-0000-0000-00000000000{number}"
        full = [f"Microsoft.ContainerRegistry/registries/{name}" for name in names]
        definitions.append(grants.definition(guid, {"actions": full}))
        assigned.append((who, guid, scope))
    made = World(tmp_path, asking, grants.world(assigned, *definitions))
    yield made
    made.close()
