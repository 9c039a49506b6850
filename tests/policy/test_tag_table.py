"""The table of service tags: blocks that never overlap, one address for each service, and no tag without a meaning."""

from __future__ import annotations

import itertools
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringfence.model import errors
from ringfence.policy import tags


def test_no_two_services_share_an_address() -> None:
    blocks = [tags.block(tag) for tag in tags._GLOBAL]
    blocks += [tags.block(tag, region) for tag in tags._REGIONAL for region in tags.REGIONS]
    blocks += [tags.api_server_block(region) for region in tags.REGIONS]
    ordered = sorted(blocks)
    assert all(not before.overlaps(after) for before, after in itertools.pairwise(ordered))
    assert all(block.subnet_of(tags.AZURE) for block in blocks)


def test_addresses_by_which_the_rooms_have_agreed() -> None:
    assert tags.host("AzureActiveDirectory") == "198.18.0.1"
    assert tags.host("AzureResourceManager") == "198.18.0.17"
    assert tags.host("Storage", "East US") == "198.18.1.1"
    assert tags.host("AzureMachineLearning", "eastus2") == "198.18.2.65"
    assert str(tags.api_server_block("eastus2")) == "198.18.2.128/25"
    assert str(tags.INTERNET_HOST) == "198.19.255.4"


def test_a_regional_tag_is_part_of_the_tag_without_region() -> None:
    for tag in tags._WITH_REGION:
        for region in tags.REGIONS:
            (part,) = tags.resolve(f"{tag}.{region}", ())
            assert any(part.subnet_of(whole) for whole in tags.resolve(tag, ()))


def test_the_internet_includes_azures_own_public_addresses() -> None:
    internet = tags.resolve("Internet", [IPv4Network("10.0.0.0/8")])
    assert any(IPv4Address("198.18.2.1") in prefix for prefix in internet)


def test_an_unknown_region_is_refused_by_name() -> None:
    with pytest.raises(errors.Invalid, match="'mars'") as refusal:
        tags.region_block("mars")
    assert refusal.value.code == "LocationNotAvailableForResourceType" and "eastus2" in refusal.value.message


_NETWORKS = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(lambda pair: IPv4Network(pair, strict=False)), max_size=5
)


@given(_NETWORKS, st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_address_is_in_a_set_or_in_its_complement(networks: list[IPv4Network], address: IPv4Address) -> None:
    outside = tags.complement(networks)
    assert any(address in n for n in networks) is not any(address in n for n in outside)
