"""One try of Odoo (19 and newer): a draft purchase order by `load`, under an id of its own.

The same id again updates the same order, so what may have been stored is sent once more. Odoo
answers 200 also where it refuses: then `ids` is false and `messages` say why. Nothing is confirmed.
"""

import re
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from infra.deliver.messages import Message
from infra.deliver.outcome import End, Outcome
from infra.deliver.schedule import retry_after_s

FIELDS = (
    *("id", "partner_id/id", "origin", "partner_ref", "date_planned", "order_line/id"),
    *("order_line/product_id/id", "order_line/product_qty", "order_line/price_unit"),
    "order_line/date_planned",
)
_HEADER_FIELDS = 5
_PATH = "/json/2/purchase.order/load"
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_ANSWER_BYTES = 65_536


class OdooError(ValueError):
    """An order that cannot be written for Odoo."""


def load_body(
    message: Message, partners: Mapping[str, str], products: Mapping[str, str]
) -> dict[str, Any]:
    """Return the arguments of `load` for a version of an order or a document.

    Args:
        message: the order.
        partners: external id by supplier; another is `tidegate.supplier_<name>`.
        products: external id by sku; another is `tidegate.sku_<sku>`.

    Raises:
        OdooError: a name that is not listed cannot be part of an external id, or the order is
            cancelled.
    """
    if message.kind == "cancelled":
        raise OdooError("a cancelled order must be cancelled in Odoo by a person")
    number = f"tidegate.{_safe('order', message.po_id.replace('-', '_'))}"
    partner = (
        partners.get(message.supplier) or f"tidegate.supplier_{_safe('supplier', message.supplier)}"
    )
    head = [number, partner, message.po_id, "", _time(message.expected_at)]
    rows = []
    for place, one in enumerate(message.parts, 1):
        product = products.get(one.sku) or f"tidegate.sku_{_safe('sku', one.sku)}"
        units = 0 if one.kind == "cancelled" else one.quantity
        line = [f"{number}_l{place}", product, str(units), f"{one.unit_cost:g}"]
        first = head if place == 1 else [""] * _HEADER_FIELDS
        rows.append([*first, *line, _time(one.expected_at)])
    return {"context": {"tracking_disable": True}, "fields": list(FIELDS), "data": rows}


def _safe(name: str, text: str) -> str:
    if not _SAFE.fullmatch(text):
        rule = "letters, digits, _ and - alone, or listed with its external id"
        raise OdooError(f"{name} must be {rule}, got {text!r}")
    return text


def _time(moment: str) -> str:
    return moment[:19].replace("T", " ")


async def load(
    client: aiohttp.ClientSession,
    url: str,
    key: str,
    body: Mapping[str, Any],
    *,
    database: str | None,
    now_s: float,
    timeout_s: float,
) -> Outcome:
    """Send a draft once.

    Args:
        client: to send with.
        url: of Odoo.
        key: of its external API.
        body: of `load_body`.
        database: where one server has several.
        now_s: wall clock.
        timeout_s: for the whole try.
    """
    headers = {"authorization": f"bearer {key}", "content-type": "application/json"}
    if database is not None:
        headers["x-odoo-database"] = database
    limits = aiohttp.ClientTimeout(total=timeout_s, sock_connect=timeout_s / 2)
    try:
        async with client.post(
            url.rstrip("/") + _PATH,
            data=msgspec.json.encode(body),
            headers=headers,
            allow_redirects=False,
            timeout=limits,
        ) as answer:
            said = await answer.content.read(_ANSWER_BYTES)
            wait = answer.headers.get("retry-after")
            return judge(answer.status, said, retry_after_s(wait, now_s))
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        return Outcome(End.AGAIN, f"not reached: {error}")
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return Outcome(End.UNKNOWN, f"no answer: {type(error).__name__}")


def judge(status: int, said: bytes, wait_s: float | None) -> Outcome:
    """Return what an answer of Odoo means.

    >>> judge(200, b'{"ids": [7], "messages": []}', None).end.value
    'delivered'
    >>> judge(200, b'{"ids": false, "messages": [{"message": "No such partner"}]}', None).said
    'Odoo refuses: No such partner'
    >>> [judge(status, b"", None).end.value for status in (401, 404, 429, 504)]
    ['gone', 'refused', 'again', 'unknown']
    """
    text = f"HTTP {status}: {said[:300].decode('utf-8', 'replace')}".rstrip(": ")
    if status in (401, 403):
        return Outcome(End.GONE, f"{text} (is the key still valid?)")
    if status in (408, 429):
        return Outcome(End.AGAIN, text, wait_s)
    if status >= 500:
        return Outcome(End.UNKNOWN, text, wait_s)  # it may have been stored all the same
    if status != 200:
        return Outcome(End.REFUSED, text)
    try:
        found = msgspec.json.decode(said, type=_Loaded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Outcome(End.UNKNOWN, text)
    if isinstance(found.ids, list) and found.ids:
        return Outcome(End.DELIVERED, f"draft {found.ids[0]}")
    reasons = "; ".join(str(one.get("message", one)) for one in found.messages)
    return Outcome(End.REFUSED, f"Odoo refuses: {reasons or 'no reason given'}")


class _Loaded(msgspec.Struct):
    ids: list[int] | bool = False
    messages: list[dict[str, Any]] = []
