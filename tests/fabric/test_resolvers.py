"""Views over the wire: per network, at the edge, at an endpoint; and what a zone answers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.desired.state import INTERNET, Record, View
from ringfence.drivers.linux.zones import Zone

if TYPE_CHECKING:
    from tests.fabric.fabric_world import World

RECORDS = (
    Record(name="management.azure.com", kind="A", values=("198.18.0.17",)),
    Record(name="many.example", kind="A", values=tuple(f"10.1.{n // 250}.{n % 250}" for n in range(120))),
    Record(name="*.blob.core.windows.net", kind="A", values=("198.18.1.1",)),
    Record(name="known.blob.core.windows.net", kind="A", values=("10.0.0.9",)),
    Record(name="*.deep.blob.core.windows.net", kind="A", values=("10.0.0.10",)),
    Record(name="alias.example", kind="CNAME", values=("second.example",)),
    Record(name="second.example", kind="CNAME", values=("management.azure.com",)),
    Record(name="dangling.example", kind="CNAME", values=("nowhere.example",)),
    Record(name="circle.example", kind="CNAME", values=("circle.example",)),
)


@pytest.fixture(scope="module")
def zone() -> Zone:
    return Zone(RECORDS)


def ask(zone: Zone, name: str, kind: str = "A", *, tcp: bool = False, edns: int | bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, kind, use_edns=bool(edns), payload=4096)
    wire = zone.answer(query.to_wire(), tcp=tcp)
    assert wire is not None
    answer = dns.message.from_wire(wire)
    assert answer.id == query.id
    assert answer.flags & dns.flags.AA
    return answer


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("management.azure.com", ["198.18.0.17"]),
        ("MANAGEMENT.Azure.Com", ["198.18.0.17"]),
        ("x.blob.core.windows.net", ["198.18.1.1"]),
        ("x.y.blob.core.windows.net", ["198.18.1.1"]),
        ("known.blob.core.windows.net", ["10.0.0.9"]),
        ("x.deep.blob.core.windows.net", ["10.0.0.10"]),
        ("alias.example", ["198.18.0.17"]),
    ],
)
def test_names_that_exist(zone: Zone, name: str, addresses: list[str]) -> None:
    answer = ask(zone, name)
    assert answer.rcode() == dns.rcode.NOERROR
    assert [data.to_text() for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for data in rrset] == addresses


@pytest.mark.parametrize("name", ["nowhere.example", "azure.com", "blob.core.windows.net", "xmanagement.azure.com", "."])
def test_names_that_do_not_exist(zone: Zone, name: str) -> None:
    answer = ask(zone, name)
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert not answer.answer
    assert [rrset.rdtype for rrset in answer.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize("kind", ["AAAA", "TXT", "MX", "SRV"])
def test_other_types_are_empty(zone: Zone, kind: str) -> None:
    answer = ask(zone, "management.azure.com", kind)
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOERROR, [])


def test_an_alias_is_followed_in_order(zone: Zone) -> None:
    assert [rrset.name.to_text() for rrset in ask(zone, "alias.example").answer] == [
        "alias.example.",
        "second.example.",
        "management.azure.com.",
    ]
    assert [rrset.rdtype for rrset in ask(zone, "alias.example", "CNAME").answer] == [dns.rdatatype.CNAME]
    assert [rrset.rdtype for rrset in ask(zone, "alias.example", "AAAA").answer] == [dns.rdatatype.CNAME] * 2


def test_aliases_that_lead_nowhere(zone: Zone) -> None:
    assert ask(zone, "dangling.example").rcode() == dns.rcode.NXDOMAIN
    assert ask(zone, "circle.example").rcode() == dns.rcode.SERVFAIL


def test_what_does_not_fit_is_truncated_over_udp_only(zone: Zone) -> None:
    assert ask(zone, "many.example").flags & dns.flags.TC
    assert not ask(zone, "many.example", edns=True).flags & dns.flags.TC
    whole = ask(zone, "many.example", tcp=True)
    assert not whole.flags & dns.flags.TC and len(whole.answer[0]) == 120


def test_extensions_are_tolerated(zone: Zone) -> None:
    assert ask(zone, "management.azure.com", edns=True).edns == 0


def test_what_is_no_question(zone: Zone) -> None:
    query = dns.message.make_query("management.azure.com", "A")
    answer = dns.message.make_response(query).to_wire()
    assert zone.answer(answer, tcp=False) is None
    assert zone.answer(b"short", tcp=False) is None
    broken = zone.answer(query.to_wire()[:-3], tcp=False)
    assert broken is not None and broken[3] & 0xF == dns.rcode.FORMERR
    chaos = zone.answer(dns.message.make_query("version.bind", "TXT", "CH").to_wire(), tcp=False)
    assert chaos is not None and chaos[3] & 0xF == dns.rcode.REFUSED
    status = bytearray(query.to_wire())
    status[2] |= 2 << 3
    other = zone.answer(bytes(status), tcp=False)
    assert other is not None and other[3] & 0xF == dns.rcode.NOTIMP


@settings(database=None)
@given(st.binary(max_size=80))
def test_no_bytes_break_a_zone(data: bytes) -> None:
    answer = Zone(RECORDS).answer(data, tcp=False)
    assert answer is None or answer[:2] == data[:2]


def test_a_record_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'NAPTR'"):
        Zone([Record(name="a", kind="NAPTR", values=("x",))])


def test_a_name_has_records_of_several_types() -> None:
    zone = Zone(
        (
            Record(name="www.corp.example", kind="A", values=("10.1.0.9",)),
            Record(name="www.corp.example", kind="TXT", values=('"hello" "world"',)),
            Record(name="www.corp.example", kind="MX", values=("10 mail.corp.example.",)),
        )
    )
    for kind, text in (("A", "10.1.0.9"), ("TXT", '"hello" "world"'), ("MX", "10 mail.corp.example.")):
        answer = ask(zone, "www.corp.example", kind)
        assert [data.to_text() for rrset in answer.answer for data in rrset] == [text]
    assert ask(zone, "www.corp.example", "AAAA").answer == []


def test_every_network_has_its_own_view(world: World) -> None:
    for name, index, address in (("a", 1, "10.0.0.9"), ("b", 2, "10.0.0.4")):
        network = world.network(name, index)
        world.endpoint(f"{name}1", network, "10.0.0.4")
        world.open_all(network)
        records = (Record(name="x.privatelink.blob.core.windows.net", kind="A", values=(address,)),)
        world.put(View(key=f"dns/{name}", at=network.key, records=records))
    assert world.addresses_of("nic/a1", "x.privatelink.blob.core.windows.net") == ["10.0.0.9"]
    assert world.addresses_of("nic/b1", "x.privatelink.blob.core.windows.net") == ["10.0.0.4"]
    missing = world.resolve("nic/a1", "y.privatelink.blob.core.windows.net")
    assert missing is not None and missing.rcode() == dns.rcode.NXDOMAIN


def test_the_internets_view_is_at_the_edge(world: World) -> None:
    network = world.network("a", 1, egress="198.19.0.9")
    inside, outside = world.endpoint("inside", network, "10.0.0.4"), world.endpoint("outside", None, "198.19.255.4")
    world.open_all(network)
    world.put(View(key="dns/internet", at=INTERNET, records=RECORDS))
    assert world.addresses_of(outside, "management.azure.com") == ["198.18.0.17"]
    assert world.resolve(inside, "management.azure.com") is None, "a network without a view has no resolver"


def test_a_cluster_resolves_at_an_endpoint(world: World) -> None:
    network = world.network("a", 1)
    pod, resolver = world.endpoint("pod", network, "10.0.0.4"), world.endpoint("dns", network, "10.0.0.5")
    world.open_all(network)
    records = (Record(name="*.default.svc.cluster.local", kind="A", values=("10.2.0.20",)),)
    world.put(View(key="dns/c-cluster", at=resolver, records=records))
    assert world.addresses_of(pod, "web.default.svc.cluster.local", server="10.0.0.5") == ["10.2.0.20"]


def test_a_view_changes_in_place_and_stops(world: World) -> None:
    network = world.network("a", 1)
    asking = world.endpoint("asking", network, "10.0.0.4")
    world.open_all(network)
    for address in ("10.0.0.1", "10.0.0.2"):
        view = View(key="dns/a", at=network.key, records=(Record(name="a", kind="A", values=(address,)),))
        world.put(view)
        assert world.addresses_of(asking, "a") == [address]
    assert world.fabric.drop(["dns/a"]) == []
    assert world.resolve(asking, "a") is None
    world.put(view)
    assert world.addresses_of(asking, "a") == ["10.0.0.2"]


def test_two_views_at_one_place_are_refused(world: World) -> None:
    network = world.network("a", 1)
    world.put(View(key="dns/a", at=network.key, records=()))
    [failure] = world.fabric.put([View(key="dns/b", at=network.key, records=())])
    assert failure.key == "dns/b" and "in use" in failure.message


def test_a_view_of_a_place_that_is_not_there_is_refused(world: World) -> None:
    [failure] = world.fabric.put([View(key="dns/a", at="net/gone", records=())])
    assert "net/gone" in failure.message


def test_questions_over_tcp_share_a_connection(world: World) -> None:
    network = world.network("a", 1)
    asking = world.endpoint("asking", network, "10.0.0.4")
    world.open_all(network)
    world.put(View(key="dns/a", at=network.key, records=RECORDS))
    with world.connected(asking, "168.63.129.16", 53) as connection:
        for name in ("many.example", "management.azure.com"):
            answer = dns.query.tcp(dns.message.make_query(name, "A"), "168.63.129.16", sock=connection, timeout=1)
            assert answer.answer
        connection.sendall(b"\0\x20half a")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
