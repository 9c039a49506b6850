"""The local certificate authority, and the bundle that makes clients trust it.

The CA (EC P-256, ten years) is made at the first start; the bundle is the system's
certificates and ours, renewed at every start. The host's own trust store is read, never
changed. Certificates of names are made in `api/tls.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ringfence.sandbox.layout import Layout, write

if TYPE_CHECKING:
    import datetime as dt

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # OpenSSL's own default
)
_LIFETIME_DAYS = 3650


def ensure(layout: Layout, now: dt.datetime) -> None:
    """Make the CA if there is none, and bring the bundle up to date."""
    if not (layout.ca.exists() and layout.ca_key.exists()):
        _make_authority(layout, now)
    bundle = _system_certificates() + layout.ca.read_bytes()
    if not layout.trust_bundle.exists() or layout.trust_bundle.read_bytes() != bundle:
        write(layout.trust_bundle, bundle, mode=0o644)


def _system_certificates() -> bytes:
    for name in SYSTEM_BUNDLES:
        path = Path(name)
        if path.is_file():
            return path.read_bytes().rstrip(b"\n") + b"\n"
    return b""


def _make_authority(layout: Layout, now: dt.datetime) -> None:
    import datetime as dt

    from cryptography import x509  # here, because only the first start needs it, and it loads for 50 ms
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    label = f"Ringfence local CA {os.urandom(4).hex()}"  # tells the CAs of two state folders apart in error messages
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
    others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    unused = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=_LIFETIME_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **unused), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    write(layout.ca_key, key.private_bytes(pem, pkcs8, serialization.NoEncryption()), mode=0o600)
    write(layout.ca, certificate.public_bytes(pem), mode=0o644)
