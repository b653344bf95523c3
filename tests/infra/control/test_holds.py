"""What waits is shown with the worker's own reasons, from what lies in Redis."""

import msgspec
import pytest

from infra.control.holds import WaitingOrder, waiting_orders
from infra.redis.codec import ShardMeta
from infra.redis.options import keys_of
from infra.redis.reader import Reader, connect
from infra.settings import Settings
from streams.contracts.outgoing import OrderSummary, OutboxRecord
from streams.handover.rules import Controls, HoldReason, Pause
from streams.timestamps import DAY_MS

NOW_S = 1_767_225_600.0
TERMS = OrderSummary("po-1", "acme", "lamp", "main", 10, 900.0, "EUR", 10, 900.0)
NOBODY = Controls()
PAUSE = Pause(hold_id="h", who="ada", why="w", since="now", sku="lamp")


def waits(redis_url: str, *, counted_days_ago: float = 0.0, silent_s: float = 0.0) -> Reader:
    """A reader of a shard with one order in its outbox."""
    redis = connect(redis_url)
    newest_ms = int((NOW_S - silent_s) * 1000)
    meta = ShardMeta({"orders": newest_ms, "stock": 0}, newest_ms, {}, {}, 0, {})
    shard = {"epoch": 1, "offsets": "{}", "meta": msgspec.json.encode(meta)}
    redis.hset("tg:shard:{0}", mapping=shard)
    order = OutboxRecord("purchase-orders", b"lamp", b"{}", [], TERMS)
    redis.hset("tg:outbox:{0}", "0", msgspec.msgpack.encode(order))
    counted_ms = int(NOW_S * 1000 - counted_days_ago * DAY_MS)
    redis.hset("tg:item:{0}:lamp@main", "counted_at_ms", counted_ms)
    return Reader(redis, keys_of(Settings()))


def reported(reader: Reader, controls: Controls = NOBODY, **given) -> list[HoldReason | None]:
    """Why the orders wait."""
    closed = {0: given.pop("closed", [])}
    settings = Settings(stock_valid_days=3, **given)
    found: list[WaitingOrder] = list(waiting_orders(reader, settings, controls, closed, NOW_S))
    return [order.reason for order in found]


@pytest.mark.parametrize("reason", [HoldReason.LAG, HoldReason.CLOCK, HoldReason.STORE_AWAY])
def test_reasons_of_a_partition_are_reported(redis_url, reason):
    """As the audit log says that its worker holds it."""
    assert reported(waits(redis_url), closed=[reason]) == [reason]


def test_reasons_of_people_are_reported(redis_url):
    """Limits and pauses, as the worker goes by them; without one the order is about to go."""
    reader = waits(redis_url)
    assert reported(reader) == [None]
    assert reported(reader, Controls((PAUSE,))) == [HoldReason.PAUSED]
    assert reported(reader, approval_amount=800.0) == [HoldReason.APPROVAL]
    assert reported(reader, cap_units_per_item_day=9) == [HoldReason.CAP_UNITS]


@pytest.mark.parametrize(
    ("counted_days_ago", "silent_s", "reason"),
    [
        (2.9, 0.0, None),
        (3.1, 0.0, HoldReason.STALE_STOCK),
        (3.1, 4_000.0, None),  # a replay of old events: the wall clock says nothing
    ],
)
def test_stock_that_grew_old_meanwhile_is_reported(redis_url, counted_days_ago, silent_s, reason):
    """Doctor, exports and the API name it as the worker does."""
    reader = waits(redis_url, counted_days_ago=counted_days_ago, silent_s=silent_s)
    assert reported(reader) == [reason]
