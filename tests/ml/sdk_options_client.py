"""Runs in the official client's own interpreter: TLS of clusters, and the options of `AksWebservice`.

    sdk_options_client.py SEED SOURCE

As `sdk_client.py`, whose first steps it shares.
"""

# mypy: disable-error-code="import-not-found, import-untyped"
# The client's packages are not in the environment that mypy sees.

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from typing import TYPE_CHECKING, Any

from azureml.core import Model, Workspace
from azureml.core.compute import AksCompute, ComputeTarget
from azureml.core.compute.aks import AksUpdateConfiguration, SslConfiguration
from azureml.core.webservice import AksWebservice
from azureml.exceptions import ComputeTargetException, WebserviceException
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from tests.ml import sdk_client
else:
    import sdk_client

CNAME = "scoring.contoso.com"


def pair(name: str) -> tuple[str, str]:
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.fromtimestamp(time.time(), dt.timezone.utc)  # noqa: UP017
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=30))
    signed = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(pem).decode(), private.decode()


def update(ws: Workspace, ssl: SslConfiguration, **more: Any) -> AksCompute:
    cluster = AksCompute(ws, "secure")
    cluster.update(AksUpdateConfiguration(ssl_configuration=ssl, **more))
    cluster.wait_for_completion()
    return AksCompute(ws, "secure")


def refused(ws: Workspace, ssl: SslConfiguration, words: str, **more: Any) -> None:
    try:
        update(ws, ssl, **more)
    except ComputeTargetException as refusal:
        assert words in str(refusal), str(refusal)
        return
    raise AssertionError(f"nothing was refused for {words!r}")


def tls(ws: Workspace) -> None:
    asked = AksCompute.provisioning_configuration()
    asked.enable_ssl(leaf_domain_label="contoso")
    ComputeTarget.create(ws, "secure", asked).wait_for_completion()
    cluster = AksCompute(ws, "secure")
    name = cluster.ssl_configuration.cname
    assert cluster.ssl_configuration.status == "Auto", cluster.serialize()
    assert name.startswith("contoso") and name.endswith(".eastus2.cloudapp.azure.com") and len(name.split(".")[0]) == 13
    assert update(ws, SslConfiguration(renew=True)).ssl_configuration.cname == name
    refused(ws, SslConfiguration(status="Auto", leaf_domain_label="x"), "leaf domain label")
    internal = {"load_balancer_type": "InternalLoadBalancer", "load_balancer_subnet": "aks-subnet"}
    refused(ws, SslConfiguration(leaf_domain_label="contoso"), "internal load balancer", **internal)
    cert, key = pair(CNAME)
    refused(ws, SslConfiguration(cname=CNAME, cert=cert, key=pair(CNAME)[1]), "does not belong")
    refused(ws, SslConfiguration(cname="other.contoso.com", cert=cert, key=key), "does not cover")
    own = update(ws, SslConfiguration(cname=CNAME, cert=cert, key=key)).ssl_configuration
    assert (own.status, own.cname, own.key) == ("Enabled", CNAME, None)


def options(ws: Workspace) -> None:
    with open("diabetes.pkl", "wb") as file:
        file.write(b"model")
    model, target = Model.register(ws, model_path="diabetes.pkl", model_name="diabetes"), AksCompute(ws, "secure")

    def deploy(name: str, **config: Any) -> AksWebservice:
        wanted = AksWebservice.deploy_configuration(**config)
        made = Model.deploy(ws, name, [model], sdk_client.configuration(name), wanted, target)
        made.wait_for_deployment()
        assert made.state == "Healthy", made.serialize()
        return made

    first = deploy("first")
    assert first.scoring_uri == f"https://{CNAME}/api/v1/service/first/score"
    assert first.autoscaler.autoscale_enabled is True and first.num_replicas == 1, first.serialize()
    first.update(autoscale_enabled=True, autoscale_min_replicas=2, autoscale_max_replicas=5, autoscale_target_utilization=30)
    first.wait_for_deployment()
    scaler = AksWebservice(ws, "first").autoscaler
    assert (scaler.min_replicas, scaler.max_replicas, scaler.target_utilization) == (2, 5, 30)
    assert AksWebservice(ws, "first").num_replicas == 2
    limits = {"scoring_timeout_ms": 1000, "replica_max_concurrent_requests": 3, "max_request_wait_time": 700}
    probing = {"period_seconds": 5, "initial_delay_seconds": 1, "timeout_seconds": 1, "failure_threshold": 2}
    second = deploy("second", num_replicas=1, token_auth_enabled=True, cpu_cores=0.1, cpu_cores_limit=0.5, **limits, **probing)
    assert (second.scoring_timeout_ms, second.max_concurrent_requests_per_container, second.max_request_wait_time) == (
        1000,
        3,
        700,
    )
    probe = second.liveness_probe_requirements
    assert (probe.period_seconds, probe.initial_delay_seconds, probe.failure_threshold) == (5, 1, 2)
    tokens(second)
    for config, words in (({"enable_app_insights": True}, "telemetry"), ({"collect_model_data": True}, "collection")):
        try:
            deploy("third", **config)
        except WebserviceException as refusal:
            assert words in str(refusal), str(refusal)
        else:
            raise AssertionError(f"{config} was accepted")


def tokens(service: AksWebservice) -> None:
    assert (service.token_auth_enabled, service.auth_enabled) == (True, False)
    found = service.get_access_token()
    assert found.token_type == "Bearer" and found.refresh_after < found.expiry_on
    claims = found.access_token.split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["service"] == "second"
    service.update(token_auth_enabled=False, auth_enabled=True)
    service.wait_for_deployment()
    assert len(service.get_keys()) == 2


def main() -> None:
    sdk_client.networks()
    ws = sdk_client.workspace("myworkspace")
    tls(ws)
    options(ws)
    assert update(ws, SslConfiguration(status="Disabled")).ssl_configuration.status == "Disabled"
    assert AksWebservice(ws, "first").scoring_uri.startswith("http://198.19.")
    print("all of it")


if __name__ == "__main__":
    main()
