"""The part of the contract with drivers that is about files: environments, images, bundles. See `state`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringfence.desired.item import Item, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment(Item):
    """A Python environment, built outside the sandbox; key is `env/<content hash>`.

    python: "3.11" style, or "" for any. pip: requirement lines, as given.
    index_options: `--extra-index-url X`, `--find-links Y` pairs, as given in the specification.
    ignored: lines that were reported to the client and left out (conda packages without a pip equivalent never are: they fail).
    """

    rank: ClassVar[int] = 60
    python: str
    pip: tuple[str, ...]
    index_options: tuple[tuple[str, str], ...] = ()
    apt: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild(Item):
    """An environment as an image in a registry, made where images are kept; key is `build/<hash>`.

    registry: a login server. It is there once `repository:tag` is.
    """

    rank: ClassVar[int] = 62
    environment: Key
    registry: str
    repository: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Item):
    """An image on a host, pulled through the network of `endpoint`; key is `img/<of what runs from it>`.

    The registry is asked anew for every fingerprint. registry: host name. reference: a tag or `sha256:…`.
    secret: under what name the control plane knows the credentials ("" for none); they are no part of this contract.
    nonce: changes to have the registry asked again.
    """

    rank: ClassVar[int] = 63
    endpoint: Key
    registry: str
    repository: str
    reference: str
    secret: str = ""
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a bundle. blob: sha256 of its content in the blob store. unpack: a tar.gz to be unpacked at `path`'s folder."""

    path: str
    blob: str
    unpack: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle(Item):
    """A read-only folder made of stored blobs; key is `bundle/<content hash>`."""

    rank: ClassVar[int] = 61
    files: tuple[File, ...]
