"""How many replicas follow from a load, and how the number changes without losing a request."""

from __future__ import annotations

import datetime as dt

import pytest
from tests.clouds import NOW

from ringfence.model.serving import AutoScaler, Scale, Service
from ringfence.policy import autoscaling
from ringfence.policy.autoscaling import Sample


def service(scale: Scale | None = None, per_replica: int = 1, **scaler: int) -> Service:
    return Service(
        auto_scaler=AutoScaler(autoscale_enabled=True, **scaler),
        max_concurrent_requests_per_container=per_replica,
        scale=scale,
    )


@pytest.mark.parametrize(
    ("requests", "per_replica", "target", "replicas"),
    [(0, 1, 70, 1), (0.7, 1, 70, 1), (0.71, 1, 70, 2), (7, 1, 70, 10), (7, 1, 100, 7), (6, 4, 50, 3), (1000, 1, 70, 10)],
)
def test_replicas_are_requests_over_utilization_over_what_one_takes(
    requests: float, per_replica: int, target: int, replicas: int
) -> None:
    assert autoscaling.needed(requests, AutoScaler(target_utilization=target), per_replica) == replicas


def test_the_documented_defaults() -> None:
    scaler = AutoScaler(autoscale_enabled=True)
    assert (scaler.least, scaler.most, scaler.target, scaler.period_s) == (1, 10, 0.7, 1)


def test_more_at_once_and_fewer_after_a_minute() -> None:
    three = service(Scale(running=3, routed=3), target_utilization=100)
    assert autoscaling.aim([Sample(0, 5)], three) == 5
    calm = [Sample(float(second), 1) for second in range(61)]
    assert autoscaling.aim(calm[:60], three) == 3, "not a whole minute yet"
    assert autoscaling.aim(calm, three) == 1
    assert autoscaling.aim([*calm[:30], Sample(30, 2), *calm[31:]], three) == 2, "the busiest moment of the minute counts"
    assert autoscaling.aim([Sample(0, 9), *calm[1:]], three) == 3, "never more by what is over"


def test_a_new_replica_gets_requests_when_it_is_ready() -> None:
    one = service(Scale(running=1, routed=1))
    up = autoscaling.step(one, 3, 1, NOW)
    assert up == Scale(running=3, routed=1)
    assert autoscaling.step(service(up), 3, 1, NOW) is None
    partly = autoscaling.step(service(up), 3, 2, NOW)
    assert partly == Scale(running=3, routed=2)
    assert autoscaling.step(service(partly), 3, 3, NOW) == Scale(running=3, routed=3)
    assert autoscaling.step(service(up), 2, 2, NOW) == Scale(running=3, routed=2), "those that come are let come"


def test_a_replica_ends_when_the_last_of_its_requests_must_have_ended() -> None:
    three = service(Scale(running=3, routed=3))
    down = autoscaling.step(three, 1, 3, NOW)
    longest = dt.timedelta(milliseconds=three.scoring_timeout_ms + three.max_queue_wait_ms)
    assert down is not None and (down.running, down.routed) == (3, 1)
    assert down.drained_at is not None and longest <= down.drained_at - NOW <= longest + dt.timedelta(seconds=10)
    draining = service(down)
    assert (draining.replicas, draining.routed) == (3, 1)
    assert autoscaling.step(draining, 1, 3, NOW + longest) is None
    assert autoscaling.step(draining, 1, 3, down.drained_at) == Scale(running=1, routed=1)
    again = autoscaling.step(draining, 2, 3, NOW)
    assert again is not None and (again.running, again.routed) == (3, 2), "what drains serves again when it is needed"
    assert autoscaling.step(draining, 4, 3, NOW) == Scale(running=4, routed=3)


def test_bounds_hold_at_once_when_they_change() -> None:
    three = Scale(running=3, routed=3)
    assert (service(three, max_replicas=2).replicas, service(three, min_replicas=5).routed) == (2, 5)
    assert (service(None).replicas, service(None, min_replicas=2).routed) == (1, 2)
    fixed = Service(num_replicas=4, scale=three)
    assert (fixed.replicas, fixed.routed) == (4, 4)
