"""The credentials that Resource Manager lists: kubeconfigs of clusters, one for each account, and keys of storage accounts.

What is in a kubeconfig is `api/kubernetes/kubeconfig`; who may ask for one is a matter of
actions (`Microsoft.ContainerService/managedClusters/listClusterUserCredential/action`).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping

from starlette.responses import Response

from ringfence.api.arm import asked as answers
from ringfence.api.arm.asked import Asked
from ringfence.api.kubernetes import kubeconfig
from ringfence.api.kubernetes.cluster import Cluster, find
from ringfence.api.kubernetes.keys import Account, Keys
from ringfence.control.blobs import account_of
from ringfence.control.engine import Engine
from ringfence.model import errors, ml, storage
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Resource
from ringfence.policy import clusters

_ACCOUNTS: Mapping[str, Account] = {
    "listclusterusercredential": Account.USER,
    "listclusteradmincredential": Account.ADMIN,
    "listclustermonitoringusercredential": Account.MONITORING,
}


class Credentials:
    """ca: PEM of who signs the certificates of API servers. tenant: of those who sign in with `kubelogin`.

    account_key: of a storage account by its `control.blobs.account_of`; None where no blobs are kept.
    """

    def __init__(
        self, engine: Engine, keys: Keys, ca: bytes, tenant: str, account_key: Callable[[str], bytes] | None = None
    ) -> None:
        self._engine = engine
        self._keys = keys
        self._ca = ca
        self._tenant = tenant
        self._account_key = account_key

    def answer(self, asked: Asked, id: ResourceId, action: str) -> Response:
        """An action on a cluster or on a compute. Raises errors.Problem."""
        resource = self._engine.get(id)
        if resource.type == ml.COMPUTE:
            return self._of_compute(id)
        if resource.type == storage.STORAGE_ACCOUNT:
            return self._of_account(resource)
        account = _ACCOUNTS[action.lower()]
        text = self._kubeconfig(self._cluster(id), account, asked.query.get("server-fqdn", ""))
        return answers.document({"kubeconfigs": [{"name": account.value, "value": _base64(text)}]})

    def _of_account(self, account: Resource) -> Response:
        """The key that signatures are made with; an account has one here. Raises Unsupported."""
        if self._account_key is None:
            raise errors.Unsupported("NotSupported", "This control plane keeps no blobs, so its storage accounts have no key.")
        value = base64.b64encode(self._account_key(account_of(account))).decode()
        made = account.created_at.isoformat()
        return answers.document({"keys": [{"creationTime": made, "keyName": "key1", "value": value, "permissions": "FULL"}]})

    def _of_compute(self, id: ResourceId) -> Response:
        """As `AksCompute.get_credentials` gives them on (contract of azureml-core, section 5.1)."""
        cluster = clusters.cluster_of(self._engine.snapshot(), self._engine.get(id))
        if cluster is None:
            raise errors.NotFound("ResourceNotFound", f"The cluster of the compute '{id}' was not found.", target=str(id))
        found = self._cluster(cluster.id)
        admin = "" if found.local_accounts_disabled else self._kubeconfig(found, Account.ADMIN, "")
        user = self._kubeconfig(found, Account.USER, "")
        return answers.document(
            {
                "computeType": "AKS",
                "userKubeConfig": _base64(user),
                "adminKubeConfig": _base64(admin),
                "imagePullSecretName": "",
            }
        )

    def _cluster(self, id: ResourceId) -> Cluster:
        engine = self._engine
        found = find(engine.snapshot(), engine.state(), engine.observed(), id=id)
        if found is None:
            raise errors.NotFound("ResourceNotFound", f"The cluster '{id}' has no API server.", target=str(id))
        return found

    def _kubeconfig(self, cluster: Cluster, account: Account, host: str) -> str:
        server = kubeconfig.Server(host=_host(cluster, host), ca=self._ca)
        if account is Account.USER and cluster.entra:
            return kubeconfig.entra(cluster.resource, server, account, self._tenant)
        if cluster.local_accounts_disabled:
            raise errors.Invalid(
                "BadRequest",
                "Getting static credential is not allowed because this cluster is set to disable local accounts.",
                target=str(cluster.resource.id),
            )
        return kubeconfig.local(cluster.resource, server, account, self._keys)


def _host(cluster: Cluster, wanted: str) -> str:
    """The name to dial: the private one of a private cluster, unless its public one is asked for (`--public-fqdn`)."""
    if wanted and wanted.lower() not in cluster.hosts:
        message = f"'{wanted[:200]}' is not a name of this cluster's API server; its names are {', '.join(cluster.hosts)}."
        raise errors.Invalid("InvalidParameter", message, target="server-fqdn")
    return wanted.lower() or cluster.hosts[0]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
