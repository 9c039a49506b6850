"""TLS on the scoring endpoint of a cluster: what is refused, and what follows from what is accepted."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from tests.clouds import NOW, Cloud, aks, rid, seed_cloud, served_cloud, service, vnet_path, ws_path

from ringfence.api.arm import ml as documents
from ringfence.desired import build
from ringfence.desired.state import Balancer, Router, ServiceMap, View
from ringfence.model import errors, ml
from ringfence.policy import endpoints, places

COMPUTE = f"{ws_path()}/computes/myaks"
VNET = vnet_path("mynetwork")
PEM = serialization.Encoding.PEM


@functools.cache
def private(kind: str) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def certificate(*names: str, begins: int = -1, ends: int = 90, key: str = "ec", common: str = "any") -> str:
    """begins, ends: days from NOW."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private(key).public_key())
        .serial_number(1)
        .not_valid_before(NOW + dt.timedelta(days=begins))
        .not_valid_after(NOW + dt.timedelta(days=ends))
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return made.sign(private(key), hashes.SHA256()).public_bytes(PEM).decode()


def own(**more: Any) -> dict[str, Any]:
    given = {
        "status": "Enabled",
        "cname": "scoring.contoso.com",
        "cert": certificate("scoring.contoso.com"),
        "key": pem(private("ec")),
    }
    return {name: value for name, value in (given | more).items() if value is not None}


def auto(label: str = "contoso", **more: Any) -> dict[str, Any]:
    return {"status": "Auto", "leafDomainLabel": label, **more}


def refused(cloud: Cloud, ssl: dict[str, Any], **more: Any) -> errors.Problem:
    before = cloud.snapshot
    with pytest.raises(errors.Problem) as refusal:
        cloud.put(COMPUTE, aks(VNET, sslConfiguration=ssl, **more))
    assert cloud.snapshot is before
    assert "PRIVATE KEY" not in str(refusal.value)
    return refusal.value


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cert": None}, "cert is missing"),
        ({"key": None}, "key is missing"),
        ({"cname": None}, "cname is missing"),
        ({"cname": "no host name"}, "is not a host name"),
        ({"cname": "scoring"}, "is not a host name"),
        ({"leafDomainLabel": "contoso"}, "leafDomainLabel is for the status Auto"),
        ({"cert": "nothing"}, "not a certificate in PEM form"),
        ({"cert": pem(private("ec"))}, "not a certificate in PEM form"),
        ({"key": "nothing"}, "not a private key in PEM form"),
        ({"key": pem(ec.generate_private_key(ec.SECP256R1()))}, "does not belong to the certificate"),
        ({"cert": certificate("scoring.contoso.com", ends=0)}, "Use one that holds"),
        ({"cert": certificate("scoring.contoso.com", begins=1)}, "Use one that holds"),
        ({"cert": certificate("other.contoso.com")}, "it is for other.contoso.com"),
        ({"cert": certificate("*.contoso.com"), "cname": "a.b.contoso.com"}, "does not cover"),
        ({"cert": certificate("*.contoso.com"), "cname": "contoso.com"}, "does not cover"),
        ({"cert": certificate("scoring.contoso.com", key="rsa1024"), "key": pem(private("rsa1024"))}, "1024 bits"),
    ],
)
def test_own_certificates_that_are_refused(change: dict[str, Any], words: str) -> None:
    problem = refused(seed_cloud(), own(**change))
    assert problem.code == "InvalidSslConfiguration" and words in problem.message


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"cname": "Scoring.Contoso.com"},
        {"cert": certificate("*.contoso.com")},
        {"cert": certificate(common="scoring.contoso.com")},
        {"cert": certificate("x.y", "scoring.contoso.com") + certificate("its.issuer")},
        {"cert": certificate("scoring.contoso.com", key="rsa2048"), "key": pem(private("rsa2048"))},
    ],
)
def test_own_certificates_that_are_accepted(change: dict[str, Any]) -> None:
    assert seed_cloud().put(COMPUTE, aks(VNET, sslConfiguration=own(**change))) == []
    internal = aks(VNET, sslConfiguration=own(**change), loadBalancerType="InternalLoadBalancer", loadBalancerSubnet="default")
    assert seed_cloud().put(COMPUTE, internal) == []


def test_leaf_labels() -> None:
    for label in ("", "ab", "1ab", "ab-", "a_b", "a" * 58):
        assert "leaf domain label" in refused(seed_cloud(), auto(label)).message
    assert "Azure issues the certificate" in refused(seed_cloud(), auto(cert="c")).message
    internal = {"loadBalancerType": "InternalLoadBalancer", "loadBalancerSubnet": "default"}
    assert "not available with an internal load balancer" in refused(seed_cloud(), auto(), **internal).message
    cloud = seed_cloud()
    cloud.put(COMPUTE, aks(VNET, sslConfiguration=auto()))
    with pytest.raises(errors.Invalid, match="not available with an internal"):
        cloud.put(COMPUTE, aks(**internal))
    cloud.put(COMPUTE, aks(sslConfiguration={"status": "Disabled"}, **internal))


def test_a_domain_that_is_overwritten_is_one_clusters_only() -> None:
    cloud = seed_cloud()
    cloud.put(COMPUTE, aks(VNET, sslConfiguration=auto(overwriteExistingDomain=True)))
    assert endpoints.leaf_name(cloud.snapshot.need(rid(COMPUTE))) == "contoso.eastus2.cloudapp.azure.com"
    second = f"{ws_path()}/computes/second"
    with pytest.raises(errors.Conflict) as refusal:
        cloud.put(second, aks(sslConfiguration=auto(overwriteExistingDomain=True)))
    assert refusal.value.code == "DnsRecordInUse"
    cloud.put(second, aks(sslConfiguration=auto()))
    name = endpoints.leaf_name(cloud.snapshot.need(rid(second)))
    assert name is not None and name.startswith("contoso") and len(name) == len("contoso123456.eastus2.cloudapp.azure.com")


def ports(cloud: Cloud) -> set[int]:
    """Every port that leads to the router."""
    items = list(build.build(cloud.snapshot))
    found = {item.port for item in items if isinstance(item, Balancer | Router)}
    found |= {item.probe_port for item in items if isinstance(item, Balancer)}
    maps = [s for item in items if isinstance(item, ServiceMap) for s in item.services]
    router = next(item for item in items if isinstance(item, Balancer)).targets[0].address
    return found | {s.target_port for s in maps if s.target == router}


def uri(cloud: Cloud) -> str:
    compute = cloud.snapshot.need(rid(COMPUTE))
    return endpoints.url(compute, places.frontend_address(cloud.snapshot, compute) or "", "diabetes")


def test_what_follows_from_tls() -> None:
    cloud = served_cloud()
    assert ports(cloud) == {80}
    cloud.put(COMPUTE, aks(sslConfiguration=own()))
    assert ports(cloud) == {443}
    assert uri(cloud) == "https://scoring.contoso.com/api/v1/service/diabetes/score"
    router = next(item for item in build.build(cloud.snapshot) if isinstance(item, Router))
    assert router.tls is not None and router.tls.key == pem(private("ec")) and router.tls.key not in repr(router)
    cloud.put(COMPUTE, aks(sslConfiguration=auto()))
    compute = cloud.snapshot.need(rid(COMPUTE))
    name = endpoints.leaf_name(compute)
    views = [item for item in build.build(cloud.snapshot) if isinstance(item, View)]
    assert all(name in {record.name for record in view.records} for view in views)
    assert uri(cloud) == f"https://{name}/api/v1/service/diabetes/score"
    cloud.put(COMPUTE, aks(sslConfiguration={"status": "Disabled"}))
    assert ports(cloud) == {80} and uri(cloud).startswith("http://198.")


def test_documents_never_show_keys_and_can_be_put_back() -> None:
    cloud = served_cloud()
    cloud.put(COMPUTE, aks(sslConfiguration=own()))
    compute = cloud.snapshot.need(rid(COMPUTE))
    shown = documents.of_compute(cloud.snapshot, compute)
    assert "PRIVATE KEY" not in str(shown) and "BEGIN" not in str(shown)
    assert shown["properties"]["sslConfiguration"]["cname"] == "scoring.contoso.com"
    cloud.put(COMPUTE, {"computeType": "AKS", "properties": shown["properties"]})
    after = cloud.snapshot.need(rid(COMPUTE)).properties
    assert isinstance(after, ml.Compute) and after.properties.ssl.key == pem(private("ec"))
    cloud.put(COMPUTE, aks(agentCount=4))
    after = cloud.snapshot.need(rid(COMPUTE)).properties
    assert isinstance(after, ml.Compute) and after.properties.ssl.key == pem(private("ec"))


def test_a_new_certificate_is_asked_for_once() -> None:
    cloud = served_cloud()
    cloud.put(COMPUTE, aks(sslConfiguration=auto()))

    def serial() -> str:
        router = next(item for item in build.build(cloud.snapshot) if isinstance(item, Router))
        assert router.tls is not None
        return router.tls.serial

    shown = documents.of_compute(cloud.snapshot, cloud.snapshot.need(rid(COMPUTE)))["properties"]
    first = serial()
    cloud.put(COMPUTE, {"computeType": "AKS", "properties": shown})
    assert serial() == first
    renewed = {**shown, "sslConfiguration": {**shown["sslConfiguration"], "renew": True}}
    cloud.put(COMPUTE, {"computeType": "AKS", "properties": renewed})
    second = serial()
    assert second != first
    cloud.put(COMPUTE, {"computeType": "AKS", "properties": shown})
    assert serial() == second
    cloud.put(f"{ws_path()}/services/second", service(), location=None)
    assert serial() == second


def test_a_document_of_a_cluster_in_a_network_of_its_own_can_be_put_back() -> None:
    cloud = seed_cloud()
    cloud.put(COMPUTE, aks())
    shown = documents.of_compute(cloud.snapshot, cloud.snapshot.need(rid(COMPUTE)))["properties"]
    assert shown["aksNetworkingConfiguration"]["subnetId"].endswith("/aks-subnet")
    cloud.put(COMPUTE, {"computeType": "AKS", "properties": {**shown, "sslConfiguration": auto()}})
    assert endpoints.port(cloud.snapshot.need(rid(COMPUTE))) == 443
    with pytest.raises(errors.Invalid) as refusal:
        cloud.put(COMPUTE, aks(VNET))
    assert refusal.value.code == "PropertyChangeNotAllowed"
    fresh = seed_cloud()
    fresh.put(COMPUTE, aks())
    with pytest.raises(errors.Invalid) as refusal:
        fresh.put(COMPUTE, aks(VNET))
    assert refusal.value.code == "PropertyChangeNotAllowed"
