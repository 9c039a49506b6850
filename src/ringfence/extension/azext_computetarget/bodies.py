"""Arguments as the documents that Azure ML takes: networking, certificate, and the compute around them.

What was not given is left out. Whether a value is allowed is the server's question.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from azure.cli.core.azclierror import FileOperationError, MutuallyExclusiveArgumentError, RequiredArgumentMissingError

_Object = dict[str, Any]


def compute(inner: _Object, **outer: object) -> _Object:
    """A compute of type AKS."""
    found = {name: value for name, value in inner.items() if value is not None}
    properties: _Object = {"computeType": "AKS", **{name: value for name, value in outer.items() if value is not None}}
    if found:
        properties["properties"] = found
    return {"properties": properties}


def changed(document: _Object, kind: str | None, subnet: str | None, certificate: _Object | None) -> _Object:
    """The document of a compute with another load balancer, certificate or both. Absent members mean: as before."""
    inner = dict(document["properties"].get("properties") or {})
    for name in ("sslConfiguration", "loadBalancerType", "loadBalancerSubnet"):
        inner.pop(name, None)
    given = {"loadBalancerType": kind, "loadBalancerSubnet": subnet, "sslConfiguration": certificate}
    inner |= {name: value for name, value in given.items() if value is not None}
    return {**document, "properties": {**document["properties"], "properties": inner}}


def networking(workspace: str, network: Sequence[str | None], ranges: Sequence[str | None]) -> _Object | None:
    """network: group, virtual network, subnet: all or none. ranges: service range, DNS address, Docker bridge."""
    if any(network) and not all(network):
        raise RequiredArgumentMissingError("--vnet-resourcegroup-name, --vnet-name and --subnet-name go together.")
    found = dict(zip(("serviceCidr", "dnsServiceIP", "dockerBridgeCidr"), ranges, strict=True))
    found = {name: value for name, value in found.items() if value is not None}
    if all(network):
        group, name, subnet = network
        root = workspace[: workspace.lower().index("/resourcegroups/")]
        found["subnetId"] = f"{root}/resourceGroups/{group}/providers/Microsoft.Network/virtualNetworks/{name}/subnets/{subnet}"
    return found or None


def ssl(
    own: Sequence[str | None], label: str | None, *, overwrite: bool = False, disable: bool = False, renew: bool = False
) -> _Object | None:
    """own: name, certificate file and key file: all or none. None: nothing was said about certificates."""
    if sum((any(own), label is not None, disable, renew)) > 1:
        raise MutuallyExclusiveArgumentError(
            "Give one of: --ssl-cname with its two files, --ssl-leaf-domain-label, --ssl-disable, --ssl-renew."
        )
    if overwrite and label is None:
        raise RequiredArgumentMissingError("--ssl-overwrite-domain goes with --ssl-leaf-domain-label.")
    if any(own):
        if not all(own):
            raise RequiredArgumentMissingError("--ssl-cname, --ssl-cert-file and --ssl-key-file go together.")
        name, certificate, key = own
        return {"status": "Enabled", "cname": name, "cert": _read(str(certificate)), "key": _read(str(key))}
    if label is not None:
        return {"status": "Auto", "leafDomainLabel": label, "overwriteExistingDomain": overwrite}
    if disable:
        return {"status": "Disabled"}
    return {"status": "Auto", "renew": True} if renew else None


def _read(name: str) -> str:
    try:
        return Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise FileOperationError(f"The file {name} cannot be read: {error}") from error
