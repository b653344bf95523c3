"""What topics are at a moment, asked of a real broker."""

import asyncio
import time

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.kafka.log_identities import LogIdentities
from streams.shard.logs import LogIdentity
from tests.conftest import Stack


async def _until_it_has(identities: LogIdentities, name: str, partitions: int) -> LogIdentity:
    deadline = time.monotonic() + 30
    while True:
        found = (await identities.read([name])).get(name, LogIdentity("", 0))
        if found.partitions == partitions:
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)


async def test_topic_made_anew_has_another_id_where_the_broker_gives_one(stack: Stack):
    """Apache Kafka names each topic's id; on a broker without them the partitions still count."""
    name, missing = f"{stack.prefix}orders", f"{stack.prefix}nothing"
    identities = LogIdentities({"bootstrap_servers": stack.bootstrap})
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 2, 1)])
        before = await _until_it_has(identities, name, 2)
        assert set(await identities.read([name, missing])) == {name}
        await admin.delete_topics([name])
        await _until_it_has(identities, name, 0)
        await admin.create_topics([NewTopic(name, 3, 1)])
        after = await _until_it_has(identities, name, 3)
        assert (after.topic_id != before.topic_id) == bool(after.topic_id)
        assert missing not in await admin.list_topics()
    finally:
        await admin.close()
        await identities.stop()
