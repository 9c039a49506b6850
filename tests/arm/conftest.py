"""A running installation for each test; one signing key for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.types import ASGIApp
from tests.arm.arm_world import Arm


@pytest.fixture(scope="session")
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def arm(tmp_path: Path, signing_key: rsa.RSAPrivateKey, asking: Callable[[ASGIApp, str], httpx.Client]) -> Iterator[Arm]:
    found = Arm(tmp_path, signing_key, asking)
    found.engine.start()
    yield found
    found.close()
