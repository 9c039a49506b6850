"""Bundles: complete or absent, and never a file outside of them."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringfence.desired.state import Bundle, File, Observed, Readiness
from ringfence.drivers.linux import bundles
from ringfence.drivers.linux.bundles import Bundles

KEY = "bundle/abc123"


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.blobs, self.folder = root / "blobs", root / "bundles"
        self.folder.mkdir(parents=True)
        self.bundles = Bundles(self.folder, self.blobs)

    def blob(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        path = self.blobs / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
        return name

    def put(self, *files: File) -> Observed:
        self.bundles.put(Bundle(key=KEY, files=files))
        while (seen := self.bundles.observe()[KEY]).readiness is Readiness.STARTING:
            time.sleep(0.01)
        return seen

    def unpacked(self, *members: tuple[tarfile.TarInfo, bytes]) -> Observed:
        return self.put(File(path="app/source.tar.gz", blob=self.blob(archive(*members)), unpack=True))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store")
    yield made
    made.bundles.close()


def entry(name: str, content: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info, content


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def test_files_and_archives_come_together(store: Store) -> None:
    good = archive(
        entry("score.py", b"code"), entry("sub/run.sh", b"#!", mode=0o755), entry("to", type=tarfile.SYMTYPE, linkname="sub")
    )
    seen = store.put(
        File(path="app/source.tar.gz", blob=store.blob(good), unpack=True),
        File(path="models/m/1/model.pkl", blob=store.blob(b"model")),
    )
    assert seen.readiness is Readiness.READY
    root = bundles.content(store.folder, KEY)
    found = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    assert found == {"app/score.py": b"code", "app/sub/run.sh": b"#!", "models/m/1/model.pkl": b"model"}
    assert (root / "app" / "to" / "run.sh").read_bytes() == b"#!"
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in root.rglob("*")}
    assert modes["score.py"] == modes["model.pkl"] == "0o644" and modes["run.sh"] == modes["models"] == "0o755"


def test_another_process_finds_it_and_a_dropped_one_is_gone(store: Store) -> None:
    seen = store.put(File(path="a", blob=store.blob(b"1")))
    again = Bundles(store.folder, store.blobs)
    again.prepare()
    assert again.observe() == {KEY: seen}
    again.drop(KEY)
    again.close()
    assert again.observe() == {} and list(store.folder.iterdir()) == []


def test_what_is_half_made_is_removed_and_never_reported(store: Store) -> None:
    (store.folder / ".new-abc123" / "content").mkdir(parents=True)
    assert store.bundles.observe() == {}
    store.bundles.prepare()
    assert list(store.folder.iterdir()) == []


LINK, HARD, FIFO, DEVICE = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE


@pytest.mark.parametrize(
    "members",
    [
        [entry("/etc/evil", b"x")],
        [entry("../evil", b"x")],
        [entry("a/../../evil", b"x")],
        [entry("link", type=LINK, linkname="/etc/passwd")],
        [entry("link", type=LINK, linkname="../../../..")],
        [entry("dot", type=LINK, linkname="."), entry("up", type=LINK, linkname="dot/../../..")],
        [entry("link", type=LINK, linkname=".."), entry("link/evil", b"x")],
        [entry("hard", type=HARD, linkname="/etc/passwd")],
        [entry("hard", type=HARD, linkname="../../x")],
        [entry("fifo", type=FIFO)],
        [entry("device", type=DEVICE, devmajor=1, devminor=3)],
        [entry("..", b"x")],
    ],
)
def test_no_entry_leaves_the_bundle(store: Store, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    seen = store.unpacked(*members)
    assert (seen.readiness, seen.code) == (Readiness.FAILED, "InvalidBundle"), seen
    assert list(store.folder.iterdir()) == []
    assert sorted(p.name for p in store.root.iterdir()) == ["blobs", "bundles"]


def test_a_later_file_is_not_written_through_a_link_of_an_archive(store: Store) -> None:
    tar = store.blob(archive(entry("inner", type=LINK, linkname="../models")))
    seen = store.put(File(path="app/s.tar.gz", blob=tar, unpack=True), File(path="app/inner/x", blob=store.blob(b"1")))
    assert seen.readiness is Readiness.FAILED, "the link leads out of the folder of its archive"


@pytest.mark.parametrize(
    "content",
    [b"", b"no archive", gzip.compress(b"x" * 5000), archive(entry("a", b"x" * 9000))[:-40]],
    ids=["empty", "text", "no tar", "cut off"],
)
def test_a_damaged_archive_is_a_fault_of_the_bundle(store: Store, content: bytes) -> None:
    seen = store.put(File(path="app/s.tar.gz", blob=store.blob(content), unpack=True))
    assert (seen.readiness, seen.code) == (Readiness.FAILED, "InvalidBundle")
    assert "app/s.tar.gz" in seen.message


def test_a_missing_or_changed_content_is_told(store: Store) -> None:
    assert "not in the blob store" in store.put(File(path="a", blob="f" * 64)).message
    store.bundles.drop(KEY)
    name = store.blob(b"right")
    (store.blobs / name[:2] / name).write_bytes(b"wrong")
    assert "does not have the digest" in store.put(File(path="a", blob=name)).message


def test_paths_outside_are_refused(store: Store) -> None:
    for path in ("../x", "/x", "a/../../x", ""):
        seen = store.put(File(path=path, blob=store.blob(b"1")))
        assert seen.readiness is Readiness.FAILED and "leads out" in seen.message
        store.bundles.drop(KEY)


def test_a_bomb_is_stopped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST_BYTES", 1_000_000)
    seen = store.unpacked(entry("zeros", b"\0" * 3_000_000))
    assert seen.readiness is Readiness.FAILED and "more than 1000000 bytes" in seen.message


def test_a_key_cannot_lead_elsewhere(store: Store) -> None:
    with pytest.raises(ValueError, match="not the key of a bundle"):
        bundles.content(store.folder, "bundle/../x")
