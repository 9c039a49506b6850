"""Microsoft.Network private DNS zones: zones, links to virtual networks, record sets by type.

What a resolver answers from them is `policy.resolution`; rules of names and links are admission's.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ringfence.model.ids import ResourceId
from ringfence.model.resource import Properties, Reference, Resource

ZONE = "microsoft.network/privatednszones"
LINK = "microsoft.network/privatednszones/virtualnetworklinks"
#: Record types that a zone holds, in Azure's spelling of the path.
KINDS = ("A", "AAAA", "CNAME", "MX", "PTR", "SOA", "SRV", "TXT")
#: The fields of `RecordSet` by record type.
FIELDS = {
    "A": "a_records",
    "AAAA": "aaaa_records",
    "CNAME": "cname_record",
    "MX": "mx_records",
    "PTR": "ptr_records",
    "SOA": "soa_record",
    "SRV": "srv_records",
    "TXT": "txt_records",
}
RECORDS = {kind: f"{ZONE}/{kind.lower()}" for kind in KINDS}


class Zone(Properties):
    READ_ONLY: ClassVar[frozenset[str]] = frozenset(
        {
            "provisioningState",
            "maxNumberOfRecordSets",
            "numberOfRecordSets",
            "maxNumberOfVirtualNetworkLinks",
            "numberOfVirtualNetworkLinks",
            "maxNumberOfVirtualNetworkLinksWithRegistration",
            "numberOfVirtualNetworkLinksWithRegistration",
            "internalId",
        }
    )


class VirtualNetworkLink(Properties):
    """resolution_policy: NxDomainRedirect asks the public zone for names that the private one does not have."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "virtualNetworkLinkState"})

    virtual_network: Reference
    registration_enabled: bool = False
    resolution_policy: str | None = None

    @property
    def redirects(self) -> bool:
        return (self.resolution_policy or "").lower() == "nxdomainredirect"


class ARecord(Properties):
    ipv4_address: str = Field(alias="ipv4Address")


class AaaaRecord(Properties):
    ipv6_address: str = Field(alias="ipv6Address")


class CnameRecord(Properties):
    cname: str


class MxRecord(Properties):
    preference: int
    exchange: str


class PtrRecord(Properties):
    ptrdname: str


class SrvRecord(Properties):
    priority: int
    weight: int
    port: int
    target: str


class TxtRecord(Properties):
    value: tuple[str, ...]


class SoaRecord(Properties):
    host: str = "azureprivatedns.net"
    email: str = "azureprivatedns-host.microsoft.com"
    serial_number: int = 1
    refresh_time: int = 3600
    retry_time: int = 300
    expire_time: int = 2419200
    minimum_ttl: int = 10


class RecordSet(Properties):
    """All records of one name and type. ttl: seconds."""

    READ_ONLY: ClassVar[frozenset[str]] = frozenset({"provisioningState", "fqdn", "isAutoRegistered"})

    ttl: int = 3600
    metadata: dict[str, str] | None = None
    a_records: tuple[ARecord, ...] = Field(default=(), alias="aRecords")
    aaaa_records: tuple[AaaaRecord, ...] = Field(default=(), alias="aaaaRecords")
    cname_record: CnameRecord | None = None
    mx_records: tuple[MxRecord, ...] = ()
    ptr_records: tuple[PtrRecord, ...] = ()
    srv_records: tuple[SrvRecord, ...] = ()
    txt_records: tuple[TxtRecord, ...] = ()
    soa_record: SoaRecord | None = None


def kind_of(resource: Resource) -> str:
    """The record type of a record set, `A`."""
    return resource.id.types[-1].upper()


def values(held: RecordSet, kind: str) -> tuple[str, ...]:
    """The records of a set in the presentation format of zone files."""
    match kind:
        case "A":
            return tuple(one.ipv4_address for one in held.a_records)
        case "AAAA":
            return tuple(one.ipv6_address for one in held.aaaa_records)
        case "CNAME":
            return (held.cname_record.cname.rstrip("."),) if held.cname_record is not None else ()
        case "MX":
            return tuple(f"{one.preference} {_absolute(one.exchange)}" for one in held.mx_records)
        case "PTR":
            return tuple(_absolute(one.ptrdname) for one in held.ptr_records)
        case "SRV":
            return tuple(f"{one.priority} {one.weight} {one.port} {_absolute(one.target)}" for one in held.srv_records)
        case "TXT":
            return tuple(" ".join(map(_quoted, one.value)) for one in held.txt_records)
        case "SOA" if held.soa_record is not None:
            soa = held.soa_record
            times = f"{soa.serial_number} {soa.refresh_time} {soa.retry_time} {soa.expire_time} {soa.minimum_ttl}"
            return (f"{_absolute(soa.host)} {_absolute(soa.email)} {times}",)
    return ()


def _absolute(name: str) -> str:
    return name.rstrip(".") + "."


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def wire_name(kind: str) -> str:
    """The field of a record type in documents, `aRecords`."""
    field = FIELDS[kind]
    return RecordSet.model_fields[field].alias or field


def is_record_set(type: str) -> bool:
    """Whether a lower-case resource type is one of record sets."""
    return type in _RECORD_TYPES


def name_of(record_set: ResourceId) -> str:
    """The name that a record set answers for, lower case: its relative name and the zone's; `@` is the zone itself."""
    zone, relative = record_set.names[-2].lower(), record_set.name.lower()
    return zone if relative == "@" else f"{relative}.{zone}"


_RECORD_TYPES = frozenset(RECORDS.values())
