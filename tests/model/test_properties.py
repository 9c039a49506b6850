"""The nouns: names in any casing, unknown names refused, read-only names ignored, what a PUT onto something means."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from pydantic import ValidationError
from tests import clouds

from ringfence.model import catalog, ml, network, serving
from ringfence.model.resource import ProvisioningState, Resource, Snapshot

RULE = clouds.rule(100)


def test_names_match_in_any_casing_and_come_out_in_azures() -> None:
    found = network.SecurityRule.model_validate({name.upper(): value for name, value in RULE.items()})
    assert found.model_dump(by_alias=True, exclude_defaults=True, mode="json") == RULE


def test_null_is_absence_and_a_name_is_given_once() -> None:
    nothing = {"networkSecurityGroup": None, "serviceEndpoints": None, "delegations": None}
    assert network.Subnet.model_validate({"addressPrefix": "10.0.0.0/24", **nothing}).model_fields_set == {"address_prefix"}
    with pytest.raises(ValidationError):
        network.SecurityRule.model_validate(RULE | {"priority": None})
    with pytest.raises(ValidationError, match="given twice"):
        network.SecurityRule.model_validate(RULE | {"Priority": 200})


def test_words_match_in_any_casing() -> None:
    found = network.SecurityRule.model_validate(RULE | {"protocol": "TCP", "access": "ALLOW", "direction": "inbound"})
    assert (found.protocol, found.access, found.direction) == (
        network.Protocol.TCP,
        network.Access.ALLOW,
        network.Direction.INBOUND,
    )


@pytest.mark.parametrize("type", sorted(catalog.PROPERTIES))
def test_unknown_names_are_refused_and_named(type: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        catalog.PROPERTIES[type].model_validate({"noSuchThing": 1})
    unknown = [error for error in refusal.value.errors() if error["type"] == "extra_forbidden"]
    assert [error["loc"] for error in unknown] == [("noSuchThing",)]


@pytest.mark.parametrize("type", sorted(catalog.PROPERTIES))
def test_what_is_read_only_is_ignored(type: str) -> None:
    model = catalog.PROPERTIES[type]
    sent = {name.upper(): {"anything": 1} for name in model.READ_ONLY}
    try:
        model.model_validate(sent)
    except ValidationError as refusal:
        assert {error["type"] for error in refusal.errors()} == {"missing"}
    assert not {name.lower() for name in model.READ_ONLY} & {n.lower() for f in model.model_fields.values() if (n := f.alias)}


def test_singular_and_plural_fields_are_kept_apart_and_read_together() -> None:
    plural = {name: value for name, value in RULE.items() if name != "destinationPortRange"}
    found = network.SecurityRule.model_validate(plural | {"destinationPortRanges": ["80", "443"]})
    assert found.destination_ports == ("80", "443") and found.destination_port_range is None
    assert found.source_ports == ("*",) and found.source_port_ranges == ()


def test_an_id_that_is_none_carries_azures_code() -> None:
    with pytest.raises(ValidationError) as refusal:
        network.Subnet.model_validate({"addressPrefix": "10.0.0.0/24", "networkSecurityGroup": {"id": "my-nsg"}})
    (error,) = refusal.value.errors()
    assert (error["type"], error["loc"]) == ("LinkedInvalidPropertyId", ("networkSecurityGroup", "id"))


def test_an_update_of_a_compute_keeps_what_it_leaves_out() -> None:
    old = ml.Compute.model_validate(clouds.aks(clouds.vnet_path("v"), agentCount=4, clusterPurpose="DevTest"))
    sent = {
        "computeType": "AKS",
        "provisioningState": "Succeeded",
        "isAttachedCompute": False,
        "provisioningErrors": None,
        "resourceId": "/subscriptions/x/whatever",
        "properties": {
            "loadBalancerType": "InternalLoadBalancer",
            "loadBalancerSubnet": "default",
            "sslConfiguration": None,
            "systemServices": [{"systemServiceType": "ScoringFrontEnd"}],
            "clusterFqdn": "x",
        },
    }
    new = ml.Compute.model_validate(sent).merged(old)
    assert new.properties.internal and new.properties.load_balancer_subnet == "default"
    assert new.properties.agent_count == 4 and new.properties.cluster_purpose is ml.ClusterPurpose.DEV_TEST
    assert new.properties.networking == old.properties.networking
    assert new.resource_id is None


def test_a_compute_that_says_nothing_has_azures_defaults() -> None:
    for sent in ({"computeType": "AKS"}, {"computeType": "AKS", "properties": None}, {"computeType": "AKS", "properties": {}}):
        asked = ml.Compute.model_validate(sent).properties
        assert (asked.agent_count, asked.agent_vm_size, asked.cluster_purpose.value) == (3, "Standard_D3_v2", "FastProd")
        assert (asked.service_cidr, asked.dns_service_ip, asked.docker_bridge_cidr) == (
            "10.0.0.0/16",
            "10.0.0.10",
            "172.17.0.1/16",
        )
        assert not asked.internal


def test_a_workspace_keeps_its_references() -> None:
    old = ml.Workspace(storage_account="/subscriptions/s/a", friendly_name="before")
    new = ml.Workspace(friendly_name="after").merged(old)
    assert (new.storage_account, new.friendly_name) == ("/subscriptions/s/a", "after")


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\0b", "x" * 1025])
def test_no_file_leads_out_of_its_folder(path: str) -> None:
    for model in (serving.Blob, serving.ServiceFile):
        name = "sha256" if model is serving.Blob else "blob"
        with pytest.raises(ValidationError):
            model.model_validate({"path": path, name: clouds.DIGEST})


def _resource(path: str) -> Resource:
    return clouds.resource(path, {}, at=clouds.NOW)


def test_a_guid_belongs_to_one_life_of_a_resource() -> None:
    first = _resource("group")
    again = dataclasses.replace(first, created_at=clouds.NOW + dt.timedelta(seconds=1))
    assert first.guid() == _resource("GROUP").guid()
    assert len({first.guid(), first.guid("other"), again.guid()}) == 3


def test_a_snapshot_finds_by_id_type_parent_and_scope() -> None:
    cloud = clouds.seed_cloud()
    vnet = clouds.rid(clouds.vnet_path("MyNetwork", "MYGROUP"))
    snapshot = cloud.snapshot
    assert snapshot.need(vnet).id.name == "mynetwork"
    assert [r.id.name for r in snapshot.children(vnet)] == ["default"]
    assert {r.id.name for r in snapshot.of_type("Microsoft.Network/VirtualNetworks")} == {"mynetwork", "myvnetname"}
    assert {a.owner for a in snapshot.taken("network-index").values()} == {
        r.key for r in snapshot.of_type(network.VIRTUAL_NETWORK)
    }
    assert snapshot.get(clouds.rid("nowhere")) is None


def test_a_changed_snapshot_equals_one_made_anew() -> None:
    cloud = clouds.served_cloud()
    cloud.gone(f"{clouds.ws_path()}/services/diabetes")
    snapshot = cloud.snapshot
    anew = Snapshot.of(snapshot.resources.values(), snapshot.allocations.values(), snapshot.version)
    for resource in snapshot:
        assert snapshot.children(resource.id) == anew.children(resource.id)
        assert snapshot.of_type(resource.type) == anew.of_type(resource.type)
        assert snapshot.allocated(resource.id) == anew.allocated(resource.id)
    for allocation in snapshot.allocations.values():
        assert snapshot.taken(allocation.scope) == anew.taken(allocation.scope)


def test_only_ends_are_terminal() -> None:
    ends = {state for state in ProvisioningState if state.terminal}
    assert ends == {ProvisioningState.SUCCEEDED, ProvisioningState.FAILED, ProvisioningState.CANCELED}
