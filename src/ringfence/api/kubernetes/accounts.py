"""What a pod finds at /var/run/secrets/kubernetes.io/serviceaccount: the token of its service account, and whom to trust."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ringfence.api.kubernetes.keys import Keys
from ringfence.desired.state import ServiceAccount


class Accounts:
    """keys: of the clusters. ca: PEM of who signs the certificates of API servers."""

    def __init__(self, keys: Keys, ca: str) -> None:
        self._keys = keys
        self._ca = ca

    @classmethod
    def load(cls, pki: Path) -> Accounts:
        """From the folder of the installation's secrets. Raises FileNotFoundError."""
        return cls(Keys.load(pki / "clusters.key"), (pki / "ca.pem").read_text())

    def files(self, account: ServiceAccount) -> Mapping[str, str]:
        """By their names in that folder."""
        return {"token": self._keys.token_of(account), "ca.crt": self._ca, "namespace": account.namespace}
