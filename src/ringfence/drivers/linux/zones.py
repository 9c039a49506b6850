"""What a resolver answers: records in, wire format out. Pure; sockets are in `resolvers`.

Records of the common types and aliases; types that a name does not have are empty; names that no
record matches do not exist (NXDOMAIN with a short-lived SOA, so that a name created later is seen soon).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
_KINDS = ("A", "AAAA", "CNAME", "MX", "PTR", "SOA", "SRV", "TXT")
_NEGATIVE_TTL = 1
_SOA = f"ns.azure-dns.internal. hostmaster.azure-dns.internal. 1 3600 600 86400 {_NEGATIVE_TTL}"


class Zone:
    """The records of one view, and the answers already rendered from them."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._exact: dict[str, dict[str, Record]] = {}
        self._below: dict[str, dict[str, Record]] = {}
        for record in records:
            if record.kind not in _KINDS:
                raise ValueError(f"record {record.name} has the kind {record.kind!r}; served are {', '.join(_KINDS)}")
            if record.name.startswith("*."):
                self._below.setdefault(record.name[2:], {})[record.kind] = record
            else:
                self._exact.setdefault(record.name, {})[record.kind] = record
        self._rendered: dict[tuple[bytes, bool], bytes] = {}

    def find(self, name: str) -> Mapping[str, Record] | None:
        """The records, by kind, for a name (lower case, no final dot): exact, else of the wildcard with the longest suffix."""
        found = self._exact.get(name)
        while found is None and "." in name:
            name = name.partition(".")[2]
            found = self._below.get(name)
        return found

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
            found = self.find(name.to_text(omit_final_dot=True).lower())
            if found is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            alias = found.get("CNAME")
            if alias is None:
                for kind_name, record in found.items():
                    if kind in (dns.rdatatype.from_text(kind_name), dns.rdatatype.ANY):
                        response.answer.append(dns.rrset.from_text_list(name, record.ttl, "IN", kind_name, record.values))
                if response.answer and response.answer[-1].rdtype != dns.rdatatype.CNAME:
                    return
                break
            target = dns.name.from_text(alias.values[0])
            response.answer.append(dns.rrset.from_text(name, alias.ttl, "IN", "CNAME", target.to_text()))
            if kind == dns.rdatatype.CNAME:
                return
            name = target
        else:
            response.set_rcode(dns.rcode.SERVFAIL)  # aliases in a circle
            return
        response.authority.append(dns.rrset.from_text(name, _NEGATIVE_TTL, "IN", "SOA", _SOA))
