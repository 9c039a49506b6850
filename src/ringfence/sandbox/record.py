"""What a running sandbox wrote down about itself: `run/broker.json`, mode 0600.

The broker writes it before the control plane starts and removes it when it ends, so a
record whose processes are gone tells of a crash. It also carries what the control plane
has to know of this start: the proxy's secret.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ringfence.sandbox.errors import START_IT, BadState, NotRunning
from ringfence.sandbox.layout import Layout, write
from ringfence.sandbox.processes import Process, boot_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """instance: names what is outside the state folder (`Layout.instance`). since: Unix time of the start.

    proxy_port, proxy_secret: of the loopback proxy of this start.
    cgroups: the folders that were made for workloads, one per hierarchy.
    """

    instance: str
    version: str
    boot: str
    broker: Process
    holder: Process
    since: float
    proxy_port: int
    proxy_secret: str
    cgroups: tuple[str, ...]

    @property
    def running(self) -> bool:
        return self._this_boot and self.broker.alive() and self.holder.alive()

    @property
    def survivors(self) -> tuple[Process, ...]:
        """Processes of this start that still exist."""
        return tuple(p for p in (self.broker, self.holder) if self._this_boot and p.alive())

    @property
    def _this_boot(self) -> bool:
        return self.boot == boot_id()


def save(layout: Layout, record: Record) -> None:
    write(layout.record, json.dumps(asdict(record), indent=2) + "\n", mode=0o600)


def load(layout: Layout) -> Record | None:
    """The record of the present or the crashed start; None when the last one ended in order. Raises BadState."""
    try:
        found = json.loads(layout.record.read_text())
        found |= {name: Process(**found[name]) for name in ("broker", "holder")}
        return Record(**found | {"cgroups": tuple(found["cgroups"])})
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise BadState.of_another_user(layout.folder) from error
    except (ValueError, KeyError, TypeError) as error:
        remedy = f"if no process of Ringfence runs, remove {layout.record}; else end it first"
        raise BadState(f"{layout.record} cannot be read: {error!r}", remedy) from error


def running(layout: Layout) -> Record:
    """The record of a sandbox that runs. Raises NotRunning."""
    found = load(layout)
    if found is None or not found.running:
        raise NotRunning(f"Ringfence does not run (state folder {layout.folder})", START_IT)
    return found
