"""One Graph for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp
from tests.graph.graph_world import Graph


@pytest.fixture(scope="session")
def graph_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def graph(tmp_path: Path, graph_key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[Graph]:
    found = Graph(tmp_path, graph_key, asking)
    found.engine.start()
    yield found
    found.close()
