"""The part of the HTTP API that stops and resumes the hand-over, and says what waits."""

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from infra.admin.access import Refusal
from infra.control.entries import (
    AnyEntry,
    AuditError,
    Entry,
    Paused,
    UnknownError,
    make_pause,
    make_resume,
)
from infra.redis.rows import StateError
from streams.contracts.fields import (
    CURRENCY,
    HOLD_ID,
    ONLY_SKU,
    ONLY_SUPPLIER,
    ONLY_WAREHOUSE,
    PURCHASE_ORDER_ID,
    SKU,
    SUPPLIER,
    WAREHOUSE,
    WHO_DID,
    WHY,
    described,
)
from streams.handover.rules import Controls, HoldReason, Pause

ORDERS_SHOWN = 1_000
_PATIENCE_SECONDS = 3.0  # to learn whether a name is known: a pause is urgent
_log = logging.getLogger("tidegate.control")
_Body = TypeVar("_Body", bound=msgspec.Struct)
_Made = TypeVar("_Made")


class PauseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/pause`; without a name of what, everything is paused.

    Each text: 1 to 500 printable characters on one line. A warehouse is given together with a sku.
    """

    who: Annotated[str, WHO_DID]
    why: Annotated[str, WHY]
    supplier: Annotated[str | None, ONLY_SUPPLIER] = None
    sku: Annotated[str | None, ONLY_SKU] = None
    warehouse: Annotated[str | None, ONLY_WAREHOUSE] = None
    anyway: Annotated[
        bool,
        described("Whether to pause also what the shop does not know yet; false refuses that."),
    ] = False


class ResumeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /api/v1/resume`; each text: 1 to 500 printable characters on one line."""

    who: Annotated[str, WHO_DID]
    why: Annotated[str, WHY]
    hold_id: Annotated[str, HOLD_ID]


class PartitionHold(msgspec.Struct, frozen=True):
    """Why a partition's orders wait; no reason: they do not."""

    partition: Annotated[int, described("Number of the Kafka partition, from 0.")]
    reasons: Annotated[
        list[HoldReason], described("Why its purchase orders wait; empty means that they do not.")
    ]


class HeldOrder(msgspec.Struct, frozen=True):
    """A purchase order that waits, and why."""

    po_id: Annotated[str, PURCHASE_ORDER_ID]
    sku: Annotated[str, SKU]
    warehouse: Annotated[str, WAREHOUSE]
    supplier: Annotated[str, SUPPLIER]
    quantity: Annotated[int, described("Units ordered.")]
    amount: Annotated[
        float, described("Value of the order, quantity times unit cost, in its currency.")
    ]
    currency: Annotated[str | None, CURRENCY]
    reason: Annotated[HoldReason, described("Why it waits.")]


class Holds(msgspec.Struct, frozen=True):
    """The answer of `GET /api/v1/holds`."""

    holds: Annotated[list[Pause], described("The pauses that are in force, the oldest first.")]
    handover: Annotated[
        list[PartitionHold], described("Partitions whose purchase orders wait, with the reasons.")
    ]
    orders: Annotated[list[HeldOrder], described("Purchase orders that wait. At most 1,000.")]
    orders_total: Annotated[int, described("How many purchase orders wait.")]


class HoldAnswer(msgspec.Struct, frozen=True):
    """The answer of `POST /api/v1/pause` and `POST /api/v1/resume`: the pause made or ended."""

    hold: Annotated[Pause, described("The pause that was made or ended.")]


class Log(Protocol):
    """The audit log, as `infra.control.log.ControlLog`."""

    def controls(self) -> Controls:
        """What people have ordered."""

    async def append(self, entry: Entry) -> AnyEntry:
        """Write an entry."""


class Waiting(Protocol):
    """What waits, over all workers, as `infra.control.holds` reads it; called in a thread."""

    def __call__(self, controls: Controls) -> tuple[list[PartitionHold], list[HeldOrder]]: ...


def add_control_routes(
    app: web.Application,
    log: Log,
    waiting: Waiting,
    require_known: Callable[[Paused], None],
    run: Callable[..., Any],
) -> None:
    """Add the routes.

    Args:
        app: stands behind `infra.admin.access.make_guard`.
        log: where pauses are kept.
        waiting: reads what waits; it may block.
        require_known: refuses names that the shop does not know, as
            `infra.control.known_names.require_known`; it may block.
        run: runs a blocking function elsewhere, as `asyncio.to_thread`.
    """

    async def holds(_: web.Request) -> web.Response:
        controls = log.controls()
        try:
            handover, orders = await run(waiting, controls)
        except OSError as error:
            raise Refusal(503, "Redis", "reachable", type(error).__name__) from None
        pauses = sorted(controls.pauses, key=lambda pause: pause.since)
        return answer_json(Holds(pauses, handover, orders[:ORDERS_SHOWN], len(orders)), 200)

    async def begin(request: web.Request) -> web.Response:
        asked = await body_of(request, PauseRequest)
        entry = made(
            lambda: make_pause(
                asked.who,
                asked.why,
                supplier=asked.supplier,
                sku=asked.sku,
                warehouse=asked.warehouse,
            )
        )
        if not asked.anyway:
            await _require_known(run, require_known, entry)
        written = await _write(log, entry)
        (pause,) = (one for one in log.controls().pauses if one.hold_id == written.entry_id)
        return answer_json(HoldAnswer(pause), 201)

    async def resume(request: web.Request) -> web.Response:
        asked = await body_of(request, ResumeRequest)
        pauses = {one.hold_id: one for one in log.controls().pauses}
        entry = made(lambda: make_resume(asked.who, asked.why, asked.hold_id, pauses.values()))
        await _write(log, entry)
        return answer_json(HoldAnswer(pauses[asked.hold_id]), 200)

    app.router.add_get("/api/v1/holds", holds)
    app.router.add_post("/api/v1/pause", begin)
    app.router.add_post("/api/v1/resume", resume)


async def body_of(request: web.Request, shape: type[_Body]) -> _Body:
    """Return the JSON body of a request.

    Raises:
        Refusal: it is no JSON object of that shape.
    """
    if request.content_type != "application/json":
        raise Refusal(415, "Content-Type", "application/json", request.content_type)
    try:
        return msgspec.json.decode(await request.read(), type=shape)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at ")
        raise Refusal(400, path.strip("`$.") or "body", f"as documented: {text}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "body", "one JSON object") from None


def made(make: Callable[[], _Made]) -> _Made:
    """Return what `make` does.

    Raises:
        Refusal: it may not be; names field, rule and value.
    """
    try:
        return make()
    except UnknownError as error:
        raise Refusal(404, error.field, error.rule, error.value) from None
    except AuditError as error:
        raise Refusal(400, error.field, error.rule, error.value) from None


async def _require_known(
    run: Callable[..., Any], require_known: Callable[[Paused], None], entry: Paused
) -> None:
    """Refuse a pause of unknown names; while Redis does not say which it knows, none is refused.

    Raises:
        Refusal: the shop does not know a name; says what is near it, and how to pause it anyway.
    """
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await run(require_known, entry)
    except UnknownError as error:
        rule = f"{error.rule}, or given with anyway"
        raise Refusal(404, error.field, rule, error.value) from None
    except (OSError, RedisError, StateError) as error:  # a timeout is an OSError
        _log.warning("paused without a look at its names: Redis: %r", error)


async def _write(log: Log, entry: Entry) -> AnyEntry:
    try:
        return await log.append(entry)
    except KafkaError as error:
        rule = "reachable: nothing was paused or resumed, as far as is known"
        raise Refusal(503, "Kafka", rule, type(error).__name__) from None


def answer_json(value: object, status: int = 200) -> web.Response:
    """Return a value as the body of an answer."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
