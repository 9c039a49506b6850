"""Who may use a workspace from where: private endpoints, publicNetworkAccess, allowPublicAccessWhenBehindVnet."""

from __future__ import annotations

import pytest
from tests.ml.plane import SUBNET, WORKSPACE, Plane

from ringfence.model import errors, ml, private_link
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Reference
from ringfence.policy import arrivals
from ringfence.policy.private_link import LINK

ENDPOINT = WORKSPACE.group_id.resource("Microsoft.Network/privateEndpoints", "pe")
INTERNET = "198.19.255.4"
WORDS = "Access to workspace was denied based on workspace private link configuration."


def endpoint(plane: Plane, *, manual: bool = False) -> str:
    """A private endpoint of the workspace; the address that it is seen from."""
    asked = private_link.RequestedConnection(private_link_service_id=str(WORKSPACE), group_ids=("amlworkspace",))
    connection = (private_link.NamedConnection(name="c", properties=asked),)
    field = "manual_private_link_service_connections" if manual else "private_link_service_connections"
    plane.put(ENDPOINT, private_link.PrivateEndpoint(subnet=Reference(id=str(SUBNET)), **{field: connection}))
    return plane.engine.snapshot().value(ENDPOINT, LINK) or ""


def answers(plane: Plane, source: str) -> bool:
    try:
        arrivals.require(plane.engine.snapshot(), plane.engine.get(WORKSPACE), source)
    except errors.Forbidden as problem:
        assert (problem.code, problem.message) == ("UserError", WORDS)
        return False
    return True


def test_a_private_endpoint_closes_a_workspace_to_the_public(plane: Plane) -> None:
    path = f"/modelmanagement/v1.0{WORKSPACE}/services"
    assert plane.client.get(path).status_code == 200
    inside = endpoint(plane)
    refused = plane.client.get(path)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "UserError" and refused.json()["error"]["message"] == WORDS
    assert answers(plane, inside) and not answers(plane, INTERNET)
    plane.put(WORKSPACE, ml.Workspace(allow_public_access_when_behind_vnet=True))
    assert plane.client.get(path).status_code == 200


@pytest.mark.parametrize(("said", "open_"), [("Enabled", True), ("Disabled", False), (None, False)])
def test_public_network_access_decides_where_it_is_given(plane: Plane, said: str | None, open_: bool) -> None:
    inside = endpoint(plane)
    plane.put(WORKSPACE, ml.Workspace(public_network_access=said))
    assert answers(plane, INTERNET) is open_ and answers(plane, inside)


def test_a_pending_connection_closes_nothing_and_lets_nobody_in(plane: Plane) -> None:
    inside = endpoint(plane, manual=True)
    assert answers(plane, INTERNET) and not answers(plane, inside)


def test_an_endpoint_leads_to_its_own_workspace_only(plane: Plane) -> None:
    inside = endpoint(plane)
    other = ResourceId(WORKSPACE.subscription, WORKSPACE.group).resource(WORKSPACE.type, "other")
    plane.put(other, ml.Workspace())
    with pytest.raises(errors.Forbidden):
        arrivals.require(plane.engine.snapshot(), plane.engine.get(other), inside)
