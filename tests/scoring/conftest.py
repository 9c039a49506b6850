"""Servers for the tests of this folder: one per script, or one for a whole module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.scoring.scoring_server import SCRIPT, Server
else:
    pytest.register_assert_rewrite("scoring_server")
    from scoring_server import SCRIPT, Server


class Starter:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started: list[Server] = []

    def __call__(self, script: str, *, ready: bool = True, **variables: str) -> Server:
        folder = self._folder / str(len(self._started))
        folder.mkdir()
        self._started.append(Server(folder, script, variables, ready=ready))
        return self._started[-1]

    def stop(self) -> None:
        for server in self._started:
            server.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Starter]:
    """`serve(script, VARIABLE="value")`: a server, ready."""
    starter = Starter(tmp_path)
    yield starter
    starter.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all questions of a module that leave it as it is."""
    made = Server(tmp_path_factory.mktemp("server"), SCRIPT, {"SCORING_TIMEOUT_MS": "400"})
    yield made
    made.stop()
