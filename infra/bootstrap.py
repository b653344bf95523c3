"""The one place that wires everything. Nothing connects before it is called."""

import asyncio
import contextlib
import gc
import logging
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from infra.admin.access import load_access
from infra.admin.routes import make_admin
from infra.admin.server import AdminServer
from infra.campaigns.routes import add_campaign_routes
from infra.control.expiry import DraftExpiry
from infra.control.holds import read_waiting
from infra.control.known_names import require_known
from infra.control.live_from import with_live_from
from infra.control.log import ControlLog
from infra.control.order_routes import add_order_routes
from infra.control.orders import Desk
from infra.control.recorder import AuditRecorder
from infra.control.responses import ResponseCheck
from infra.control.routes import add_control_routes
from infra.kafka import publisher
from infra.kafka.group_monitor import GroupMonitor
from infra.kafka.log_identities import LogIdentities
from infra.kafka.options import clear_errors, client_options, faust_credentials
from infra.kafka.topic_admin import ensure_topics
from infra.metrics.shop import ShopCollector
from infra.metrics.worker import ShardCollector, WorkerMetrics, make_registry
from infra.page.page import Page
from infra.redis import shard_store
from infra.redis.memory import MEND
from infra.redis.options import connection_options, keys_of, retention_of
from infra.redis.refusals import explain_refusal, follow
from infra.redis.shard_store import RedisStore
from infra.redis.start_check import read_memory, require_usable
from infra.settings import Settings
from infra.supervisor import signs_of_life
from policy import PolicyCache
from streams.handover.rules import Controls
from streams.ingest.transport import BatchConsumer
from streams.settings import WorkerSettings
from streams.worker.app import make_app
from streams.worker.log_watch import ReadIdentities
from streams.worker.ports import Observer, Publish, WriteHeartbeats
from streams.worker.worker import Worker

log = logging.getLogger("tidegate")

_REDIS_TIMEOUT_S = 10.0
_REDIS_CONNECT_S = 3.0
_MEMORY_SECONDS = 15.0
_SIGN_SECONDS = 1.0
_GOODBYE_SECONDS = 5.0


def now_ms() -> int:
    """Return the wall clock."""
    return int(time.time() * 1000)


def redis_pool(url: str, **options: Any) -> ConnectionPool:
    """Return connections without silent retries: a commit is repeated knowingly, or not at all.

    Args:
        url: of the server.
        options: credentials (`infra.redis.options.connection_options`).
    """
    pool: ConnectionPool = follow(
        ConnectionPool.from_url(
            url,
            **options,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_CONNECT_S,
            max_connections=64,
        )
    )
    return pool


@dataclass(frozen=True, slots=True)
class KafkaPorts:
    """What a worker asks of Kafka, be it real or simulated."""

    publish: Publish
    write_heartbeats: WriteHeartbeats
    audit_log: ControlLog | None = None  # None means that people have no say
    topic_prefix: str = ""
    partitions: int | None = None  # of each input; None means that nobody asks how records lie
    read_identities: ReadIdentities | None = None  # None means that nobody watches the logs


def bootstrap(
    settings: WorkerSettings,
    *,
    store: RedisStore,
    kafka: KafkaPorts,
    clock: Callable[[], float],
    observer: Observer,
    cache: PolicyCache | None = None,
) -> Worker:
    """Return a worker whose parts know each other; nothing connects.

    Args:
        settings: of the worker and its shards.
        store: where shards are kept.
        kafka: where it writes, and who watches the logs.
        clock: wall-clock seconds.
        observer: takes measurements.
        cache: solved policies, to be shared with other workers; None means one of its own.
    """
    audit_log = kafka.audit_log
    return Worker(
        store,
        kafka.publish,
        kafka.write_heartbeats,
        settings,
        observer,
        unreachable=(*shard_store.UNREACHABLE, *publisher.UNREACHABLE),
        topic_prefix=kafka.topic_prefix,
        clock=clock,
        controls=Controls if audit_log is None else audit_log.controls,
        recorder=None if audit_log is None else AuditRecorder(audit_log),
        cache=cache,
        partitions=kafka.partitions,
        explain=explain_refusal,
        read_identities=kafka.read_identities,
        read_first=store.first_logs,
    )


def make_operator_port(
    settings: Settings,
    worker: Worker,
    registry: CollectorRegistry,
    audit_log: ControlLog,
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """Return all that people and machines ask a worker by HTTP: health, metrics, API and page.

    Args:
        settings: who may call, and where Redis is.
        worker: whose health is shown.
        registry: what /metrics shows.
        audit_log: where what people order is written.
        clock: wall-clock seconds, of the page.

    Raises:
        SettingsError: a secret or certificate cannot be read, or the port would stand open.
    """
    app = make_admin(worker, registry, load_access(settings))
    add_control_routes(
        app,
        audit_log,
        lambda controls: read_waiting(settings, controls, dict(audit_log.state.closed)),
        lambda entry: require_known(settings, entry),
        asyncio.to_thread,
    )
    desk = Desk(settings, lambda: audit_log.state, audit_log.controls)
    add_order_routes(app, audit_log, desk, asyncio.to_thread)
    add_campaign_routes(app, audit_log)
    page = Page(
        settings.redis_url,
        keys_of(settings),
        audit_log,
        clock,
        grafana_url=settings.grafana_url,
        **connection_options(settings),
    )
    page.add_to(app)
    return app


async def run_worker(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Run a worker until SIGTERM or SIGINT; then finish the batch, commit and leave the group.

    Args:
        settings: all of them.
        on_ready: called once with the admin URL when the port answers.

    Raises:
        SettingsError: a secret or certificate cannot be read, or the admin port would stand open.
        TopicError: topics are missing or do not fit together.
        UnusableRedisError: Redis does not know us, or would delete parts of the state.
    """
    stop = _stop_on_signals()
    load_access(settings)  # before anything connects
    pool = redis_pool(settings.redis_url, **connection_options(settings))
    options = client_options(settings)
    await require_usable(pool, settings.redis_url, keys_of(settings))
    with clear_errors(settings):
        partitions = await ensure_topics(
            options, settings.topic_prefix, settings.partitions, settings.replication_factor
        )
    settings = await with_live_from(settings)
    identities = LogIdentities(options)
    producer = publisher.Publisher(options, settings.topic_prefix)
    audit_log = ControlLog(options, settings.topic_prefix)
    registry = make_registry(settings.page_url(), settings.grafana_url or "")
    metrics = WorkerMetrics(registry)
    worker = bootstrap(
        settings.worker(),
        store=RedisStore(pool, keys_of(settings), retention_of(settings)),
        kafka=KafkaPorts(
            producer.publish,
            producer.write_heartbeats,
            audit_log,
            settings.topic_prefix,
            partitions,
            identities.read,
        ),
        clock=time.time,
        observer=metrics,
    )
    registry.register(ShardCollector(worker))
    registry.register(ShopCollector(worker, lambda: audit_log.state.acknowledged(now_ms())))
    app = make_operator_port(settings, worker, registry, audit_log)
    admin = AdminServer(app, settings.admin_host, settings.admin_port)
    await producer.start()
    await audit_log.start()
    responses = ResponseCheck(settings, audit_log, lambda: list(worker.tasks), partitions)
    checking = asyncio.create_task(responses.run(), name="order-responses")
    drafts = DraftExpiry(settings, audit_log, lambda: list(worker.tasks))
    expiring = asyncio.create_task(drafts.run(), name="drafts")
    url = await admin.start()
    if on_ready is not None:
        on_ready(url)
    watching = asyncio.create_task(_watch_memory(pool, metrics), name="memory")
    try:
        await _feed(worker, settings, stop, GroupMonitor(registry))
    finally:
        watching.cancel()
        checking.cancel()
        expiring.cancel()
        await admin.stop()
        await _shut_down(audit_log.stop(), "the audit log")
        await _shut_down(producer.stop(), "Kafka")
        await _shut_down(identities.stop(), "Kafka")
        await pool.disconnect()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _shut_down(last_step: Awaitable[None], name: str) -> None:
    """Wait for an orderly end, but not for ever: all that matters is stored by now."""
    try:
        async with asyncio.timeout(_GOODBYE_SECONDS):
            await last_step
    except TimeoutError:
        log.warning("left without telling %s: it does not answer", name)


async def _watch_memory(pool: ConnectionPool, metrics: WorkerMetrics) -> None:
    """Look now and then how full Redis is, and whether somebody let it delete keys meanwhile."""
    redis = Redis(connection_pool=pool)
    warned_of: str | None = None
    while True:
        with contextlib.suppress(RedisError, OSError):  # the store's own loop tells that it is away
            memory = await read_memory(redis)
            metrics.redis_memory(memory.used_ratio)
            if memory.evicts and memory.policy != warned_of:
                log.error("Redis deletes keys of the state when it is full: %s", MEND)
            warned_of = memory.policy
        await asyncio.sleep(_MEMORY_SECONDS)


async def _give_signs(worker: Worker, give: Callable[[bool], bool], stop: asyncio.Event) -> None:
    """Tell the supervisor every second how it goes; end when it is gone."""
    while give(worker.is_alive()):  # noqa: ASYNC110 - time itself is what is waited for
        await asyncio.sleep(_SIGN_SECONDS)
    log.error("the supervisor is gone")
    stop.set()


async def _feed(
    worker: Worker, settings: Settings, stop: asyncio.Event, monitor: GroupMonitor
) -> None:
    app = make_app(
        worker,
        bootstrap=settings.kafka_bootstrap,
        credentials=faust_credentials(settings),
        group_id=settings.group_id,
        topic_prefix=settings.topic_prefix,
        session_timeout_s=settings.session_timeout_seconds,
    )
    app.sensors.add(monitor)
    consumer: BatchConsumer = app.consumer
    worker.attach(consumer, lambda: app.consumer_generation_id)
    worker.start()
    # Records are many and short-lived; what is here now stays for good.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    await app.start()
    crashed = asyncio.create_task(_crashed(app))
    give = signs_of_life()
    signs = asyncio.create_task(_give_signs(worker, give, stop)) if give is not None else None
    stopped = asyncio.create_task(stop.wait())
    ends: list[asyncio.Future[object]] = [crashed, stopped, worker.failed]  # type: ignore[list-item]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    crashed.cancel()
    if signs is not None:
        signs.cancel()
    log.info("stopping: no more is read, what was read is committed")
    consumer.stop_flow()
    await worker.stop()
    await _shut_down(app.stop(), "the consumer group")
    if worker.failed.done():
        worker.failed.result()
    if app.crashed:
        raise app.crash_reason or RuntimeError("the stream runtime crashed")


async def _crashed(app: object) -> None:
    """Return when the stream runtime has crashed; it has no event for that, only a flag."""
    while not app.crashed:  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0.5)
