"""Filters: loading rule sets and bindings into a router so that no connection notices.

Three transactions: new chains beside the old, then the ports turned over to them, then
the old ones removed. Sets that come into being in the transaction that also uses them
lose packets for a moment; done in three, none is lost. The texts are `rendering`'s.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ringfence.desired.state import Filter
from ringfence.drivers.base import RuleCount
from ringfence.drivers.linux import chains, networks, rendering
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.drivers.linux.rendering import Label
from ringfence.drivers.linux.stamps import TABLE, Stamp, in_chains, stamp

_PORT_MAPS = (chains.OUTBOUND, chains.INBOUND, chains.INBOUND_FLOATING)


class Labels:
    """What the counters of a router mean, in a file per router: names are longer than the kernel's comments may be.

    The folder is on the sandbox's own tmpfs and lives exactly as long as the namespaces. A filter whose file
    does not fit its stamp is not recognised, and is put again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, router: Namespace, fingerprint: str, labels: Mapping[str, Label]) -> None:
        text = json.dumps([fingerprint, {counter: dataclasses.astuple(label) for counter, label in labels.items()}])
        fresh = self._folder / f".{router.name}"
        fresh.write_text(text)
        fresh.replace(self._folder / router.name)

    def read(self, router: Namespace) -> tuple[str, dict[str, Label]]:
        """The fingerprint of the filter and its labels; "" and nothing if there is no file."""
        try:
            fingerprint, labels = json.loads((self._folder / router.name).read_text())
        except FileNotFoundError:
            return "", {}
        return str(fingerprint), {counter: Label(*label) for counter, label in labels.items()}

    def remove(self, router: Namespace) -> None:
        (self._folder / router.name).unlink(missing_ok=True)


def put(router: Namespace, labels: Labels, item: Filter) -> None:
    """Make a router judge by exactly this filter. Raises Unenforceable before anything changed, or NftError."""
    program = rendering.render(item)
    present = router.chains(TABLE)
    labels.remove(router)
    missing = [name for name in program.chains if name not in present]
    _run(router, _new_chains(program, missing))
    _run(router, _turned_ports(router, program.ports))
    surplus = [name for name in present if name.startswith((rendering.SETS, rendering.PAIRS)) and name not in program.chains]
    wanted = stamp("filter", item.key, item.fingerprint)
    stale = [found.chain for found in _stamps(present) if found != wanted]
    _run(router, [*_removal(router, surplus), *_deletes("chain", stale), f"add chain ip {TABLE} {wanted.chain}"])
    labels.write(router, item.fingerprint, program.counters)


def drop(router: Namespace, labels: Labels) -> None:
    """Unbind every port, so that nothing new passes, and remove all rules."""
    present = router.chains(TABLE)
    _run(router, [f"flush map ip {TABLE} {port_map}" for port_map in _PORT_MAPS])
    surplus = [name for name in present if name.startswith((rendering.SETS, rendering.PAIRS))]
    _run(router, [*_removal(router, surplus), *_deletes("chain", [found.chain for found in _stamps(present)])])
    labels.remove(router)


def counts(namespace: Namespace, labels: Mapping[str, Label]) -> tuple[RuleCount, ...]:
    """Every counter of a table under its rule's name; the platform's own under rule set "platform"."""
    found = []
    for entry in namespace.nft.query(f"list counters table ip {TABLE}"):
        match entry:
            case {"counter": {"name": str(name), "packets": int(packets)}}:
                if name in chains.PLATFORM_COUNTERS:
                    direction, rule = chains.PLATFORM_COUNTERS[name]
                    found.append(RuleCount("platform", direction, rule, False, packets))
                elif name in labels:
                    label = labels[name]
                    found.append(RuleCount(label.rule_set, label.direction, label.rule, label.allow, packets))
    return tuple(found)


def _run(router: Namespace, lines: Iterable[str]) -> None:
    script = "\n".join(lines)
    if script:
        router.nft.run(script)


def _new_chains(program: rendering.Program, missing: list[str]) -> list[str]:
    owners = _owners(missing)
    lines = [f"add counter ip {TABLE} {counter}" for counter in program.counters if counter.startswith(owners)]
    lines.extend(f"add chain ip {TABLE} {name}" for name in missing)
    lines.extend(f"add rule ip {TABLE} {name} {line}" for name in missing for line in program.chains[name])
    return lines


def _turned_ports(router: Namespace, ports: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines = []
    for port_map, wanted in ports.items():
        present = _ports(router, port_map)
        gone = [port for port, chain in present.items() if wanted.get(port) != chain]
        come = [f"{port} : goto {chain}" for port, chain in wanted.items() if present.get(port) != chain]
        if gone:
            lines.append(f"delete element ip {TABLE} {port_map} {{ {', '.join(gone)} }}")
        if come:
            lines.append(f"add element ip {TABLE} {port_map} {{ {', '.join(come)} }}")
    return lines


def _ports(router: Namespace, port_map: str) -> dict[str, str]:
    found = {}
    for key, value in networks.elements(router, port_map):
        match key, value:
            case str(port), {"goto": {"target": str(chain)}}:
                found[port] = chain
            case _:
                raise ValueError(f"unexpected element {key!r}: {value!r} in map {port_map} of {router.name}")
    return found


def _removal(router: Namespace, surplus: list[str]) -> list[str]:
    """Chains of bindings first, as they refer to those of rule sets, and those to counters."""
    pairs = [name for name in surplus if name.startswith(rendering.PAIRS)]
    sets = [name for name in surplus if name.startswith(rendering.SETS)]
    if not sets:
        return _deletes("chain", pairs)
    counters = [name for name in _counters(router) if name.startswith(_owners(sets))]
    return [*_deletes("chain", pairs), *_deletes("chain", sets), *_deletes("counter", counters)]


def _owners(names: list[str]) -> tuple[str, ...]:
    """How the counters of the rule sets behind these chains begin."""
    return tuple({f"{name.rpartition('.')[0]}." for name in names})


def _counters(router: Namespace) -> list[str]:
    names = []
    for entry in router.nft.query(f"list counters table ip {TABLE}"):
        match entry:
            case {"counter": {"name": str(name)}}:
                names.append(name)
    return names


def _deletes(kind: str, names: Iterable[str]) -> list[str]:
    return [f"delete {kind} ip {TABLE} {name}" for name in names]


def _stamps(present: Iterable[str]) -> list[Stamp]:
    return [found for found in in_chains(present) if found.kind == "filter"]
