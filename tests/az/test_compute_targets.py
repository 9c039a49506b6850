"""`az ml computetarget` by the unmodified Azure CLI and the extension that Ringfence puts into the location's profile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.az.conftest import Desk

from ringfence.sandbox import extensions
from ringfence.sandbox.layout import Layout

_WORKSPACE = "/resourceGroups/targets/providers/Microsoft.MachineLearningServices/workspaces/targets?api-version=2022-05-01"
_HERE = ("-w", "targets", "-g", "targets")


@pytest.fixture(scope="module")
def workspace(desk: Desk) -> Desk:
    desk.az("group", "create", "-n", "targets", "-l", "eastus2")
    desk.arm("put", _WORKSPACE, {"location": "eastus2", "identity": {"type": "SystemAssigned"}, "properties": {}})
    return desk


def test_the_extension_is_in_the_locations_profile_and_in_no_other(desk: Desk, tmp_path: Path) -> None:
    own = tmp_path / "own-extensions"
    own.mkdir()
    listed = desk.ringfence(
        "exec", "--at", "internet", "--", desk.program, "extension", "list", env={"AZURE_EXTENSION_DIR": str(own)}
    )
    assert [(one["name"], one["version"]) for one in json.loads(listed)] == [(extensions.NAME, extensions.VERSION)]
    assert os.listdir(own) == []
    real = Path("~/.azure/cliextensions").expanduser()
    assert not (real / extensions.NAME).exists()


def test_a_damaged_or_removed_extension_is_there_again_after_a_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.create()
    folder = extensions.install(layout)
    before = {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.py")}
    assert extensions.install(layout) == folder  # nothing to do: a running az keeps its modules
    assert {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.py")} == before
    (folder / "azext_computetarget" / "commands.py").write_text("raise SystemExit('mine')")
    (folder / "azext_other").mkdir()
    (folder / "azext_other" / "x.py").write_text("")
    extensions.install(layout)
    assert "SystemExit" not in (folder / "azext_computetarget" / "commands.py").read_text()
    assert sorted(os.listdir(folder)) == ["azext_computetarget", f"azure_cli_ml-{extensions.VERSION}.dist-info"]


def test_a_cluster_is_made_shown_changed_and_deleted(workspace: Desk) -> None:
    name = ("-n", "fromaz")
    made = workspace.az("ml", "computetarget", "create", "aks", *name, *_HERE, "--cluster-purpose", "DevTest", "-a", "1")
    assert made["properties"]["provisioningState"] == "Succeeded"
    assert made["properties"]["properties"]["agentCount"] == 1
    inside = workspace.az("ml", "computetarget", "update", "aks", *name, *_HERE, "--load-balancer-type", "InternalLoadBalancer")
    assert inside["properties"]["properties"]["systemServices"][0]["publicIpAddress"].startswith("10.")
    assert [one["name"] for one in workspace.az("ml", "computetarget", "list", *_HERE)] == ["fromaz"]
    workspace.az("ml", "computetarget", "delete", *name, *_HERE)
    assert "fromaz not found" in workspace.refused("ml", "computetarget", "show", *name, *_HERE)


def test_without_a_workspace_named_the_only_one_is_meant_and_said(workspace: Desk) -> None:
    """The document's own line names none."""
    refusal = workspace.refused("ml", "computetarget", "show", "-n", "nosuch")
    assert "Using the workspace" in refusal and "/workspaces/targets" in refusal and "(NotFound)" in refusal


def test_refusals_name_code_and_value(workspace: Desk) -> None:
    create = ("ml", "computetarget", "create", "aks", "-n", "refused", *_HERE)
    assert "(DnsServiceIpOutOfServiceCidr)" in workspace.refused(
        *create, "--service-cidr", "10.0.0.0/16", "--dns-service-ip", "10.9.0.10", "--docker-bridge-cidr", "172.17.0.1/16"
    )
    assert "go together" in workspace.refused(*create, "--vnet-name", "mynetwork")
    assert "Nothing to update" in workspace.refused("ml", "computetarget", "update", "aks", "-n", "x", *_HERE)
    assert workspace.az("ml", "computetarget", "list", *_HERE) == []
