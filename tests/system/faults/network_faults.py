"""Faults of the network: cut, held up and slow, towards Redis and towards Kafka."""

import asyncio

from infra.local.embedded import LOOPBACK
from tests.system.faults.bad_network import BadNetwork
from tests.system.faults.lab import THINKING_SECONDS, Lab, by_name
from tests.system.support.running import Installation, eventually

_CUTS = 6
_HELD_SECONDS = 12.0  # longer than the worker waits for an answer
_SLOW_SECONDS = 0.02  # for each piece of a conversation


async def _on_its_own_redis(lab: Lab, network: BadNetwork) -> Installation:
    server = await lab.own_redis()
    network.target_port = server.port
    return await lab.install(redis_url=f"redis://{LOOPBACK}:{network.port}/0")


async def _on_its_own_broker(lab: Lab, network: BadNetwork) -> Installation:
    broker = await lab.own_broker(advertised_port=network.port)
    network.target_port = broker.port
    return await lab.install(bootstrap=f"{LOOPBACK}:{network.port}")


async def _cut_at_random(lab: Lab, tidegate: Installation, network: BadNetwork) -> None:
    """Cut all connections again and again while a slow worker catches up."""
    result = await tidegate.replay(lab.events.records, batch_records=500)
    await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
    await tidegate.wait_until_consumed(0.01, sum(result.end_offsets.values()))
    before = network.cuts
    for _ in range(_CUTS):
        await asyncio.sleep(lab.chance.uniform(0.1, 1.5))
        await eventually(lambda: network.connections, "there is a connection to cut", seconds=30.0)
        network.cut()
    assert network.cuts - before >= _CUTS, "there was nothing to cut"
    await lab.prove(tidegate, result, patience_seconds=150.0)


async def redis_connections_are_cut(lab: Lab) -> None:
    """A commit whose connection breaks is repeated knowingly, and lands once."""
    with BadNetwork() as network:
        await _cut_at_random(lab, await _on_its_own_redis(lab, network), network)


async def kafka_connections_are_cut(lab: Lab) -> None:
    """Fetches, produced records and offsets are asked for again; none is counted twice."""
    with BadNetwork() as network:
        await _cut_at_random(lab, await _on_its_own_broker(lab, network), network)


async def redis_replies_are_held_up(lab: Lab) -> None:
    """Connections stay open and nothing comes back; the late answers do no harm."""
    with BadNetwork() as network:
        tidegate = await _on_its_own_redis(lab, network)
        result = await tidegate.replay(lab.events.records, batch_records=500)
        worker = await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
        await tidegate.wait_until_consumed(0.01, sum(result.end_offsets.values()))
        network.hold()
        await eventually(lambda: not worker.is_ready(), "the worker says that Redis is away")
        await asyncio.sleep(lab.chance.uniform(0.0, 2.0))
        network.release()
        await lab.prove(tidegate, result, patience_seconds=150.0)


async def kafka_is_held_up(lab: Lab) -> None:
    """For longer than a session nothing comes from Kafka, over connections that look well."""
    with BadNetwork() as network:
        tidegate = await _on_its_own_broker(lab, network)
        result = await tidegate.replay(lab.events.records, batch_records=500)
        await tidegate.add_worker(thinking_seconds=THINKING_SECONDS)
        await tidegate.wait_until_consumed(0.01, sum(result.end_offsets.values()))
        network.hold()
        await asyncio.sleep(_HELD_SECONDS)
        network.release()
        await lab.prove(tidegate, result, patience_seconds=150.0)


async def redis_is_slow(lab: Lab) -> None:
    """Every piece of a conversation with Redis takes its time: commits are fewer and larger."""
    with BadNetwork() as network:
        tidegate = await _on_its_own_redis(lab, network)
        network.delay_seconds = _SLOW_SECONDS
        await tidegate.add_ready_worker()
        result = await lab.begin_replay(tidegate)
        await lab.prove(tidegate, result, patience_seconds=150.0)


SCENARIOS = by_name(
    redis_connections_are_cut,
    kafka_connections_are_cut,
    redis_replies_are_held_up,
    kafka_is_held_up,
    redis_is_slow,
)
