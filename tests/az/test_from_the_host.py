"""The Azure CLI in a shell of the host: a registered cloud, through the proxy of a location."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

from tests.az.conftest import Desk

_TYPED = """
eval {variables}
export AZURE_CONFIG_DIR={profile}
az() {{ {program} "$@"; }}
set -e
az cloud register -n Ringfence --endpoint-resource-manager https://management.azure.com
az cloud set -n Ringfence 2>/dev/null
az login --service-principal -u {client} -p {secret} --tenant {tenant} -o none
az group create -n fromhost -l eastus2 -o none
az group show -n fromhost
az cloud show --query name
"""


def test_a_registered_cloud_works_from_the_host(desk: Desk, tmp_path: Path) -> None:
    who = desk.admin
    typed = _TYPED.format(
        variables=shlex.quote(desk.ringfence("env", "--at", "internet")),
        profile=shlex.quote(str(tmp_path)),
        program=shlex.quote(desk.program),
        client=who["clientId"],
        secret=shlex.quote(who["clientSecret"]),
        tenant=who["tenantId"],
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, timeout=120, check=False, env=clean)
    assert done.returncode == 0, done.stderr[-3000:]
    shown, cloud = done.stdout.rsplit("\n}\n", 1)
    assert json.loads(shown + "}")["id"].endswith("/resourceGroups/fromhost")
    assert json.loads(cloud) == "Ringfence"
    own = Path("~/.azure/clouds.config").expanduser()
    assert not own.exists() or "Ringfence" not in own.read_text()
