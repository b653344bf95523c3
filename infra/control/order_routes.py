"""The part of the HTTP API that lists purchase orders and takes a person's word about one."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from infra.admin.access import Refusal
from infra.control.entries import AnyEntry, OrderAnswered, OrderWaits, require_text
from infra.control.orders import Answered, PurchaseOrderRow, Word
from infra.control.routes import ORDERS_SHOWN, answer_json, body_of, made
from streams.contracts.fields import PURCHASE_ORDER_ID, WHO_DID, WHY, described
from streams.handover.rules import Verdict

PATH = "/api/v1/purchase-orders"


class PurchaseOrders(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/purchase-orders`."""

    orders: Annotated[
        list[PurchaseOrderRow],
        described(
            "Open purchase orders: those that wait first, then by the date they are due. "
            "At most 1,000."
        ),
    ]
    orders_total: Annotated[int, described("How many purchase orders are open.")]
    waiting_total: Annotated[int, described("How many of them have not left.")]


class OrderRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/purchase-orders/approve` and `/reject`.

    Who and why: 1 to 500 printable characters on one line.
    """

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    who: Annotated[str, WHO_DID]
    why: Annotated[str, WHY]


class ChangeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/purchase-orders/change`: units, date, or both."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    who: Annotated[str, WHO_DID]
    why: Annotated[str, WHY]
    quantity: Annotated[
        int | None, described("Units from now on, from 1 to 1,000,000; null means unchanged.")
    ] = None
    expected_at: Annotated[
        str | None,
        described("When it is due from now on, a day or RFC 3339; null means unchanged."),
    ] = None


class OrderAnswer(msgspec.Struct, frozen=True):
    """The answer to a word about a purchase order: what the audit log has."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    verdict: Annotated[Verdict, described("What was said of it.")]
    quantity: Annotated[
        int, described("Units that were approved or rejected, or that it has from now on.")
    ]
    expected_at: Annotated[
        str | None,
        described("When it is due from now on, as RFC 3339 in UTC; null means as it was."),
    ]
    has_left: Annotated[
        bool, described("Whether it had left before: then the supplier does not know of this.")
    ]


MOST_AT_ONCE = 500


class OrderSpoken(msgspec.Struct, frozen=True):
    """One line of an order's history, as the audit log has it."""

    at: Annotated[str, described("When it was written (wall clock), as RFC 3339 in UTC.")]
    who: Annotated[str, described("Who said or did it; `tidegate` is the hand-over itself.")]
    why: Annotated[str, described("The reason that was given.")]
    what: Annotated[
        str, described("`waits`, `left`, or what was said: `approved`, `rejected`, `changed`.")
    ]
    quantity: Annotated[
        int | None, described("Units that were spoken of; null where none were.")
    ] = None
    expected_at: Annotated[
        str | None, described("The date that was given, as RFC 3339; null means none.")
    ] = None


class PurchaseOrderPage(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/purchase-orders/{po_id}`."""

    order: Annotated[PurchaseOrderRow, described("The order as it stands.")]
    history: Annotated[
        list[OrderSpoken], described("What the audit log has of it, the oldest first.")
    ]


class BulkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/purchase-orders/bulk`: one word about many orders."""

    verdict: Annotated[Literal["approved", "rejected"], described("What is said of each of them.")]
    po_ids: Annotated[list[str], described(f"The orders, each once; from 1 to {MOST_AT_ONCE}.")]
    who: Annotated[str, WHO_DID]
    why: Annotated[str, WHY]


class RefusedOrder(msgspec.Struct, frozen=True):
    """An order of several of which the word could not be said, and why."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    field: Annotated[str, described("The field that is wrong.")]
    rule: Annotated[str, described("What it must be.")]


class BulkAnswer(msgspec.Struct, frozen=True):
    """The answer of `POST /api/v1/purchase-orders/bulk`: one order does not stop the others."""

    answers: Annotated[list[OrderAnswer], described("What the audit log has now, by order.")]
    refused: Annotated[list[RefusedOrder], described("The orders of which it was not possible.")]


class Shop(Protocol):
    """The purchase orders of all workers, as `infra.control.orders.Desk`; called in a thread."""

    def orders(self) -> list[PurchaseOrderRow]:
        """Return the open ones."""

    def answer(self, word: Word) -> tuple[OrderAnswered, bool]:
        """Return the entry of a person's word, and whether the order has left."""

    def answer_many(self, words: Sequence[Word]) -> list[Answered]:
        """Return the entry of each word, or why it is not possible."""

    def history(self, po_id: str) -> tuple[AnyEntry, ...]:
        """Return what the audit log has of an order."""


class Log(Protocol):
    """The audit log, as `infra.control.log.ControlLog`."""

    async def answer(self, entry: OrderAnswered) -> OrderAnswered:
        """Write a person's word about an order."""


def add_order_routes(app: web.Application, log: Log, shop: Shop, run: Callable[..., Any]) -> None:
    """Add the routes.

    Args:
        app: stands behind `infra.admin.access.make_guard`.
        log: where people's words are kept.
        shop: reads purchase orders; it may block.
        run: runs a blocking function elsewhere, as `asyncio.to_thread`.
    """

    async def listed(_: web.Request) -> web.Response:
        rows = await _read(run, shop.orders)
        waiting = sum(row.is_waiting for row in rows)
        return answer_json(PurchaseOrders(rows[:ORDERS_SHOWN], len(rows), waiting))

    async def approve(request: web.Request) -> web.Response:
        asked = await body_of(request, OrderRequest)
        return await say(Word(asked.po_id, Verdict.APPROVED, asked.who, asked.why))

    async def reject(request: web.Request) -> web.Response:
        asked = await body_of(request, OrderRequest)
        return await say(Word(asked.po_id, Verdict.REJECTED, asked.who, asked.why))

    async def change(request: web.Request) -> web.Response:
        asked = await body_of(request, ChangeRequest)
        wished = (asked.quantity, asked.expected_at)
        return await say(Word(asked.po_id, Verdict.CHANGED, asked.who, asked.why, *wished))

    async def say(word: Word) -> web.Response:
        entry, has_left = await _read(run, lambda: made(lambda: shop.answer(word)))
        return answer_json(await _written(entry, has_left))

    async def _written(entry: OrderAnswered, has_left: bool) -> OrderAnswer:
        try:
            written = await log.answer(entry)
        except KafkaError as error:
            rule = "reachable: look at the order again, your word may be written or not"
            raise Refusal(503, "Kafka", rule, type(error).__name__) from None
        said = (written.po_id, written.verdict, written.quantity, written.expected_at)
        return OrderAnswer(*said, has_left)

    async def one(request: web.Request) -> web.Response:
        po_id = request.match_info["po_id"]
        rows = await _read(run, shop.orders)
        row = next((row for row in rows if row.po_id == po_id), None)
        if row is None:
            raise Refusal(404, "po_id", "an open purchase order", po_id)
        return answer_json(PurchaseOrderPage(row, [_spoken(it) for it in shop.history(po_id)]))

    async def bulk(request: web.Request) -> web.Response:
        asked = await body_of(request, BulkRequest)
        if not 0 < len(asked.po_ids) <= MOST_AT_ONCE:
            raise Refusal(400, "po_ids", f"1 to {MOST_AT_ONCE} orders", len(asked.po_ids))
        for name, text in (("who", asked.who), ("why", asked.why)):
            made(lambda name=name, text=text: require_text(name, text))  # type: ignore[misc]
        words = [
            Word(po_id, Verdict(asked.verdict), asked.who, asked.why) for po_id in asked.po_ids
        ]
        answered = await _read(run, lambda: shop.answer_many(words))
        answers, refused = [], []
        for it in answered:
            if it.entry is None:
                refused.append(RefusedOrder(it.word.po_id, it.refusal.field, it.refusal.rule))
            else:
                answers.append(await _written(it.entry, it.has_left))
        return answer_json(BulkAnswer(answers, refused))

    app.router.add_get(PATH, listed)
    app.router.add_get(f"{PATH}/{{po_id}}", one)
    app.router.add_post(f"{PATH}/bulk", bulk)
    app.router.add_post(f"{PATH}/approve", approve)
    app.router.add_post(f"{PATH}/reject", reject)
    app.router.add_post(f"{PATH}/change", change)


async def _read(run: Callable[..., Any], read: Callable[[], Any]) -> Any:
    try:
        return await run(read)
    except (OSError, RedisError) as error:
        raise Refusal(503, "Redis", "reachable", type(error).__name__) from None


def _spoken(entry: AnyEntry) -> OrderSpoken:
    match entry:
        case OrderAnswered():
            said = (str(entry.verdict), entry.quantity, entry.expected_at)
            return OrderSpoken(entry.at, entry.who, entry.why, *said)
        case OrderWaits():
            return OrderSpoken(entry.at, entry.who, entry.why, "waits")
        case _:
            return OrderSpoken(entry.at, entry.who, entry.why, "left")
