"""What a command at a location finds around it: its variables, its name service, its trust, its profile folders.

Everything else is the caller's own. The same variables, with a proxy, make a host shell
speak from a location (`ringfence env`). Joining the namespaces is `enter`'s.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ringfence.kernel import syscalls
from ringfence.sandbox import mountpoints
from ringfence.sandbox.layout import Layout
from ringfence.sandbox.trust import SYSTEM_BUNDLES

RUN = Path("/run")
BUNDLE = RUN / "ringfence" / "ca-bundle.pem"
LOCATION = "RINGFENCE_LOCATION"

_TRUST = (
    "SSL_CERT_FILE",  # OpenSSL, Python's ssl, httpx, aiohttp, Go, Rust
    "REQUESTS_CA_BUNDLE",  # requests, az
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "DENO_CERT",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
    "AWS_CA_BUNDLE",
    "CARGO_HTTP_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "HTTPLIB2_CA_CERTS",
    "NIX_SSL_CERT_FILE",
)
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
_LOOPBACK = "localhost,127.0.0.1,::1"
# SSL_CERT_DIR would add other authorities; the profile variables point to real profiles.
_FOREIGN = ("SSL_CERT_DIR", "AZURE_EXTENSION_DIR", "AZURE_CLOUD_NAME", "AZUREML_CURRENT_CLOUD", "ARM_CLOUD_METADATA_URL")
# The last two reach the host's daemons.
_HIDDEN = {*_FOREIGN, "AZURE_CONFIG_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_SYSTEM_BUS_ADDRESS"}


def inside(variables: Mapping[str, str], location: str) -> dict[str, str]:
    """The caller's variables as a command at a location gets them."""
    kept = {name: value for name, value in variables.items() if name.lower() not in _PROXIES and name not in _HIDDEN}
    return kept | dict.fromkeys(_TRUST, str(BUNDLE)) | {LOCATION: location}


def beside(layout: Layout, location: str, proxy_port: int, secret: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Variables to be set in a shell of the host so that its clients speak from a location, and those to be unset."""
    proxy = f"http://{quote(location, safe='')}:{quote(secret, safe='')}@127.0.0.1:{proxy_port}"
    proxies = {name: proxy for name in ("http_proxy", "https_proxy", "all_proxy")} | {"no_proxy": _LOOPBACK}
    both = proxies | {name.upper(): value for name, value in proxies.items()}
    trust = dict.fromkeys(_TRUST, str(layout.trust_bundle))
    profile = {"AZURE_CONFIG_DIR": str(layout.homes[".azure"]), LOCATION: location}
    return both | trust | profile, _FOREIGN


def furnish(layout: Layout, resolver: str, homes: tuple[Path, ...], variables: Mapping[str, str]) -> None:
    """Mount it all, in a mount namespace that belongs to the command alone. Raises OSError.

    resolver: address of the location's DNS server. homes: home folders whose profile folders are covered.
    """
    _cover_run(variables)
    _cover_sys()
    folder = BUNDLE.parent
    folder.mkdir(mode=0o755)
    services = Path("/etc/nsswitch.conf")
    hosts = f"127.0.0.1 localhost\n127.0.1.1 {os.uname().nodename}\n"
    _cover(Path("/etc/resolv.conf"), folder / "resolv.conf", f"nameserver {resolver}\n")
    _cover(Path("/etc/hosts"), folder / "hosts", hosts)
    _cover(services, folder / "nsswitch.conf", _without_shortcuts(services.read_text() if services.is_file() else ""))
    BUNDLE.write_bytes(layout.trust_bundle.read_bytes())
    for target in {os.path.realpath(name) for name in SYSTEM_BUNDLES if os.path.isfile(name)}:
        syscalls.bind(str(BUNDLE), target)
    for home in homes:
        for name, ours in layout.homes.items():
            theirs = Path(os.path.realpath(home / name))
            if home.is_dir() and mountpoints.make(layout, theirs):
                syscalls.bind(str(ours), str(theirs))


def _cover_run(variables: Mapping[str, str]) -> None:
    """An empty /run: no sockets of name service caches, message buses and container engines, no namespaces of others."""
    for target in {os.path.realpath(name) for name in ("/run", "/var/run") if os.path.isdir(name)}:
        syscalls.mount("tmpfs", target, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
    (RUN / "lock").mkdir(mode=0o777)
    (RUN / "lock").chmod(0o1777)
    private = variables.get("XDG_RUNTIME_DIR", "")
    if private and Path(private).is_relative_to(RUN):
        Path(private).mkdir(mode=0o700, parents=True)


def _cover_sys() -> None:
    """The devices of the location's network in /sys, not the host's. A container that masks /sys keeps what it has."""
    groups = os.open("/sys/fs/cgroup", os.O_PATH | os.O_CLOEXEC)
    try:
        with contextlib.suppress(PermissionError):
            syscalls.mount("sysfs", "/sys", "sysfs", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
            syscalls.bind(f"/proc/self/fd/{groups}", "/sys/fs/cgroup")
    finally:
        os.close(groups)


def _cover(target: Path, source: Path, content: str) -> None:
    """Show content at a path of /etc. A path that leads into /run gets its file there; one that leads nowhere stays so."""
    real = Path(os.path.realpath(target))
    if real.is_relative_to(RUN):
        real.parent.mkdir(parents=True, exist_ok=True)
        real.write_text(content)
    elif real.is_file():
        source.write_text(content)
        syscalls.bind(str(source), str(real))
    elif target.name == "resolv.conf":
        raise FileNotFoundError(errno.ENOENT, "a location puts its resolver there; make an empty file", str(target))


def _without_shortcuts(services: str) -> str:
    """nsswitch.conf with host names looked up in files and by DNS only; its other lines stay."""
    others = [line for line in services.splitlines() if not re.match(r"\s*hosts\s*:", line)]
    return "\n".join([*others, "hosts: files dns"]) + "\n"
