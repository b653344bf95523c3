"""One try of a webhook: signed as Standard Webhooks has it, and judged by its answer."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

import aiohttp

from infra.deliver.outcome import End, Outcome
from infra.deliver.schedule import retry_after_s

_PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64
_ANSWER_BYTES = 300
_GONE = 410
_LATER = (408, 425, 429)
_SERVER_ERRORS = 500


def secret_bytes(secret: str) -> bytes:
    """Return the key of a secret, `whsec_` and base64 of 24 to 64 bytes.

    Raises:
        ValueError: it is no such secret; its text is not repeated.
    """
    text = secret.strip()
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith(_PREFIX) or not _SHORTEST <= len(key) <= _LONGEST:
        rule = f"`{_PREFIX}` and base64 of {_SHORTEST} to {_LONGEST} bytes"
        raise ValueError(f"secret must be {rule}")
    return key


def sign(message_id: str, timestamp_s: int, body: bytes, secrets: Sequence[str]) -> str:
    """Return the value of `webhook-signature`: one signature for each secret.

    >>> secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    >>> sign("po-1:1", 1700000000, b"{}", [secret])
    'v1,FEiLUA0yi4isR6XUl0oL99GuYnqltYyNBky86hmZ73Q='
    """
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    made = (hmac.digest(secret_bytes(one), signed, hashlib.sha256) for one in secrets)
    return " ".join(f"v1,{base64.b64encode(one).decode()}" for one in made)


async def post(
    client: aiohttp.ClientSession,
    url: str,
    message_id: str,
    body: bytes,
    secrets: Sequence[str],
    *,
    now_s: float,
    timeout_s: float,
) -> Outcome:
    """Send a message once; redirects are not followed.

    Args:
        client: to send with.
        url: of the receiver.
        message_id: the same at every try.
        body: JSON.
        secrets: it is signed with each; without one it is not signed.
        now_s: wall clock.
        timeout_s: for the whole try.
    """
    headers = {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now_s)),
    }
    if secrets:
        headers["webhook-signature"] = sign(message_id, int(now_s), body, secrets)
    limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s / 2)
    try:
        async with client.post(
            url, data=body, headers=headers, allow_redirects=False, timeout=limits
        ) as answer:
            try:
                said = await answer.content.read(_ANSWER_BYTES)
            except (TimeoutError, aiohttp.ClientError):
                said = b""  # the status says enough
            return judge(answer.status, said, answer.headers.get("retry-after"), now_s)
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        return Outcome(End.AGAIN, f"not reached: {error}")
    except (aiohttp.InvalidURL, ValueError) as error:
        return Outcome(End.REFUSED, f"cannot be sent: {error}")
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return Outcome(End.UNKNOWN, f"no answer: {type(error).__name__}")


def judge(status: int, said: bytes, retry_after: str | None, now_s: float) -> Outcome:
    """Return what the status of an answer means: 2xx alone is success.

    >>> [str(judge(status, b"", None, 0).end) for status in (202, 301, 400, 410, 429, 503)]
    ['delivered', 'again', 'refused', 'gone', 'again', 'again']
    >>> judge(429, b"", "30", 0).wait_s
    30.0
    """
    text = f"HTTP {status}"
    if said:
        text += f": {said.decode('utf-8', 'replace').strip()}"
    if 200 <= status < 300:
        return Outcome(End.DELIVERED, text)
    if status == _GONE:
        return Outcome(End.GONE, text)
    if 300 <= status < 400:
        return Outcome(End.AGAIN, f"{text} (redirects are not followed: name the new address)")
    if status in _LATER or status >= _SERVER_ERRORS:
        return Outcome(End.AGAIN, text, retry_after_s(retry_after, now_s))
    return Outcome(End.REFUSED, text)
