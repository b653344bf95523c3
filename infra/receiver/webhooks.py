"""Webhooks: a message that proves whose it is goes to Kafka as it came, and is answered with 200.

What it says is read later, by the pump: shops wait for five seconds at the most, and some never
send again what was not taken. So nothing about its content is answered with an error.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus

from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from infra.receiver.config import Http, Source
from infra.receiver.measures import Measures
from infra.receiver.signatures import fault_of
from infra.receiver.topics import RAW
from infra.settings import SettingsError

_KAFKA_SECONDS = 4.0  # Shopify waits for five
_RETRY_AFTER = {"Retry-After": "5"}
_TOPIC_HEADERS = ("x-shopify-topic", "x-wc-webhook-topic")
_FORM = "application/x-www-form-urlencoded"
_PING = b"webhook_id="
_SLICE_SECONDS = 1.0
_log = logging.getLogger("tidegate.connect")


class Webhooks:
    """Takes the messages of the sources that come by HTTP.

    Args:
        sources: what they are.
        producer: started.
        prefix: in front of the names of Tidegate's topics.
        http: limits.
        measures: what is counted.
        clock: wall-clock seconds.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        producer: AIOKafkaProducer,
        prefix: str,
        http: Http,
        measures: Measures,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sources = {f"{one.kind}/{one.name}": one for one in sources}
        self._producer = producer
        self._topic = prefix + RAW
        self._http = http
        self._measures = measures
        self._clock = clock
        self._slices: dict[str, tuple[float, int]] = {}  # when it began, and how many came in it

    def routes(self) -> list[web.RouteDef]:
        """Return the addresses."""
        return [web.post("/in/{kind}/{name}", self.take)]

    async def take(self, request: web.Request) -> web.Response:
        """Answer one message."""
        kind, name = request.match_info["kind"], request.match_info["name"]
        source = self._sources.get(f"{kind}/{name}")
        if source is None:
            return _answer(HTTPStatus.NOT_FOUND, f"there is no source {kind}/{name}")
        response = await self._judge(source, request)
        self._measures.received.labels(name, str(response.status)).inc()
        return response

    async def _judge(self, source: Source, request: web.Request) -> web.Response:
        if self._is_flood(source.name):
            text = f"more than {self._http.max_per_second} messages a second"
            return _answer(HTTPStatus.TOO_MANY_REQUESTS, text, {"Retry-After": "1"})
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            text = f"the body must have at most {self._http.max_body_bytes} bytes"
            return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        if source.kind == "woocommerce" and _is_ping(request, body):
            return _answer(HTTPStatus.OK, "ready")
        if "json" not in request.content_type:
            text = f"the body must be JSON, got {request.content_type}"
            return _answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, text)
        headers = {one.lower(): value for one, value in request.headers.items()}
        try:
            fault = self._fault(source, headers, body)
        except SettingsError as error:  # its file is gone: the message has to come again
            _log.error("%s", error)
            text = "the secret of this source cannot be read"
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, text, _RETRY_AFTER)
        if fault is not None:
            _log.warning("%s/%s: a message is refused: %s", source.kind, source.name, fault)
            return _answer(HTTPStatus.UNAUTHORIZED, fault)
        return await self._keep(source, headers, body)

    def _fault(self, source: Source, headers: Mapping[str, str], body: bytes) -> str | None:
        return fault_of(
            source.scheme,
            headers,
            body,
            source.secrets(),
            self._clock(),
            header=source.signature_header.lower(),
        )

    async def _keep(self, source: Source, headers: Mapping[str, str], body: bytes) -> web.Response:
        """Answer once Kafka has the message."""
        topic = next((headers[name] for name in _TOPIC_HEADERS if name in headers), "")
        kept = [("source", source.name.encode()), ("topic", topic.encode())]
        try:
            async with asyncio.timeout(_KAFKA_SECONDS):
                await self._producer.send_and_wait(
                    self._topic, body, key=source.name.encode(), headers=kept, partition=0
                )
        except (KafkaError, TimeoutError) as error:
            _log.warning("%s: Kafka does not take a message: %r", source.name, error)
            text = "Kafka does not take it: send it again"
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE, text, _RETRY_AFTER)
        return _answer(HTTPStatus.OK, "taken")

    def _is_flood(self, name: str) -> bool:
        """Whether more came from a source in this second than it may send."""
        now_s = self._clock()
        began_s, count = self._slices.get(name, (now_s, 0))
        if not 0 <= now_s - began_s < _SLICE_SECONDS:
            began_s, count = now_s, 0
        self._slices[name] = began_s, count + 1
        return count >= self._http.max_per_second


def _is_ping(request: web.Request, body: bytes) -> bool:
    """Whether it is the unsigned form that WooCommerce sends when a webhook is saved."""
    return request.content_type == _FORM and body.startswith(_PING) and len(body) < 64


def _answer(
    status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response({"message": text}, status=status, headers=headers)
