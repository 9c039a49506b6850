"""The acceptance test: the document's own code and the official SDK, against real packets."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.cli.demo import session

if TYPE_CHECKING:
    from tests.e2e.conftest import Job

JUMP = "mynetwork/default"


def test_every_row_of_the_evidence_is_as_expected(job: Job) -> None:
    rows = job.evidence["rows"]
    assert len(rows) == 11 and [row for row in rows if not row["agrees"]] == []
    blocked = [row["measured"] for row in rows if row["expected"] == "blocked"]
    assert len(blocked) == 5 and all("dropped by" in measured for measured in blocked), "each names the rule that decided"


def test_the_clash_is_refused_with_azures_code(job: Job) -> None:
    refusal = job.evidence["facts"]["clash"]["refusal"]
    assert refusal.startswith("ServiceCidrOverlapExistingSubnetsCidr: ") and "10.0.8.0/24" in refusal


def test_an_identity_without_a_role_is_refused_with_azures_code(job: Job) -> None:
    refusal = job.evidence["facts"]["refusal"]["refusal"]
    assert "LinkedAuthorizationFailed" in refusal and "subnets/join/action" in refusal and "Network Contributor" in refusal


def test_snippets_one_and_three_move_one_cluster(job: Job) -> None:
    public, private = job.evidence["facts"]["snippet1"], job.evidence["facts"]["snippet3"]
    assert (public["state"], public["nodes"], public["load_balancer"]) == ("Succeeded", 3, "PublicIp")
    assert ipaddress.ip_address(public["address"]) in ipaddress.ip_network("198.19.0.0/16")
    assert private["load_balancer"] == "InternalLoadBalancer"
    assert ipaddress.ip_address(private["address"]) in ipaddress.ip_network("10.1.0.0/22")


def test_clusters_differ_in_address_and_services_share_it(job: Job) -> None:
    facts = job.evidence["facts"]
    assert ipaddress.ip_address(facts["snippet2"]["address"]) in ipaddress.ip_network("10.2.0.0/22")
    assert facts["where"]["uri"] == f"http://{facts['snippet3']['address']}/api/v1/service/diabetes/score"


def test_the_log_was_live_and_the_sdk_got_its_answers(job: Job) -> None:
    assert "Found existing aks cluster" in job.told and "Creating new aks cluster" in job.told
    assert 'AKS service creation operation finished, operation "Succeeded"' in job.told
    assert "starting the containers" in job.told, "the log of the deployment, as it went"
    assert "prediction [" in job.told, "service.run from inside the network"


def test_nodes_are_there(job: Job) -> None:
    """As Azure counts them; and the kernel of each refuses a port that nobody serves, which nothing does from outside."""
    clusters = job.status()["controlPlane"]["clusters"]
    assert [(cluster["state"], cluster["nodes"]) for cluster in clusters] == [("Succeeded", 3)] * 2
    for last in (4, 35, 66):  # each node holds its own address and those of 30 pods
        inside = job.ask(JUMP, f"http://10.1.0.{last}:9/")
        assert "refused" in inside["reason"], inside
    assert "timed out" in job.ask("internet", "http://10.1.0.4:9/")["reason"]


def _service(job: Job) -> tuple[str, str]:
    """Its scoring URI and primary key, as the SDK tells them."""
    script = str(Path(__file__).with_name("service_key.py"))
    done = job.ringfence("exec", "--at", "internet", "--", job.client, "-W", "ignore", script, str(job.state / "admin.json"))
    assert done.returncode == 0, done.stderr
    return job.evidence["facts"]["where"]["uri"], done.stdout.strip().splitlines()[-1]


def _move(job: Job, *to: str) -> list[str]:
    """Change the load balancer; the addresses of the answer to the PUT, and of the document at its end."""
    script = str(Path(__file__).with_name("balancer_switch.py"))
    command = session.at(job.state, "internet", job.client, "-W", "ignore", script, *to)
    environment = os.environ | session.sign_in(job.state)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1].split()


def test_the_load_balancer_moves_with_its_address_and_health_and_comes_back(job: Job) -> None:
    """azure-docs#64948 and azure-cli-extensions#2988: the new address stands in the first answer, and it serves."""
    uri, key = _service(job)
    inside = uri.split("/")[2]
    public, same = _move(job, "PublicIp")
    assert public == same and ipaddress.ip_address(public) in ipaddress.ip_network("198.19.0.0/16")
    assert job.ask(JUMP, uri, key)["outcome"] == "blocked", "the former address is gone"
    assert _move(job, "InternalLoadBalancer", "default") == [inside, inside]
    assert job.ask(JUMP, uri, key)["status"] == 200
    assert job.ask("internet", uri.replace(inside, public), key)["outcome"] == "blocked"


def test_kubernetes_own_client_reads_the_cluster(job: Job) -> None:
    """With the kubeconfig that `AksCompute.get_credentials` gives."""
    script = str(Path(__file__).with_name("cluster_reader.py"))
    done = job.ringfence("exec", "--at", "internet", "--", job.client, "-W", "ignore", script, str(job.state / "admin.json"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["nodes"] and all(address.startswith("10.") for address in found["nodes"])
    assert ["diabetes", "Running"] in [pod[:2] for pod in found["pods"]]
    assert all(pod[2] in found["nodes"] for pod in found["pods"])
    assert "diabetes" in found["services"]
    assert found["log"] and found["log"].splitlines()[0] in found["sdk"], "kubectl logs are the service's logs"


def test_models_answer_while_the_control_plane_is_dead_and_it_comes_back(job: Job) -> None:
    uri, key = _service(job)
    before = job.status()["processes"]["controlPlane"]
    answers: list[Any] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(job.ask(JUMP, uri, key))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        os.kill(before, signal.SIGKILL)
        after = _until_another(job, before)
        time.sleep(1)
    finally:
        stop.set()
        asking.join()
    assert after != before
    assert len(answers) > 5 and {answer.get("status") for answer in answers} == {200}, answers
    assert job.ask("internet", uri, key)["outcome"] == "blocked", "and it is as closed as before"


def _until_another(job: Job, before: int) -> int:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        status = job.status()
        now = status["processes"].get("controlPlane")
        if now not in (None, before) and (status["controlPlane"] or {}).get("settled"):
            return int(now)
        time.sleep(0.1)
    raise AssertionError("the control plane did not come back within 15 s")


def test_what_was_made_is_there_after_down_and_up(job: Job) -> None:
    uri, key = _service(job)
    assert job.ringfence("down").returncode == 0
    assert job.ringfence("up").returncode == 0
    deadline = time.monotonic() + 30
    while (answer := job.ask(JUMP, uri, key)).get("status") != 200:
        assert time.monotonic() < deadline, answer
        time.sleep(0.2)
    assert job.ask(JUMP, uri, "wrong")["status"] == 401
