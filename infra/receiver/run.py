"""The receiver as a whole: webhooks, pump and its own port, until it is stopped."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.kafka.options import clear_errors, client_options
from infra.kafka.topic_admin import ensure_topics
from infra.kafka.topic_reader import close_consumer, partition_counts
from infra.receiver.config import Config, Http
from infra.receiver.measures import Measures
from infra.receiver.pump import Pump
from infra.receiver.topics import ensure
from infra.receiver.webhooks import Webhooks
from infra.settings import Settings, SettingsError
from streams.ingest.record_batches import read_any_header_name

_RETRY_SECONDS = 1.0
_FETCH_BYTES = 2_097_152
_log = logging.getLogger("tidegate.connect")


async def run(config: Config, settings: Settings, on_ready: Callable[[str], None]) -> None:
    """Run until cancelled.

    Args:
        config: what the sources are.
        settings: where Kafka is.
        on_ready: takes the address once messages are taken.

    Raises:
        SettingsError: a topic of a source is not there, or the certificate cannot be read.
        aiokafka.errors.KafkaError: no broker answers at the start.
    """
    options = client_options(settings)
    with clear_errors(settings):
        await ensure_topics(
            options, settings.topic_prefix, settings.partitions, settings.replication_factor
        )
        await ensure(options, settings.topic_prefix, config.raw_days, settings.replication_factor)
    measures = Measures()
    async with _producer(settings) as producer:
        receiver = Receiver(config, settings, producer, measures)
        async with receiver.listening() as address:
            on_ready(address)
            await receiver.pump_forever()


class Receiver:
    """One process: what it takes by HTTP, and what it reads from Kafka."""

    def __init__(
        self, config: Config, settings: Settings, producer: AIOKafkaProducer, measures: Measures
    ) -> None:
        self._config = config
        self._settings = settings
        self._producer = producer
        self._measures = measures
        self._pump: Pump | None = None

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen, for as long as the block runs; give the address."""
        http = self._config.http
        app = web.Application(client_max_size=http.max_body_bytes)
        webhooks = Webhooks(
            self._config.webhooks,
            self._producer,
            self._settings.topic_prefix,
            http,
            self._measures,
        )
        app.add_routes(webhooks.routes())
        app.add_routes([web.get("/livez", _alive), web.get("/readyz", self._ready)])
        app.add_routes([web.get("/metrics", self._scraped)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            context = _tls(http)
            site = web.TCPSite(runner, http.host, http.port, ssl_context=context)
            await site.start()
            scheme = "http" if context is None else "https"
            yield f"{scheme}://{http.host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def pump_forever(self) -> None:
        """Read, and begin again where Kafka fails: what was known is read back first."""
        while True:
            try:
                await self._pump_once()
            except KafkaError as error:
                _log.warning("Kafka: %s; reading again", error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _pump_once(self) -> None:
        read_any_header_name()
        consumer = AIOKafkaConsumer(
            **client_options(self._settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
        )
        try:
            await consumer.start()
            partitions = await partition_counts(self._settings)
            self._pump = Pump(
                self._config.source,
                consumer,
                self._producer,
                self._settings.topic_prefix,
                self._measures,
                partitions=partitions,
                memory_days=self._config.memory_days,
            )
            await self._pump.run()
        finally:
            self._pump = None
            await close_consumer(consumer)

    async def _ready(self, _: web.Request) -> web.Response:
        is_ready = self._pump is not None and self._pump.is_ready
        fault = "what is known of the order lines is being read back from Kafka"
        body = {"ready": is_ready, "faults": [] if is_ready else [fault]}
        return web.json_response(body, status=200 if is_ready else 503)

    async def _scraped(self, _: web.Request) -> web.Response:
        return web.Response(body=self._measures.text(), content_type="text/plain")


async def _alive(_: web.Request) -> web.Response:
    return web.json_response({"alive": True})


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        **client_options(settings), acks="all", enable_idempotence=False, linger_ms=2
    )
    await producer.start()
    try:
        yield producer
    finally:
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(5):
                await producer.stop()


def _tls(http: Http) -> ssl.SSLContext | None:
    if http.certificate_file is None or http.key_file is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(http.certificate_file, http.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"http.certificate_file and http.key_file must be a pair in PEM, got "
            f"{http.certificate_file} and {http.key_file}: {error}"
        ) from None
    return context
