"""The static files, and headers with which nothing but them can run.

No inline script or style, no other host, no frame around the page; text from outside never becomes
markup: the scripts make elements and set their text, and `require-trusted-types-for` holds them to
it.
"""

import hashlib
from dataclasses import dataclass
from html import escape
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
_DASHBOARDS = b"<!-- dashboards -->"


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
            found[path] = StaticFile(data, _TYPES[suffix], _tag(data))


def _tag(data: bytes) -> str:
    return f'"{hashlib.blake2b(data, digest_size=10).hexdigest()}"'


def add_site(app: web.Application, grafana_url: str | None = None) -> None:
    """Serve the page at `/` and its files under `/static/`; nothing else of the disk is reached.

    Args:
        app: of the admin port.
        grafana_url: where the page links to dashboards; None means that there are none.
    """
    site = read_site()
    site[_INDEX] = _with_dashboards(site[_INDEX], grafana_url)

    async def index(request: web.Request) -> web.Response:
        return _sent(request, site[_INDEX])

    async def static(request: web.Request) -> web.Response:
        file = site.get(request.match_info["path"])
        if file is None:
            return web.Response(status=404, text="there is no such file")
        return _sent(request, file)

    app.router.add_get("/", index)
    app.router.add_get("/static/{path:.+}", static)


def _with_dashboards(index: StaticFile, grafana_url: str | None) -> StaticFile:
    if grafana_url is None:
        return index
    link = f'<a href="{escape(grafana_url)}/d/tidegate-overview">Dashboards</a>'
    data = index.data.replace(_DASHBOARDS, link.encode())
    return StaticFile(data, index.content_type, _tag(data))


def add_missing(app: web.Application) -> None:
    """Answer people who follow a wrong link with a page; to be added last.

    The API, the probes and the metrics are for programs.
    """
    page = StaticFile(_MISSING.encode(), "text/html", "")

    async def missing(request: web.Request) -> web.Response:
        if "text/html" not in request.headers.get("Accept", ""):
            raise web.HTTPNotFound
        return web.Response(
            status=404,
            body=page.data,
            content_type=page.content_type,
            charset="utf-8",
            headers=HEADERS,
        )

    app.router.add_get(r"/{path:(?!api/|static/).+}", missing)


_MISSING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>No such page · Tidegate</title>
<link rel="stylesheet" href="/static/style.css"></head>
<body><main><section class="card"><h1>No such page</h1>
<p>This worker has no page at that address: the link is old, or a letter is wrong.
<a href="/">The live page</a></p></section></main></body></html>
"""


def _sent(request: web.Request, file: StaticFile) -> web.Response:
    headers = {**HEADERS, "ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == file.tag:
        return web.Response(status=304, headers=headers)
    return web.Response(
        body=file.data, content_type=file.content_type, charset="utf-8", headers=headers
    )
