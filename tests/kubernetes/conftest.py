"""A running installation with a cluster; one for each module, because making it takes its time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.conftest import opening
from tests.kubernetes.kube_world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with opening() as asking:
        found = World(tmp_path_factory.mktemp("kubernetes"), key, asking)
        found.start()
        yield found
        found.close()
