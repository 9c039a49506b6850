"""The state folder: where each file is, who may read it, and how it is written.

Everything that Ringfence keeps is in here; what it needs while it runs is under `run/`.
What the files of other rooms contain (the database, blobs, environments) is not known here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ringfence.sandbox.errors import CHOOSE_ANOTHER, BadState

_LONGEST_SOCKET_PATH = 107  # bytes, sun_path of unix(7) less its NUL
_FOLDERS = (
    "pki", "trust", "blobs", "bundles", "environments", "cache/uv",
    "home/azure", "home/azureml", "run", "logs/pods", "logs/builds",
)  # fmt: skip
_MARKS = {"pki", "trust", "run"}


@dataclass(frozen=True, slots=True)
class Admin:
    """The administrator service principal of the first start, and what it administers."""

    tenant_id: str
    subscription_id: str
    client_id: str
    client_secret: str
    object_id: str


def default_folder() -> Path:
    """`$RINGFENCE_STATE`, else `$XDG_STATE_HOME/ringfence`, else `~/.local/state/ringfence`."""
    if chosen := os.environ.get("RINGFENCE_STATE"):
        return Path(chosen)
    home = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return Path(home) / "ringfence"


class Layout:
    """Paths of one state folder; nothing is created but by `create`."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(os.path.realpath(folder))
        run = self.folder / "run"
        logs = self.folder / "logs"
        self.admin_file = self.folder / "admin.json"
        self.ca = self.folder / "pki" / "ca.pem"
        self.ca_key = self.folder / "pki" / "ca.key"
        self.trust_bundle = self.folder / "trust" / "bundle.pem"
        self.homes = {".azure": self.folder / "home" / "azure", ".azureml": self.folder / "home" / "azureml"}
        self.record = run / "broker.json"
        self.supervision = run / "control.json"
        self.mount_points = run / "mountpoints"
        self.lock = run / "lock"
        self.control_socket = run / "control.sock"
        self.build_socket = run / "build.sock"
        self.broker_log = logs / "broker.log"
        self.control_log = logs / "control.log"
        self.build_logs = logs / "builds"

    @property
    def instance(self) -> str:
        """8 hex digits of this folder's path; names what has to be outside the folder."""
        import hashlib  # here, because `exec` has to start fast and does not need it

        return hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]

    def create(self) -> None:
        """Make the folders that are missing, closed to other users. Raises BadState."""
        self._check_place()
        self._check_ours()
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid != os.geteuid():
                raise BadState.of_another_user(self.folder)
            self.folder.chmod(0o700)
            for name in _FOLDERS:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadState(f"the state folder {self.folder} cannot be made: {error.strerror}", CHOOSE_ANOTHER) from error

    def admin(self) -> Admin:
        """Raises BadState when there has been no first start, or the file was damaged."""
        import json

        try:
            found = json.loads(self.admin_file.read_text())
            return Admin(
                tenant_id=found["tenantId"],
                subscription_id=found["subscriptionId"],
                client_id=found["clientId"],
                client_secret=found["clientSecret"],
                object_id=found["objectId"],
            )
        except FileNotFoundError as error:
            raise BadState(f"{self.admin_file} does not exist", "`ringfence up` makes it") from error
        except (ValueError, KeyError, TypeError) as error:
            remedy = "restore it, or begin afresh with `ringfence down --purge`"
            raise BadState(f"{self.admin_file} cannot be read: {error!r}", remedy) from error

    def _check_ours(self) -> None:
        """A folder with something else in it is left alone: its mode would be changed, and `down --purge` would remove it."""
        found = set(os.listdir(self.folder)) if self.folder.is_dir() else set()
        if not (found >= _MARKS or found <= {name.split("/")[0] for name in _FOLDERS}):
            fact = f"{self.folder} is no state folder of Ringfence, and not empty"
            raise BadState(fact, CHOOSE_ANOTHER)

    def _check_place(self) -> None:
        if len(os.fsencode(self.control_socket)) > _LONGEST_SOCKET_PATH:
            fact = f"the path {self.control_socket} is longer than the {_LONGEST_SOCKET_PATH} bytes that a socket's name may have"
            raise BadState(fact, CHOOSE_ANOTHER)
        if self.folder.is_relative_to(os.path.realpath("/run")) or self.folder.is_relative_to("/proc"):
            fact = f"the state folder {self.folder} would be hidden inside the sandbox, which has a /run and a /proc of its own"
            raise BadState(fact, CHOOSE_ANOTHER)


def ensure_admin(layout: Layout) -> Admin:
    """The administrator, made with random ids and a random secret (mode 0600) at the first start."""
    if not layout.admin_file.exists():
        import json
        import secrets
        import uuid

        names = ("tenantId", "subscriptionId", "clientId", "objectId")
        document = {name: str(uuid.UUID(bytes=secrets.token_bytes(16), version=4)) for name in names}
        document["clientSecret"] = secrets.token_urlsafe(32)
        write(layout.admin_file, json.dumps(document, indent=2) + "\n", mode=0o600)
    return layout.admin()


def write(path: Path, content: str | bytes, *, mode: int) -> None:
    """Replace a file as one: readers see the old or the new content, also after a crash."""
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
