"""Which workspace a command is about: its arguments, a config.json, the configured defaults, or the only one there is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.cli.core.azclierror import FileOperationError, RequiredArgumentMissingError
from azure.cli.core.commands.client_factory import get_subscription_id
from knack.log import get_logger

from . import requests

logger = get_logger(__name__)

#: Where azureml-core looks for the file, below the folder that a command was given.
_FILES = ("config.json", ".azureml/config.json", "aml_config/config.json")


@dataclass(frozen=True)
class Named:
    """The arguments of a command that say which workspace it is about. folder: where a config.json lies."""

    workspace: str | None
    group: str | None
    subscription: str | None
    folder: str | None


def locate(cmd: Any, asked: Named) -> str:
    """The resource id of the workspace. Raises a CLI error when no workspace, or more than one, is meant."""
    known = {} if asked.workspace else _configured(Path(asked.folder or "."), required=asked.folder is not None)
    name = asked.workspace or known.get("workspace_name") or _default(cmd, "workspace") or _default(cmd, "aml_workspace")
    group = asked.group or known.get("resource_group")
    subscription = asked.subscription or known.get("subscription_id") or get_subscription_id(cmd.cli_ctx)
    if name and group:
        return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{requests.PROVIDER}/workspaces/{name}"
    return _only(cmd, subscription, group, name)


def _only(cmd: Any, subscription: str, group: str | None, name: str | None) -> str:
    scope = f"/subscriptions/{subscription}" + (f"/resourceGroups/{group}" if group else "")
    found = requests.listed(cmd, f"{scope}/providers/{requests.PROVIDER}/workspaces")
    ids = [str(one["id"]) for one in found if not name or str(one["name"]).lower() == name.lower()]
    if len(ids) == 1:
        logger.warning("Using the workspace %s", ids[0])
        return ids[0]
    names = ", ".join(sorted(str(one["name"]) for one in found)) or "none"
    raise RequiredArgumentMissingError(
        f"No single workspace is meant: {len(ids)} match. Workspaces here: {names}. Give --workspace-name and --resource-group, "
        "or set them once: az configure --defaults workspace=NAME group=GROUP"
    )


def _configured(folder: Path, *, required: bool) -> dict[str, str]:
    for name in _FILES:
        path = folder / name
        if path.is_file():
            try:
                found = json.loads(path.read_text())
                return {key: str(found[key]) for key in ("workspace_name", "resource_group", "subscription_id")}
            except (ValueError, KeyError, TypeError) as error:
                raise FileOperationError(
                    f"{path} does not name a workspace: {error!r}. Workspace.write_config makes it."
                ) from error
    if required:
        raise FileOperationError(f"{folder} has no {' and no '.join(_FILES)}. Workspace.write_config makes it.")
    return {}


def _default(cmd: Any, name: str) -> str | None:
    found = cmd.cli_ctx.config.get("defaults", name, None)
    return str(found) if found else None
