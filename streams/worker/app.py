"""The Faust app: one agent over all input topics, made in a function."""

import logging
from typing import Any

import faust
from faust.types import TP

from streams.contracts.topics import read_topics
from streams.ingest.transport import BatchApp, batch_topic, install
from streams.worker.worker import Worker

log = logging.getLogger("tidegate.app")

_METADATA_MS = 20_000


def make_app(
    worker: Worker,
    *,
    bootstrap: str,
    group_id: str,
    credentials: Any = None,
    topic_prefix: str = "",
    session_timeout_s: float = 30.0,
    fetch_bytes: int = 4 * 1024 * 1024,
) -> faust.App:
    """Return the app that feeds a worker; start it with `await app.start()`.

    Args:
        worker: takes whole batches.
        bootstrap: `host:port` of brokers, separated by commas.
        group_id: consumer group; workers of one group share the partitions.
        credentials: of Faust, where the brokers want some.
        topic_prefix: in front of every topic's name.
        session_timeout_s: after so long without a sign of life a worker's partitions move on.
        fetch_bytes: read from one partition at once, at most.
    """
    app = BatchApp(
        group_id,
        broker=[f"kafka://{address}" for address in bootstrap.split(",")],
        broker_credentials=credentials,
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=fetch_bytes,
        # A topic that was away at a rebalance is assigned once the metadata has it again.
        consumer_metadata_max_age_ms=_METADATA_MS,
        broker_session_timeout=session_timeout_s,
        broker_rebalance_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / 10,
        stream_buffer_maxsize=16,
        stream_wait_empty=False,
    )
    install(app, worker.read_from)
    names = read_topics(topic_prefix)

    async def take_batches(stream: Any) -> None:
        async for event in stream.events():
            try:
                await worker.take(event.message.tp, event.value)
            except Exception as error:
                worker.fail(error)
                raise

    async def park(app: faust.App, revoked: set[TP], **_: object) -> None:
        del app, revoked
        await worker.park()

    app.agent(batch_topic(app, names), name="tidegate", concurrency=1)(take_batches)
    app.on_partitions_revoked.connect(park, weak=False)
    return app
