"""POST actions on resources, by type and lower-case name: which function answers.

A row of `registry` says which actions a type has; whoever may act is decided before. Actions
with a state of their own (deployments) are answered where that state is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from ringfence.api.arm import effective
from ringfence.api.arm.asked import Asked
from ringfence.control.engine import Engine
from ringfence.model import network
from ringfence.model.resource import Resource

Action = Callable[[Engine, Asked, Resource], Response]

HANDLERS: Mapping[tuple[str, str], Action] = {
    (network.INTERFACE, "effectivenetworksecuritygroups"): effective.security_groups,
    (network.INTERFACE, "effectiveroutetable"): effective.routes,
}
