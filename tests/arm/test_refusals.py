"""Bad input: Azure's status and body, nothing changed, nothing crashed."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.arm.arm_world import (
    COMPUTE,
    GROUP,
    MANAGEMENT,
    NSG,
    SUBSCRIPTION,
    TENANT,
    VNET,
    WORKSPACE,
    Arm,
    cluster,
    error,
    network,
)

from ringfence.api.entra.tokens import Signer, Subject

LONG = "x" * 10_000


@pytest.fixture(autouse=True)
def unchanged(arm: Arm, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every test of this file sends what is refused: the version stays, and no fault is logged."""
    arm.workspace()
    before = arm.engine.snapshot()
    yield
    assert arm.engine.snapshot() is before and arm.store.version() == before.version
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


BODIES: list[tuple[str, bytes, str]] = [
    ("empty", b"", "InvalidRequestContent"),
    ("no JSON", b"{", "InvalidRequestContent"),
    ("a list", b"[]", "InvalidRequestContent"),
    ("null", b"null", "InvalidRequestContent"),
    ("a number", b"1", "InvalidRequestContent"),
    ("no UTF-8", b'{"location": "\xff"}', "InvalidRequestContent"),
    ("NaN", b'{"location": NaN}', "InvalidRequestContent"),
    ("beyond a float", b'{"location": 1e999}', "InvalidRequestContent"),
    ("many digits", b'{"location": ' + b"9" * 5000 + b"}", "InvalidRequestContent"),
    ("deep", b'{"properties": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "InvalidRequestContent"),
    ("rather deep", b'{"properties": ' + b'{"a":' * 100 + b"1" + b"}" * 101, "InvalidRequestContent"),
    ("half a surrogate pair", b'{"location": "eastus2", "tags": {"a": "\\ud800"}}', "InvalidRequestContent"),
    ("unknown member", b'{"location": "eastus2", "colour": "red"}', "InvalidRequestContent"),
    ("location a number", b'{"location": 1}', "InvalidRequestContent"),
    ("tags a list", b'{"location": "eastus2", "tags": []}', "InvalidRequestContent"),
    ("a tag a number", b'{"location": "eastus2", "tags": {"a": 1}}', "InvalidRequestContent"),
    ("properties a string", b'{"location": "eastus2", "properties": "x"}', "InvalidRequestContent"),
    ("sku a string", b'{"location": "eastus2", "sku": "x"}', "InvalidRequestContent"),
    ("user identity", b'{"location": "eastus2", "identity": {"type": "UserAssigned"}}', "MissingIdentityIds"),
    ("identity", b'{"location": "eastus2", "identity": {"type": "Robot"}}', "InvalidRequestContent"),
    ("zones", b'{"location": "eastus2", "zones": ["1"]}', "NotSupported"),
    ("another id", b'{"location": "eastus2", "id": "/subscriptions/a/resourceGroups/b"}', "InvalidRequestContent"),
]


@pytest.mark.parametrize(("body", "code"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
@pytest.mark.parametrize("path", [VNET, WORKSPACE, GROUP + "2"], ids=["network", "workspace", "group"])
def test_bodies_of_put(arm: Arm, path: str, body: bytes, code: str) -> None:
    error(arm.put(path, body), 400, code)


@pytest.mark.parametrize(("body", "code"), [row[1:] for row in BODIES[:-1]], ids=[row[0] for row in BODIES[:-1]])
def test_bodies_of_patch(arm: Arm, body: bytes, code: str) -> None:
    error(arm.send("PATCH", WORKSPACE, body), 400, code)


#: Wrong values, one at a time, in bodies that are right otherwise: path, where in the body, value.
#: Where null counts as absent, something else that is wrong stands in for it.
_NETWORKING = ("properties", "properties", "aksNetworkingConfiguration")
FAULTS: list[tuple[str, dict[str, Any], tuple[str | int, ...], object]] = []
for _value in (None, 1, 1.5, True, "x", [], {}, [1], {"a": 1}, LONG, "10.1.0.0/33", "\u0000", "..", "10.0.0.0/8/8", -1, 10**30):
    FAULTS += [
        (VNET, network(), ("properties", "addressSpace"), _value),
        (VNET, network(), ("properties", "addressSpace", "addressPrefixes"), _value),
        (VNET, network(), ("properties", "addressSpace", "addressPrefixes", 0), _value),
        (VNET, network({"name": "a", "properties": {}}), ("properties", "subnets", 0), _value),
        (VNET, network({"name": "a", "properties": {}}), ("properties", "subnets", 0, "name"), _value),
        (VNET, network({"name": "a", "properties": {}}), ("properties", "subnets", 0, "properties"), _value),
        (f"{VNET}/subnets/a", {"properties": {"addressPrefix": "10.1.8.0/24"}}, ("properties", "addressPrefix"), _value),
        (COMPUTE, cluster(), ("properties", "computeType"), _value),
        (COMPUTE, cluster(), ("properties", "properties", "agentCount"), 0 if _value is None else _value),
        (COMPUTE, cluster(), (*_NETWORKING, "serviceCidr"), _value),
        (
            COMPUTE,
            cluster(),
            ("properties", "properties", "aksNetworkingConfiguration", "subnetId"),
            "z" if _value is None else _value,
        ),
        (COMPUTE, cluster(), (*_NETWORKING, "dnsServiceIP"), _value),
        (COMPUTE, cluster(), ("properties", "properties", "loadBalancerType"), "y" if _value is None else _value),
    ]


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_one_wrong_value(arm: Arm, number: int) -> None:
    path, body, where, value = FAULTS[number]
    sent = json.loads(json.dumps(body))
    inner: Any = sent
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    answer = arm.put(path, sent)
    assert 400 <= answer.status_code < 500, f"{where} = {str(value)[:50]!r}: {answer.status_code} {answer.text[:500]}"
    found = answer.json()["error"]
    assert found["code"] and found["message"] and len(answer.content) < 40_000


NAMES = [LONG, "..", ".", "a\x00b", "a\nb", "a?b", "a#b", "-a", "a-", "ä", "a b", "%", "a:b", "<x>", "..%2f..", "x" * 261, "a\\b"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("kind", ["virtualNetworks", "networkSecurityGroups"])
def test_names(arm: Arm, kind: str, name: str) -> None:
    quoted = "".join(c if (c.isalnum() and c.isascii()) or c in "-_." else "".join(f"%{b:02X}" for b in c.encode()) for c in name)
    for method in ("PUT", "GET", "DELETE"):
        body = network() if kind == "virtualNetworks" else {"location": "eastus2", "properties": {}}
        # A name of dots would be taken out of the path by the client, so it goes as raw bytes.
        answer = arm.send(
            method, f"{GROUP}/providers/Microsoft.Network/{kind}/{quoted.replace('.', '%2E')}", body if method == "PUT" else None
        )
        assert answer.status_code in ((400, 404, 405) if method != "DELETE" else (204, 400, 404, 405)), answer.text


def test_paths(arm: Arm) -> None:
    error(arm.get("/"), 404, "MissingSubscription")
    error(arm.get("/nothing/here"), 404, "MissingSubscription")
    error(arm.get("/subscriptions/not-a-guid"), 400, "InvalidSubscriptionId")
    other = "00000000-0000-0000-0000-00000000abcd"
    error(arm.get(f"/subscriptions/{other}/resourceGroups/g"), 404, "SubscriptionNotFound")
    error(arm.get(f"{GROUP}/providers/Contoso.Widgets/widgets/w"), 404, "InvalidResourceNamespace")
    error(arm.get(f"{GROUP}/providers/Microsoft.Network/unicorns/u"), 404, "InvalidResourceType")
    error(arm.get(f"{GROUP}/providers/Microsoft.Network/unicorns"), 404, "InvalidResourceType")
    error(arm.put(f"{VNET}/subnets/default/locations/jump", {"properties": {}}), 404, "InvalidResourceType")
    error(arm.get(f"{WORKSPACE}/services/s"), 404, "InvalidResourceType")
    error(arm.put(f"{GROUP}/providers/Microsoft.Resources/deploymentScripts/d", {}), 404, "InvalidResourceType")
    error(arm.put(f"{SUBSCRIPTION}/providers/Microsoft.Network/virtualNetworks/v", network()), 404, "InvalidResourceType")
    error(
        arm.get(f"{SUBSCRIPTION}/resourceGroups/ghost/providers/Microsoft.Network/virtualNetworks"), 404, "ResourceGroupNotFound"
    )
    missing = arm.get(VNET + "2")
    error(missing, 404, "ResourceNotFound")
    assert missing.headers["x-ms-failure-cause"] == "gateway"
    error(arm.get(f"{SUBSCRIPTION}/operationStatuses/nope"), 404, "OperationNotFound")


def test_methods(arm: Arm) -> None:
    error(
        arm.put(f"{GROUP}/providers/Microsoft.ContainerService/managedClusters/c/privateEndpointConnections", {}),
        405,
        "MethodNotAllowed",
    )
    error(arm.send("PATCH", f"{VNET}/subnets/default", {"tags": {}}), 405, "MethodNotAllowed")
    error(arm.send("POST", VNET, {}), 405, "MethodNotAllowed")
    error(arm.send("DELETE", f"{GROUP}/providers/Microsoft.Network/virtualNetworks"), 405, "MethodNotAllowed")
    error(arm.send("PUT", f"{SUBSCRIPTION}/locations", {}), 405, "MethodNotAllowed")


@pytest.mark.parametrize("version", ["latest", "2024-01-01 ", "2024-1-1", "2024-01-01-", "2024-01-01-preview-x", "'", LONG])
def test_a_version_that_is_none(arm: Arm, version: str) -> None:
    error(arm.get(VNET, version=None), 400, "MissingApiVersionParameter")
    error(arm.get(VNET, version=None, query=f"api-version={version}".replace(" ", "%20")), 400, "InvalidApiVersionParameter")


@pytest.mark.parametrize("version", ["1999-01-01", "2099-12-31-preview", "2015-06-01-privatepreview"])
def test_any_well_formed_version_is_served(arm: Arm, version: str) -> None:
    assert arm.get(VNET, version=version).status_code == 200


def test_too_large(arm: Arm) -> None:
    error(arm.put(VNET, b"x" * (4 * 1024 * 1024 + 1)), 413, "RequestEntityTooLarge")


def test_many_faults_are_cut(arm: Arm) -> None:
    rules = [{"name": f"r{n}", "properties": {"direction": n}} for n in range(2000)]
    answer = arm.put(NSG, {"location": "eastus2", "properties": {"securityRules": rules}})
    error(answer, 400, "InvalidRequestFormat")
    assert len(answer.content) < 40_000


def test_encoded_and_doubled_slashes(arm: Arm) -> None:
    assert arm.get(VNET.replace("/providers", "//providers")).json()["id"] == VNET
    assert arm.get("/" + VNET.replace("/", "%2F")).json()["id"] == VNET


def test_every_answer_can_be_found_in_the_log(arm: Arm) -> None:
    answer = arm.get(VNET, headers={"x-ms-correlation-request-id": "my-trace"})
    assert answer.headers["x-ms-request-id"] and answer.headers["x-ms-correlation-request-id"] == "my-trace"
    answer = arm.get(VNET + "2", headers={"x-ms-correlation-request-id": "a b\t<script>"})
    assert answer.headers["x-ms-correlation-request-id"] == answer.headers["x-ms-request-id"]


def _foreign(arm: Arm) -> str:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Signer(stranger, TENANT, arm.now, lambda: "id").issue(Subject("c", "o"), MANAGEMENT)


def test_tokens(arm: Arm, caplog: pytest.LogCaptureFixture) -> None:
    graph = arm.signer.issue(Subject("c", "o"), "https://graph.microsoft.com/")
    for token, code in (
        ("", "AuthenticationFailedInvalidHeader"),
        ("nonsense", "InvalidAuthenticationToken"),
        (arm.token[:-4] + "AAAA", "InvalidAuthenticationToken"),
        (_foreign(arm), "InvalidAuthenticationToken"),
        (graph, "InvalidAuthenticationTokenAudience"),
    ):
        answer = arm.get(VNET, headers={"Authorization": f"Bearer {token}"})
        error(answer, 401, code)
        assert answer.headers["WWW-Authenticate"].startswith('Bearer authorization_uri="https://login.microsoftonline.com/')
    now = arm.now
    arm.now = lambda: now() + dt.timedelta(hours=2)
    error(arm.get(VNET), 401, "ExpiredAuthenticationToken")
    arm.now = now
    assert arm.get(VNET).status_code == 200


def test_no_token_at_all(arm: Arm) -> None:
    answer = arm.client.get(f"{VNET}?api-version=2024-01-01")
    error(answer, 401, "AuthenticationFailed")
    assert "WWW-Authenticate" in answer.headers
    assert arm.client.put(f"{VNET}?api-version=2024-01-01", content=b"{").status_code == 401
