"""The static files, and headers with which nothing but them can run.

No inline script or style, no other host, no frame around the page; text from outside never becomes
markup: the scripts make elements and set their text, and `require-trusted-types-for` holds them to
it.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, as it is sent."""

    data: bytes
    content_type: str
    tag: str


def read_site() -> dict[str, StaticFile]:
    """Return every file that is served, by its path below `static`."""
    found: dict[str, StaticFile] = {}
    _collect(files("infra.page").joinpath("static"), "", found)
    return found


def _collect(folder: Traversable, prefix: str, found: dict[str, StaticFile]) -> None:
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        suffix = f".{entry.name.rpartition('.')[2]}"
        if entry.is_dir():
            _collect(entry, f"{path}/", found)
        elif suffix in _TYPES:
            data = entry.read_bytes()
            tag = f'"{hashlib.blake2b(data, digest_size=10).hexdigest()}"'
            found[path] = StaticFile(data, _TYPES[suffix], tag)


def add_site(app: web.Application) -> None:
    """Serve the page at `/` and its files under `/static/`; nothing else of the disk is reached."""
    site = read_site()

    async def index(request: web.Request) -> web.Response:
        return _sent(request, site[_INDEX])

    async def static(request: web.Request) -> web.Response:
        file = site.get(request.match_info["path"])
        if file is None:
            return web.Response(status=404, text="there is no such file")
        return _sent(request, file)

    app.router.add_get("/", index)
    app.router.add_get("/static/{path:.+}", static)


def _sent(request: web.Request, file: StaticFile) -> web.Response:
    headers = {**HEADERS, "ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=file.data, content_type=file.content_type, charset="utf-8", headers=headers
    )
