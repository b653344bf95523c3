"""The ordinary Faust agent of the tutorials: a count per SKU, flushed to Redis each second."""

import os
from collections import Counter
from collections.abc import AsyncIterator

import faust
from faust.types import StreamT
from redis.asyncio import Redis

from tests.bench.contenders.common import OFFSETS, UNITS, Settings


class Order(faust.Record):
    event_id: str
    occurred_at: str
    sku: str
    order_id: str
    quantity: int


def make_app(settings: Settings) -> faust.App:
    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.bootstrap}",
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        broker_session_timeout=6,
        broker_rebalance_timeout=6,
        broker_heartbeat_interval=2,
        consumer_auto_offset_reset="earliest",
        datadir=os.environ["BENCH_DIRECTORY"],
    )
    topic = app.topic(settings.topic, value_type=Order, value_serializer="json")
    redis = Redis.from_url(settings.redis_url)
    units: Counter[str] = Counter()
    offsets: dict[int, int] = {}

    @app.agent(topic)
    async def count(stream: StreamT[Order]) -> AsyncIterator[None]:
        async for event in stream.events():
            units[event.value.sku] += event.value.quantity
            offsets[event.message.partition] = event.message.offset + 1
            yield

    @app.timer(interval=1.0)
    async def flush() -> None:
        if offsets:
            pipe = redis.pipeline(transaction=True)
            pipe.hset(UNITS, mapping=dict(units))
            pipe.hset(OFFSETS, mapping=dict(offsets))
            await pipe.execute()

    return app


if __name__ == "__main__":
    faust.Worker(make_app(Settings.from_environment()), loglevel="WARN").execute_from_commandline()
