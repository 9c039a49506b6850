"""Images are pulled by the nodes, through their network's rules and with their rights; real clients push and pull beside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_CLIENT = Path(__file__).with_name("outbound_client.py")
_REACH = """
import json, socket, sys
address = socket.gethostbyname(sys.argv[1])
try:
    socket.create_connection((address, 443), 1.5).close()
    print(json.dumps([address, "connected"]))
except TimeoutError:
    print(json.dumps([address, "timed out"]))
"""
#: Where Resource Manager listens: a place that code has no business with.
OUTSIDE = "198.18.0.17"


class Box:
    """A Ringfence of its own."""

    def __init__(self) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="ringfence-limits-"))

    def ringfence(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "ringfence.cli", "--state", str(self.state), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=os.environ | self._who())
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    def ask(self, *task: str) -> Any:
        return json.loads(self.ringfence("exec", "--at", "internet", "--", sys.executable, str(_CLIENT), *task))

    def reached(self, host: str, at: str) -> list[str]:
        """The address of a name, and whether its port 443 answers, from a host in a subnet."""
        return list(json.loads(self.ringfence("exec", "--at", at, "--", sys.executable, "-c", _REACH, host)))

    def skopeo(self, *arguments: str) -> str:
        return self.ringfence("exec", "--at", "internet", "--", "skopeo", *arguments)

    def _who(self) -> dict[str, str]:
        file = self.state / "admin.json"
        if not file.exists():
            return {}
        admin = json.loads(file.read_text())
        return {"TENANT": admin["tenantId"], "SUBSCRIPTION": admin["subscriptionId"], "CLIENT": admin["clientId"]} | {
            "SECRET": admin["clientSecret"]
        }


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = Box()
    try:
        made.ringfence("up")
        yield made
    finally:
        made.ringfence("down", "--purge")
        shutil.rmtree(made.state, ignore_errors=True)


def test_a_closed_subnet_keeps_images_out_until_the_registrys_tag_is_allowed(box: Box) -> None:
    found = box.ask("limits", OUTSIDE)
    open_ = found["open"]
    assert open_["operation"]["state"] == "Succeeded" and open_["service"]["state"] == "Healthy", open_
    registry = open_["registry"].rpartition("/")[2]
    assert open_["service"]["imageId"].startswith(f"{registry}.azurecr.io/azureml/azureml_"), "in the workspace's registry"
    assert found["out_of_open"] == "connected", "user code gets out by default"

    closed = found["closed"]
    assert (closed["operation"]["state"], closed["service"]["state"]) == ("Failed", "Failed")
    told = closed["service"]["error"]["message"]
    for text in (told, closed["log"]):
        assert "'DenyAllOutbound'" in text and "networksecuritygroups/guard" in text.lower(), "the rule"
        assert "the service tag AzureContainerRegistry.eastus2" in text, "the tag that is missing"
        assert "az network nsg rule create --resource-group limits --nsg-name guard" in text, "the way out"
        assert "--priority 199" in text and "--destination-address-prefixes AzureContainerRegistry.eastus2" in text
    assert closed["service"]["error"]["code"] == "ImagePullBackOff"

    again = found["allowed"]
    assert again["service"]["state"] == "Healthy" and again["service"]["error"] is None, "by itself, as the node tries again"
    assert "timed out" in found["out_of_allowed"], "user code does not get out"
    assert "ImagePullBackOff" not in again["log"]


def test_a_clusters_service_principal_pulls_once_it_may(box: Box) -> None:
    """Its token comes from Entra through the closed network, so that the tag AzureActiveDirectory is needed as well."""
    found = box.ask("identity")
    first = found["no_way"]["service"]["error"]
    assert first["code"] == "ImagePullBackOff" and "login.microsoftonline.com" not in first["message"]
    assert "which belongs to the service tag AzureActiveDirectory" in first["message"]
    assert "--destination-address-prefixes AzureActiveDirectory" in found["no_way"]["log"]
    assert "private endpoint" not in first["message"], "which would not help here"
    refused = found["no_role"]
    assert "answered 401" in refused["log"] and "authentication required" in refused["log"]
    assert found["both"]["service"]["state"] == "Healthy", "the role is asked for at each try"


def test_skopeo_finds_the_environments_image_and_pushes_its_own(box: Box) -> None:
    registry = box.ask("service", "second")["registry"]
    host = f"{registry.rpartition('/')[2]}.azurecr.io"
    image = box.ask("service", "second")["service"]["imageId"]
    admin = json.loads((box.state / "admin.json").read_text())
    creds = f"{admin['clientId']}:{admin['clientSecret']}"
    found = json.loads(box.skopeo("inspect", "--creds", creds, f"docker://{image}"))
    assert found["Name"] == f"{host}/{image.partition('/')[2].partition(':')[0]}" and len(found["Layers"]) >= 1
    with tempfile.TemporaryDirectory(prefix="ringfence-image-") as folder:
        policy = ("--insecure-policy", "copy")
        box.skopeo(*policy, "--src-creds", creds, f"docker://{image}", f"oci:{folder}/image:latest")
        box.skopeo(*policy, "--dest-creds", creds, f"oci:{folder}/image:latest", f"docker://{host}/team/copy:v1")
    tags = json.loads(box.skopeo("list-tags", "--creds", creds, f"docker://{host}/team/copy"))
    assert tags["Tags"] == ["v1"]
    copied = json.loads(box.skopeo("inspect", "--creds", creds, f"docker://{host}/team/copy:v1"))
    assert copied["Env"] == found["Env"], "the same image, with its layers compressed on the way"
    with pytest.raises(AssertionError, match="unauthorized"):
        box.skopeo("inspect", "--creds", f"{admin['clientId']}:wrong", f"docker://{host}/team/copy:v1")


def test_a_closed_subnet_pulls_through_the_registrys_private_endpoint(box: Box) -> None:
    """The tag VirtualNetwork has to be allowed before a deny of everything: that one is for the own network as well."""
    found = box.ask("behind_endpoint")
    host = f"{found['registry'].rpartition('/')[2]}.azurecr.io"
    name = host.partition(".")[0]
    assert found["records"].keys() == {name, f"{name}.eastus2.data"} and len(set(found["records"].values())) == 2
    assert found["service"]["state"] == "Healthy", found
    private = found["records"][name]
    assert private.startswith("10.1.8.")
    assert box.reached(host, "net/nodes") == [private, "connected"]
    box.ask("close_network")
    assert box.reached(host, "net/nodes") == [private, "timed out"]
