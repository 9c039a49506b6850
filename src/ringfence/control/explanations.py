"""Why a connection of the platform did not come about: what a driver saw, told in the words of rules.

A driver knows that nothing answered; which rule decided that is in the snapshot (`policy.outbound`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ringfence.desired import keys
from ringfence.desired.state import Flow, Key, Observed
from ringfence.model.resource import Snapshot
from ringfence.policy import outbound, places


def explained(snapshot: Snapshot, observed: Mapping[Key, Observed]) -> Mapping[Key, Observed]:
    """The same, with the deciding rule and the way out behind the message of everything whose flow did not get through."""
    blocked = {key: seen for key, seen in observed.items() if seen.flow is not None}
    if not blocked:
        return observed
    told = {key: f"{seen.message} {_why(snapshot, seen.flow)}".strip() for key, seen in blocked.items() if seen.flow is not None}
    return {**observed, **{key: dataclasses.replace(seen, message=told[key]) for key, seen in blocked.items()}}


def _why(snapshot: Snapshot, flow: Flow) -> str:
    for place in places.places(snapshot):
        if keys.endpoint(place) == flow.source:
            return outbound.explain(snapshot, place, flow.address, flow.port)
    return ""
