"""Who may do what on the data plane: every route is an operation of Azure Machine Learning, and roles decide on it."""

from __future__ import annotations

import uuid

import httpx
import pytest
from tests.ml.plane import WORKSPACE, Plane, refusal

from ringfence.api.entra import tokens
from ringfence.api.ml import rights
from ringfence.api.ml.routing import Route
from ringfence.model import authorization
from ringfence.policy import roles

ALICE = "aaaaaaaa-0000-4000-8000-00000000000a"
GUIDS = {role.name: role.guid for role in roles.BUILT_IN.values()}


def as_alice(plane: Plane) -> None:
    token = plane.signer.issue(tokens.Subject("alice-app", ALICE), "https://management.azure.com/")
    plane.client.headers["Authorization"] = f"Bearer {token}"


def grant(plane: Plane, role: str, scope: str = str(WORKSPACE)) -> None:
    name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{role} {scope}"))
    properties = authorization.RoleAssignment(scope=scope, role=GUIDS[role], principal_id=ALICE)
    plane.put(authorization.assignment_id("sub", name), properties, None)


def reads(plane: Plane) -> list[httpx.Response]:
    found = [plane.client.get(plane.url(noun)) for noun in ("models", "assets", "services")]
    return [*found, plane.client.get(f"/rp/workspaces{WORKSPACE}/computes")]


def test_without_a_role_nothing_is_answered_not_even_that_there_is_no_workspace(plane: Plane) -> None:
    as_alice(plane)
    nowhere = str(WORKSPACE) + "x"
    for answer in (*reads(plane), plane.client.get(f"/modelmanagement/v1.0{nowhere}/models")):
        assert refusal(answer) == (403, "AuthorizationFailed"), answer.url
    assert "'Microsoft.MachineLearningServices/workspaces/models/read'" in plane.client.get(plane.url("models")).text


def test_a_reader_reads_and_gets_no_key(plane: Plane) -> None:
    plane.deploy()
    as_alice(plane)
    grant(plane, "Reader")
    assert [answer.status_code for answer in reads(plane)] == [200] * 4
    assert plane.client.get(plane.url("services/diabetes")).status_code == 200
    keys = plane.client.post(plane.url("services/diabetes/listkeys"))
    assert refusal(keys) == (403, "AuthorizationFailed")
    assert "workspaces/services/aks/listkeys/action'" in keys.json()["message"]
    for answer in (
        plane.client.delete(plane.url("services/diabetes")),
        plane.client.patch(plane.url("services/diabetes"), json=[]),
        plane.client.post(plane.url("services"), json={"name": "other", "computeType": "AKS"}),
        plane.client.post(plane.url("models"), json={"name": "m"}),
    ):
        assert refusal(answer) == (403, "AuthorizationFailed")


def test_a_data_scientist_does_the_whole_job(plane: Plane) -> None:
    as_alice(plane)
    grant(plane, "AzureML Data Scientist")
    plane.model()
    plane.deploy()
    assert plane.client.post(plane.url("services/diabetes/listkeys")).status_code == 200
    assert plane.client.delete(plane.url("services/diabetes")).status_code == 202


def test_the_operation_of_a_service_is_named_after_where_it_runs(plane: Plane) -> None:
    as_alice(plane)
    for kind, segment in (("ACI", "aci"), ("AKS", "aks")):
        answer = plane.client.post(plane.url("services"), json={"name": "other", "computeType": kind})
        assert f"workspaces/services/{segment}/write'" in answer.json()["message"]


@pytest.mark.parametrize(("method", "pattern"), [("POST", "nothing"), ("DELETE", "operations/{id}")])
def test_a_route_that_no_operation_is_known_for_is_nobodys(method: str, pattern: str) -> None:
    def handler(_: object) -> httpx.Response:
        raise AssertionError

    assert rights.operation_of(Route(method, "modelmanagement", pattern, handler)) is None  # type: ignore[arg-type]
