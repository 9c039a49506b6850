"""The scoring endpoint of an inference cluster: its port, its name, its address as clients write it.

With TLS the endpoint has port 443 and no other; without, port 80 (azureml-fe). The name comes from
the certificate: the user's own, whose record the user sets, or one of Azure's below a leaf label,
which has a public record (RULES.md section 5).
"""

from __future__ import annotations

import hashlib

from ringfence.model import ml
from ringfence.model.ml import SslStatus
from ringfence.model.resource import Resource
from ringfence.policy import companions

HTTP_PORT, HTTPS_PORT = 80, 443
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def tls(compute: Resource) -> ml.SslConfiguration | None:
    """How the endpoint ends TLS, or None when it does not."""
    assert isinstance(compute.properties, ml.Compute)
    found = compute.properties.properties.ssl
    return found if found.on else None


def port(compute: Resource) -> int:
    """The one port of a cluster's scoring endpoint."""
    return HTTP_PORT if tls(compute) is None else HTTPS_PORT


def name(compute: Resource) -> str | None:
    """The host name of an endpoint with TLS, in lower case."""
    found = tls(compute)
    if found is None:
        return None
    return leaf_name(compute) if found.status is SslStatus.AUTO else (found.cname or "").lower()


def leaf_name(compute: Resource) -> str | None:
    """`<label><6 characters>.<region>.cloudapp.azure.com`, without the six if the domain is overwritten; None without a label."""
    found = tls(compute)
    if found is None or found.status is not SslStatus.AUTO or not found.leaf_domain_label:
        return None
    own = "" if found.overwrite_existing_domain else _six(compute)
    return f"{found.leaf_domain_label}{own}.{companions.region(compute)}.cloudapp.azure.com".lower()


def url(compute: Resource, address: str, service: str) -> str:
    """Where a service is called. address: of the cluster's frontend."""
    path = f"/api/v1/service/{service}/score"
    host = name(compute)
    return f"http://{address}{path}" if host is None else f"https://{host}{path}"


def _six(compute: Resource) -> str:
    number = int(hashlib.sha256(compute.guid("leaf-domain").encode()).hexdigest(), 16)
    found = ""
    for _ in range(6):
        number, digit = divmod(number, len(_DIGITS))
        found += _DIGITS[digit]
    return found
