"""The kubeconfig files that Azure hands out: for a local account, and for people and applications of Entra (`kubelogin`)."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from ringfence.api.kubernetes.keys import Account, Keys
from ringfence.model.resource import Resource

#: The application that stands for every AKS API server in Entra, and the one that people sign in with.
SERVER_APP, CLIENT_APP = "6dae42f8-4368-4678-94ff-3960e28e3630", "80faf920-1908-4b52-b5ef-a8e7bedfc67a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """host: the name that the kubeconfig dials. ca: PEM of who signs that server's certificate."""

    host: str
    ca: bytes


def local(cluster: Resource, server: Server, account: Account, keys: Keys) -> str:
    """With the client certificate and the token of a local account."""
    issued = keys.certificate(cluster, account)
    user = f"    client-certificate-data: {_base64(issued.certificate)}\n    client-key-data: {_base64(issued.key)}\n"
    return _document(cluster, server, account, f"{user}    token: {keys.token(cluster, account)}\n")


def entra(cluster: Resource, server: Server, account: Account, tenant: str) -> str:
    """Without a secret: `kubelogin` asks Entra for a token whenever one is needed."""
    arguments: tuple[str, ...] = ("get-token", "--login", "devicecode", "--server-id", SERVER_APP, "--client-id", CLIENT_APP)
    arguments = (*arguments, "--tenant-id", tenant, "--environment", "AzurePublicCloud")
    shown = "".join(f"      - {argument}\n" for argument in arguments)
    user = (
        "    exec:\n"
        "      apiVersion: client.authentication.k8s.io/v1beta1\n"
        f"      args:\n{shown}"
        "      command: kubelogin\n"
        "      env: null\n"
        "      installHint: kubelogin signs in to Entra; or pass a token with kubectl --token.\n"
        "      provideClusterInfo: false\n"
    )
    return _document(cluster, server, account, user)


def _document(cluster: Resource, server: Server, account: Account, user: str) -> str:
    name = cluster.id.name
    context = f"{name}-admin" if account is Account.ADMIN else name
    who = f"{account.value}_{cluster.id.group}_{name}"
    return (
        "apiVersion: v1\n"
        "clusters:\n"
        "- cluster:\n"
        f"    certificate-authority-data: {_base64(server.ca)}\n"
        f"    server: https://{server.host}:443\n"
        f"  name: {name}\n"
        "contexts:\n"
        "- context:\n"
        f"    cluster: {name}\n"
        f"    user: {who}\n"
        f"  name: {context}\n"
        f"current-context: {context}\n"
        "kind: Config\n"
        "preferences: {}\n"
        "users:\n"
        f"- name: {who}\n"
        f"  user:\n{user}"
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
