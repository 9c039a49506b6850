"""What a resolver answers: records in, wire format out. Pure; sockets are in `resolvers`.

A records and aliases; other types exist but are empty; names that no record matches do
not exist (NXDOMAIN with a short-lived SOA, so that a name created later is seen soon).
"""

from __future__ import annotations

from collections.abc import Iterable

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from ringfence.desired.state import Record

_LARGEST_UDP_PLAIN, _LARGEST_TCP = 512, 65535
_LONGEST_CHAIN = 16
_MOST_CACHED = 4096
_HEADER = 12
_NEGATIVE_TTL = 1
_SOA = f"ns.azure-dns.internal. hostmaster.azure-dns.internal. 1 3600 600 86400 {_NEGATIVE_TTL}"


class Zone:
    """The records of one view, and the answers already rendered from them."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._exact: dict[str, Record] = {}
        self._below: dict[str, Record] = {}
        for record in records:
            if record.kind not in ("A", "CNAME"):
                raise ValueError(f"record {record.name} has the kind {record.kind!r}; A and CNAME are served")
            if record.name.startswith("*."):
                self._below[record.name[2:]] = record
            else:
                self._exact[record.name] = record
        self._rendered: dict[tuple[bytes, bool], bytes] = {}

    def find(self, name: str) -> Record | None:
        """The record for a name (lower case, no final dot): exact first, then the wildcard with the longest suffix."""
        record = self._exact.get(name)
        while record is None and "." in name:
            name = name.partition(".")[2]
            record = self._below.get(name)
        return record

    def answer(self, query: bytes, *, tcp: bool) -> bytes | None:
        """The answer to a query in wire format, or None for what deserves none."""
        if len(query) < _HEADER or query[2] & 0x80:
            return None  # too short to answer, or itself an answer
        asked = (query[2:], tcp)
        rest = self._rendered.get(asked)
        if rest is None:
            rest = self._render(query, tcp=tcp)[2:]
            if len(self._rendered) >= _MOST_CACHED:
                self._rendered.clear()
            self._rendered[asked] = rest
        return query[:2] + rest

    def _render(self, query: bytes, *, tcp: bool) -> bytes:
        try:
            message = dns.message.from_wire(query)
        except (dns.exception.DNSException, ValueError):  # ValueError: an opcode or a type that dnspython does not know
            return query[:2] + b"\x80\x01" + bytes(8)  # FORMERR, and nothing else
        response = dns.message.make_response(message, recursion_available=True)
        response.flags |= dns.flags.AA
        if message.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
        elif len(message.question) != 1 or message.question[0].rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
        else:
            self._fill(response, message.question[0].name, message.question[0].rdtype)
        largest = _LARGEST_TCP if tcp else max(_LARGEST_UDP_PLAIN, message.payload)
        return response.to_wire(max_size=largest, prefer_truncation=True)

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(_LONGEST_CHAIN):
            record = self.find(name.to_text(omit_final_dot=True).lower())
            if record is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            if record.kind == "A":
                if kind in (dns.rdatatype.A, dns.rdatatype.ANY):
                    response.answer.append(dns.rrset.from_text_list(name, record.ttl, "IN", "A", record.values))
                    return
                break
            target = dns.name.from_text(record.values[0])
            response.answer.append(dns.rrset.from_text(name, record.ttl, "IN", "CNAME", target.to_text()))
            if kind == dns.rdatatype.CNAME:
                return
            name = target
        else:
            response.set_rcode(dns.rcode.SERVFAIL)  # aliases in a circle
            return
        response.authority.append(dns.rrset.from_text(name, _NEGATIVE_TTL, "IN", "SOA", _SOA))
