"""An environment's folder as layers of an image: tars that are written as they are hashed, without a copy on the way.

Deterministic for one folder: entries in order, owned by nobody in particular, with the times of the
files (compiled Python names them). Not compressed: the registry and those who pull are on the same machine. In the image the
environment lies where Azure Machine Learning puts it, `/azureml-envs/azureml_<hash>`; scripts that name
their interpreter by its folder name that one.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ringfence.control.content import Content, Contents, Upload

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG, _LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"
#: The folders of an image that are mounted into a cell, each at its own path, over the programs of the machine.
MOUNTS = "com.ringfence.mounts"
_ROOT = "/azureml-envs"
#: Written by the builder into a finished environment, and what says which folders outside its interpreter needs.
_MARKER = "ringfence.json"
_LEFT_OUT = frozenset({_MARKER, ".lock", ".gitignore", "CACHEDIR.TAG"})
_MOST_LAYER = 64 * 1024**3
_MOST_SCRIPT = 256 * 1024
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Made:
    """An image whose contents are stored. blobs: what the manifest names; size: of all of it."""

    manifest: Content
    blobs: tuple[Content, ...]
    size: int


def make(contents: Contents, name: str, environment: Path) -> Made:
    """The image of an environment's folder; name: its content hash. Raises OSError."""
    inside = f"{_ROOT}/azureml_{name}"
    marker = json.loads((environment / _MARKER).read_text())
    prefixes = sorted({os.path.realpath(prefix) for prefix in marker["prefixes"]})
    outside = [prefix for prefix in prefixes if prefix != "/usr" and not prefix.startswith("/usr/")]
    layers = [_layer(contents, Path(prefix), prefix, "") for prefix in outside]
    layers.append(_layer(contents, environment, inside, str(environment)))
    config = contents.store(_json(_configuration(inside, outside, layers)))
    manifest = contents.store(
        _json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": _descriptor(config, _CONFIG),
                "layers": [_descriptor(layer, _LAYER) for layer in layers],
            }
        )
    )
    return Made(manifest, (config, *layers), sum(layer.size for layer in layers) + config.size)


def _configuration(inside: str, outside: Sequence[str], layers: Sequence[Content]) -> Mapping[str, object]:
    return {
        "architecture": "arm64" if os.uname().machine == "aarch64" else "amd64",
        "os": "linux",
        "config": {
            "Env": [f"PATH={inside}/bin:/usr/local/bin:/usr/bin:/bin", f"AZUREML_CONDA_ENVIRONMENT_PATH={inside}"],
            "Entrypoint": [f"{inside}/bin/python"],
            "WorkingDir": "/var/azureml-app",
            "Labels": {MOUNTS: json.dumps([inside, *outside])},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.sha256}" for layer in layers]},
    }


def _layer(contents: Contents, folder: Path, inside: str, named: str) -> Content:
    """One tar of a folder, at `inside` in the image. named: the path that its scripts call themselves by, or ""."""
    upload = contents.begin(_MOST_LAYER)
    try:
        sink = _Sink(upload)
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK) as tar:  # type: ignore[call-overload]
            tar.copybufsize = _BLOCK
            for above in reversed(Path(inside).parents[:-1]):
                tar.addfile(_entry(str(above), tarfile.DIRTYPE, 0o755))
            for path, entry in _walk(folder, inside):
                if not entry.isreg():
                    tar.addfile(entry)
                elif named and (script := _script(path, entry, named, inside)) is not None:
                    entry.size = len(script)
                    tar.addfile(entry, io.BytesIO(script))
                else:
                    with path.open("rb") as file:
                        tar.addfile(entry, file)
        return upload.finish()
    finally:
        upload.abort()


class _Sink:
    """What a tar is written to."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    def write(self, data: bytes) -> int:
        self._upload.write(data)
        return len(data)


def _walk(folder: Path, inside: str) -> Iterator[tuple[Path, tarfile.TarInfo]]:
    """Folders before what they hold, by name."""
    yield folder, _entry(inside, tarfile.DIRTYPE, 0o755)
    for name in sorted(os.listdir(folder)):
        path, here = folder / name, f"{inside}/{name}"
        if name in _LEFT_OUT and path.parent.name == inside.rpartition("/")[2].removeprefix("azureml_"):
            continue
        if path.is_symlink():
            link = _entry(here, tarfile.SYMTYPE, 0o777)
            link.linkname = os.readlink(path)
            yield path, link
        elif path.is_dir():
            yield from _walk(path, here)
        elif path.is_file():
            status = path.stat()
            entry = _entry(here, tarfile.REGTYPE, 0o755 if status.st_mode & 0o100 else 0o644)
            entry.size, entry.mtime = status.st_size, int(status.st_mtime)
            yield path, entry


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.mode = kind, mode
    return entry


def _script(path: Path, entry: tarfile.TarInfo, named: str, inside: str) -> bytes | None:
    """A program of the environment that names its interpreter's folder, with the folder it has in the image."""
    if path.parent.name != "bin" or path.parent.parent != Path(named) or entry.size > _MOST_SCRIPT:
        return None
    text = path.read_bytes()
    return text.replace(named.encode(), inside.encode()) if named.encode() in text else None


def _descriptor(content: Content, media_type: str) -> Mapping[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{content.sha256}", "size": content.size}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
