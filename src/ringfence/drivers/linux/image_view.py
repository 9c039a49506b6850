"""What a cell sees of an image of Azure Machine Learning's: the environment's folders, over the programs of the machine.

The image says which of its folders to mount, and it may come from anybody who can push: a folder is mounted at its own
path, from inside the image alone, and never over what the cell is made of.
"""

from __future__ import annotations

import json
import os
import posixpath

from ringfence.drivers.linux.cell_view import Bind
from ringfence.drivers.linux.image_store import Pulled

#: The label that lists the folders (control/image_layers.py writes it).
_MOUNTS = "com.ringfence.mounts"
_OWN = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var",
    "/opt/ringfence",
)
_MOST = 16


class UnfitImage(Exception):
    """An image that no scoring process can be run from; the message says why."""


def binds(image: Pulled) -> list[Bind]:
    """Read-only binds of the image's folders. Raises UnfitImage."""
    try:
        listed = json.loads(str(image.labels.get(_MOUNTS, "[]")))
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not listed or len(listed) > _MOST:
        raise UnfitImage(f"the image sha256:{image.digest} is none of a machine learning environment: it has no label {_MOUNTS}")
    return [_bind(image, str(path)) for path in listed]


def program(image: Pulled) -> str:
    """The interpreter of the environment. Raises UnfitImage."""
    if len(image.entrypoint) != 1 or not image.entrypoint[0].startswith("/"):
        raise UnfitImage(f"the image sha256:{image.digest} has the entrypoint {list(image.entrypoint)}, not one interpreter")
    return image.entrypoint[0]


def _bind(image: Pulled, path: str) -> Bind:
    depth = len([part for part in path.split("/") if part])
    fit = path == posixpath.normpath(path) and path.startswith("/") and depth >= 2
    if not fit or any(path == own or path.startswith(own + "/") for own in _OWN):
        raise UnfitImage(f"the image sha256:{image.digest} asks for {path[:200]!r} to be mounted, which belongs to the container")
    source = f"{image.root}{path}"
    if os.path.realpath(source) != f"{os.path.realpath(image.root)}{path}" or not os.path.isdir(source):
        raise UnfitImage(f"the image sha256:{image.digest} has no folder {path[:200]}")
    return source, path, "ro"
