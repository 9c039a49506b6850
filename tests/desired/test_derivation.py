"""What follows from a snapshot: the seed's cluster item by item, and laws that hold for every snapshot."""

from __future__ import annotations

import dataclasses
import hashlib
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import clouds
from tests.clouds import Cloud, aks, environment, model, nsg_path, rid, rule, served_cloud, service, subnet, vnet_path, ws_path

from ringfence.desired import state
from ringfence.desired.build import build
from ringfence.desired.state import (
    AnyItem,
    Balancer,
    Bundle,
    Endpoint,
    Environment,
    Filter,
    Image,
    ImageBuild,
    Router,
    ServiceAccount,
    ServiceMap,
    State,
    View,
    Workload,
)
from ringfence.model import compute
from ringfence.model.network import Protocol
from ringfence.model.resource import ProvisioningState, Snapshot
from ringfence.policy import companions, names, places, reach

VNET, NSG = vnet_path("mynetwork"), nsg_path("mynetwork-nsg")
COMPUTE, SERVICE = f"{ws_path()}/computes/myaks", f"{ws_path()}/services/diabetes"

_Item = TypeVar("_Item", bound=AnyItem)


def of(found: State, kind: type[_Item]) -> list[_Item]:
    return [item for item in found if isinstance(item, kind)]


def only(found: State, kind: type[_Item]) -> _Item:
    (item,) = of(found, kind)
    return item


def owned(found: State, path: str) -> set[str]:
    """The kinds of items whose operations wait for a resource."""
    return {item.key.partition("/")[0] for item in found if rid(path).key in item.owners}


def test_an_empty_cloud_is_the_internet() -> None:
    found = build(Snapshot())
    assert sorted(found.items) == ["dns/internet", "nic/internet"]
    (view,) = of(found, View)
    records = {record.name: record.values for record in view.records}
    assert records["management.azure.com"] == ("198.18.0.17",)
    assert records["login.microsoftonline.com"] == ("198.18.0.1",)


def test_a_cluster_has_nodes_pods_a_frontend_and_a_router() -> None:
    cloud = clouds.seed_cloud()
    cloud.put(COMPUTE, aks(VNET))
    found = build(cloud.snapshot)
    suffixes = sorted(item.key.partition("-")[2] for item in of(found, Endpoint) if "-" in item.key)
    assert suffixes == ["node0", "node1", "node2", "pod-dns", "pod-fe"]
    balancer, router = only(found, Balancer), only(found, Router)
    router_pod = next(item for item in of(found, Endpoint) if item.key == router.endpoint)
    assert balancer.public and balancer.floating and balancer.key.endswith("-public-80")
    assert [(t.address, t.port) for t in balancer.targets] == [(router_pod.address, 80)]
    assert (balancer.probe_port, balancer.probe_path, router.port, router.routes) == (80, None, 80, ())
    assert {"nic", "svc", "filter", "lb", "dns", "router"} == owned(found, COMPUTE)
    cluster = (
        str(companions.cluster_id(cloud.snapshot.need(rid(COMPUTE))))
        .partition("/resourceGroups/")[2]
        .replace("/providers/", "/", 1)
    )
    assert owned(found, cluster) >= {"nic", "svc", "dns"} and not owned(found, cluster) & {"lb", "router"}


def test_snippet_three_swaps_one_balancer_for_another() -> None:
    cloud = served_cloud()
    before = build(cloud.snapshot)
    cloud.put(COMPUTE, aks(VNET, loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="default"))
    after = build(cloud.snapshot)
    gone, new = before.items.keys() - after.items.keys(), after.items.keys() - before.items.keys()
    assert [key.rpartition("-")[0].rpartition("-")[2] for key in (*gone, *new)] == ["public", "internal"]
    changed = {
        key for key in before.items.keys() & after.items.keys() if before.items[key].fingerprint != after.items[key].fingerprint
    }
    assert {key.partition("/")[0] for key in changed} == {"filter", "net"}
    assert IPv4Address(only(after, Balancer).address) in IPv4Network("10.1.0.0/22")


def test_every_pod_sees_the_service_range() -> None:
    found = build(served_cloud().snapshot)
    maps = of(found, ServiceMap)
    assert len(maps) == 6 and len({(m.range, m.services) for m in maps}) == 1
    table = {(s.address, s.protocol, s.port): (s.target, s.target_port) for s in maps[0].services}
    pods = {item.key.rpartition("-")[2]: item.address for item in of(found, Endpoint)}
    assert maps[0].range == "10.0.0.0/16"
    assert table["10.0.0.1", "tcp", 443][0].startswith("198.18.2.")
    assert table["10.0.0.10", "udp", 53] == table["10.0.0.10", "tcp", 53] == (pods["dns"], 53)
    scoring = [key for key in table if key[2] == 80]
    assert len(scoring) == 2 and {table[key] for key in scoring} == {(pods["fe"], 80)}


def test_names_inside_and_outside_of_a_cluster() -> None:
    cloud = served_cloud()
    found = build(cloud.snapshot)
    views = {item.key: {r.name: r.values[0] for r in item.records} for item in of(found, View)}
    inside = next(records for key, records in views.items() if key.endswith("-cluster"))
    assert inside["kubernetes.default.svc.cluster.local"] == "10.0.0.1"
    assert inside["diabetes.azureml-ws.svc.cluster.local"].startswith("10.0.")
    public = names.hosts(cloud.snapshot)
    assert all(public.items() <= records.items() for records in views.values())
    workspace = cloud.snapshot.need(rid(ws_path()))
    assert public[names.workspace_host(workspace)] == public["eastus2.api.azureml.ms"] == "198.18.2.65"
    account = names.storage_of(cloud.snapshot, workspace)
    assert account is not None and public[f"{account.id.name}.blob.core.windows.net"] == "198.18.2.1"
    assert any(name.endswith(".hcp.eastus2.azmk8s.io") for name in public)


def test_a_service_is_an_environment_a_bundle_and_a_process_for_each_replica() -> None:
    cloud = served_cloud()
    cloud.put(SERVICE, service(numReplicas=2, scoringTimeoutMs=1234), location=None)
    found = build(cloud.snapshot)
    env, bundle, pods = only(found, Environment), only(found, Bundle), of(found, Workload)
    assert (env.python, env.pip) == ("3.10", ("scikit-learn",))
    assert [(f.path, f.unpack) for f in bundle.files] == [
        ("12345678.tar.gz", True),
        ("azureml-models/diabetes/1/diabetes.pkl", False),
    ]
    assert [pod.key.rpartition("-")[2] for pod in pods] == ["0", "1"]
    made, pulled = only(found, ImageBuild), of(found, Image)
    assert made.environment == env.key and made.repository == f"azureml/azureml_{env.key.removeprefix('env/')}"
    assert [image.key for image in pulled] == [pod.image for pod in pods]
    for image in pulled:
        assert (image.registry, image.repository) == (made.registry, made.repository)
        assert made.key in image.needs and image.endpoint.partition("-")[2] in ("node0", "node1"), "each pulled by its node"
    for pod in pods:
        assert pod.needs == (pod.image, pod.bundle) and pod.bundle == bundle.key
        assert (pod.memory_mb, pod.port, pod.nameserver) == (1024, 5001, "10.0.0.10")
    variables = dict(pods[0].variables)
    assert variables["AZUREML_MODEL_DIR"] == "/var/azureml-app/azureml-models/diabetes/1"
    assert variables["AML_APP_ROOT"] == "/var/azureml-app"
    assert variables["AZUREML_ENTRY_SCRIPT"] == "source/score.py" and variables["EXAMPLE_ENV_VAR"] == "EXAMPLE_VALUE"
    assert variables["SCORING_TIMEOUT_MS"] == "1234"
    (route,) = only(found, Router).routes
    addresses = [next(e.address for e in of(found, Endpoint) if e.key == pod.endpoint) for pod in pods]
    assert [t.address for t in route.targets] == addresses and {t.port for t in route.targets} == {5001}
    assert route.keys == tuple(hashlib.sha256(f"Bearer {key}".encode()).hexdigest() for key in ("first", "second"))
    assert route.service == "diabetes" and route.auth and route.timeout_ms == 1234
    assert owned(found, SERVICE) == {"env", "build", "img", "bundle", "pod", "nic", "svc", "router", "filter", "lb"}


def test_a_pod_knows_its_api_server_and_who_it_is_there() -> None:
    found = build(served_cloud().snapshot)
    pod, (server,) = of(found, Workload)[0], served_cloud().snapshot.of_type(compute.MANAGED_CLUSTER)
    assert pod.account == ServiceAccount(server=server.guid("api-server"), namespace="azureml-ws", name="default")
    variables = dict(pod.variables)
    address = (variables["KUBERNETES_SERVICE_HOST"], int(variables["KUBERNETES_SERVICE_PORT"]))
    (services,) = [item.services for item in of(found, ServiceMap) if item.endpoint == pod.endpoint]
    assert address in [(s.address, s.port) for s in services]
    assert pod.search == ("azureml-ws.svc.cluster.local", "svc.cluster.local", "cluster.local")


def test_several_models_share_a_folder() -> None:
    cloud = served_cloud()
    model(cloud, "second", 3, "folder/a.bin", "folder/b/c.bin")
    cloud.put(SERVICE, service(models=("diabetes:1", "second:3")), location=None)
    found = build(cloud.snapshot)
    assert dict(only(found, Workload).variables)["AZUREML_MODEL_DIR"] == "/var/azureml-app/azureml-models"
    paths = [f.path for f in only(found, Bundle).files]
    assert "azureml-models/second/3/folder/b/c.bin" in paths and "azureml-models/diabetes/1/diabetes.pkl" in paths


def test_the_user_cannot_take_the_platforms_variables() -> None:
    cloud = served_cloud()
    spec = environment("numpy")
    spec["environmentVariables"] |= {"AZUREML_MODEL_DIR": "/", "SERVER_PORT": "22", "AML_APP_ROOT": "/"}
    cloud.put(SERVICE, service() | {"environmentImageRequest": {"modelIds": ["diabetes:1"], "environment": spec}}, location=None)
    variables = dict(only(build(cloud.snapshot), Workload).variables)
    assert (variables["SERVER_PORT"], variables["AML_APP_ROOT"]) == ("5001", "/var/azureml-app")
    assert variables["AZUREML_MODEL_DIR"].startswith("/var/azureml-app/")


def test_equal_environments_are_built_once_and_owned_by_all_who_wait() -> None:
    cloud = served_cloud()
    cloud.put(f"{ws_path()}/services/second", service(), location=None)
    env = only(build(cloud.snapshot), Environment)
    assert set(env.owners) == {rid(SERVICE).key, rid(f"{ws_path()}/services/second").key}


def test_an_nsg_and_its_rules_own_the_filters_they_are_in() -> None:
    cloud = served_cloud()
    cloud.put(f"{NSG}/securityRules/one", rule(100), location=None)
    found = build(cloud.snapshot)
    for path in (NSG, f"{NSG}/securityRules/one", VNET, f"{VNET}/subnets/default"):
        filters = [item for item in of(found, Filter) if rid(path).key in item.owners]
        assert len(filters) == 1 and any(rid(NSG).key == s.id for s in filters[0].rule_sets)


def test_names_of_rule_sets_fit_a_chain() -> None:
    for item in of(build(served_cloud().snapshot), Filter):
        chains = [s.name for s in item.rule_sets]
        assert len(set(chains)) == len(chains)
        assert all(len(name) <= 40 and name.replace("_", "").isalnum() and name.islower() for name in chains)


def test_a_reference_to_a_group_that_is_not_there_lets_nothing_pass() -> None:
    snapshot = served_cloud().snapshot
    without = Snapshot.of([r for r in snapshot if not r.id.within(rid(NSG))], snapshot.allocations.values())
    (closed,) = [s for f in of(build(without), Filter) for s in f.rule_sets if s.id == rid(NSG).key]
    assert closed.inbound == () and closed.outbound == ()


@pytest.mark.parametrize("path", [SERVICE, COMPUTE, VNET, ws_path()])
def test_what_is_being_deleted_wants_nothing(path: str) -> None:
    snapshot = served_cloud().snapshot
    marked = [dataclasses.replace(r, state=ProvisioningState.DELETING) for r in snapshot if r.id.within(rid(path))]
    found = build(snapshot.changed(marked))
    for resource in marked:
        mine = [item for item in found if resource.key in item.owners and not isinstance(item, Filter | View)]
        assert mine == []


def _rich_cloud() -> Cloud:
    cloud = served_cloud()
    cloud.put(f"{NSG}/securityRules/in", rule(150, sourceAddressPrefix="Internet", destinationPortRange="80"), location=None)
    cloud.put(f"{NSG}/securityRules/out", rule(150, "Deny", "Outbound", destinationAddressPrefix="Storage"), location=None)
    cloud.put(f"{ws_path()}/computes/own", aks(loadBalancerType="InternalLoadBalancer"))
    cloud.put(f"{ws_path()}/services/second", service("own", numReplicas=2), location=None)
    nic = {"ipConfigurations": [{"name": "i", "properties": {"subnet": {"id": str(rid(f"{VNET}/subnets/default"))}}}]}
    cloud.put("mygroup/Microsoft.Network/networkInterfaces/nic", nic | {"networkSecurityGroup": {"id": str(rid(NSG))}})
    cloud.put(f"{VNET}/subnets/default/locations/jump", {}, location=None)
    cloud.put(f"{VNET}/subnets/open", subnet("10.1.8.0/24"), location=None)
    cloud.put(f"{VNET}/subnets/open/locations/jump", {}, location=None)
    return cloud


_RICH = _rich_cloud().snapshot
_STATE = build(_RICH)


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(random: st.random.Random) -> None:  # type: ignore[name-defined]  # hypothesis' own
    resources, allocations = list(_RICH), list(_RICH.allocations.values())
    random.shuffle(resources)
    random.shuffle(allocations)
    assert build(Snapshot.of(resources, allocations, version=random.randint(0, 9))) == _STATE


def test_every_endpoint_is_judged_and_every_target_exists() -> None:
    endpoints = {item.key: item for item in of(_STATE, Endpoint) if item.network != state.INTERNET}
    bound = {b.endpoint: b for item in of(_STATE, Filter) for b in item.bindings}
    assert bound.keys() == endpoints.keys()
    assert all(bound[key].address == item.address for key, item in endpoints.items())
    here = {(item.network, item.address) for item in endpoints.values()}
    assert len(here) == len(endpoints)
    for balancer in of(_STATE, Balancer):
        assert all((balancer.network, target.address) in here for target in balancer.targets)
    for router in of(_STATE, Router):
        network = endpoints[router.endpoint].network
        assert all((network, target.address) in here for route in router.routes for target in route.targets)
    used = [item.endpoint for item in of(_STATE, ServiceMap)] + [item.endpoint for item in of(_STATE, Workload)]
    assert set(used) <= endpoints.keys()
    for need in (need for item in _STATE for need in item.needs):
        assert need in _STATE.items


# Enforcement against proof: the driver's own values, evaluated naively, say what `policy.reach` says.
def _allowed(found: tuple[state.Rule, ...], source: str, destination: str, port: int, protocol: str) -> bool:
    for one in found:
        ports = one.source_ports or one.destination_ports
        if one.protocol not in ("*", protocol) or (ports and protocol not in ("tcp", "udp")):
            continue
        if one.sources and not any(IPv4Address(source) in IPv4Network(n) for n in one.sources):
            continue
        if one.destinations and not any(IPv4Address(destination) in IPv4Network(n) for n in one.destinations):
            continue
        if one.destination_ports and not any(low <= port <= high for low, high in one.destination_ports):
            continue
        return one.allow
    return False


_PLACES = [p for p in places.places(_RICH) if p.vnet == rid(VNET)]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(_PLACES),
    st.sampled_from(_PLACES),
    st.sampled_from([22, 53, 80, 443, 5001]),
    st.sampled_from([Protocol.TCP, Protocol.UDP, Protocol.ICMP]),
)
def test_what_is_enforced_is_what_is_proven(source: places.Place, target: places.Place, port: int, protocol: Protocol) -> None:
    proven = reach.trace(_RICH, source, IPv4Address(target.address), port, protocol).verdict is reach.Verdict.ALLOWED
    (rules,) = [f for f in of(_STATE, Filter) if any(b.address == source.address for b in f.bindings) and f.network == _network()]
    sets = {s.name: s for s in rules.rule_sets}
    bindings = {b.address: b for b in rules.bindings}
    enforced = True
    for level in (bindings[source.address].nic, bindings[source.address].subnet):
        enforced &= level is None or _allowed(sets[level].outbound, source.address, target.address, port, protocol.value.lower())
    for level in (bindings[target.address].subnet, bindings[target.address].nic):
        enforced &= level is None or _allowed(sets[level].inbound, source.address, target.address, port, protocol.value.lower())
    assert enforced is proven


def _network() -> str:
    return next(item.key for item in _STATE if item.key.startswith("net/") and rid(VNET).key in item.owners)
