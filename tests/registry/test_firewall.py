"""A registry's network rules: who is kept from its tokens, manifests and blobs, and in which words."""

from __future__ import annotations

import dataclasses

import pytest
from tests.registry.registry_world import HOST, World, auth, code, named

RULES = {"defaultAction": "Deny", "ipRules": [{"value": "198.18.255.0/28", "action": "Allow"}]}
INSIDE, OUTSIDE = "198.18.255.1", "198.18.255.77"


@pytest.mark.parametrize(
    ("settings", "source", "open_"),
    [
        ({}, OUTSIDE, True),
        ({"networkRuleSet": RULES}, INSIDE, True),
        ({"networkRuleSet": RULES}, OUTSIDE, False),
        ({"networkRuleSet": {**RULES, "defaultAction": "Allow"}}, OUTSIDE, True),
        ({"publicNetworkAccess": "Disabled"}, INSIDE, False),
        ({"publicNetworkAccess": "Disabled", "networkRuleSet": RULES}, INSIDE, False),
        ({"networkRuleSet": RULES, "anonymousPullEnabled": True}, OUTSIDE, False),
        ({"networkRuleSet": RULES}, "", False),
    ],
)
def test_network_rules_keep_out_of_everything(world: World, settings: dict[str, object], source: str, open_: bool) -> None:
    digest = world.push(world.admin)
    blob = world.push_blob(b"layer", world.admin)
    token = world.token("repository:team/app:pull,push", world.admin)
    world.registry, world.source = dataclasses.replace(named(**settings), sku={"name": "Premium"}), source
    asked = [
        ("GET", "/v2/", world.admin),
        ("GET", f"/oauth2/token?service={HOST}&scope=repository:team/app:pull", world.admin),
        ("GET", "/v2/team/app/manifests/v1", token),
        ("GET", f"/v2/team/app/manifests/{digest}", world.admin),
        ("GET", f"/v2/team/app/blobs/{blob}", token),
        ("POST", "/v2/team/app/blobs/uploads/", token),
        ("GET", "/acr/v1/_catalog", world.admin),
    ]
    for method, path, who in asked:
        answer = world.client.request(method, path, headers=auth(who))
        if open_:
            assert answer.status_code in (200, 202), answer.text
            continue
        assert code(answer) == (403, "DENIED"), path
        told = answer.json()["errors"][0]["message"]
        assert told == f"client with IP '{source}' is not allowed access. Refer https://aka.ms/acr/firewall to grant access."
        assert "www-authenticate" not in answer.headers
    exchange = world.client.post(
        "/oauth2/exchange", data={"service": HOST, "grant_type": "access_token", "access_token": "token-push-app"}
    )
    assert exchange.status_code == (200 if open_ else 403)
