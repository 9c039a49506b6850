"""Asking an endpoint from a location, and what the kernel counted meanwhile.

Each question is a fresh process in the location's namespace (`ask.py`). What stopped a
packet is read from the packet counters of the rules, before and after.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ringfence.cli.demo import session
from ringfence.cli.demo.report import Row
from ringfence.sandbox import client, run

BLOCKED = 0
"""The expectation that nothing answers; any other number is the HTTP status expected."""


def ask(state: Path, location: str, uri: str, key: str | None, *, what: str, expected: int) -> Row:
    """Ask once and compare. expected: an HTTP status, or BLOCKED."""
    before = _counts(state)
    script = session.examples() / "ask.py"
    command = session.at(state, location, sys.executable, str(script), uri, *([key] if key else []))
    done = run.capture(command)
    if done.code:
        raise session.StepFailed(f"asking {uri} from {location} failed: {done.error.strip() or done.output.strip()}")
    answer = json.loads(done.output)
    if answer["outcome"] == "blocked":
        measured = f"blocked ({answer['reason']}{_dropped_by(before, _counts(state))})"
        return Row(location, what, _words(expected), measured, expected == BLOCKED)
    measured = f"{answer['status']}, {_gist(answer)}{answer['ms']:g} ms"
    return Row(location, what, _words(expected), measured, answer["status"] == expected)


def service_run(state: Path, location: str, client_python: Path) -> str:
    """`AksWebservice.run` from a location of the network. Raises StepFailed."""
    script = session.examples() / "inside.py"
    given = session.sign_in(state)
    arguments = (given["RINGFENCE_SUBSCRIPTION_ID"], "myresourcegroup", "myworkspace", "diabetes")
    done = run.capture(session.at(state, location, str(client_python), str(script), *arguments), env=os.environ | given)
    if done.code:
        raise session.StepFailed(f"service.run from {location} failed:\n{done.output}{done.error}")
    return done.output.strip().splitlines()[-1]


def _words(expected: int) -> str:
    return "blocked" if expected == BLOCKED else "answers" if expected == 200 else f"refused ({expected})"


def _gist(answer: dict[str, Any]) -> str:
    if answer["status"] != 200:
        return ""
    return f"prediction {json.loads(answer['body'])[0]:.1f}, "


_Counts = dict[tuple[str, str, str], int]


def _counts(state: Path) -> _Counts:
    """Packets by (network, rule set, rule), of the rules that drop."""
    answer = client.Client(state).get("/counters")
    return {
        (_last(network), _last(count["ruleSet"]), count["rule"]): count["packets"]
        for network, counts in answer["networks"].items()
        for count in counts
        if not count["allow"]
    }


def _last(id_or_name: str) -> str:
    return id_or_name.rsplit("/", 1)[-1]


def _dropped_by(before: _Counts, after: _Counts) -> str:
    """The rules whose counters grew: the platform's are named after the network they guard, an NSG's after the NSG."""
    grown = {key for key, packets in after.items() if packets > before.get(key, 0)}
    named = {f"{rule} of {network if rule_set == 'platform' else rule_set}" for network, rule_set, rule in grown}
    return ", dropped by " + " and ".join(sorted(named)) if named else ""
