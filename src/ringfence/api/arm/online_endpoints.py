"""Online endpoints of Azure ML v2 on a cluster that v1 uses: Azure's refusal. There are no online endpoints otherwise.

Source: RULES.md section 5 (azure-cli-extensions#5102).
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from ringfence.model import errors, ml
from ringfence.model.ids import ResourceId
from ringfence.model.resource import Snapshot

_TYPE = f"{ml.WORKSPACE}/onlineendpoints"


def concerns(type: str) -> bool:
    """Whether a type is that of an endpoint or of a deployment below one."""
    return type.lower() == _TYPE or type.lower().startswith(f"{_TYPE}/")


def require_other_compute(snapshot: Snapshot, id: ResourceId, body: Mapping[str, JsonValue]) -> None:
    """Raises Unsupported (`NotSupported`) for a compute that is a cluster of v1."""
    properties = body.get("properties")
    text = properties.get("compute") if isinstance(properties, Mapping) else None
    if not isinstance(text, str) or "/" not in text:
        return
    compute = snapshot.get(ResourceId.parse(text))
    if compute is not None and compute.type == ml.COMPUTE:
        raise errors.Unsupported(
            "NotSupported",
            f"Creation of Online Endpoints or deployments on AKS compute type is no longer supported: {id} names {compute.id}. "
            "Deploy a web service (AksWebservice) to it.",
            target="properties.compute",
        )
