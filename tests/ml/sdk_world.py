"""All of Azure's hosts on loopback, and one client in front of them. Run inside namespaces of its own:

    unshare -Urnm python -m tests.ml.sdk_world FOLDER CLIENT_PYTHON ARGUMENT...

The names of the services are written to /etc/hosts of this mount namespace as they come
into being; the applications are the real ones, on the engine with the memory driver.
Ends with the exit code of the client.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
import secrets
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ringfence.api import hosts, tls
from ringfence.api.arm import app as arm_app
from ringfence.api.arm.credentials import Credentials
from ringfence.api.arm.directory import Subscription
from ringfence.api.blob import app as blob_app
from ringfence.api.entra import app as entra_app
from ringfence.api.entra import tokens
from ringfence.api.entra.verify import Verifier
from ringfence.api.graph import app as graph_app
from ringfence.api.kubernetes import app as kubernetes_app
from ringfence.api.kubernetes.identity import AUDIENCES, Authenticator
from ringfence.api.kubernetes.keys import Keys
from ringfence.api.ml import app as ml_app
from ringfence.control import first_owner
from ringfence.control.blobs import Blobs, account_of
from ringfence.control.content import Contents
from ringfence.control.engine import Engine
from ringfence.control.identities import Identities, Principal, administrator
from ringfence.control.store import Store
from ringfence.drivers.memory import MemoryDriver
from ringfence.model import storage
from ringfence.policy import names

SIOCGIFFLAGS, SIOCSIFFLAGS, UP = 0x8913, 0x8914, 1


def clock() -> dt.datetime:
    return dt.datetime.fromtimestamp(time.time(), dt.UTC)


def new_id() -> str:
    return str(uuid.UUID(bytes=secrets.token_bytes(16)))


SUBSCRIPTION = Subscription(new_id(), new_id())


def raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = struct.unpack("16sh", fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh", b"lo", 0)))
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", name, flags | UP))


def make_ca(pki: Path) -> None:
    pki.mkdir(parents=True)
    key, now = ec.generate_private_key(ec.SECP256R1()), clock()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (pki / "ca.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (pki / "ca.key").write_bytes(private)


def follow_names(engine: Engine, file: Path) -> None:
    """Add names to the hosts file as they come, for as long as the process lives. Adding never shows a reader half a file."""
    known: set[str] = set()
    while True:
        new = sorted(set(names.hosts(engine.snapshot())) - known)
        known |= set(new)
        with file.open("a") as hosts_file:
            hosts_file.write("".join(f"127.0.0.1 {name}\n" for name in new))
        time.sleep(0.02)


def serve(folder: Path, secret: str) -> None:
    store = Store(folder / "ringfence.db")
    identities = Identities(store, lambda: secrets.token_bytes(16), clock)
    administrator.ensure(identities, Principal(client_id="client", object_id="object", display_name="admin"), secret, clock())
    driver = MemoryDriver(time.monotonic)
    # Long enough for clients to see a service on its way.
    driver.slow_down("pod/", 0.5)
    engine = Engine(store, driver, clock=clock, new_id=new_id, identities=identities)
    blobs = Blobs(store, Contents(folder / "blobs", new_id), clock, new_id)
    signer = tokens.Signer(tokens.load_key(folder / "pki" / "tokens.key"), SUBSCRIPTION.tenant, clock, new_id)
    verifier = Verifier(signer.public_key, SUBSCRIPTION.tenant, clock)
    first_owner.ensure_owner(engine, SUBSCRIPTION.id, "object")

    def account(name: str, _: str) -> str | None:
        found = [r for r in engine.snapshot().of_type(storage.STORAGE_ACCOUNT) if r.id.name.lower() == name]
        return account_of(found[0]) if found else None

    sign_in = entra_app.build(SUBSCRIPTION.tenant, identities, signer, clock, new_id)
    host_names = hosts.Names(engine.snapshot)
    keys, ca = Keys.load(folder / "pki" / "clusters.key"), (folder / "pki" / "ca.pem").read_bytes()
    credentials = Credentials(engine, keys, ca, SUBSCRIPTION.tenant)
    callers = Authenticator(keys, verifier.accepting(AUDIENCES), clock)
    apps = {
        hosts.ARM: arm_app.build(engine, verifier, SUBSCRIPTION, credentials),
        hosts.ENTRA: sign_in.app(),
        hosts.DEVICE: sign_in.device_page(),
        hosts.GRAPH: graph_app.build(engine, verifier, SUBSCRIPTION.tenant),
        hosts.ML: ml_app.build(engine, blobs, verifier, SUBSCRIPTION.tenant),
        hosts.BLOB: blob_app.build(blobs, account, clock, new_id),
        hosts.KUBERNETES: kubernetes_app.build(engine, callers, ca.decode(), clock),
    }
    engine.start()
    threading.Thread(target=follow_names, args=(engine, folder / "hosts"), daemon=True).start()
    context = tls.server_context(folder, host_names.serves, clock)
    config = uvicorn.Config(
        hosts.build(host_names, apps),
        log_level="warning",
        lifespan="off",
        ssl_context_factory=lambda _config, _default: context,
    )
    listener = socket.create_server(("127.0.0.1", 443))
    threading.Thread(target=uvicorn.Server(config).run, args=([listener],), daemon=True).start()


def main() -> int:
    folder, *client = Path(sys.argv[1]), *sys.argv[2:]
    raise_loopback()
    (folder / "hosts").write_text("127.0.0.1 localhost\n")
    subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)
    make_ca(folder / "pki")
    secret = secrets.token_urlsafe(32)
    serve(folder, secret)
    home = folder / "home"
    home.mkdir()
    bundle = str(folder / "pki" / "ca.pem")
    given = {
        "HOME": str(home),
        "AZURE_CONFIG_DIR": str(home),
        "PATH": os.environ.get("PATH", ""),
        "SSL_CERT_FILE": bundle,
        "REQUESTS_CA_BUNDLE": bundle,
        "RINGFENCE_SUBSCRIPTION_ID": SUBSCRIPTION.id,
        "AZUREML_SERVICE_PRINCIPAL_TENANT_ID": SUBSCRIPTION.tenant,
        "AZUREML_SERVICE_PRINCIPAL_ID": "client",
        "AZUREML_SERVICE_PRINCIPAL_PASSWORD": secret,
    }
    return subprocess.run(client, env=given, cwd=home, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
