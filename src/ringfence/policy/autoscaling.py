"""How many replicas a service shall have, by the requests that are under way.

The rule is azureml-fe's ("How autoscaling works"): requests under way, divided by the target
utilization, divided by what one replica takes at a time. More replicas come at once, fewer after
a minute without the need. A replica gets requests once it is ready, and ends once those that it
had have ended. Pure: what is measured and when is `control.autoscaler`'s.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ringfence.model import serving
from ringfence.model.serving import AutoScaler, Scale

#: For how long fewer replicas must have been enough before some go: "conservative (around 1 minute)".
CALM_S = 60.0
#: Beyond the longest time that a request may take.
_MARGIN = dt.timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Sample:
    """at: seconds of a monotonic clock. requests: answered or waiting then, on average over the refresh period."""

    at: float
    requests: float


def needed(requests: float, scaler: AutoScaler, per_replica: int) -> int:
    """Replicas for so many requests at a time, within the bounds."""
    enough = math.ceil(round(requests / (scaler.target * per_replica), 6))
    return max(scaler.least, min(enough, scaler.most))


def aim(samples: Sequence[Sample], service: serving.Service) -> int:
    """What the samples, the newest last, ask for: more by the last one, fewer by the busiest of a whole minute."""
    scaler, per_replica = service.auto_scaler, service.max_concurrent_requests_per_container
    now = needed(samples[-1].requests, scaler, per_replica)
    if now >= service.routed:
        return now
    if samples[-1].at - samples[0].at < CALM_S:
        return service.routed
    return min(service.routed, max(needed(sample.requests, scaler, per_replica) for sample in samples))


def step(service: serving.Service, count: int, ready: int, now: dt.datetime) -> Scale | None:
    """The next state of the scale towards `count` replicas, or None when it stays as it is.

    ready: how many of the first replicas, in one row, serve.
    """
    drained_at = service.scale.drained_at if service.scale is not None and service.routed < service.replicas else None
    before = Scale(running=service.replicas, routed=service.routed, drained_at=drained_at)
    after = _next(before, count, ready, now, _longest(service))
    return None if after == before else after


def _next(scale: Scale, count: int, ready: int, now: dt.datetime, longest: dt.timedelta) -> Scale:
    """longest: what a request may take."""
    serving_now = max(scale.routed, min(ready, scale.running))
    if count >= scale.running:
        return Scale(running=count, routed=serving_now)
    if count > scale.routed:  # some come up, or drain, that are needed
        return scale.model_copy(update={"routed": serving_now if scale.drained_at is None else count})
    if count < scale.routed or scale.drained_at is None:
        return Scale(running=scale.running, routed=count, drained_at=now + longest)
    if now >= scale.drained_at:
        return Scale(running=scale.routed, routed=scale.routed)
    return scale


def _longest(service: serving.Service) -> dt.timedelta:
    """How long a request that a replica has may take yet."""
    return dt.timedelta(milliseconds=service.scoring_timeout_ms + service.max_queue_wait_ms) + _MARGIN
