"""Sizes of virtual machines that nodes may have: cores and memory, as Azure documents them.

Only what a cluster's purpose and its room for replicas are judged by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringfence.model import compute
from ringfence.model.resource import Resource


@dataclass(frozen=True, slots=True)
class Size:
    """cores: vCPUs. memory_gb: GiB."""

    cores: int
    memory_gb: float


def _family(template: str, cores: tuple[int, ...], memory_per_core: float) -> dict[str, Size]:
    return {template.format(n): Size(n, n * memory_per_core) for n in cores}


#: Dv2 and its kin count 1 to 5 for 1 to 16 cores, with 3.5 GiB for each core.
_V2 = {
    f"Standard_{family}{number}_v2": Size(2 ** (number - 1), 3.5 * 2 ** (number - 1))
    for family in ("D", "DS")
    for number in range(1, 6)
}
_TABLE = {
    **_V2,
    **_family("Standard_D{}_v3", (2, 4, 8, 16, 32, 48, 64), 4),
    **_family("Standard_D{}s_v3", (2, 4, 8, 16, 32, 48, 64), 4),
    **_family("Standard_D{}s_v4", (2, 4, 8, 16, 32, 48, 64), 4),
    **_family("Standard_D{}s_v5", (2, 4, 8, 16, 32, 48, 64, 96), 4),
    **_family("Standard_D{}ds_v5", (2, 4, 8, 16, 32, 48, 64, 96), 4),
    **_family("Standard_D{}as_v5", (2, 4, 8, 16, 32, 48, 64, 96), 4),
    **_family("Standard_E{}s_v3", (2, 4, 8, 16, 20, 32), 8),
    **_family("Standard_E{}s_v5", (2, 4, 8, 16, 20, 32), 8),
    **_family("Standard_F{}s_v2", (2, 4, 8, 16, 32, 48, 64, 72), 2),
    **_family("Standard_A{}_v2", (1, 2, 4, 8), 2),
    **_family("Standard_A{}m_v2", (2, 4, 8), 8),
    "Standard_B2s": Size(2, 4),
    "Standard_B2ms": Size(2, 8),
    "Standard_B4ms": Size(4, 16),
    "Standard_B8ms": Size(8, 32),
}
#: By lower-case name.
SIZES: Mapping[str, Size] = {name.lower(): size for name, size in _TABLE.items()}
NAMES = tuple(sorted(_TABLE))


def size(name: str) -> Size | None:
    """None for a size that is not in the table."""
    return SIZES.get(name.lower())


def of_pool(pool: Resource) -> Size | None:
    """The size of a pool's nodes."""
    assert isinstance(pool.properties, compute.AgentPool)
    return size(pool.properties.vm_size)
