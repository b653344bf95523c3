"""The floor: aiokafka reads, msgspec decodes and checks, and nothing is kept."""

import asyncio
import time

import redis
from aiokafka import AIOKafkaConsumer

from tests.bench.contenders.common import OFFSETS, Settings, decode

_SECONDS_BETWEEN_REPORTS = 0.1
_MOST_RECORDS = 2_000  # fewer objects alive at once: a fifth less CPU than without a bound


async def main(settings: Settings) -> None:
    client = redis.Redis.from_url(settings.redis_url)
    consumer = AIOKafkaConsumer(
        settings.topic,
        bootstrap_servers=settings.bootstrap,
        group_id=settings.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        session_timeout_ms=6_000,
        rebalance_timeout_ms=6_000,
    )
    async with consumer:
        offsets: dict[int, int] = {}
        report_at = 0.0
        while True:
            batches = await consumer.getmany(timeout_ms=50, max_records=_MOST_RECORDS)
            for partition, records in batches.items():
                decode([record.value for record in records])
                offsets[partition.partition] = records[-1].offset + 1
            # Said at once when there is nothing more: the end must not wait for a timer.
            if offsets and (not batches or time.monotonic() > report_at):
                client.hset(OFFSETS, mapping=offsets)  # one small write in ten a second
                report_at = time.monotonic() + _SECONDS_BETWEEN_REPORTS


if __name__ == "__main__":
    asyncio.run(main(Settings.from_environment()))
