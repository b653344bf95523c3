"""Whether a port speaks TLS though its address says otherwise, or the other way round."""

import contextlib
import socket
import ssl
from urllib.parse import unquote, urlsplit

from redis.exceptions import ConnectionError, TimeoutError

from infra.redis.refusals import explain_refusal, refusal_of

_PROBE_SECONDS = 1.0
_REDIS_PORT = 6379


def tls_mismatch(redis_url: str) -> str | None:
    """Return what is wrong with the scheme of an address; None means nothing was found.

    A client of the wrong kind only sees that the server hangs up or never answers. Blocks for two
    seconds at most; ask where connecting has failed.
    """
    url = urlsplit(redis_url)
    if url.hostname is None or url.scheme not in ("redis", "rediss"):
        return None
    host, port = unquote(url.hostname), url.port or _REDIS_PORT
    if url.scheme == "redis" and speaks_tls(host, port):
        return "it speaks TLS on that port: redis_url must begin with rediss://"
    if url.scheme == "rediss" and _speaks_plain(host, port):
        return "it speaks no TLS on that port: redis_url must begin with redis://"
    return None


def explain_failure(error: Exception, redis_url: str) -> str:
    """Return what an error means; where connecting failed, the port is looked at. Blocks."""
    text = explain_refusal(error)
    if isinstance(error, ConnectionError | TimeoutError | OSError) and refusal_of(error) is None:
        return tls_mismatch(redis_url) or text
    return text


def speaks_tls(host: str, port: int) -> bool:
    """Return whether a TLS handshake gets an answer of TLS, be it a refusal."""
    context = ssl.create_default_context()
    context.check_hostname = False  # nothing is sent; only the kind of the answer counts
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=_PROBE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as error:
        # An alert is TLS, too: the server wants a certificate, or another version.
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


def _speaks_plain(host: str, port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((host, port), timeout=_PROBE_SECONDS) as connection,
    ):
        connection.sendall(b"PING\r\n")
        return connection.recv(1)[:1] in (b"+", b"-")
    return False
