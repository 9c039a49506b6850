"""The credentials of each cluster: tokens and client certificates of its local accounts, tokens of its service accounts.

All follow from one secret of the state folder and from the cluster's own guid: they
are the same after every restart, no other cluster takes them, and they end with the
cluster, because one of the same name made later has another guid.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringfence.desired.state import ServiceAccount
from ringfence.model.resource import Resource

#: What stands for the API server of a cluster: the guid of this name.
_SERVER = "api-server"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of the curve P-256
#: As AKS signs them: the authority for thirty years, an account for two.
_AUTHORITY_LASTS, _ACCOUNT_LASTS = dt.timedelta(days=30 * 365), dt.timedelta(days=2 * 365)


class Account(Enum):
    """The local accounts of a cluster. Values: as kubeconfigs name them."""

    USER = "clusterUser"
    ADMIN = "clusterAdmin"
    MONITORING = "clusterMonitoringUser"


#: Who an account is inside: common name and organizations, which are user name and groups.
SUBJECTS = {
    Account.USER: ("masterclient", ("system:masters",)),
    Account.ADMIN: ("masterclient", ("system:masters",)),
    Account.MONITORING: ("clusterMonitoringUser", ("system:monitoring",)),
}


@dataclass(frozen=True, slots=True)
class Issued:
    """A client's certificate and key, PEM."""

    certificate: bytes
    key: bytes


class Keys:
    """secret: 32 bytes of the state folder."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def load(cls, path: Path) -> Keys:
        """Read the secret, or make it (mode 0600, on disk before it is used)."""
        if not path.exists():
            _write(path, os.urandom(32))
        return cls(path.read_bytes())

    def token(self, cluster: Resource, account: Account) -> str:
        """The bearer token of a local account: 128 hex digits."""
        return self._derived(cluster, f"token/{account.value}").hex()

    def account(self, cluster: Resource, token: str) -> Account | None:
        """Whose token this is; the time taken tells nothing."""
        found = [one for one in Account if hmac.compare_digest(self.token(cluster, one).encode(), token.encode())]
        return found[0] if found else None

    def service_token(self, cluster: Resource, namespace: str, name: str) -> str:
        """The bearer token of a service account: who it is, and a seal."""
        return self.token_of(ServiceAccount(server=cluster.guid(_SERVER), namespace=namespace, name=name))

    def token_of(self, account: ServiceAccount) -> str:
        """As `service_token`, of an account as its pods know it."""
        subject = f"system:serviceaccount:{account.namespace}:{account.name}"
        return f"{subject}.{self._sealed(account.server, subject).hex()}"

    def service_account(self, cluster: Resource, token: str) -> str | None:
        """The service account whose token this is, `system:serviceaccount:<namespace>:<name>`."""
        subject, _, _ = token.rpartition(".")
        parts = subject.split(":")
        if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"]:
            return None
        right = self.service_token(cluster, parts[2], parts[3])
        return subject if hmac.compare_digest(right.encode(), token.encode()) else None

    def authority(self, cluster: Resource) -> bytes:
        """The certificate (PEM) that vouches for the cluster's accounts, and for nobody else's."""
        key, name = self._key(cluster, "ca"), _name("ca", ())
        builder = self._builder(cluster, name, key.public_key(), "ca", _AUTHORITY_LASTS)
        usage = _usage(authority=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        signed = builder.add_extension(usage, critical=True).sign(key, hashes.SHA256(), ecdsa_deterministic=True)
        return signed.public_bytes(serialization.Encoding.PEM)

    def certificate(self, cluster: Resource, account: Account) -> Issued:
        """The client certificate of a local account, signed by the cluster's authority."""
        key, name = self._key(cluster, account.value), _name(*SUBJECTS[account])
        builder = self._builder(cluster, name, key.public_key(), account.value, _ACCOUNT_LASTS)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        signed = builder.add_extension(_usage(authority=False), critical=True).sign(
            self._key(cluster, "ca"), hashes.SHA256(), ecdsa_deterministic=True
        )
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Issued(signed.public_bytes(serialization.Encoding.PEM), private)

    def holder(self, cluster: Resource, certificate: bytes, now: dt.datetime) -> Account | None:
        """The account whose certificate (DER) this is, while it lasts."""
        given = x509.load_der_x509_certificate(certificate)
        if not given.not_valid_before_utc <= now <= given.not_valid_after_utc:
            return None
        try:
            given.verify_directly_issued_by(x509.load_pem_x509_certificate(self.authority(cluster)))
        except (ValueError, TypeError, InvalidSignature):
            return None
        serials = {self._serial(cluster, account.value): account for account in Account}
        return serials.get(given.serial_number)

    def _builder(
        self, cluster: Resource, name: x509.Name, public: ec.EllipticCurvePublicKey, purpose: str, lasts: dt.timedelta
    ) -> x509.CertificateBuilder:
        begins = cluster.created_at - dt.timedelta(hours=1)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(_name("ca", ()))
            .public_key(public)
            .serial_number(self._serial(cluster, purpose))
            .not_valid_before(begins)
            .not_valid_after(begins + lasts)
        )

    def _serial(self, cluster: Resource, purpose: str) -> int:
        return int.from_bytes(self._derived(cluster, f"serial/{purpose}")[:16]) | 1

    def _key(self, cluster: Resource, purpose: str) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(self._derived(cluster, f"key/{purpose}"))
        return ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())

    def _derived(self, cluster: Resource, purpose: str) -> bytes:
        return self._sealed(cluster.guid(_SERVER), purpose)

    def _sealed(self, server: str, purpose: str) -> bytes:
        return hmac.digest(self._secret, f"{server}/{purpose}".encode(), hashlib.sha512)


def _name(common: str, organizations: tuple[str, ...]) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_suffix(".new")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
