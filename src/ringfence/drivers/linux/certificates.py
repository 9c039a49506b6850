"""The certificate of a router that ends TLS: the user's own, or one that is issued here, kept and renewed in time.

An issued certificate lies in the router's folder beside a note of what it was issued for, so
that a restarted control plane goes on with it. Who signs is decided in `server`; how the router
uses the file is in `router_config`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path

from cryptography import x509

from ringfence.desired.state import Tls
from ringfence.drivers.linux import cell_image
from ringfence.drivers.linux.launch_spec import NOBODY

#: name -> PEM: key, certificate and chain.
Issue = Callable[[str], bytes]

_NOTE, _KEPT = "issued.json", "issued.pem"
_RENEW_BEFORE = dt.timedelta(days=30)


class NoIssuer(Exception):
    """A certificate was to be issued, and nobody here can; the message says so."""


def text(folder: Path, tls: Tls, issue: Issue | None, now: dt.datetime) -> str:
    """Certificate, chain and key as one PEM text. folder: where an issued one is kept. Raises NoIssuer."""
    if tls.certificate:
        return f"{tls.certificate.strip()}\n{tls.key.strip()}\n"
    if _note(folder).get("for") == _wanted(tls) and not due(folder, now):
        return (folder / _KEPT).read_text()
    if issue is None:
        raise NoIssuer(f"no authority is here that could issue a certificate for {tls.name}")
    issued = issue(tls.name)
    write_secret(folder / _KEPT, issued.decode(), 0)
    ends = x509.load_pem_x509_certificates(issued)[0].not_valid_after_utc
    note = folder / f"{_NOTE}.new"
    note.write_text(json.dumps({"for": _wanted(tls), "ends": ends.isoformat()}))
    note.rename(folder / _NOTE)
    return issued.decode()


def due(folder: Path, now: dt.datetime) -> bool:
    """Whether a certificate that was issued here is about to end."""
    ends = _note(folder).get("ends")
    return ends is not None and dt.datetime.fromisoformat(ends) - now < _RENEW_BEFORE


def forget(folder: Path) -> None:
    """The router has no issued certificate any more."""
    for name in (_NOTE, _KEPT):
        (folder / name).unlink(missing_ok=True)


def write_secret(path: Path, content: str, owner: int | None = None) -> None:
    """A file that only its owner reads, from its first byte on. owner: the cells' user unless given."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        if owner is None and cell_image.outside("uid", NOBODY):
            os.fchown(handle, NOBODY, -1)
        file.write(content)


def _wanted(tls: Tls) -> str:
    return f"{tls.name} {tls.serial}"


def _note(folder: Path) -> dict[str, str]:
    path = folder / _NOTE
    if not path.exists() or not (folder / _KEPT).exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text())
    return found
