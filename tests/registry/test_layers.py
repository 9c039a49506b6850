"""Layers of images: what a container runtime would make of them, and what a hostile one cannot do."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from pathlib import Path

import pytest
import zstandard

from ringfence.control import image_layers
from ringfence.control.content import Contents
from ringfence.drivers.linux import image_view, layers
from ringfence.drivers.linux.image_store import Pulled
from ringfence.drivers.linux.image_view import UnfitImage
from ringfence.drivers.linux.layers import BadImage, Root

_TAR = "application/vnd.oci.image.layer.v1.tar"


def layer(*entries: tuple[str, object]) -> bytes:
    """A tar: (name, bytes) is a file, (name, None) a folder, (name, TarInfo) that entry."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, what in entries:
            entry = what if isinstance(what, tarfile.TarInfo) else tarfile.TarInfo(name)
            entry.name = name
            if isinstance(what, bytes):
                entry.size = len(what)
            elif what is None:
                entry.type = tarfile.DIRTYPE
                entry.mode = 0o755
            tar.addfile(entry, io.BytesIO(what) if isinstance(what, bytes) else None)
    return made.getvalue()


def special(kind: bytes, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo("x")
    entry.type, entry.linkname, entry.mode = kind, target, mode
    return entry


def lay(root: Path, *given: bytes) -> Root:
    made = Root(root)
    for content in given:
        made.lay(io.BytesIO(content))
    return made


def test_upper_layers_replace_and_remove(tmp_path: Path) -> None:
    lower = layer(("a/one", b"1"), ("a/two", b"2"), ("b/old", b"x"), ("b/deep/er", b"x"), ("link", special(tarfile.SYMTYPE, "a")))
    upper = layer(("a/one", b"new"), ("a/.wh.two", b""), ("b/.wh..wh..opq", b""), ("b/new", b"y"), ("link/three", b"3"))
    lay(tmp_path, lower, upper)
    assert (tmp_path / "a/one").read_bytes() == b"new" and not (tmp_path / "a/two").exists()
    assert sorted(os.listdir(tmp_path / "b")) == ["new"], "an opaque folder shows nothing of below"
    assert (tmp_path / "a/three").read_bytes() == b"3" and os.readlink(tmp_path / "link") == "a"


def test_an_opaque_folder_keeps_its_own_files_whatever_their_order(tmp_path: Path) -> None:
    lay(tmp_path, layer(("d/old", b"x")), layer(("d/new", b"y"), ("d/.wh..wh..opq", b"")))
    assert os.listdir(tmp_path / "d") == ["new"]


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/../out"])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(BadImage, match="leads out"):
        lay(root, layer((name, b"x")))
    assert not (tmp_path / "out").exists()


def test_no_link_leads_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    up = special(tarfile.SYMTYPE, f"../../../../../..{outside}")
    lay(root, layer(("absolute", special(tarfile.SYMTYPE, str(outside))), ("absolute/file", b"x"), ("up", up), ("up/file", b"y")))
    assert os.listdir(outside) == ["secret"], "links are followed inside the root"
    assert (root / str(outside).lstrip("/") / "file").read_bytes() == b"y"
    for target in (f"../../../..{outside}/secret", "up/secret", "missing", "absolute"):
        with pytest.raises(BadImage):
            lay(root, layer(("hard", special(tarfile.LNKTYPE, target))))
    lay(root, layer(("absolute", b"a file now")))
    assert (root / "absolute").is_file() and (outside / "secret").read_text() == "secret"
    with pytest.raises(BadImage, match="too many"):
        lay(root, layer(("l", special(tarfile.SYMTYPE, "l")), ("l/x", b"")))


def test_rights_and_devices_are_left_out(tmp_path: Path) -> None:
    setuid = special(tarfile.REGTYPE, mode=0o6755)
    lay(
        tmp_path,
        layer(
            ("su", setuid),
            ("null", special(tarfile.CHRTYPE)),
            ("pipe", special(tarfile.FIFOTYPE)),
            ("none", special(tarfile.REGTYPE, mode=0)),
        ),
    )
    assert sorted(os.listdir(tmp_path)) == ["none", "su"]
    assert stat.S_IMODE((tmp_path / "su").stat().st_mode) == 0o755
    assert (tmp_path / "none").stat().st_uid == os.getuid() and (tmp_path / "none").read_bytes() == b""


def test_hard_links_and_times_stay(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x")
    entry.mtime, entry.size = 1_600_000_000, 0
    lay(tmp_path, layer(("a", entry), ("b", special(tarfile.LNKTYPE, "a"))))
    assert (tmp_path / "a").stat().st_ino == (tmp_path / "b").stat().st_ino
    assert (tmp_path / "a").stat().st_mtime == 1_600_000_000


@pytest.mark.parametrize(
    "media_type", [_TAR, f"{_TAR}+gzip", f"{_TAR}+zstd", "application/vnd.docker.image.rootfs.diff.tar.gzip"]
)
def test_compressions(tmp_path: Path, media_type: str) -> None:
    content = layer(("file", b"x" * 3_000_000), ("other", os.urandom(200_000)))
    packed = gzip.compress(content[:1000]) + gzip.compress(content[1000:]) if "gzip" in media_type else content
    packed = zstandard.compress(content) if "zstd" in media_type else packed
    Root(tmp_path).lay(layers.plain(io.BytesIO(packed), media_type))
    assert (tmp_path / "file").stat().st_size == 3_000_000
    if packed is not content:
        with pytest.raises(BadImage):
            Root(tmp_path).lay(layers.plain(io.BytesIO(packed[:-50_000]), media_type))


def test_a_layer_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadImage, match="media type"):
        layers.plain(io.BytesIO(), "application/vnd.oci.image.layer.v1.tar+brotli")


def environment(folder: Path) -> Path:
    made = folder / "environments" / "abc"
    (made / "bin").mkdir(parents=True)
    (made / "bin" / "tool").write_text(f"#!{made}/bin/python\nprint(1)\n")
    (made / "bin" / "tool").chmod(0o755)
    (made / "bin" / "python").symlink_to("/usr/bin/python3")
    (made / "lib").mkdir()
    (made / "lib" / "module.py").write_text("x = 1\n")
    os.utime(made / "lib" / "module.py", (1_600_000_000, 1_600_000_000))
    (made / "ringfence.json").write_text(json.dumps({"fingerprint": "f", "prefixes": ["/usr", "/usr"]}))
    return made


def test_an_environments_image_is_the_same_each_time_and_runs_from_azures_place(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    contents = Contents(tmp_path / "blobs", iter(map(str, range(99))).__next__)
    made = image_layers.make(contents, "abc", environment(tmp_path))
    assert image_layers.make(contents, "abc", tmp_path / "environments" / "abc") == made
    manifest = json.loads(contents.path(made.manifest.sha256).read_bytes())
    (only,) = manifest["layers"]
    config = json.loads(contents.path(manifest["config"]["digest"].removeprefix("sha256:")).read_bytes())
    assert config["rootfs"]["diff_ids"] == [only["digest"]] and only["mediaType"] == _TAR
    body = contents.path(only["digest"].removeprefix("sha256:")).read_bytes()
    assert "sha256:" + hashlib.sha256(body).hexdigest() == only["digest"]
    lay(tmp_path / "root", body)
    inside = tmp_path / "root" / "azureml-envs" / "azureml_abc"
    assert (inside / "bin" / "tool").read_text().startswith("#!/azureml-envs/azureml_abc/bin/python\n")
    assert os.readlink(inside / "bin" / "python") == "/usr/bin/python3" and not (inside / "ringfence.json").exists()
    assert (inside / "lib" / "module.py").stat().st_mtime == 1_600_000_000, "compiled files name the time of their source"
    image = Pulled("d" * 64, tmp_path / "root", config["config"])
    assert image_view.binds(image) == [(str(inside), "/azureml-envs/azureml_abc", "ro")]
    assert image_view.program(image) == "/azureml-envs/azureml_abc/bin/python"


@pytest.mark.parametrize(
    "path", ["/etc", "/usr/bin", "/", "/azureml-envs/../etc", "/proc/self", "/azureml-envs/link", "relative/x", "/no/where"]
)
def test_a_hostile_image_is_mounted_nowhere_else(tmp_path: Path, path: str) -> None:
    (tmp_path / "azureml-envs").mkdir()
    (tmp_path / "azureml-envs" / "link").symlink_to("/etc")
    image = Pulled("d" * 64, tmp_path, {"Labels": {"com.ringfence.mounts": json.dumps([path])}})
    with pytest.raises(UnfitImage):
        image_view.binds(image)
