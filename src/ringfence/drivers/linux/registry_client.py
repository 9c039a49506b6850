"""Pulling from a registry as a host does: names, TCP and TLS from the host's own network namespace.

A `Session` speaks HTTP/1.1 (OCI distribution 1.1) over sockets that are opened inside an endpoint's
namespace, asks that network's resolver, trusts the sandbox's authorities and nothing
else, and gets its token where the registry's challenge says; a service principal gets one of Entra's
first, through the same network. What is done with the bytes is `pulls`'.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlencode, urljoin, urlsplit

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype

from ringfence.desired.state import PLATFORM_ADDRESS, Flow
from ringfence.drivers.base import Credential

ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
)
#: A dropped first packet is sent again after one second; the second time it is lost, nothing answers there.
_CONNECT_S, _ANSWER_S, _NAME_S = 2.5, 60.0, 1.5
_HTTPS = 443
_SIGN_IN, _AUDIENCE = "login.microsoftonline.com", "https://containerregistry.azure.net/.default"
_MOST_DOCUMENT = 8 * 1024 * 1024
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_REDIRECTED, _MOST_REDIRECTS = (301, 302, 303, 307, 308), 3

#: A socket of a kind (stream or datagram) inside the namespace. Raises KeyError or OSError.
Dial = Callable[[socket.SocketKind], socket.socket]


class PullFailed(Exception):
    """flow: what did not get through, for a failure of the network. final: another try is not likely to end otherwise."""

    def __init__(self, message: str, *, flow: Flow | None = None, final: bool = False) -> None:
        super().__init__(message)
        self.flow, self.final = flow, final


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. digest: `sha256:…` of the body."""

    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        return "sha256:" + hashlib.sha256(self.body).hexdigest()


class Session:
    """Connections of one pull. source: the endpoint's key; it is named in failures."""

    def __init__(self, dial: Dial, source: str, trust: ssl.SSLContext, credential: Credential | None) -> None:
        self._dial, self._source, self._trust, self._credential = dial, source, trust, credential
        self._open: dict[str, http.client.HTTPConnection] = {}
        self._token = ""

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()

    def manifest(self, host: str, repository: str, reference: str) -> Answer:
        """Raises PullFailed. A reference by digest is checked against what came."""
        path = f"/v2/{repository}/manifests/{reference}"
        with self._get(host, path, {"Accept": ACCEPT}, repository) as response:
            answer = Answer(response.headers.get("Content-Type", "").partition(";")[0], response.read(_MOST_DOCUMENT))
        if reference.startswith("sha256:") and answer.digest != reference:
            raise PullFailed(f"{host} answered with another manifest, {answer.digest}, than was asked for, {reference}.")
        return answer

    def blob(self, host: str, repository: str, digest: str) -> http.client.HTTPResponse:
        """A body to read. Its digest is the caller's to check. Raises PullFailed."""
        return self._get(host, f"/v2/{repository}/blobs/{digest}", {}, repository)

    def _get(self, host: str, path: str, headers: Mapping[str, str], repository: str) -> http.client.HTTPResponse:
        response = self._send(host, "GET", path, {**headers, **self._bearer()})
        if response.status == 401:
            challenge = response.headers.get("WWW-Authenticate", "")
            response.read()
            self._sign_in(host, challenge, repository)
            response = self._send(host, "GET", path, {**headers, **self._bearer()})
        for _ in range(_MOST_REDIRECTS):
            if response.status not in _REDIRECTED:
                break
            where = urlsplit(urljoin(f"https://{host}{path}", response.headers.get("Location", "")))
            response.read()
            if where.scheme != "https" or not where.hostname:
                raise PullFailed(f"{host} leads to {where.geturl()[:200]!r}, which is no address to pull from.", final=True)
            response = self._send(where.hostname, "GET", f"{where.path}?{where.query}", {})
        if response.status != 200:
            self._refused(host, path, response)
        return response

    def _sign_in(self, host: str, challenge: str, repository: str) -> None:
        """Follow the challenge with what we have. Raises PullFailed."""
        told = dict(_CHALLENGE.findall(challenge))
        realm = urlsplit(told.get("realm", ""))
        if not challenge.lower().startswith("bearer ") or realm.scheme != "https" or not realm.hostname:
            raise PullFailed(f"{host} asks for a sign-in that is not understood: {challenge[:200]!r}", final=True)
        service, scope = told.get("service", host), told.get("scope", f"repository:{repository}:pull")
        credential, headers = self._credential, {}
        form = {"service": service, "scope": scope}
        if credential is not None and (credential.token or credential.assertion):
            token = credential.token or self._entra_token(credential)
            exchange = {"grant_type": "access_token", "service": service, "access_token": token}
            refresh = self._document(realm.hostname, "POST", "/oauth2/exchange", {}, exchange)
            form |= {"grant_type": "refresh_token", "refresh_token": str(refresh.get("refresh_token", ""))}
            told_token = self._document(realm.hostname, "POST", realm.path, {}, form)
        else:
            if credential is not None and credential.username:
                pair = f"{credential.username}:{credential.password}".encode()
                headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
            told_token = self._document(realm.hostname, "GET", f"{realm.path}?{urlencode(form)}", headers, None)
        self._token = str(told_token.get("access_token") or told_token.get("token") or "")

    def _entra_token(self, credential: Credential) -> str:
        """The token of a service principal, from the sign-in service. Raises PullFailed."""
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "scope": _AUDIENCE,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": credential.assertion,
        }
        path = f"/{credential.tenant}/oauth2/v2.0/token"
        return str(self._document(_SIGN_IN, "POST", path, {}, form).get("access_token", ""))

    def _document(
        self, host: str, method: str, path: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Mapping[str, object]:
        body = urlencode(form) if form is not None else None
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        with self._send(host, method, path, {**headers, **kind}, body) as response:
            if response.status != 200:
                self._refused(host, path.partition("?")[0], response)
            try:
                value = json.loads(response.read(_MOST_DOCUMENT))
            except ValueError as error:
                raise PullFailed(f"{host}{path.partition('?')[0]} answered with no JSON.") from error
        return value if isinstance(value, dict) else {}

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _refused(self, host: str, path: str, response: http.client.HTTPResponse) -> NoReturn:
        said = response.read(4096).decode("utf-8", "replace").strip()
        final = response.status < 500 and response.status != 429
        raise PullFailed(f"{host}{path} answered {response.status}: {said[:1000]}", final=final)

    def _send(
        self, host: str, method: str, path: str, headers: Mapping[str, str], body: str | None = None
    ) -> http.client.HTTPResponse:
        connection = self._open.get(host)
        if connection is None:
            connection = self._open[host] = self._connect(host)
        try:
            connection.request(method, path, body, {"User-Agent": "ringfence-node", **headers})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise PullFailed(f"The connection to {host} broke: {error}") from error

    def _connect(self, host: str) -> http.client.HTTPConnection:
        """A TLS connection. Raises PullFailed with the flow that did not get through."""
        address = self._resolve(host)
        flow = Flow(source=self._source, address=address, port=_HTTPS, name=host)
        raw = self._socket(socket.SOCK_STREAM)
        try:
            raw.settimeout(_CONNECT_S)
            raw.connect((address, _HTTPS))
            raw.settimeout(_ANSWER_S)
            wrapped = self._trust.wrap_socket(raw, server_hostname=host)
        except TimeoutError as error:
            raw.close()
            raise PullFailed(f"dial tcp {address}:{_HTTPS}: i/o timeout", flow=flow) from error
        except ssl.SSLError as error:
            raw.close()
            raise PullFailed(f"{host} ({address}) does not prove that it is {host}: {error.reason}") from error
        except OSError as error:
            raw.close()
            raise PullFailed(f"dial tcp {address}:{_HTTPS}: connect: {error.strerror or error}", flow=flow) from error
        connection = http.client.HTTPConnection(host, _HTTPS)
        connection.sock = wrapped
        return connection

    def _resolve(self, host: str) -> str:
        """The address of a name, by the network's own resolver. Raises PullFailed."""
        query = dns.message.make_query(host, dns.rdatatype.A)
        for _ in range(2):
            with self._socket(socket.SOCK_DGRAM) as asking:
                asking.settimeout(_NAME_S)
                try:
                    asking.connect((PLATFORM_ADDRESS, 53))
                    asking.send(query.to_wire())
                    answer = dns.message.from_wire(asking.recv(4096))
                except (OSError, dns.exception.DNSException):
                    continue
            found = [item.address for entry in answer.answer if entry.rdtype == dns.rdatatype.A for item in entry]
            if found:
                return str(found[0])
            raise PullFailed(f"lookup {host} on {PLATFORM_ADDRESS}:53: no such host")
        raise PullFailed(f"lookup {host} on {PLATFORM_ADDRESS}:53: i/o timeout")

    def _socket(self, kind: socket.SocketKind) -> socket.socket:
        try:
            return self._dial(kind)
        except (KeyError, OSError) as error:
            raise PullFailed(f"The network of {self._source} is not there yet.") from error
