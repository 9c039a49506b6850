"""Filters: loading rule sets and bindings into a router so that no connection notices.

Three steps, none of them in the transaction of another: new chains beside the old, then
the ports turned over to them, then the old ones removed. Sets that come into being in the
transaction that also uses them lose packets for a moment; in three steps none is lost.
The texts are `rendering`'s.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ringfence.desired.state import Filter
from ringfence.drivers.base import RuleCount
from ringfence.drivers.linux import chains, networks, rendering
from ringfence.drivers.linux.namespaces import Namespace
from ringfence.drivers.linux.rendering import Label, Program
from ringfence.drivers.linux.stamps import TABLE, Stamp, in_chains, stamp

_PORT_MAPS = (chains.OUTBOUND, chains.INBOUND, chains.INBOUND_FLOATING, chains.PRIVATE_GUARDS)


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
    router.nft.run_in_parts(_additions(program, frozenset(present)))
    router.nft.run_in_parts(_turns(router, program.ports))
    kept = {*program.pairs, *program.sets, *(name for chains in program.sets.values() for name in chains)}
    wanted = stamp("filter", item.key, item.fingerprint)
    stale = [found.chain for found in _stamps(present) if found != wanted]
    removals = _removals(router, [name for name in present if name not in kept])
    router.nft.run_in_parts([*removals, *_deletes("chain", stale), f"add chain ip {TABLE} {wanted.chain}"])
    labels.write(router, item.fingerprint, program.counters)


def drop(router: Namespace, labels: Labels) -> None:
    """Unbind every port, so that nothing new passes, and remove all rules."""
    present = router.chains(TABLE)
    router.nft.run("\n".join(f"flush map ip {TABLE} {port_map}" for port_map in _PORT_MAPS))
    stale = [found.chain for found in _stamps(present)]
    router.nft.run_in_parts([*_removals(router, present), *_deletes("chain", stale)])
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


def _additions(program: Program, present: frozenset[str]) -> Iterator[str]:
    """The chains that are missing. A rule set's own name is a chain too, and comes last: with it the set is complete."""
    for name, sides in program.sets.items():
        if name in present:
            continue
        yield from _deletes("chain", [chain for chain in sides if chain in present])
        yield from (f"add counter ip {TABLE} {counter}" for counter in program.counters if counter.startswith(f"{name}."))
        for chain, lines in sides.items():
            yield f"add chain ip {TABLE} {chain}"
            yield from (f"add rule ip {TABLE} {chain} {line}" for line in lines)
        yield f"add chain ip {TABLE} {name}"
    for chain, lines in program.pairs.items():
        if chain not in present:
            yield "\n".join([f"add chain ip {TABLE} {chain}", *(f"add rule ip {TABLE} {chain} {line}" for line in lines)])


def _turns(router: Namespace, ports: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Each port from the chain that judged it to the one that shall."""
    for port_map, wanted in ports.items():
        present = _ports(router, port_map)
        for port in sorted(present.keys() | wanted.keys()):
            lines = []
            if port in present and present[port] != wanted.get(port):
                lines.append(f"delete element ip {TABLE} {port_map} {{ {port} }}")
            if port in wanted and present.get(port) != wanted[port]:
                lines.append(f"add element ip {TABLE} {port_map} {{ {port} : goto {wanted[port]} }}")
            if lines:
                yield "\n".join(lines)


def _ports(router: Namespace, port_map: str) -> dict[str, str]:
    found = {}
    for key, value in networks.elements(router, port_map):
        match key, value:
            case str(port), {"goto": {"target": str(chain)}}:
                found[port] = chain
            case _:
                raise ValueError(f"unexpected element {key!r}: {value!r} in map {port_map} of {router.name}")
    return found


def _removals(router: Namespace, surplus: Iterable[str]) -> list[str]:
    """Chains of bindings first, as they refer to those of rule sets, and those to counters."""
    pairs = [name for name in surplus if name.startswith(rendering.PAIRS)]
    sets = [name for name in surplus if name.startswith(rendering.SETS)]
    # A set's own name first: what is half removed must not look complete.
    sets.sort(key=lambda name: name.count("."))
    owners = tuple(f"{name}." for name in sets)
    counters = [name for name in _counters(router) if name.startswith(owners)] if sets else []
    return [*_deletes("chain", pairs), *_deletes("chain", sets), *_deletes("counter", counters)]


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
