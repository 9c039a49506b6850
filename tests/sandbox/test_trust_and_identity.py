"""The certificate authority, the bundle and the administrator: made once, sound, and closed to others."""

from __future__ import annotations

import datetime as dt
import ssl
import uuid
from pathlib import Path

import pytest
from cryptography import x509

from ringfence.api.tls import Issuer
from ringfence.sandbox import trust
from ringfence.sandbox.errors import BadState
from ringfence.sandbox.layout import Layout, ensure_admin, write

NOW = dt.datetime.now(dt.UTC)  # noqa: TID251  # a handshake looks at the real clock


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.create()
    trust.ensure(made, NOW)
    return made


def test_the_authority_says_what_a_strict_client_asks_for(layout: Layout) -> None:
    certificate = x509.load_pem_x509_certificate(layout.ca.read_bytes())
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical and usage.value.key_cert_sign and not usage.value.digital_signature
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 0
    subject = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert authority.key_identifier == subject.key_identifier
    assert certificate.not_valid_after_utc - NOW > dt.timedelta(days=3649)


def test_a_strict_client_accepts_a_certificate_of_it_by_the_bundle(layout: Layout) -> None:
    leaf = layout.folder / "leaf.pem"
    leaf.write_bytes(Issuer.load(layout.folder, lambda: NOW).leaf("management.azure.com"))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(leaf)
    asking = ssl.create_default_context(cafile=str(layout.trust_bundle))
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname="management.azure.com")
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    done = set[ssl.SSLObject]()
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    assert done == {client, server}


def test_the_bundle_keeps_the_systems_authorities(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "system.pem"
    system.write_text("-----BEGIN CERTIFICATE-----\nsystem\n-----END CERTIFICATE-----")
    monkeypatch.setattr(trust, "SYSTEM_BUNDLES", (str(tmp_path / "missing.pem"), str(system)))
    trust.ensure(layout, NOW)
    assert layout.trust_bundle.read_text() == system.read_text() + "\n" + layout.ca.read_text()


def test_the_authority_is_made_once(layout: Layout) -> None:
    before = layout.ca.read_bytes()
    trust.ensure(layout, NOW + dt.timedelta(days=9))
    assert layout.ca.read_bytes() == before
    assert layout.ca_key.stat().st_mode & 0o777 == 0o600


def test_administrators_differ_and_stay(layout: Layout, tmp_path: Path) -> None:
    first = ensure_admin(layout)
    assert ensure_admin(layout) == first == layout.admin()
    other = Layout(tmp_path / "other")
    other.create()
    second = ensure_admin(other)
    fields = ("tenant_id", "subscription_id", "client_id", "client_secret", "object_id")
    assert all(getattr(first, name) != getattr(second, name) for name in fields)
    assert uuid.UUID(first.tenant_id).version == 4 and len(first.client_secret) >= 32
    assert layout.admin_file.stat().st_mode & 0o777 == 0o600


def test_a_damaged_administrator_is_named_with_the_way_out(layout: Layout) -> None:
    with pytest.raises(BadState, match="does not exist"):
        layout.admin()
    layout.admin_file.write_text('{"tenantId": "x"}')
    with pytest.raises(BadState, match="cannot be read") as raised:
        layout.admin()
    assert "--purge" in raised.value.remedy


@pytest.mark.parametrize("place", ["/run/user/0/state", "/proc/state", "/tmp/" + "long/" * 24])
def test_places_that_cannot_work_are_refused_before_anything_is_made(place: str) -> None:
    with pytest.raises(BadState):
        Layout(Path(place)).create()
    assert not Path(place).exists()


def test_a_file_is_replaced_as_one_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    write(target, "old", mode=0o600)
    with pytest.raises(UnicodeEncodeError):
        write(target, "\udcff", mode=0o600)
    assert target.read_text() == "old"
    write(target, b"new", mode=0o644)
    assert target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
