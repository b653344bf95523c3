"""Who may call the admin port. The one middleware that every route stands behind.

On loopback looking is free, and changing something needs an operator's token. Elsewhere everything
needs a token. A browser that was led here from another page is turned away: by the name that it
called (DNS rebinding), by its origin, and by the content type that no form can send.
"""

import hmac
import ipaddress
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from infra.settings import SHORTEST_TOKEN, Settings, SettingsError

BODY_BYTES = 16_384
OPERATOR_TOKEN_FILE = "operator.token"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_log = logging.getLogger("tidegate.admin")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Role(IntEnum):
    """What a caller may do; each may do what the one before may."""

    NOBODY = 0
    VIEWER = 1
    OPERATOR = 2


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what.

    Tokens are kept from what prints this object.
    """

    host: str
    tokens: "tuple[_Token, ...]" = ()
    open_probes: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only this machine can call."""
        return is_loopback(self.host)

    def role_of(self, header: str | None) -> Role:
        """Return the role that an `Authorization` header gives.

        Every token is compared, in a time that says nothing of how much of it was right.
        """
        scheme, _, given = (header or "").partition(" ")
        offered = given.strip().encode("utf-8", "surrogateescape")  # as it came over the wire
        found = Role.NOBODY
        for token in self.tokens:
            is_same = hmac.compare_digest(token.text.encode(), offered)
            if is_same and scheme.lower() == "bearer":
                found = max(found, token.role)
        return found

    def needed(self, request: web.Request) -> Role:
        """Return the role that a request needs."""
        if request.method not in _SAFE_METHODS:
            return Role.OPERATOR
        is_probe = self.open_probes and request.path in _PROBES
        if self.is_local or is_probe or _holds_no_data(request.path):
            return Role.NOBODY
        return Role.VIEWER


def _holds_no_data(path: str) -> bool:
    """Whether a path is a part of the page that asks for the token."""
    return path == "/" or path.startswith("/static/")


class _Token:
    __slots__ = ("role", "text")

    def __init__(self, role: Role, text: str) -> None:
        self.role = role
        self.text = text

    def __repr__(self) -> str:
        return f"<a token of role {self.role.name.lower()}>"


class Refusal(Exception):
    """A call that is not carried out, answered as JSON: which field, the rule, the value."""

    def __init__(self, status: int, field: str, rule: str, value: object = None) -> None:
        super().__init__(f"{field} must be {rule}, got {value!r}")
        self.status, self.field, self.rule, self.value = status, field, rule, value

    def response(self) -> web.Response:
        """Return the answer."""
        answer = {"field": self.field, "rule": self.rule, "value": self.value}
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return web.json_response({"error": answer}, status=self.status, headers=headers)


def load_access(settings: Settings) -> Access:
    """Return who may call, from the settings.

    Raises:
        SettingsError: a token is too short or cannot be read, or the port would stand open.
    """
    tokens = []
    for role in (Role.VIEWER, Role.OPERATOR):
        name = f"{role.name.lower()}_token"
        if (text := settings.secret(name)) is not None:
            if len(text) < SHORTEST_TOKEN:
                rule = f"{name} must have at least {SHORTEST_TOKEN} characters"
                raise SettingsError(f"{rule}, got {len(text)}")
            tokens.append(_Token(role, text))
    if not tokens and not is_loopback(settings.admin_host):
        raise SettingsError(
            f"admin_host must be a loopback address, got {settings.admin_host!r}, as long as no "
            "token is set: give viewer_token_file or operator_token_file"
        )
    return Access(settings.admin_host, tuple(tokens), settings.admin_open_probes)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "shop.example")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def make_token_file(directory: Path) -> Path:
    """Write a new operator token that only this user can read; return where."""
    path = directory / OPERATOR_TOKEN_FILE
    directory.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    # Made with its rights: not readable by others for a moment.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    return path


def make_guard(access: Access) -> Middleware:
    """Return the middleware."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check(request, access)
            response = await handler(request)
        except Refusal as refusal:
            response = refusal.response()
        except web.HTTPException as error:
            response = _as_json(request, error)
        except Exception:
            # What went wrong is for the log: a caller gets no piece of the inside.
            _log.exception("%s %s failed", request.method, request.path)
            response = Refusal(500, "request", "answerable; see the worker's log").response()
        if not response.prepared:
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    return guard


def check(request: web.Request, access: Access) -> None:
    """Raise a `Refusal` unless the caller may do that."""
    host = request.headers.get("Host", "")
    if access.is_local and not is_loopback(_host_name(host)):
        raise Refusal(403, "Host", "a loopback name: this port serves this machine", host)
    needed = access.needed(request)
    if request.method not in _SAFE_METHODS:
        _require_own_page(request, host)
    role = access.role_of(request.headers.get("Authorization"))
    if role < needed:
        name = needed.name.lower()
        if role == Role.NOBODY:
            raise Refusal(401, "Authorization", f"Bearer and a token of role {name}")
        raise Refusal(403, "Authorization", f"of role {name}", role.name.lower())


def _require_own_page(request: web.Request, host: str) -> None:
    """Turn away what another site's page sends; programs send no origin."""
    origin = request.headers.get("Origin")
    if origin is not None and _place(origin) != host:
        raise Refusal(403, "Origin", "this page's own", origin)
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise Refusal(403, "Sec-Fetch-Site", "same-origin", request.headers["Sec-Fetch-Site"])


def _place(origin: str) -> str:
    """Return host and port of an origin; nothing where it is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _host_name(host: str) -> str:
    """Return a Host header's name without the port.

    >>> _host_name("[::1]:8080"), _host_name("localhost:8080"), _host_name("::bad::")
    ('::1', 'localhost', '')
    """
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _as_json(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        return error
    if error.status == 413:
        refusal = Refusal(413, "body", f"at most {BODY_BYTES} bytes")
    elif error.status == 404:
        refusal = Refusal(404, "path", "one that is served", request.path)
    elif error.status == 405:
        refusal = Refusal(405, "method", "one that this path takes", request.method)
    else:
        refusal = Refusal(error.status, "request", error.reason.lower())
    response = refusal.response()
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
