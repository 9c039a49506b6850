"""The table of service tags, as `az network list-service-tags` asks for it. What a tag means to a rule is in `policy.tags`."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from ringfence.model.ids import ResourceId
from ringfence.policy import tags

#: The type of the listing's path below a subscription: `Microsoft.Network/locations/LOCATION/serviceTags`.
TYPE = "microsoft.network/locations/servicetags"
#: The table is a part of the release: it has one version.
_CHANGE = "1"


def listed(location: ResourceId) -> Response:
    """All tags with their prefixes. location: `…/locations/LOCATION`. Raises Invalid for a region that is not Azure's."""
    tags.region_block(location.name)
    base = f"/subscriptions/{location.subscription}/providers/Microsoft.Network/serviceTags"
    values = [
        {
            "id": name,
            "name": name,
            "serviceTagChangeNumber": _CHANGE,
            "properties": {
                "changeNumber": _CHANGE,
                "region": region,
                "systemService": name.removesuffix(f".{tags.REGIONS[region].replace(' ', '')}") if region else name,
                "addressPrefixes": [str(prefix) for prefix in prefixes],
                "state": "GA",
            },
        }
        for name, region, prefixes in tags.listed()
    ]
    return JSONResponse(
        {
            "id": f"{base}/Public",
            "name": "Public",
            "type": "Microsoft.Network/serviceTags",
            "changeNumber": _CHANGE,
            "cloud": "Public",
            "values": values,
        }
    )
