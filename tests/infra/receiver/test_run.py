"""The receiver over sockets: what shops send, repeat and shuffle is counted once, whatever dies."""

import asyncio
import base64
import contextlib
import hmac
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError

from infra.connect.shops.connectors import Connector
from infra.connect.shops.payloads import About
from infra.kafka.topic_admin import ensure_also
from infra.kafka.topic_reader import TopicRecord, read_topics
from infra.receiver import pump, run
from infra.receiver.config import load_config
from infra.receiver.topics import RAW, REFUSED
from infra.settings import Settings
from tests.conftest import Broker, Stack

SAMPLES = Path(__file__).parents[1] / "connect" / "samples"
SECRET = "a-secret-of-tests"
SHOPS = """
[http]
port = 0
max_body_bytes = 100000
[[source]]
name = "eu"
kind = "shopify"
shop = "eu.example"
secret_files = ["older", "secret"]
[[source]]
name = "woo"
kind = "woocommerce"
secret_files = ["secret"]
"""


def settings_of(stack: Stack) -> Settings:
    return settings_at(stack.bootstrap, stack.prefix)


def settings_at(bootstrap: str, prefix: str) -> Settings:
    named = {"kafka_bootstrap": bootstrap, "topic_prefix": prefix, "partitions": 2}
    return Settings.model_validate(named)


@asynccontextmanager
async def receiver(folder: Path, settings: Settings, text: str = SHOPS) -> AsyncIterator[str]:
    """Run it in this process; give its address."""
    (folder / "secret").write_text(SECRET)
    (folder / "older").write_text("an-older-secret")
    (folder / "sources.toml").write_text(text)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    config = load_config(folder / "sources.toml")
    running = asyncio.create_task(run.run(config, settings, ready.set_result))
    either: list[asyncio.Future[Any]] = [running, ready]
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield running.result() if running.done() else ready.result()  # type: ignore[misc]
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, RuntimeError):
            await running


def signed(body: bytes, topic: str = "orders/updated", secret: str = SECRET) -> dict[str, str]:
    digest = base64.b64encode(hmac.digest(secret.encode(), body, sha256)).decode()
    headers = {"Content-Type": "application/json", "X-Shopify-Topic": topic}
    return {**headers, "X-Shopify-Hmac-Sha256": digest}


async def post(address: str, body: bytes, headers: dict[str, str], path: str = "shopify/eu") -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{address}/in/{path}", data=body, headers=headers) as answer,
    ):
        return answer.status


async def records(settings: Settings, *topics: str) -> list[TopicRecord]:
    names = [settings.topic_prefix + topic for topic in topics]
    return [one async for one in read_topics(settings, names)]


async def events(settings: Settings) -> dict[str, dict[str, Any]]:
    """What the inputs hold, by id: a worker takes each id once."""
    found = await records(settings, "orders", "shipments", "stock")
    return {(one := msgspec.json.decode(each.value or b""))["event_id"]: one for each in found}


async def until(holds: Callable[[], Any], what: str) -> Any:
    """Return the first true answer; `what` names it for whoever reads the test."""
    async with asyncio.timeout(60):
        while True:
            if found := await holds():
                return found
            await asyncio.sleep(0.1)


@pytest.mark.system
async def test_messages_are_proved_before_they_are_taken(stack: Stack, tmp_path: Path) -> None:
    """Each answer of the contract; what is not proved never reaches Kafka."""
    settings = settings_of(stack)
    body = (SAMPLES / "shopify/orders-create.json").read_bytes()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with receiver(tmp_path, settings) as address:
        assert await post(address, body, signed(body)) == 200
        assert await post(address, body, signed(body, secret="an-older-secret")) == 200
        assert await post(address, body + b" ", signed(body)) == 401
        assert await post(address, body, {"Content-Type": "application/json"}) == 401
        assert await post(address, body, {**signed(body), **form}) == 415
        assert await post(address, b" " * 100_001, signed(b"")) == 413
        assert await post(address, body, signed(body), "shopify/other") == 404
        assert await post(address, b"webhook_id=7", form, "woocommerce/woo") == 200
        assert await post(address, b"{no", signed(b"{no")) == 200  # never an error for content
        assert len(await until(lambda: records(settings, REFUSED), "the bad one is refused")) == 1
        async with aiohttp.ClientSession() as session, session.get(f"{address}/metrics") as scraped:
            text = await scraped.text()
        assert 'tidegate_connect_received_total{answer="401",source="eu"} 2.0' in text
        assert 'tidegate_connect_refused_total{source="eu"} 1.0' in text
    assert len(await records(settings, RAW)) == 3
    assert [one["quantity"] for one in (await events(settings)).values()] == [3]
    (refused,) = await records(settings, REFUSED)
    assert b"JSON" in (refused.header("tidegate-reason") or b"")


@pytest.mark.system
async def test_twenty_copies_at_once_are_one_order(stack: Stack, tmp_path: Path) -> None:
    """Under two topics, in parallel, and again after a restart."""
    settings = settings_of(stack)
    body = (SAMPLES / "shopify/orders-create.json").read_bytes()
    headers = [signed(body, f"orders/{name}") for name in ("create", "updated")]
    async with receiver(tmp_path, settings) as address:
        answers = await asyncio.gather(*(post(address, body, headers[n % 2]) for n in range(20)))
        assert set(answers) == {200}
        await until(lambda: events(settings), "an event")
    async with receiver(tmp_path, settings) as address:
        assert await post(address, body, headers[0]) == 200
        update = (SAMPLES / "shopify/orders-updated.json").read_bytes()
        assert await post(address, update, signed(update)) == 200

        async def both() -> bool:
            return len(await events(settings)) == 3

        await until(both, "the order's change")
    quantities = [(one["kind"], one["quantity"]) for one in (await events(settings)).values()]
    assert sorted(quantities) == [("cancelled", 1), ("placed", 1), ("placed", 3)]
    assert len(await records(settings, "orders")) == 3  # not even sent twice


def order(number: int, version: int, quantity: int, current: int) -> bytes:
    """An order of one line, as it stands after so many changes."""
    at = f"2026-11-11T00:{number:02d}:{version:02d}Z"
    line = {"id": number, "sku": f"S{number % 3}", "quantity": quantity}
    line |= {"current_quantity": current, "price": "2.50"}
    made = {"id": 1000 + number, "created_at": "2026-11-11T00:00:00Z", "updated_at": at}
    return msgspec.json.encode({**made, "currency": "EUR", "line_items": [line]})


class Dies(Exception):
    """The process ends here."""


@pytest.mark.system
@pytest.mark.slow
async def test_death_between_any_two_writes_changes_no_event(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events, what is known and positions are three writes: it dies before, between and in them."""
    settings, chance = settings_of(stack), random.Random(7)
    states = [(number, version) for number in range(12) for version in range(4)]
    quantities = {one: chance.randint(1, 5) for one in states}
    bodies = [order(*one, n := quantities[one], chance.randint(0, n)) for one in states]
    chance.shuffle(bodies)
    write, left = pump.Pump._until_written, 0

    async def dying(self: pump.Pump, written: list[dict[str, Any]]) -> None:
        nonlocal left
        left -= bool(written)
        if written and left == 0:
            await write(self, written[: len(written) // 2])
            raise Dies
        await write(self, written)

    monkeypatch.setattr(pump.Pump, "_until_written", dying)
    monkeypatch.setattr(pump, "_AT_ONCE", 7)
    deaths, round_ = 0, 0
    while bodies:
        left, round_ = 1 + round_ % 5, round_ + 1
        with contextlib.suppress(Dies):
            async with receiver(tmp_path, settings) as address:
                with contextlib.suppress(aiohttp.ClientError):
                    for _ in range(min(6, len(bodies))):  # what is not taken comes again
                        assert await post(address, bodies[-1], signed(bodies[-1])) == 200
                        bodies.pop()
                deaths += await _died()
    left = 0
    wanted = await _in_peace(settings)
    async with receiver(tmp_path, settings):

        async def all_there() -> bool:
            return len(await events(settings)) >= len(wanted)

        await until(all_there, "all events")
    found = await events(settings)
    assert deaths >= 5
    assert found == {key: {**found[key], **_told(event)} for key, event in wanted.items()}


async def _in_peace(settings: Settings) -> dict[str, dict[str, Any]]:
    """The events that one connector makes of the messages that were taken, by id."""
    connector = Connector("shopify", shop="eu.example")
    messages = [msgspec.json.decode(one.value or b"") for one in await records(settings, RAW)]
    outcomes = [connector.take(one, About(topic="orders")) for one in messages]
    return {event["event_id"]: event for one in outcomes for event in one.events}


def _told(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "topic"}


async def _died() -> bool:
    """Wait until the receiver has ended, which it does when a write fails; else for a second."""
    tasks = [one for one in asyncio.all_tasks() if one.get_coro().__qualname__ == "run"]  # type: ignore[union-attr]
    done, _ = await asyncio.wait(tasks, timeout=2.0)
    return bool(done)


@pytest.mark.system
async def test_a_topic_of_debezium_is_read_where_it_was_left(stack: Stack, tmp_path: Path) -> None:
    """Snapshot, change, repeat, delete and tombstone; a frame of a registry is refused by name."""
    settings = settings_of(stack)
    topic = f"{stack.prefix}shop-lines"
    text = f'[http]\nport = 0\n[[source]]\nname = "db"\nkind = "kafka"\ntopic = "{topic}"\n'
    text += 'format = "debezium"\nshop = "shop"\n'
    folder = SAMPLES / "debezium"
    await ensure_also({"bootstrap_servers": stack.bootstrap}, [NewTopic(topic, 1, 1)])
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap, enable_idempotence=False) as out:

        async def send(*names: str) -> None:
            for name in names:
                path = folder / f"{name}.json"
                value = path.read_bytes() if path.exists() else None
                await out.send_and_wait(topic, value, key=b'{"id":315}', partition=0)

        await send("r", "c", "c-with-schema", "c")
        async with receiver(tmp_path, settings, text):
            await until(lambda: events(settings), "the line")
        await send("u", "d", "tombstone")
        await out.send_and_wait(topic, b"\x00\x00\x00\x00\x07abc", key=b"x", partition=0)
        async with receiver(tmp_path, settings, text):
            await until(lambda: records(settings, REFUSED), "the frame is refused")
    found = await events(settings)
    assert list(found) == ["o727/l315/placed/3", "o727/l315/undone/1", "o727/l315/undone/3"]
    (refused,) = await records(settings, REFUSED)
    assert b"schema registry" in (refused.header("tidegate-reason") or b"")
    assert len(await records(settings, "orders")) == 3


@pytest.mark.system
async def test_while_kafka_is_away_shops_are_asked_to_come_again(
    own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After: what was not taken is not said to be."""
    monkeypatch.setattr("infra.receiver.webhooks._KAFKA_SECONDS", 3.0)
    settings = settings_at(own_broker.bootstrap, "t-")
    body = order(1, 1, 2, 2)
    with contextlib.suppress(KafkaError):
        async with receiver(tmp_path, settings) as address:
            assert await post(address, body, signed(body)) == 200
            await asyncio.to_thread(own_broker.kill)
            assert await post(address, body, signed(body)) == 503


def test_commands_say_what_they_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there is one line and code 2."""
    from infra.cli.app import run as run_command

    assert run_command(["connect", "run", str(tmp_path / "none.toml")]) == 2
    assert "none.toml must be a readable file" in capsys.readouterr().err


@pytest.mark.system
async def test_list_shows_how_each_source_stands(
    stack: Stack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Messages, events and the newest refusal; a source that never came has zeros."""
    from infra.cli.app import run as run_command

    settings = settings_of(stack)
    body = order(1, 1, 2, 2)
    async with receiver(tmp_path, settings) as address:
        assert await post(address, body, signed(body)) == 200
        assert await post(address, b"[]", signed(b"[]")) == 200
        await until(lambda: records(settings, REFUSED), "it is refused")
    flags = ["--kafka-bootstrap", stack.bootstrap, "--topic-prefix", stack.prefix, "--json"]
    arguments = ["connect", "list", str(tmp_path / "sources.toml"), *flags]
    assert await asyncio.to_thread(run_command, arguments) == 0
    eu, woo = json.loads(capsys.readouterr().out)
    assert (eu["name"], eu["messages"], eu["events"], eu["refused"]) == ("eu", 2, 1, 1)
    assert "JSON object" in eu["last_refusal"]
    assert (woo["name"], woo["messages"]) == ("woo", 0)
