"""The main job, shown: one command builds a private inference environment and proves it.

Here: the order of the steps and what each is expected to show. The steps themselves are
`examples/secure-inferencing/job.py`, run by the official SDK at the location `internet`;
`session` talks to that process, `measure` asks endpoints from locations, `report` prints.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ringfence.cli.demo import measure, report, session
from ringfence.sandbox import lifecycle

JUMP = "mynetwork/default"
OTHER = "myvnetname/default"


def main(state: Path, client_python: Path, *, as_json: bool, keep: bool) -> int:
    """Run the job. Returns 0 when every row came out as expected, else 1.

    state: the state folder; client_python: an interpreter that has azureml-core and scikit-learn.
    keep: leave the last service in place instead of deleting it.
    """
    begun = time.perf_counter()
    out = report.Report(sys.stderr if as_json else sys.stdout)
    with out.step("start Ringfence"):
        lifecycle.up(state)
    job = session.Job(state, client_python, out)
    rows: list[report.Row] = []
    try:
        _build(job)
        rows += _public(state, job)
        rows += _private(state, job)
        _live_on(state, job, client_python, out, keep=keep)
    except session.StepFailed as failure:
        out.failed(str(failure))
        return 1
    finally:
        job.close()
    out.table(rows, time.perf_counter() - begun)
    if as_json:
        report.as_json(rows, job.facts, job.seconds)
    return 0 if all(row.agrees for row in rows) else 1


def _build(job: session.Job) -> None:
    job.run("clear", "remove what an earlier run left")
    job.run("networks", "make resource groups, two virtual networks and a network security group")
    job.run("workspaces", "make workspaces")
    job.run("clash", "snippet 1 with a service range that overlaps a subnet")
    job.run("snippet1", "snippet 1: a cluster in mynetwork/default, public load balancer")
    job.run("refusal", "snippet 2: a cluster in myvnetname/default, internal load balancer, by an identity without a role")
    job.run("grant", "the document's four steps: Network Contributor for the clusters' identities")
    job.run("snippet2", "snippet 2 again")
    job.run("register", "train a scikit-learn model on the diabetes data and register it")
    job.run("deploy", "deploy the model to the cluster of snippet 1")


def _public(state: Path, job: session.Job) -> list[report.Row]:
    """The public load balancer: closed until the NSG has a rule for its address."""
    uri, key = job.facts["deploy"]["uri"], job.facts["deploy"]["key"]
    what = "scoring endpoint (public load balancer, no NSG rule)"
    rows = [measure.ask(state, "internet", uri, key, what=what, expected=measure.BLOCKED)]
    job.run("open_rule", "the document's inbound rule for the scoring endpoint")
    what = "scoring endpoint (public load balancer, NSG rule for its address)"
    rows.append(measure.ask(state, "internet", uri, key, what=what, expected=200))
    rows.append(measure.ask(state, "internet", uri, None, what="the same, no key", expected=401))
    return rows


def _private(state: Path, job: session.Job) -> list[report.Row]:
    """After snippet 3: the old address is gone, the new one answers inside and nowhere else."""
    old, key = job.facts["deploy"]["uri"], job.facts["deploy"]["key"]
    job.run("snippet3", "snippet 3: the same cluster moves to an internal load balancer")
    uri = job.run("where", "where the service answers now")["uri"]
    internal = "scoring endpoint (internal load balancer)"
    second = uri.replace(uri.split("/")[2], job.facts["snippet2"]["address"])
    rows = [
        measure.ask(state, "internet", old, key, what="the former public address", expected=measure.BLOCKED),
        measure.ask(state, "internet", uri, key, what=internal, expected=measure.BLOCKED),
        measure.ask(state, JUMP, uri, key, what=internal, expected=200),
        measure.ask(state, JUMP, uri, None, what="the same, no key", expected=401),
        measure.ask(state, JUMP, uri, "a-wrong-key", what="the same, a wrong key", expected=401),
        measure.ask(state, OTHER, uri, key, what=internal + " of another, unpeered VNet", expected=measure.BLOCKED),
        measure.ask(state, JUMP, second, key, what="cluster of snippet 2, from an unpeered VNet", expected=measure.BLOCKED),
        measure.ask(state, OTHER, second, key, what="cluster of snippet 2 (no such service there)", expected=404),
    ]
    job.run("close_rule", "the inbound rule goes again")
    return rows


def _live_on(state: Path, job: session.Job, client_python: Path, out: report.Report, *, keep: bool) -> None:
    with out.step("service.run(...) with the SDK, from inside the virtual network"):
        out.say("prediction " + measure.service_run(state, JUMP, client_python))
    job.run("update", "service.update(...) with a new configuration")
    if not keep:
        job.run("delete", "service.delete()")
