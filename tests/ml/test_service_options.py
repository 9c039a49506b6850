"""Options of a service over the wire: tokens, replicas that follow the load, and what only one of two can be."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.ml.plane import WORKSPACE, Plane, refusal

from ringfence.desired.state import Balancer, Route, Router
from ringfence.model import serving

SERVICE = WORKSPACE.child("services", "diabetes")


def route(plane: Plane) -> Route:
    (router,) = (item for item in plane.engine.state() if isinstance(item, Router))
    return router.routes[0]


def stored(plane: Plane) -> serving.Service:
    found = plane.engine.get(SERVICE).properties
    assert isinstance(found, serving.Service)
    return found


def patched(plane: Plane, **values: object) -> dict[str, Any]:
    patch = [{"op": "replace", "path": f"/{name.replace('__', '/')}", "value": value} for name, value in values.items()]
    answer = plane.client.patch(plane.url("services/diabetes"), json=patch)
    assert answer.status_code == 202, answer.text
    assert plane.ended(answer)["state"] == "Succeeded"
    found: dict[str, Any] = plane.client.get(plane.url("services/diabetes")).json()
    return found


def test_a_token_is_signed_for_one_service_and_says_when_to_get_another(plane: Plane) -> None:
    shown = plane.deploy(aadAuthEnabled=True)
    assert (shown["aadAuthEnabled"], shown["authEnabled"]) == (True, False)
    assert "PRIVATE" not in str(shown) and "PUBLIC" not in str(shown)
    answer = plane.client.post(plane.url("services/diabetes/token")).json()
    now = plane.clock().timestamp()
    assert answer["tokenType"] == "Bearer" and now < answer["refreshAfter"] < answer["expiryOn"] <= now + 3601
    one = route(plane)
    key = serialization.load_pem_public_key(one.token_key.encode())
    assert isinstance(key, rsa.RSAPublicKey) and one.keys and one.auth
    claims = jwt.decode(answer["accessToken"], key, algorithms=["RS256"], audience=one.audience)
    assert claims["oid"] == "oid" and claims["exp"] == answer["expiryOn"]
    assert refusal(plane.client.post(plane.url("services/diabetes/listkeys"))) == (400, "KeyAuthDisabled")
    plane.deploy("second", aadAuthEnabled=True)
    (router,) = (item for item in plane.engine.state() if isinstance(item, Router))
    assert len({r.token_key for r in router.routes}) == len({r.audience for r in router.routes}) == 2


def test_keys_and_tokens_take_turns(plane: Plane) -> None:
    plane.deploy()
    assert refusal(plane.client.post(plane.url("services/diabetes/token"))) == (400, "AadAuthDisabled")
    assert patched(plane, aadAuthEnabled=True)["authEnabled"] is False
    first = stored(plane).token_public_key
    assert patched(plane, description="other")["aadAuthEnabled"] is True
    assert stored(plane).token_public_key == first, "tokens outlive a change of something else"
    assert patched(plane, authEnabled=True)["aadAuthEnabled"] is False
    assert route(plane).token_key == "" and stored(plane).token_key == ""
    patched(plane, aadAuthEnabled=True)
    assert stored(plane).token_public_key != first, "what was signed before holds no more"
    nothing = patched(plane, authEnabled=False, aadAuthEnabled=False)
    assert (nothing["authEnabled"], nothing["aadAuthEnabled"], route(plane).auth) == (False, False, False)


def test_without_a_number_replicas_follow_the_load(plane: Plane) -> None:
    shown = plane.deploy(numReplicas=None, autoScaler=None)
    assert shown["autoScaler"]["autoscaleEnabled"] is True and shown["numReplicas"] == 1
    values = {"minReplicas": 2, "maxReplicas": 4, "targetUtilization": 30, "refreshPeriodInSeconds": 5}
    shown = patched(plane, **{f"autoScaler__{name}": value for name, value in values.items()})
    assert {name: shown["autoScaler"][name] for name in values} == values and shown["numReplicas"] == 2
    refused = plane.client.patch(plane.url("services/diabetes"), json=[{"op": "replace", "path": "/numReplicas", "value": 3}])
    assert refusal(refused) == (400, "BadRequest")
    shown = patched(plane, autoScaler__autoscaleEnabled=False)
    assert (shown["numReplicas"], shown["autoScaler"]["autoscaleEnabled"]) == (2, False)
    shown = patched(plane, numReplicas=3)
    assert shown["numReplicas"] == 3


def test_an_explicit_number_is_a_number(plane: Plane) -> None:
    shown = plane.deploy(numReplicas=2, autoScaler=None)
    assert (shown["numReplicas"], shown["autoScaler"]["autoscaleEnabled"]) == (2, False)
    both = plane.payload("both", numReplicas=2, autoScaler={"autoscaleEnabled": True})
    assert refusal(plane.client.post(plane.url("services"), json=both)) == (400, "BadRequest")


@pytest.mark.parametrize(
    "change",
    [
        {"tokenKey": "mine"},
        {"tokenPublicKey": "mine"},
        {"scale": {"running": 9, "routed": 9}},
        {"appInsightsEnabled": True},
        {"dataCollection": {"storageEnabled": True}},
        {"aadAuthEnabled": True, "authEnabled": True},
    ],
)
def test_what_nobody_may_ask_for(plane: Plane, change: dict[str, Any]) -> None:
    answer = plane.client.post(plane.url("services"), json=plane.payload(**change))
    assert answer.status_code == 400 and plane.engine.snapshot().get(SERVICE) is None


def test_a_service_behind_an_endpoint_that_is_down_says_why(plane: Plane) -> None:
    plane.deploy()
    compute = plane.url("computes/aks", "rp/workspaces")
    (pod,) = (target.address for item in plane.engine.state() if isinstance(item, Balancer) for target in item.targets)
    plane.driver.sicken(f"{pod}:80")
    plane.clock.shift = dt.timedelta(minutes=1)
    shown = plane.client.get(plane.url("services/diabetes")).json()
    assert shown["state"] == "Unhealthy" and shown["error"]["code"] == "LoadBalancerProbeFailed"
    (warning,) = plane.client.get(compute).json()["properties"]["provisioningWarnings"]
    assert warning["code"] == "LoadBalancerProbeFailed" and "health probe" in warning["message"]
    plane.driver.recover()
    assert plane.client.get(plane.url("services/diabetes")).json()["state"] == "Healthy"
    assert "provisioningWarnings" not in plane.client.get(compute).json()["properties"]
