"""Images for tests: a root with a shell and a few programs of this machine, as a folder or as an OCI image layout."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_PROGRAMS = ("sh", "cat", "ls", "sleep", "id", "mkdir", "stty")
_OCI = "application/vnd.oci.image"


def root(folder: Path) -> Path:
    """The programs and the libraries they need."""
    (folder / "bin").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home:/bin/sh\n")
    for name in _PROGRAMS:
        found = shutil.which(name)
        assert found is not None
        shutil.copy(os.path.realpath(found), folder / "bin" / name)
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in {word for word in listed.split() if word.startswith("/")}:
            place = folder / library.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(os.path.realpath(library), place)
    return folder


def layout(folder: Path, command: Sequence[str], tag: str = "1") -> Path:
    """An image of such a root, in the layout that skopeo copies from."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(root(folder / "root"), ".")
    place = folder / "layout"
    (place / "blobs" / "sha256").mkdir(parents=True)
    layer = _blob(place, packed.getvalue())
    config = {"Env": ["PATH=/bin"], "Cmd": list(command), "WorkingDir": "/srv"}
    about = {
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_OCI}.manifest.v1+json",
        "config": {"mediaType": f"{_OCI}.config.v1+json", **_blob(place, json.dumps(about).encode())},
        "layers": [{"mediaType": f"{_OCI}.layer.v1.tar", **layer}],
    }
    named = {"annotations": {"org.opencontainers.image.ref.name": tag}, "mediaType": f"{_OCI}.manifest.v1+json"}
    index = {"schemaVersion": 2, "manifests": [{**named, **_blob(place, json.dumps(manifest).encode())}]}
    (place / "index.json").write_text(json.dumps(index))
    (place / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return place


def _blob(place: Path, content: bytes) -> Mapping[str, object]:
    digest = hashlib.sha256(content).hexdigest()
    (place / "blobs" / "sha256" / digest).write_bytes(content)
    return {"digest": f"sha256:{digest}", "size": len(content)}
