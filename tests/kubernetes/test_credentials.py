"""Kubeconfigs as Azure hands them out, and what an API server makes of the credentials in them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests import clouds
from tests.kubernetes.kube_world import CA, TENANT, World, assignment, managed_cluster, parsed, seen, with_entra

from ringfence.api.kubernetes import kubeconfig
from ringfence.api.kubernetes.accounts import Accounts
from ringfence.api.kubernetes.identity import Authenticator, User
from ringfence.api.kubernetes.keys import Account, Keys
from ringfence.api.kubernetes.statuses import Refusal
from ringfence.desired.state import Workload
from ringfence.model import errors
from ringfence.model.resource import Resource
from ringfence.policy.access import Caller

KEYS = Keys(b"k" * 32)
NOW = clouds.NOW + dt.timedelta(days=1)
SOMEBODY = Caller(object_id="object", client_id="client", name="ada@contoso.com", groups=frozenset({"group"}))


class Tokens:
    """Takes one token."""

    def verify(self, authorization: str | None) -> Caller:
        if authorization != "Bearer good":
            raise errors.Unauthenticated("InvalidAuthenticationToken", "The access token is invalid.")
        return SOMEBODY


def callers(now: dt.datetime = NOW) -> Authenticator:
    return Authenticator(KEYS, Tokens(), lambda: now)


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def cluster() -> Resource:
    return managed_cluster(clouds.served_cloud().snapshot)


@pytest.mark.parametrize(
    ("action", "name", "role"),
    [
        ("listClusterUserCredential", "clusterUser", "Cluster User Role"),
        ("listClusterAdminCredential", "clusterAdmin", "Cluster Admin Role"),
        ("listClusterMonitoringUserCredential", "clusterMonitoringUser", "Cluster Monitoring User"),
    ],
)
def test_azure_hands_out_a_kubeconfig(monkeypatch: pytest.MonkeyPatch, world: World, action: str, name: str, role: str) -> None:
    headers = {"Authorization": world.token("https://management.azure.com/")}
    path = f"{world.cluster.id}/{action}?api-version=2024-02-01"
    assert world.arm.post(path, headers=headers).status_code == 403
    granted = assignment(f"Azure Kubernetes Service {role}", world.cluster.id)
    snapshot = world.engine.snapshot().changed([granted])
    monkeypatch.setattr(world.engine, "snapshot", lambda: snapshot)
    other = path.replace("Monitoring", "").replace("User", "Admin") if "Admin" not in action else path.replace("Admin", "User")
    assert world.arm.post(other, headers=headers).status_code == 403, "the role of one account is not that of another"
    answer = world.arm.post(path, headers=headers)
    assert answer.status_code == 200, answer.text
    found = answer.json()["kubeconfigs"]
    assert [one["name"] for one in found] == [name]
    lines = parsed(found[0]["value"]).splitlines()
    token = next(line.split()[1] for line in lines if line.strip().startswith("token:"))
    server = next(line.split()[1] for line in lines if line.strip().startswith("server:"))
    client = world.server(Authorization=f"Bearer {token}")
    assert server == f"{client.base_url.scheme}://{client.base_url.host}:443"
    assert client.get("/api/v1/nodes").status_code == 200
    assert client.get("/api/v1/configmaps").status_code == (403 if name == "clusterMonitoringUser" else 200)


def test_a_kubeconfig_holds_what_its_account_needs() -> None:
    server = kubeconfig.Server(host="host.example", ca=CA.encode())
    text = kubeconfig.local(cluster(), server, Account.ADMIN, KEYS)
    name = cluster().id.name
    assert f"current-context: {name}-admin\n" in text and f"user: clusterAdmin_mlgroup_{name}\n" in text
    issued = KEYS.certificate(cluster(), Account.ADMIN)
    certificate = x509.load_pem_x509_certificate(issued.certificate)
    assert certificate.subject.rfc4514_string() == "CN=masterclient,O=system:masters"
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(KEYS.authority(cluster())))
    private = serialization.load_pem_private_key(issued.key, None)
    assert private.public_key() == certificate.public_key()


def test_people_of_entra_get_no_secret() -> None:
    text = kubeconfig.entra(cluster(), kubeconfig.Server(host="host.example", ca=CA.encode()), Account.USER, TENANT)
    assert "command: kubelogin\n" in text and f"- {kubeconfig.SERVER_APP}\n" in text and f"- {TENANT}\n" in text
    assert "token:" not in text and "client-key-data" not in text


def test_credentials_survive_a_restart_and_end_with_the_cluster(tmp_path: Path) -> None:
    first = Keys.load(tmp_path / "pki" / "clusters.key")
    again = Keys.load(tmp_path / "pki" / "clusters.key")
    assert (tmp_path / "pki" / "clusters.key").stat().st_mode & 0o777 == 0o600
    token, issued = first.token(cluster(), Account.ADMIN), first.certificate(cluster(), Account.ADMIN)
    assert again.account(cluster(), token) is Account.ADMIN
    assert again.holder(cluster(), der(issued.certificate), NOW) is Account.ADMIN
    later = dataclasses.replace(cluster(), created_at=cluster().created_at + dt.timedelta(seconds=1))
    assert again.account(later, token) is None and again.holder(later, der(issued.certificate), NOW) is None
    assert Keys(b"x" * 32).account(cluster(), token) is None


def test_an_account_is_known_by_its_token_or_its_certificate() -> None:
    found = seen(clouds.served_cloud())
    resource = found.resource
    certificate = der(KEYS.certificate(resource, Account.ADMIN).certificate)
    admin = User(name="masterclient", groups=("system:masters", "system:authenticated"))
    assert callers().user(found, f"Bearer {KEYS.token(resource, Account.ADMIN)}", None) == admin
    assert callers().user(found, None, certificate) == admin
    (pod, *_) = [item for item in found.state if isinstance(item, Workload)]
    assert pod.account is not None
    files = Accounts(KEYS, CA).files(pod.account)
    assert (files["ca.crt"], files["namespace"]) == (CA, "azureml-ws")
    token = files["token"]
    assert token == KEYS.service_token(resource, "azureml-ws", "default")
    assert callers().user(found, f"Bearer {token}", None).name == "system:serviceaccount:azureml-ws:default"
    with pytest.raises(Refusal, match="Unauthorized"):
        callers(NOW + dt.timedelta(days=1000)).user(found, None, certificate)


@pytest.mark.parametrize(
    "given", [None, "Basic eA==", "Bearer ", "Bearer x", "Bearer good", "Bearer system:serviceaccount:a:b.00"]
)
def test_others_are_nobody(given: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        callers().user(seen(clouds.served_cloud()), given, None)
    assert (caught.value.code, caught.value.reason) == (401, "Unauthorized")


def test_a_cluster_of_entra_takes_its_tokens_and_may_close_its_own_accounts() -> None:
    cloud = clouds.served_cloud()
    cloud.snapshot = with_entra(cloud.snapshot)
    user = callers().user(seen(cloud), "Bearer good", None)
    assert (user.name, user.groups, user.caller) == ("ada@contoso.com", ("group", "system:authenticated"), SOMEBODY)
    resource = managed_cluster(cloud.snapshot)
    properties = resource.properties.model_copy(update={"disable_local_accounts": True})
    cloud.snapshot = cloud.snapshot.changed([dataclasses.replace(resource, properties=properties)])
    with pytest.raises(Refusal, match="Unauthorized"):
        callers().user(seen(cloud), f"Bearer {KEYS.token(resource, Account.ADMIN)}", None)
