"""The difference between what shall be and what is: order, needs, failures, and that it comes to rest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests import clouds

from ringfence.desired.build import build
from ringfence.desired.diff import plan
from ringfence.desired.state import Key, Observed, Readiness, State

STATE = build(clouds.served_cloud().snapshot)


def done(state: State) -> dict[Key, Observed]:
    return {item.key: Observed(item.fingerprint) for item in state}


def kinds(keys: list[str]) -> list[str]:
    return list(dict.fromkeys(key.partition("/")[0] for key in keys))


def test_creation_goes_from_networks_to_processes_and_removal_the_other_way() -> None:
    first = plan(STATE, {})
    assert kinds([item.key for item in first.put]) == ["net", "nic", "svc", "filter", "lb", "dns", "env", "bundle", "router"]
    assert kinds(list(first.waiting)) == ["build", "img", "pod"]
    last = plan(State(), done(STATE))
    assert kinds(list(last.drop)) == [
        "router",
        "pod",
        "dns",
        "lb",
        "filter",
        "svc",
        "nic",
        "net",
        "bundle",
        "img",
        "build",
        "env",
    ]


def test_nothing_changes_what_is_right() -> None:
    assert plan(STATE, done(STATE)).empty


def test_a_process_waits_for_its_environment_to_be_ready() -> None:
    (pod,) = [item for item in STATE if item.key.startswith("pod/")]
    for readiness in Readiness:
        seen = done(STATE) | {pod.needs[0]: Observed(STATE.items[pod.needs[0]].fingerprint, readiness)}
        del seen[pod.key]
        assert (pod in plan(STATE, seen).put) is (readiness is Readiness.READY)


@given(st.data())
def test_whatever_is_there_a_few_rounds_make_it_right(data: st.DataObject) -> None:
    keys = st.sampled_from(sorted(STATE.items))
    seen = {key: Observed(data.draw(st.sampled_from(["old", STATE.items[key].fingerprint]))) for key in data.draw(st.sets(keys))}
    seen |= {f"nic/{n}": Observed("old") for n in data.draw(st.sets(st.text("0123456789abcdef", min_size=10, max_size=10)))}
    for _ in range(4):  # environment, image, pull, process
        change = plan(STATE, seen)
        seen = {key: value for key, value in seen.items() if key not in change.drop}
        seen |= {item.key: Observed(item.fingerprint) for item in change.put}
    assert seen == done(STATE)
