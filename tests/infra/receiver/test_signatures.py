"""Whether a webhook comes from who it says."""

import base64
import hmac
import json
from hashlib import sha256
from pathlib import Path

import pytest

from infra.receiver.signatures import TOLERANCE_SECONDS, fault_of, key_of

SAMPLES = Path(__file__).parents[1] / "connect" / "samples"
NOW_S = 1_796_000_000.0


def sample(shop: str, name: str) -> tuple[bytes, dict[str, str], str]:
    """A message with its headers in lower case, and the secret that signed it."""
    body = (SAMPLES / shop / f"{name}.json").read_bytes()
    headers = json.loads((SAMPLES / shop / f"{name}.headers.json").read_bytes())
    secret = headers.pop("_secret_for_tests")
    return body, {key.lower(): value for key, value in headers.items()}, secret


@pytest.mark.parametrize(
    ("shop", "name"), [("shopify", "orders-create"), ("woocommerce", "order-created")]
)
def test_shops_sign_the_raw_body(shop: str, name: str) -> None:
    """One changed byte, another secret or no header is no proof; an old secret may stand beside."""
    body, headers, secret = sample(shop, name)
    assert fault_of(shop, headers, body, ["an-older-one", secret], NOW_S) is None
    assert fault_of(shop, headers, body.replace(b"1", b"2", 1), [secret], NOW_S)
    assert fault_of(shop, headers, body, ["another-secret"], NOW_S)
    assert "is missing" in str(fault_of(shop, {}, body, [secret], NOW_S))


def standard(
    body: bytes, secret: str, sent_s: float, signed: bytes | None = None
) -> dict[str, str]:
    """The headers of a Standard Webhook."""
    stamp = str(int(sent_s))
    text = f"msg_1.{stamp}.".encode() + (body if signed is None else signed)
    digest = base64.b64encode(hmac.digest(key_of(secret), text, sha256)).decode()
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1a,other v1,{digest}",
    }


def test_standard_webhooks_are_proved_by_id_time_and_body() -> None:
    """A copy that is sent later is refused; one of several signatures has to fit."""
    secret, body = "whsec_c2VjcmV0LW9mLXRlc3Rz", b'{"a":1}'
    assert fault_of("standard", standard(body, secret, NOW_S), body, [secret], NOW_S) is None
    late = standard(body, secret, NOW_S - TOLERANCE_SECONDS - 1)
    assert "webhook-timestamp" in str(fault_of("standard", late, body, [secret], NOW_S))
    other = standard(body, secret, NOW_S, signed=b"{}")
    assert "does not fit" in str(fault_of("standard", other, body, [secret], NOW_S))
    assert "is missing" in str(fault_of("standard", {}, body, [secret], NOW_S))
    odd = {**standard(body, secret, NOW_S), "webhook-timestamp": "soon"}
    assert "whole seconds" in str(fault_of("standard", odd, body, [secret], NOW_S))


def test_tokens_and_own_signatures() -> None:
    """A bearer token, and a signature in a header of the sender's own, as base64 or hex."""
    assert fault_of("bearer", {"authorization": "Bearer tok-en-12"}, b"", ["tok-en-12"], 0) is None
    assert fault_of("bearer", {"authorization": "Bearer other"}, b"", ["tok-en-12"], 0)
    assert fault_of("bearer", {}, b"", ["tok-en-12"], 0)
    digest = hmac.digest(b"s3cret-text", b"body", sha256)
    for written in (digest.hex(), "sha256=" + digest.hex(), base64.b64encode(digest).decode()):
        headers = {"x-hub-signature-256": written}
        judged = fault_of(
            "hmac", headers, b"body", ["s3cret-text"], 0, header="x-hub-signature-256"
        )
        assert judged is None
