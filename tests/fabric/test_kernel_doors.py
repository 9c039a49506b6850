"""The doors to the kernel by themselves: what they refuse, how they say it, how much goes through."""

from __future__ import annotations

import errno
import os

import pytest

from ringfence.kernel import netlink, nft, syscalls


@pytest.fixture
def rtnl() -> netlink.Rtnl:
    return netlink.Rtnl()


def test_a_refused_script_names_its_line_and_changes_nothing() -> None:
    door = nft.Nft()
    with pytest.raises(nft.NftError) as refused:
        door.run("add table ip one\nadd rule ip one nowhere accept")
    assert refused.value.line == "add rule ip one nowhere accept"
    assert "No such file" in str(refused.value) and "nowhere" in str(refused.value)
    assert door.query("list tables") == []
    with pytest.raises(nft.NftError, match="syntax error") as refused:
        door.run("add table ip one\nadd nonsense\nadd table ip two")
    assert refused.value.line == "add nonsense"
    door.close()
    with pytest.raises(nft.NftError, match="gone"):
        door.run("add table ip one")


def test_a_load_of_any_size_goes_through_in_parts() -> None:
    door = nft.Nft()
    door.run("add table ip one\nadd chain ip one c")
    rules = [
        f"add rule ip one c ip saddr {{ 10.0.{n}.0/28, 10.1.0.0/28, 10.2.0.0/28 }} tcp dport 1-{n + 1} drop" for n in range(250)
    ]
    with pytest.raises(nft.NftError, match="too long"):
        door.run("\n".join(rules * 4))
    door.run_in_parts(rules * 4)
    assert len(door.query("list chain ip one c")) == 1001
    door.close()


def test_many_open_files_are_refused_and_do_not_end_the_process() -> None:
    """libnftables waits with select(2), which aborts the process for a descriptor of 1024 or more."""
    door = nft.Nft()
    low = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        with pytest.raises(nft.NftError, match="descriptors are open"):
            door.run("add table ip one")
        with pytest.raises(nft.NftError, match="descriptors are open"):
            door.query("list tables")
    finally:
        for descriptor in low:
            os.close(descriptor)
    high = [syscalls.raised(os.open("/dev/null", os.O_RDONLY)) for _ in range(1100)]
    try:
        assert min(high) >= 1024
        door.run("add table ip one")
    finally:
        for descriptor in high:
            os.close(descriptor)


def test_chains_are_listed_by_table() -> None:
    assert netlink.chain_names("one") == ()
    door = nft.Nft()
    door.run("add table ip one\nadd chain ip one a\nadd chain ip one b/c-d.e\nadd table ip two\nadd chain ip two other")
    assert netlink.chain_names("one") == ("a", "b/c-d.e")
    door.close()


def test_a_refused_message_says_what_it_was_and_the_rest_is_done(rtnl: netlink.Rtnl) -> None:
    rtnl.set_up(netlink.LOOPBACK)
    rtnl.add_route("10.1.0.0/16", kind="blackhole")
    rtnl.add_route("10.1.0.0/16", kind="blackhole")
    rtnl.add_route("10.2.0.0/16", link=77)
    rtnl.add_route("10.3.0.0/16", kind="blackhole")
    with pytest.raises(netlink.NetlinkError, match=r"cannot add blackhole route 10\.1\.0\.0/16: File exists") as refused:
        rtnl.commit()
    assert refused.value.errno == errno.EEXIST
    assert [route.destination for route in rtnl.routes()] == ["10.1.0.0/16", "10.3.0.0/16"]
    rtnl.commit()
    rtnl.close()


def test_thousands_of_messages_go_in_several_sends(rtnl: netlink.Rtnl) -> None:
    wanted = [f"10.{n // 250}.{n % 250}.0/24" for n in range(3000)]
    for destination in wanted:
        rtnl.add_route(destination, kind="blackhole")
    rtnl.commit()
    assert sorted(route.destination for route in rtnl.routes()) == sorted(wanted)
    for destination in wanted:
        rtnl.delete_route(destination, kind="blackhole")
    rtnl.commit()
    assert rtnl.routes() == ()
    rtnl.close()


def test_an_alias_is_set_and_taken_off(rtnl: netlink.Rtnl) -> None:
    for alias in ("rf1:net/a:0123456789abcdef", ""):
        rtnl.set_alias(netlink.LOOPBACK, alias)
        rtnl.commit()
        assert rtnl.links() == (netlink.Link(netlink.LOOPBACK, "lo", alias),)
    rtnl.close()
