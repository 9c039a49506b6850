"""Listing a container: the page asked for and its XML document."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from ringfence.api.blob.answers import BlobError
from ringfence.control.blobs import Blob

_MOST = 5000


@dataclass(frozen=True, slots=True)
class Page:
    """prefix: of names; after: the last name of the page before; most: names on this page."""

    prefix: str
    after: str
    most: int

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Page:
        """Raises BlobError: OutOfRangeInput, UnsupportedQueryParameter."""
        if query.get("delimiter"):
            raise BlobError("UnsupportedQueryParameter", "Listing by delimiter is not served; list by prefix.")
        most = query.get("maxresults", str(_MOST))
        if not most.isascii() or not most.isdigit() or int(most[:9]) < 1:
            raise BlobError("OutOfRangeInput", "maxresults is a number from 1 on.")
        try:
            after = base64.urlsafe_b64decode(query.get("marker", "").encode()).decode()
        except (binascii.Error, ValueError) as error:
            raise BlobError("OutOfRangeInput", "The marker is not one that a listing gave.") from error
        return cls(query.get("prefix", ""), after, min(int(most[:9]), _MOST))


def document(host: str, container: str, page: Page, found: Sequence[Blob]) -> bytes:
    """found: one blob more than the page may hold says that there is a next page."""
    root = Element("EnumerationResults", ServiceEndpoint=f"https://{host}/", ContainerName=container)
    SubElement(root, "Prefix").text = page.prefix
    SubElement(root, "MaxResults").text = str(page.most)
    entries = SubElement(root, "Blobs")
    for blob in found[: page.most]:
        _entry(entries, blob)
    more = len(found) > page.most
    SubElement(root, "NextMarker").text = base64.urlsafe_b64encode(found[page.most - 1].name.encode()).decode() if more else ""
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _entry(parent: Element, blob: Blob) -> None:
    entry = SubElement(parent, "Blob")
    SubElement(entry, "Name").text = blob.name
    properties = SubElement(entry, "Properties")
    values = {
        "Creation-Time": format_datetime(blob.created_at.astimezone(dt.UTC), usegmt=True),
        "Last-Modified": format_datetime(blob.changed_at.astimezone(dt.UTC), usegmt=True),
        "Etag": blob.etag,
        "Content-Length": str(blob.content.size),
        "Content-Type": blob.content_type,
        "Content-MD5": base64.b64encode(bytes.fromhex(blob.content.md5)).decode(),
        "BlobType": "BlockBlob",
    }
    for name, value in values.items():
        SubElement(properties, name).text = value
