"""Whether a webhook comes from who it says: signatures over the raw body. Pure."""

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256

TOLERANCE_SECONDS = 300
"""How far the time of a Standard Webhook may lie from ours: a copy sent later is refused."""


def fault_of(
    scheme: str,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now_s: float,
    *,
    header: str = "",
) -> str | None:
    """Return what is wrong with a message's proof; None means that it is good.

    Any one of the secrets will do, so that an old and a new one can hold side by side.

    Args:
        scheme: one of `SCHEMES`.
        headers: of the request, names in lower case.
        body: as it came, byte for byte.
        secrets: what the shop signs with.
        now_s: seconds since 1970.
        header: of `hmac`, the name of the header that has the signature, in lower case.

    >>> key = base64.b64encode(hmac.digest(b"s3cret", b"{}", sha256)).decode()
    >>> fault_of("shopify", {"x-shopify-hmac-sha256": key}, b"{}", ["old", "s3cret"], 0.0)
    >>> fault_of("shopify", {"x-shopify-hmac-sha256": key}, b"{ }", ["s3cret"], 0.0)
    'the signature does not fit the body and the secret'
    """
    if scheme == "standard":
        return _standard_fault(headers, body, secrets, now_s)
    if scheme == "bearer":
        given = headers.get("authorization", "")
        if not given.lower().startswith("bearer "):
            return "the header Authorization: Bearer is missing"
        token = given[7:].strip().encode()
        good = [hmac.compare_digest(token, secret.encode()) for secret in secrets]
        return None if any(good) else "the token is not one of this source"
    name = header or SCHEMES[scheme]
    if not (given := headers.get(name, "").strip()):
        return f"the header {name} is missing"
    digests = [hmac.digest(secret.encode(), body, sha256) for secret in secrets]
    good = [_is(given, digest) for digest in digests]  # all of them: in constant time
    return None if any(good) else _WRONG


SCHEMES = {
    "shopify": "x-shopify-hmac-sha256",
    "woocommerce": "x-wc-webhook-signature",
    "standard": "webhook-signature",
    "bearer": "authorization",
    "hmac": "",
}
"""Ways to prove a message, and the header that each looks at."""

_WRONG = "the signature does not fit the body and the secret"


def _is(given: str, digest: bytes) -> bool:
    """Compare a signature in base64 or hex, in constant time."""
    text = given.removeprefix("sha256=").encode()
    written = (base64.b64encode(digest), digest.hex().encode())
    equal = [hmac.compare_digest(text, one) for one in written]
    return any(equal)


def _standard_fault(
    headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now_s: float
) -> str | None:
    """Judge by the specification Standard Webhooks, symmetric signatures (v1)."""
    message, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message or not sent or not headers.get("webhook-signature"):
        return "one of the headers webhook-id, webhook-timestamp, webhook-signature is missing"
    if not sent.isdecimal():
        return "webhook-timestamp must be whole seconds since 1970"
    if abs(now_s - int(sent)) > TOLERANCE_SECONDS:
        return f"webhook-timestamp must be within {TOLERANCE_SECONDS} s of now"
    signed = f"{message}.{sent}.".encode() + body
    given = [one[3:] for one in headers["webhook-signature"].split() if one.startswith("v1,")]
    digests = [hmac.digest(key_of(secret), signed, sha256) for secret in secrets]
    good = [_is(one, digest) for one in given for digest in digests]
    return None if any(good) else _WRONG


def key_of(secret: str) -> bytes:
    """Return the key of a Standard Webhooks secret: base64 behind `whsec_`, else the text itself.

    >>> key_of("whsec_c2VjcmV0"), key_of("plain-text")
    (b'secret', b'plain-text')
    """
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return secret.encode()
