"""Microsoft.Resources resource groups. What a group holds is known by ids, not by this."""

from __future__ import annotations

from typing import ClassVar

from ringfence.model.resource import Properties

GROUP = "microsoft.resources/resourcegroups"


class Group(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState"})
