"""What `az` loads: the table of commands and their arguments' entry points."""

from __future__ import annotations

from typing import Any

from azure.cli.core import AzCommandsLoader
from azure.cli.core.commands import CliCommandType

from . import arguments
from . import help as _help  # noqa: F401  registers its texts


class ComputeTargets(AzCommandsLoader):  # type: ignore[misc]
    """`az ml computetarget …`."""

    def __init__(self, cli_ctx: Any = None) -> None:
        self._module = __name__
        super().__init__(cli_ctx=cli_ctx, custom_command_type=CliCommandType(operations_tmpl=f"{__name__}.commands#{{}}"))

    def load_command_table(self, args: object) -> Any:
        """The commands of the group and its three subgroups."""
        with self.command_group("ml computetarget") as group:
            group.custom_command("show", "show")
            group.custom_command("list", "list_all")
            group.custom_command("delete", "delete", confirmation=False)
            group.custom_command("detach", "detach")
            group.custom_command("get-credentials", "get_credentials")
        for verb in ("create", "attach", "update"):
            with self.command_group(f"ml computetarget {verb}") as group:
                group.custom_command("aks", f"{verb}_aks", supports_no_wait=True)
        return self.command_table

    def load_arguments(self, command: str) -> None:
        """Names, defaults and choices, as the reference of the withdrawn extension has them."""
        arguments.load(self)


COMMAND_LOADER_CLS = ComputeTargets
