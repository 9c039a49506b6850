"""The sandbox with the real control plane in it: names, certificates, the proxy; as root, if we are, and as an ordinary user."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.boxes import Box, until
else:
    from boxes import Box, until

ASK = """
import json, urllib.request
address = "https://management.azure.com/metadata/endpoints?api-version=2019-05-01"
print([cloud["name"] for cloud in json.load(urllib.request.urlopen(address, timeout=10))])
"""


@pytest.fixture(params=["box", "ordinary"])
def real(request: pytest.FixtureRequest) -> Iterator[Box]:
    made: Box = request.getfixturevalue(request.param)
    done = made.ringfence("up", "--json")
    assert done.returncode == 0, done.stderr
    yield made


def test_the_whole_way(real: Box) -> None:
    assert "'AzureCloud'" in real.at("internet", sys.executable, "-c", ASK).stdout
    variables = json.loads(real.ringfence("env", "--at", "internet", "--json").stdout)["variables"]
    assert "'AzureCloud'" in real.program(sys.executable, "-c", ASK, env=variables).stdout  # from the host, by proxy
    wrong = variables | {"https_proxy": variables["https_proxy"].replace("@", "x@"), "HTTPS_PROXY": ""}
    assert "407" in real.program(sys.executable, "-c", ASK, env=wrong).stderr

    before = real.at("internet", "readlink", "/proc/self/ns/net").stdout
    first = real.status()["processes"]["controlPlane"]
    os.kill(first, signal.SIGKILL)
    assert "'AzureCloud'" in real.at("internet", sys.executable, "-c", ASK).stdout
    assert real.status()["processes"]["controlPlane"] != first
    assert real.at("internet", "readlink", "/proc/self/ns/net").stdout == before

    real.down()
    until(lambda: not real.processes(), "no process left")
    assert "Ringfence is up after" in real.ringfence("up").stdout
    assert "'AzureCloud'" in real.at("internet", sys.executable, "-c", ASK).stdout


def test_a_start_takes_less_than_a_second_of_ours(box: Box) -> None:
    box.up()  # the first start makes keys and folders
    box.down()
    begun = time.perf_counter()
    box.up()
    assert time.perf_counter() - begun < 1
