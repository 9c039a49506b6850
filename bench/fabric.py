"""What the fabric costs: networks, one more network, endpoints, a filter, a pass over everything.

Makes user, network and mount namespaces of its own, so it needs no rights and touches
nothing of the machine. Run it with `PYTHONPATH=src python bench/fabric.py [NETWORKS] [ENDPOINTS]`.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ringfence.desired.state import AnyItem, Binding, Endpoint, Filter, Network, Rule, RuleSet
from ringfence.drivers.linux.fabric import Fabric
from ringfence.kernel import syscalls

DEFAULTS = (
    ("AllowVnet", True, ("10.0.0.0/16", "168.63.129.16/32")),
    ("AllowAzureLoadBalancer", True, ("168.63.129.16/32",)),
    ("DenyAll", False, ()),
)


def enter_a_sandbox() -> None:
    """Become root of new namespaces, with a private /run. The maps are written from outside, by a child."""
    asked, told = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.read(asked, 1)
        root = os.getuid() == 0
        if not root:
            Path(f"/proc/{parent}/setgroups").write_text("deny")
        Path(f"/proc/{parent}/uid_map").write_text("0 0 4294967295" if root else f"0 {os.getuid()} 1")
        Path(f"/proc/{parent}/gid_map").write_text("0 0 4294967295" if root else f"0 {os.getgid()} 1")
        os._exit(0)
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
    os.write(told, b"x")
    os.waitpid(child, 0)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("tmpfs", "/run", "tmpfs", 0)


def network(index: int) -> Network:
    return Network(key=f"net/{index}", index=index, prefixes=("10.0.0.0/16",), egress=f"198.19.{index // 250}.{index % 250}")


def rules_of(index: int, bound: Iterable[Endpoint] = (), *, name: str = "s") -> Filter:
    """A filter with the default rules at the subnet and at the interface."""
    rules = tuple(Rule(name=n, priority=65000, protocol="*", sources=s, allow=a) for n, a, s in DEFAULTS)
    sets = tuple(RuleSet(id=f"/{n}", name=n, inbound=rules, outbound=rules) for n in (name, "n"))
    bindings = tuple(Binding(endpoint=e.key, address=e.address, subnet=name, nic="n") for e in bound)
    return Filter(key=f"filter/{index}", network=f"net/{index}", rule_sets=sets, bindings=bindings)


def endpoint(index: int, number: int) -> Endpoint:
    address = f"10.0.{number // 250}.{4 + number % 250}"
    return Endpoint(key=f"nic/{index}-{number}", network=f"net/{index}", address=address)


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def put(fabric: Fabric, items: Iterable[AnyItem]) -> None:
    failures = fabric.put(items)
    if failures:
        raise SystemExit(f"{failures[0]}")


def one_more(fabric: Fabric, index: int) -> float:
    """The median of five, each removed again."""
    costs = []
    for extra in range(index, index + 5):
        costs.append(timed(lambda extra=extra: put(fabric, [network(extra), rules_of(extra)])))  # type: ignore[misc]
        fabric.drop([f"filter/{extra}", f"net/{extra}"])
    return statistics.median(costs)


def main(networks: int, endpoints: int) -> None:
    enter_a_sandbox()
    fabric = Fabric()
    print(f"the edge                              {timed(fabric.prepare):8.1f} ms")
    alone = timed(lambda: put(fabric, map(network, range(10))))
    filters = timed(lambda: put(fabric, map(rules_of, range(10))))
    print(f"one more network with a filter at 10  {one_more(fabric, 9000):8.1f} ms")
    alone += timed(lambda: put(fabric, map(network, range(10, networks))))
    filters += timed(lambda: put(fabric, map(rules_of, range(10, networks))))
    print(f"{networks:4} empty networks                    {alone:8.1f} ms   {alone / networks:6.2f} ms each")
    print(f"{networks:4} filters, two rule sets each       {filters:8.1f} ms   {filters / networks:6.2f} ms each")
    print(f"one more network with a filter at {networks:<4}{one_more(fabric, 9100):8.1f} ms")
    made = [endpoint(0, n) for n in range(endpoints)]
    cost = timed(lambda: put(fabric, made))
    print(f"{endpoints:4} endpoints in one network          {cost:8.1f} ms   {endpoints / cost * 1000:6.0f} per second")
    print(f"a filter that binds them all          {timed(lambda: put(fabric, [rules_of(0, made)])):8.1f} ms")
    print(f"the same, one rule set changed        {timed(lambda: put(fabric, [rules_of(0, made, name='t')])):8.1f} ms")
    print(f"observe everything                    {timed(fabric.observe):8.1f} ms")
    print(f"drop the endpoints                    {timed(lambda: fabric.drop([e.key for e in made])):8.1f} ms")
    keys = [key for i in range(networks) for key in (f"filter/{i}", f"net/{i}")]
    print(f"drop the networks                     {timed(lambda: fabric.drop(keys)):8.1f} ms")
    fabric.close()


if __name__ == "__main__":
    counts = [int(argument) for argument in sys.argv[1:3]]
    main(*(counts + [100, 200][len(counts) :]))
