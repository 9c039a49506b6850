"""Pulls: one thread for each image that is wanted on a host, from the registry's answer to a root folder.

The registry is asked at each start of a replica (as with the pull policy Always); what lies here already is not
fetched again. A pull that fails is told as failed and tried again, ever more slowly, until it
succeeds or is no longer wanted; a change of the network's rules has it tried at once. How bytes come is
`registry_client`, how they are laid out `layers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import platform
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from ringfence.desired.state import Flow, Image, Key, Observed, Readiness
from ringfence.drivers.base import Credential
from ringfence.drivers.linux import image_store, layers
from ringfence.drivers.linux.folders import Folders, slug
from ringfence.drivers.linux.layers import BadImage
from ringfence.drivers.linux.registry_client import PullFailed, Session

PREFIX = "img/"
_PATIENCE_S = 0.35
#: Tries until a pull counts as failed. Waiting times between tries: the first, and the longest.
_TRIES, _FIRST_WAIT_S, _LONGEST_WAIT_S = 2, 0.5, 30.0
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_MOST_CONFIG = 8 * 1024 * 1024
_BLOCK = 1 << 20

#: A socket of a kind in an endpoint's namespace. Raises KeyError or OSError.
Dial = Callable[[Key, socket.SocketKind], socket.socket]
#: What an item signs in with: asked at each try, because it may have been granted or renewed meanwhile.
Credentials = Callable[[Image], Credential | None]


@dataclass(slots=True)
class _Job:
    item: Image
    ended: threading.Event = field(default_factory=threading.Event)
    wake: threading.Event = field(default_factory=threading.Event)
    given_up: bool = False
    tries: int = 0
    failed: str = ""
    flow: Flow | None = None


class Pulls:
    """folders, and how the outside is reached."""

    def __init__(self, folders: Folders, dial: Dial, credentials: Credentials) -> None:
        self._folders, self._dial, self._credentials = folders, dial, credentials
        self._jobs: dict[Key, _Job] = {}
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}
        self._authorities: tuple[int, ssl.SSLContext] | None = None

    def prepare(self) -> None:
        image_store.prepare(self._folders)

    def observe(self) -> dict[Key, Observed]:
        found = {key: Observed(fingerprint) for key, (fingerprint, _) in image_store.noted(self._folders).items()}
        with self._lock:
            for key, job in list(self._jobs.items()):
                if job.ended.is_set():
                    del self._jobs[key]
                elif job.failed:
                    found[key] = Observed(job.item.fingerprint, Readiness.FAILED, "ImagePullBackOff", job.failed, job.flow)
                else:
                    found[key] = Observed(job.item.fingerprint, Readiness.STARTING)
        return found

    def put(self, item: Image) -> None:
        """Begin, and wait a moment: what lies here already is ready at once."""
        job = _Job(item)
        with self._lock:
            before = self._jobs.get(item.key)
            if before is not None and not before.ended.is_set() and before.item.fingerprint == item.fingerprint:
                before.tries, before.failed, before.flow = 0, "", None
                before.wake.set()
                return
            if before is not None:
                _give_up(before)
            self._jobs[item.key] = job
        threading.Thread(target=self._run, args=(job,), name="pull", daemon=True).start()
        job.ended.wait(_PATIENCE_S)

    def drop(self, key: Key) -> None:
        with self._lock:
            job = self._jobs.pop(key, None)
            if job is not None:
                _give_up(job)
            image_store.forget(self._folders, key)

    def hurry(self) -> None:
        """Try again now: the network has changed."""
        with self._lock:
            for job in self._jobs.values():
                job.wake.set()

    def close(self) -> None:
        with self._lock:
            for job in self._jobs.values():
                _give_up(job)

    def _run(self, job: _Job) -> None:
        wait = _FIRST_WAIT_S
        while not job.given_up:
            job.tries += 1
            try:
                digest = self._pull(job)
            except (PullFailed, BadImage, OSError) as error:
                final = isinstance(error, BadImage) or (isinstance(error, PullFailed) and error.final)
                flow = error.flow if isinstance(error, PullFailed) else None
                if final or job.tries >= _TRIES:
                    job.failed, job.flow = _words(job.item, error), flow
                self._log(job.item, _words(job.item, error))
                job.wake.wait(wait)
                job.wake.clear()
                wait = min(wait * 2, _LONGEST_WAIT_S)
                continue
            with self._lock:
                if not job.given_up:
                    image_store.note(self._folders, job.item.key, job.item.fingerprint, digest)
            job.ended.set()
            return

    def _pull(self, job: _Job) -> str:
        """The digest of a manifest whose root lies ready. Raises PullFailed, BadImage."""
        item = job.item
        session = Session(lambda kind: self._dial(item.endpoint, kind), item.endpoint, self._trust(), self._credentials(item))
        with contextlib.closing(session):
            answer = session.manifest(item.registry, item.repository, item.reference)
            if answer.media_type in _INDEXES:
                answer = session.manifest(item.registry, item.repository, _chosen(answer.body))
            digest = answer.digest.removeprefix("sha256:")
            with self._lock:
                making = self._making.setdefault(digest, threading.Lock())
            with making:  # two replicas of one image fetch it once
                if not (self._folders.images / "roots" / digest / "image.json").exists():
                    self._make(job, session, digest, _object(answer.body))
        return digest

    def _trust(self) -> ssl.SSLContext:
        """Who is believed. Reading the authorities takes longer than all of a pull that finds its image here, so it is kept."""
        changed = self._folders.trust.stat().st_mtime_ns
        with self._lock:
            if self._authorities is None or self._authorities[0] != changed:
                self._authorities = changed, ssl.create_default_context(cafile=str(self._folders.trust))
            return self._authorities[1]

    def _make(self, job: _Job, session: Session, digest: str, manifest: Mapping[str, object]) -> None:
        made = self._folders.images / f".new-{slug(job.item.key)}-{digest[:16]}-{threading.get_ident():x}"
        shutil.rmtree(made, ignore_errors=True)
        (made / "rootfs").mkdir(parents=True)
        try:
            config = self._config(job, session, manifest)
            listed = manifest.get("layers")
            listed = listed if isinstance(listed, list) else []
            root = layers.Root(made / "rootfs", lambda: not job.given_up)
            for entry in listed:
                with _Checked.open(self, job, session, entry, keep=len(listed) > 1) as layer:
                    root.lay(layers.plain(layer, layer.media_type))
                    layer.verify()
            image_store.publish(self._folders, made, digest, config)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _config(self, job: _Job, session: Session, manifest: Mapping[str, object]) -> Mapping[str, object]:
        with _Checked.open(self, job, session, manifest.get("config"), keep=False) as source:
            body = source.read(_MOST_CONFIG)
            source.verify()
        found = _object(body).get("config")
        return found if isinstance(found, dict) else {}

    def _log(self, item: Image, text: str) -> None:
        path = self._folders.log(item.key)
        with path.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        if path.stat().st_size > _BLOCK:
            path.replace(path.with_name(path.name + ".1"))

    def layer(self, digest: str) -> Path:
        return self._folders.images / "layers" / digest.removeprefix("sha256:")


class _Checked:
    """A blob on its way in: from the layers that are kept, else from the registry and then kept; hashed as it is read."""

    def __init__(self, source: layers.Source, digest: str, media_type: str, place: Path | None) -> None:
        self._source, self._digest, self.media_type, self._place = source, digest, media_type, place
        self._sum = hashlib.sha256()
        self._half = place.with_name(f".{place.name}-{threading.get_ident():x}") if place is not None else None
        self._copy = self._half.open("wb") if self._half is not None else None

    @classmethod
    @contextlib.contextmanager
    def open(cls, pulls: Pulls, job: _Job, session: Session, entry: object, *, keep: bool) -> Iterator[Self]:
        if not isinstance(entry, dict) or not str(entry.get("digest", "")).startswith("sha256:"):
            raise BadImage("the manifest names a blob without a sha256 digest")
        digest, media_type = str(entry["digest"]), str(entry.get("mediaType", ""))
        kept = pulls.layer(digest)
        item = job.item
        if keep and kept.exists():
            os.utime(kept)
            source: BinaryIO | http.client.HTTPResponse = kept.open("rb")
            checked = cls(source, digest, media_type, None)
        else:
            source = session.blob(item.registry, item.repository, digest)
            checked = cls(source, digest, media_type, kept if keep else None)
        try:
            yield checked
        finally:
            source.close()
            checked.close()

    def read(self, size: int = -1, /) -> bytes:
        try:
            data = self._source.read(size)
        except (OSError, ValueError) as error:
            raise PullFailed(f"the connection broke while {self._digest} came: {error}") from error
        self._sum.update(data)
        if self._copy is not None:
            self._copy.write(data)
        return data

    def verify(self) -> None:
        """Raises PullFailed unless all of it was read and is what was asked for."""
        while self.read(_BLOCK):
            continue
        found = "sha256:" + self._sum.hexdigest()
        if found != self._digest:
            raise PullFailed(f"a blob arrived with the digest {found}, not {self._digest}")
        if self._copy is not None and self._half is not None and self._place is not None:
            self._copy.close()
            self._half.replace(self._place)

    def close(self) -> None:
        if self._copy is not None and self._half is not None:
            self._copy.close()
            self._half.unlink(missing_ok=True)


def _give_up(job: _Job) -> None:
    job.given_up = True
    job.wake.set()


def _chosen(body: bytes) -> str:
    """The manifest of this machine's platform. Raises BadImage."""
    wanted = _MACHINES.get(platform.machine(), platform.machine())
    listed = _object(body).get("manifests")
    for entry in listed if isinstance(listed, list) else []:
        about = entry.get("platform", {}) if isinstance(entry, dict) else {}
        if (about.get("os"), about.get("architecture")) == ("linux", wanted):
            return str(entry.get("digest"))
    raise BadImage(f"no matching manifest for linux/{wanted} in the manifest list entries")


def _object(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadImage("a manifest or configuration is no JSON") from error
    return value if isinstance(value, dict) else {}


def _words(item: Image, error: Exception) -> str:
    image = f"{item.registry}/{item.repository}{'@' if item.reference.startswith('sha256:') else ':'}{item.reference}"
    return f'Failed to pull image "{image}": {error}'
