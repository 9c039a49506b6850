"""TLS on a cluster's scoring endpoint: what is refused before a certificate is used.

Sources: RULES.md section 5 (leaf domains, internal load balancers), the contract of azureml-core
section 5.1, and what HAProxy could not serve. Nothing here shows a key, not even in a refusal.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ringfence.model import errors, ml
from ringfence.model.ml import SslStatus
from ringfence.policy import endpoints, places
from ringfence.policy.admission.case import Case, Finding

_FIELD = "properties.properties.sslConfiguration"
_LABEL = re.compile(r"[a-z][a-z0-9-]{1,55}[a-z0-9]", re.IGNORECASE)
_HOST = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+", re.IGNORECASE)
_LEAST_RSA_BITS = 2048


def _ssl(case: Case) -> ml.SslConfiguration:
    assert isinstance(case.new.properties, ml.Compute)
    return case.new.properties.properties.ssl


def _invalid(message: str, field: str) -> errors.Invalid:
    return errors.Invalid("InvalidSslConfiguration", message, target=f"{_FIELD}.{field}" if field else _FIELD)


def parts_go_together(case: Case) -> Iterator[Finding]:
    """An own certificate comes with its key and name; a leaf label comes alone."""
    asked = _ssl(case)
    own = {"cname": asked.cname, "cert": asked.cert, "key": asked.key}
    if asked.status is SslStatus.ENABLED:
        for field, value in own.items():
            if not value:
                yield _invalid(f"With the status Enabled, cname, cert and key are all required; {field} is missing.", field)
        if asked.leaf_domain_label:
            yield _invalid(
                "leafDomainLabel is for the status Auto; with an own certificate the name is cname.", "leafDomainLabel"
            )
        if asked.cname and not _HOST.fullmatch(asked.cname):
            yield _invalid(f"The cname '{asked.cname[:100]}' is not a host name, as scoring.contoso.com is.", "cname")
    elif asked.status is SslStatus.AUTO:
        label = asked.leaf_domain_label
        if not label or not _LABEL.fullmatch(label):
            yield _invalid(
                f"The leaf domain label '{(label or '')[:100]}' is not one: 3 to 57 letters, digits and hyphens, "
                "a letter first, no hyphen last.",
                "leafDomainLabel",
            )
        if any(own.values()) and (case.old is None or asked.cert or asked.key):
            yield _invalid("With a leaf domain label, cname, cert and key are not given: Azure issues the certificate.", "cname")


def leaf_label_needs_a_public_endpoint(case: Case) -> Iterator[Finding]:
    """Microsoft's certificates are for public endpoints; an internal one needs the customer's own (RULES.md section 5)."""
    assert isinstance(case.new.properties, ml.Compute)
    if _ssl(case).status is SslStatus.AUTO and case.new.properties.properties.internal:
        yield _invalid(
            "A certificate by leafDomainLabel is not available with an internal load balancer, because its name would need a "
            "public address. Bring a certificate of your own (cname, cert, key), or use a public load balancer.",
            "leafDomainLabel",
        )


def leaf_name_is_free(case: Case) -> Iterator[Finding]:
    """One record has one address (Azure: DnsRecordInUse)."""
    wanted = endpoints.leaf_name(case.new)
    for other in places.alive(case.snapshot, ml.COMPUTE):
        if wanted is not None and other.key != case.new.key and endpoints.leaf_name(other) == wanted:
            message = f"DNS record {wanted} is already used by another public IP, of the compute {other.id}."
            yield errors.Conflict("DnsRecordInUse", message, target=f"{_FIELD}.leafDomainLabel")


def certificate_holds(case: Case) -> Iterator[Finding]:
    """The certificate can be read, is valid today, covers the name, and the key is its own."""
    asked = _ssl(case)
    if asked.status is not SslStatus.ENABLED or not (asked.cert and asked.key and asked.cname):
        return
    if case.old is not None and isinstance(case.old.properties, ml.Compute) and case.old.properties.properties.ssl == asked:
        return  # what has run out since is no reason to refuse another change
    yield from certificate_fits(asked, case.new.changed_at)


def certificate_fits(asked: ml.SslConfiguration, now: dt.datetime) -> Iterator[Finding]:
    """The same for a certificate, key and name that are all given."""
    assert asked.cert and asked.key and asked.cname
    try:
        leaf = x509.load_pem_x509_certificates(asked.cert.encode())[0]
    except ValueError:
        yield _invalid("cert is not a certificate in PEM form (-----BEGIN CERTIFICATE-----), with its chain after it.", "cert")
        return
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        yield _invalid(
            f"The certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} "
            f"to {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; now it is {now:%Y-%m-%d %H:%M}. Use one that holds.",
            "cert",
        )
    names = _names(leaf)
    if not any(_covers(pattern, asked.cname) for pattern in names):
        shown = ", ".join(names[:5]) or "no host name"
        yield _invalid(f"The certificate does not cover the cname '{asked.cname}': it is for {shown}.", "cname")
    yield from _key_fits(leaf, asked.key)


def _key_fits(leaf: x509.Certificate, pem: str) -> Iterator[Finding]:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        yield _invalid("key is not a private key in PEM form without a password.", "key")
        return
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        yield _invalid("The private key is neither an RSA key nor one of an elliptic curve.", "key")
    elif key.public_key() != leaf.public_key():
        yield _invalid("The private key does not belong to the certificate.", "key")
    elif isinstance(key, rsa.RSAPrivateKey) and key.key_size < _LEAST_RSA_BITS:
        yield _invalid(f"The RSA key has {key.key_size} bits; clients refuse fewer than {_LEAST_RSA_BITS}.", "key")


def _names(leaf: x509.Certificate) -> list[str]:
    """The host names of a certificate: its alternative names; of an old one without any, its common name."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return [str(one.value) for one in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    return found.value.get_values_for_type(x509.DNSName)


def _covers(pattern: str, name: str) -> bool:
    """RFC 6125: a star stands for one whole label, the first."""
    pattern, name = pattern.lower(), name.lower()
    first, _, rest = name.partition(".")
    return pattern == name or (pattern.startswith("*.") and bool(first) and pattern[2:] == rest)


SHAPE = (parts_go_together,)
RULES = (leaf_label_needs_a_public_endpoint, leaf_name_is_free, certificate_holds)
