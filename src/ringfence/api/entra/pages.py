"""The pages that a person sees: where a device's code is entered, and where an application asks who they are.

Plain forms that work without scripts. A form is taken only from the browser that it was
shown to: a cookie and a field have to belong together. Nobody stays signed in, so that
every answer needs the password.
"""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from ringfence.api.entra import documents, forms, refusals
from ringfence.api.entra.attempts import Attempts
from ringfence.api.entra.granting import Granting
from ringfence.api.entra.refusals import Refusal
from ringfence.control.identities import Identities
from ringfence.model.directory import Directory

_COOKIE = "__Host-ringfence"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:1rem/1.5 sans-serif;max-width:26rem;margin:3rem auto;padding:0 1rem}}label,input{{display:block}}
input{{width:100%;font:inherit;margin-bottom:1rem;box-sizing:border-box}}button{{font:inherit;margin-right:1rem}}</style></head>
<body><main><h1>{title}</h1>{content}</main></body></html>
"""
_FIELDS = (
    '<label for="user">User name</label><input id="user" name="user" autocomplete="username" required value="{user}">'
    '<label for="password">Password</label>'
    '<input id="password" name="password" type="password" autocomplete="current-password" required>'
)
#: Under this name wrong device codes are counted, whoever enters them.
_CODES = "\0device codes"


class Pages:
    """Of the one tenant."""

    def __init__(self, identities: Identities, granting: Granting, attempts: Attempts) -> None:
        self._identities = identities
        self._granting = granting
        self._attempts = attempts
        self._key = secrets.token_bytes(32)

    async def device(self, request: Request) -> Response:
        """The page `https://microsoft.com/devicelogin`."""
        if request.method != "POST":
            return self._device(request, request.query_params.get("otc", ""))
        form = await forms.read(request)
        if not self._ours(request, form):
            return self._device(request, form.get("code", ""), "This form is out of date. Fill it in again.")
        try:
            done = await run_in_threadpool(self._decide, form)
        except Refusal as refusal:
            return self._device(request, form.get("code", ""), f"AADSTS{refusal.number}: {refusal.text}", form.get("user", ""))
        return _shown("Done", f'<p role="status">{done} You can close this page.</p>')

    async def authorize(self, request: Request) -> Response:
        """The authorization endpoint (RFC 6749 section 4.1.1): code only, with PKCE where the client sends it."""
        asked = dict(request.query_params)
        try:
            self._check(asked)
        except Refusal as refusal:
            return _shown("Sign-in failed", f'<p role="alert">{html.escape(str(refusal))}</p>', 400)
        if request.method != "POST":
            return self._authorize(request, asked)
        form = await forms.read(request)
        if not self._ours(request, form):
            return self._authorize(request, asked, "This form is out of date. Fill it in again.")
        try:
            person = await run_in_threadpool(self._granting.person, form.get("user", ""), form.get("password", ""))
        except Refusal as refusal:
            return self._authorize(request, asked, str(refusal), form.get("user", ""))
        code = await run_in_threadpool(self._granting.give_code, person, asked)
        return _handed_over(asked, {"code": code, **({"state": asked["state"]} if "state" in asked else {})})

    def _decide(self, form: Mapping[str, str]) -> str:
        """Say yes or no to a device. Raises Refusal."""
        if self._attempts.wait_s(_CODES):
            raise refusals.locked()
        code, approved = form.get("code", ""), form.get("decision") == "approve"
        person = self._granting.person(form.get("user", ""), form.get("password", ""))
        if not self._identities.grants.decide(code, person.object_id, approved=approved):
            self._attempts.failed(_CODES)
            raise refusals.unknown_user_code()
        return "You have signed in to the application on your device." if approved else "The sign-in was declined."

    def _check(self, asked: Mapping[str, str]) -> None:
        """Whether the answer may be sent where the request says. Raises Refusal."""
        client = forms.wanted(asked, "client_id").lower()
        forms.wanted(asked, "scope")
        if forms.wanted(asked, "response_type") != "code":
            raise refusals.bad_response_type(asked["response_type"])
        if asked.get("response_mode", "query") not in ("query", "form_post", "fragment"):
            raise refusals.bad_response_type(asked["response_mode"])
        address = forms.wanted(asked, "redirect_uri")
        if not _allowed(self._identities.directory(), client, address):
            raise refusals.other_redirect(address)

    def _device(self, request: Request, code: str, complaint: str = "", user: str = "") -> Response:
        content = (
            "<p>Enter the code that your program shows, and sign in.</p>"
            f'<label for="code">Code</label><input id="code" name="code" required autocomplete="off" value="{html.escape(code)}">'
            + _FIELDS.format(user=html.escape(user))
            + '<button name="decision" value="approve">Sign in</button><button name="decision" value="decline">Decline</button>'
        )
        return self._form(request, "Enter code", content, complaint)

    def _authorize(self, request: Request, asked: Mapping[str, str], complaint: str = "", user: str = "") -> Response:
        content = _FIELDS.format(user=html.escape(user or asked.get("login_hint", ""))) + "<button>Sign in</button>"
        return self._form(request, "Sign in", content, complaint)

    def _form(self, request: Request, title: str, content: str, complaint: str) -> Response:
        cookie = request.cookies.get(_COOKIE) or secrets.token_urlsafe(24)
        alert = f'<p role="alert">{html.escape(complaint)}</p>' if complaint else ""
        hidden = f'<input type="hidden" name="proof" value="{self._proof(cookie)}">'
        page = _shown(title, f'{alert}<form method="post">{hidden}{content}</form>', 400 if complaint else 200)
        page.set_cookie(_COOKIE, cookie, secure=True, httponly=True, samesite="strict", path="/")
        return page

    def _ours(self, request: Request, form: Mapping[str, str]) -> bool:
        cookie = request.cookies.get(_COOKIE, "")
        return bool(cookie) and hmac.compare_digest(
            self._proof(cookie), form.get("proof", "").encode().decode("ascii", "replace")
        )

    def _proof(self, cookie: str) -> str:
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()


def _shown(title: str, content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, content=content), status, headers=dict(_HEADERS))


def _allowed(directory: Directory, client: str, address: str) -> bool:
    """A program on the person's own machine, or an address that the application has registered."""
    parts = urlsplit(address)
    local = parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1")
    application = directory.named("application", client)
    if application is None:
        return client in documents.PUBLIC_CLIENTS and local
    registered: set[str] = set()
    for kind in ("web", "publicClient", "spa"):
        named = application.document.get(kind)
        uris = named.get("redirectUris") if isinstance(named, dict) else None
        registered |= {uri for uri in uris if isinstance(uri, str)} if isinstance(uris, list) else set()
    # The port of a loopback address is any (RFC 8252 section 7.3).
    portless = parts._replace(netloc=parts.hostname or "").geturl()
    return address in registered or (local and portless in registered)


def _handed_over(asked: Mapping[str, str], answer: Mapping[str, str]) -> Response:
    """The answer at the redirect URI, in the way that was asked for."""
    address, mode = asked["redirect_uri"], asked.get("response_mode", "query")
    if mode != "form_post":
        mark = "#" if mode == "fragment" else "&" if "?" in address else "?"
        return RedirectResponse(f"{address}{mark}{urlencode(answer)}", 302, headers={"Cache-Control": "no-store"})
    fields = "".join(f'<input type="hidden" name="{name}" value="{html.escape(value)}">' for name, value in answer.items())
    return _shown("Signed in", f'<form method="post" action="{html.escape(address)}">{fields}<button>Continue</button></form>')
