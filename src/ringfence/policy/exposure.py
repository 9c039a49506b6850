"""Which ports of a container group others reach: those its address exposes, whatever its containers listen on.

Sources: the REST reference of container groups (ipAddress.ports: "the list of ports exposed on the container group").
Judged at the interface of the group, beside the customer's rules on the subnet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from ipaddress import IPv4Network

from ringfence.model import containers
from ringfence.model.network import Protocol
from ringfence.policy import rules

_TOP, _BOTTOM = 500, 4096
_PROTOCOLS = {containers.Transport.TCP: Protocol.TCP, containers.Transport.UDP: Protocol.UDP}


def of_group(asked: containers.ContainerGroup, space: Iterable[IPv4Network]) -> rules.Rules:
    """For the interface of a group."""
    defaults = rules.default_rules(tuple(sorted(space)))
    ports = asked.ip_address.ports if asked.ip_address is not None else ()
    opened = tuple(
        rules.EffectiveRule(
            name=f"AllowExposedPort{one.port}{one.protocol.value}InBound",
            priority=_TOP + number,
            protocol=_PROTOCOLS[one.protocol],
            destination_ports=((one.port, one.port),),
            allow=True,
        )
        for number, one in enumerate(ports)
    )
    closed = rules.rule("DenyPortsThatAreNotExposedInBound", _BOTTOM, allow=False)
    return dataclasses.replace(defaults, inbound=(*opened, closed, *defaults.inbound))
