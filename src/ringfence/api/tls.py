"""Certificates of the names that Ringfence answers for, made when a name is first asked for.

The listener has no certificate of its own: the server name in the client's first
message decides. A name that nobody serves is refused inside the handshake. The CA's
key is made elsewhere (`sandbox/trust.py`); which names are served is `api/hosts.py`.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_LIFETIME = dt.timedelta(days=365)
_RENEW_BEFORE = dt.timedelta(days=30)
_MOST_NAMES = 4096


class Issuer:
    """Signs leaf certificates (EC P-256, one key per process, one year) with the CA of the state folder."""

    def __init__(self, certificate: x509.Certificate, key: _Key, clock: Callable[[], dt.datetime]) -> None:
        self._certificate = certificate
        self._key = key
        self._clock = clock
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())

    @classmethod
    def load(cls, state: Path, clock: Callable[[], dt.datetime]) -> Issuer:
        """Read `pki/ca.pem` and `pki/ca.key`. Raises FileNotFoundError or ValueError where they are missing or no CA."""
        certificate = x509.load_pem_x509_certificate((state / "pki" / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((state / "pki" / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"pki/ca.key holds a {type(key).__name__}, not an EC or RSA key; remove pki/ and start again")
        return cls(certificate, key, clock)

    def leaf(self, name: str, also: Sequence[x509.GeneralName] = ()) -> bytes:
        """PEM: key, leaf and CA, in the order that OpenSSL reads. name: one DNS name, or a wildcard; also: further names."""
        now = self._clock()
        signed = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name if len(name) <= 64 else "Ringfence")]))
            .issuer_name(self._certificate.subject)
            .public_key(self._leaf_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(min(now + _LIFETIME, self._certificate.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name), *also]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_leaf_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._leaf_key.public_key()), critical=False)
            .add_extension(self._authority(), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pem = serialization.Encoding.PEM
        return private + signed.public_bytes(pem) + self._certificate.public_bytes(pem)

    def _authority(self) -> x509.AuthorityKeyIdentifier:
        # Python 3.13 refuses a chain whose identifiers differ, so the CA's own identifier is repeated, never recomputed.
        try:
            known = self._certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """What is shown to those who dial an address that is one server's own, whatever name they ask for, or none.

    name, also: DNS names. addresses: under which it is known as well. clients: PEM of the authority whose
    certificates clients may bring; None: they are not asked for any.
    """

    name: str
    also: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    clients: bytes | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *self.also)


class Contexts:
    """A server context per name, made once and renewed a month before its certificate ends."""

    def __init__(self, issuer: Issuer, serves: Callable[[str], bool], clock: Callable[[], dt.datetime]) -> None:
        self._issuer = issuer
        self._serves = serves
        self._clock = clock
        self._lock = threading.Lock()
        self._made: dict[str | Plate, tuple[dt.datetime, ssl.SSLContext]] = {}

    def of(self, name: str) -> ssl.SSLContext | None:
        """The context for a server name, or None for a name that nobody serves."""
        name = name.lower().rstrip(".")
        if not self._serves(name):
            return None
        return self._kept(name, lambda: _context(self._issuer.leaf(name)))

    def at(self, plate: Plate) -> ssl.SSLContext:
        """The context of a server at its own address."""

        def make() -> ssl.SSLContext:
            further = [*map(x509.DNSName, plate.also), *(x509.IPAddress(IPv4Address(a)) for a in plate.addresses)]
            context = _context(self._issuer.leaf(plate.name, further))
            _ask_for_certificates(context, plate)
            return context

        return self._kept(plate, make)

    def _kept(self, key: str | Plate, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        now = self._clock()
        with self._lock:
            known = self._made.get(key)
            if known is not None and now < known[0]:
                return known[1]
            if len(self._made) >= _MOST_NAMES:
                self._made.clear()
            context = make()
            self._made[key] = (now + _LIFETIME - _RENEW_BEFORE, context)
            return context


def server_context(state: Path, serves: Callable[[str], bool], clock: Callable[[], dt.datetime]) -> ssl.SSLContext:
    """The context of a TLS listener: the name asked for decides the certificate.

    serves: whether a lower-case host name is ours (`api.hosts.Names.serves`). A handshake
    without a name, or for another's name, ends with the alert `unrecognized_name`.
    """
    return _listener(Contexts(Issuer.load(state, clock), serves, clock), None)


class Listeners:
    """The context for each address that was dialled: by the name asked for, and at a server's own address also without one."""

    def __init__(self, state: Path, serves: Callable[[str], bool], clock: Callable[[], dt.datetime]) -> None:
        self._contexts = Contexts(Issuer.load(state, clock), serves, clock)
        self._lock = threading.Lock()
        self._common = _listener(self._contexts, None)
        self._own: dict[Plate, ssl.SSLContext] = {}

    def of(self, plate: Plate | None) -> ssl.SSLContext:
        """plate: what is shown at the address; None for an address that many names share."""
        if plate is None:
            return self._common
        with self._lock:
            if plate not in self._own:
                if len(self._own) >= _MOST_NAMES:
                    self._own.clear()
                self._own[plate] = _listener(self._contexts, plate)
            return self._own[plate]


def _listener(contexts: Contexts, plate: Plate | None) -> ssl.SSLContext:
    def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        if plate is not None and (name is None or name.lower().rstrip(".") in plate.names):
            connection.context = contexts.at(plate)
            return None
        context = contexts.of(name) if name else None
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None

    listener = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listener.minimum_version = ssl.TLSVersion.TLSv1_2
    listener.set_alpn_protocols(["http/1.1"])
    listener.sni_callback = choose
    if plate is not None:
        # Whether a certificate is asked for, a connection keeps from the context that it began with.
        _ask_for_certificates(listener, plate)
    return listener


def _ask_for_certificates(context: ssl.SSLContext, plate: Plate) -> None:
    if plate.clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=plate.clients.decode())


def _leaf_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _context(chain: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # OpenSSL's binding reads certificates from a path only; an anonymous file keeps the key off the disk.
    handle = os.memfd_create("ringfence-leaf")
    try:
        with open(handle, "wb", closefd=False) as file:
            file.write(chain)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return context
