"""Principals that follow from resources: which resources have one, and that it lives and dies with its resource."""

from __future__ import annotations

import dataclasses
import datetime as dt

from pydantic import JsonValue
from tests import clouds
from tests.clouds import Cloud, resource, rid

from ringfence.model.resource import Resource, Snapshot
from ringfence.policy import links, principals

_IDENTITY = "mygroup/Microsoft.ManagedIdentity/userAssignedIdentities/cluster-identity"


def _workspace(**identity: JsonValue) -> Resource:
    return dataclasses.replace(resource(clouds.ws_path(), {}), identity=identity or None)


def test_a_resource_has_a_principal_when_its_identity_is_its_own() -> None:
    assert principals.of(_workspace()) is None
    assert principals.of(_workspace(type="None")) is None
    assert principals.of(_workspace(type="UserAssigned")) is None
    for type in ("SystemAssigned", "systemassigned", "SystemAssigned, UserAssigned", "SystemAssigned,UserAssigned"):
        found = principals.of(_workspace(type=type))
        assert found is not None and found.kind == "ServicePrincipal" and found.name == "ws"
        assert found.source_key == rid(clouds.ws_path()).key and found.object_id != found.client_id


def test_one_made_later_under_the_same_name_is_another_principal() -> None:
    first = _workspace(type="SystemAssigned")
    later = dataclasses.replace(first, created_at=first.created_at + dt.timedelta(seconds=1))
    one, other = principals.of(first), principals.of(later)
    assert one is not None and other is not None and one.object_id != other.object_id


def test_a_resource_acts_with_every_identity_that_still_exists() -> None:
    carrier = resource(_IDENTITY, {})
    named: dict[str, JsonValue] = {str(carrier.id): {}, str(rid(f"{_IDENTITY}-gone")): {}}
    user = _workspace(type="SystemAssigned, UserAssigned", userAssignedIdentities=named)
    snapshot = Snapshot.of([carrier, user])
    assert [p.name for p in principals.acting(snapshot, user)] == ["ws", "cluster-identity"]
    assert {p.source_key for p in principals.managed(snapshot)} == {carrier.key, user.key}


def test_naming_an_identity_is_a_reference_that_needs_the_right_to_assign_it() -> None:
    id = rid(_IDENTITY)
    user = _workspace(type="UserAssigned", userAssignedIdentities={str(id): {}})
    assert [(link.target, link.action) for link in links.links(user)] == [
        (id, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action")
    ]


def test_the_cluster_behind_a_compute_acts_with_an_identity_of_its_own() -> None:
    cloud: Cloud = clouds.served_cloud()
    clusters = cloud.snapshot.of_type("Microsoft.ContainerService/managedClusters")
    assert [p.source_key for p in principals.managed(cloud.snapshot)] == [cluster.key for cluster in clusters]
