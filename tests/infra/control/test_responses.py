"""An answer to an order and its event: a kill between the two neither loses nor doubles one."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from infra.control.entries import AuditState, OrderAnswered, answer_of, response_of, sealed
from infra.control.log import ControlLog, read_audit
from infra.control.responses import ResponseCheck
from infra.kafka.options import client_options
from infra.kafka.topic_admin import ensure_topics
from infra.kafka.topic_reader import read_topics
from infra.settings import Settings, load_settings
from streams.handover.rules import Verdict
from streams.timestamps import one_time, rfc3339
from tests.conftest import Broker

PARTITIONS = 2

# Writes an answer as a command does, and is killed beside its event: before it, or behind it.
KILLED = """
import asyncio, os, signal, sys, time
from infra.control import log
from infra.control.entries import OrderAnswered
from infra.settings import load_settings
from streams.handover.rules import Verdict
from streams.timestamps import rfc3339

settings = load_settings(kafka_bootstrap=sys.argv[1], topic_prefix=sys.argv[2])
send = log._send_response

async def send_and_die(*arguments):
    if sys.argv[3] == "behind":
        await send(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

log._send_response = send_and_die
entry = OrderAnswered(who="ada", why="agreed", po_id="po-1", sku="lamp", warehouse="main",
                      verdict=Verdict.REJECTED, quantity=5,
                      occurred_at=rfc3339(int(time.time() * 1000)))
asyncio.run(log.append_once(settings, lambda state: entry))
"""


@asynccontextmanager
async def followed(settings: Settings) -> AsyncIterator[ControlLog]:
    """The audit log as a worker follows it, once it knows what is there."""
    control = ControlLog(client_options(settings), settings.topic_prefix)
    await control.start()
    try:
        async with asyncio.timeout(30):
            while not control.controls().is_known:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.05)
        yield control
    finally:
        await control.stop()


async def sent_events(settings: Settings) -> list[dict[str, str]]:
    """What lies in `order-responses`."""
    topics = read_topics(settings, [settings.topic_prefix + "order-responses"])
    return [msgspec.json.decode(record.value or b"{}") async for record in topics]


@pytest.mark.parametrize("place", ["before", "behind"])
async def test_event_of_an_answer_is_sent_once_whenever_its_writer_was_killed(
    broker: Broker, place: str
) -> None:
    """A real kill beside the event; the worker of the partition sends it, if it is not there."""
    prefix = f"responses-{place}-"
    settings = load_settings(kafka_bootstrap=broker.bootstrap, topic_prefix=prefix)
    await ensure_topics(broker.bootstrap, prefix, PARTITIONS)
    command = [sys.executable, "-c", KILLED, broker.bootstrap, prefix, place]
    done = await asyncio.to_thread(subprocess.run, command, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(await sent_events(settings)) == (place == "behind")

    later = time.time() + 60
    async with followed(settings) as control:
        (entry,) = control.state.unsent.values()
        elsewhere = ResponseCheck(settings, control, lambda: [], PARTITIONS, lambda: later)
        await elsewhere.look()
        assert list(control.state.unsent) == [entry.entry_id], "another worker owns the partition"
        for at in (one_time(entry.at) / 1000, later, later):
            here = ResponseCheck(settings, control, lambda: [0, 1], PARTITIONS, lambda at=at: at)
            await here.look()
    (event,) = await sent_events(settings)
    assert (event["event_id"], event["kind"]) == (entry.entry_id, "rejected")
    audit, _ = await read_audit(settings)
    assert (audit.unsent, audit.faults) == ({}, [])
    assert audit.answers["po-1"].moment_ms == one_time(event["occurred_at"])
    if place == "before":
        assert one_time(event["occurred_at"]) == int(later * 1000), "it takes effect now"


def test_answer_is_in_force_until_its_event_is_known_to_be_sent() -> None:
    """A rejected order never leaves because the log has moved on and the event is missing."""
    state = AuditState()
    now = rfc3339(1_800_000_000_000)
    answered = OrderAnswered(
        who="ada",
        why="agreed",
        po_id="po-1",
        sku="lamp",
        warehouse="main",
        verdict=Verdict.REJECTED,
        quantity=5,
        occurred_at=now,
    )
    entry = sealed(answered, (), now)
    state.take(msgspec.json.encode(entry), "here")
    assert state.answers["po-1"].moment_ms > one_time(now) + 10**12
    assert isinstance(entry, OrderAnswered)
    assert state.answers["po-1"] == answer_of(entry)
    assert response_of(entry).event_id == entry.entry_id
