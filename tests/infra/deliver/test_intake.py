"""The whole way over a real broker and real receivers: topics, outbox, destinations, kill -9."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from infra.deliver.destinations import Folder
from infra.deliver.intake import Intake, IntakeError, routes, take_record
from infra.deliver.outbox import Outbox, Route, State
from infra.kafka.topic_admin import ensure_topics
from infra.settings import Settings, load_settings
from streams.contracts.purchase_orders import Candidates, Occasion, PurchaseOrder, SupplierRole
from streams.timestamps import DAY_MS, rfc3339
from tests.conftest import Broker
from tests.infra.deliver.orders import NOW_S, message
from tests.infra.deliver.test_webhook import receiving


def order(po_id: str, decided_s: float, supplier: str = "acme") -> bytes:
    """A record of `purchase-orders`."""
    at = rfc3339(int(decided_s * 1000))
    return msgspec.json.encode(
        PurchaseOrder(
            po_id=po_id,
            sku="lamp",
            warehouse="main",
            supplier=supplier,
            supplier_role=SupplierRole.LEAN,
            occasion=Occasion.REGULAR,
            quantity=10,
            unit_cost=2.5,
            currency="EUR",
            window_started_at=at,
            decided_at=at,
            expected_at=at,
            method="exact",
            reason="lean_cheaper",
            inputs={},
            candidates=Candidates(nothing=1.0, lean_only=1.0, flexible_only=1.0, both=1.0),
        )
    )


def test_order_goes_to_the_destinations_of_its_supplier(tmp_path: Path) -> None:
    """What was decided long ago is history: it is skipped, and says why."""
    places = {
        "all": Folder(name="all", folder=tmp_path),
        "lean": Folder(name="lean", folder=tmp_path, suppliers=("Lean GmbH",)),
        "acme": Folder(name="acme", folder=tmp_path, suppliers=("acme",)),
    }
    now_ms = int(NOW_S * 1000)
    assert routes(message(), places, now_ms) == [Route("all"), Route("lean")]
    later = routes(message(), places, now_ms + 8 * DAY_MS)
    assert [one.name for one in later] == ["all", "lean"]
    assert all("more than 7 days ago" in one.skipped for one in later)


def test_record_that_is_no_order_moves_the_place_alone(tmp_path: Path) -> None:
    """One bad record stops nothing."""
    outbox = Outbox(tmp_path)
    places = {"all": Folder(name="all", folder=tmp_path)}
    for offset, value in enumerate((b"{}", b"\xff", None, order("po-1", NOW_S))):
        take_record(
            *(outbox, places, "purchase-orders", ("purchase-orders", 0, offset), value, NOW_S)
        )
    assert outbox.places() == {("purchase-orders", 0): 4}
    assert [one.message.po_id for one in outbox.listed()] == ["po-1"]


async def publish(settings: Settings, values: Sequence[tuple[str, bytes]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    try:
        for topic, value in values:
            await producer.send_and_wait(settings.topic_prefix + topic, value, key=b"lamp")
    finally:
        await producer.stop()


@asynccontextmanager
async def following(intake: Intake) -> AsyncIterator[None]:
    task = asyncio.create_task(intake.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - files and receivers have no event
            await asyncio.sleep(0.05)


async def started(command: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)


async def test_first_start_sends_what_comes_from_then_on(broker: Broker, tmp_path: Path) -> None:
    """A restart goes on where it was; another folder begins anew; a topic made anew is refused."""
    settings = load_settings(kafka_bootstrap=broker.bootstrap, topic_prefix="intake-")
    await ensure_topics(broker.bootstrap, "intake-", 2)
    await publish(settings, [("purchase-orders", order("po-old", time.time()))])
    outbox, places = Outbox(tmp_path), {"all": Folder(name="all", folder=tmp_path)}

    def came() -> list[str]:
        return [one.message.po_id for one in outbox.listed()]

    async with following(Intake(settings, outbox, places)):
        await eventually(lambda: len(outbox.places()) == 4)
        await publish(settings, [("purchase-orders", order("po-1", time.time()))])
        await eventually(lambda: came() == ["po-1"])
    await publish(settings, [("purchase-orders", order("po-2", time.time()))])
    async with following(Intake(settings, outbox, places)):
        await eventually(lambda: came() == ["po-1", "po-2"])
    everything = Outbox(tmp_path / "all")
    async with following(Intake(settings, everything, places, is_from_beginning=True)):
        await eventually(lambda: len(everything.listed()) == 3)
    for topic, number in outbox.places():
        outbox.take((topic, number, 999), None, [], NOW_S)
    with pytest.raises(IntakeError, match="the topic was made anew or cut"):
        await Intake(settings, outbox, places).run()


async def test_topics_that_are_not_there_are_named(broker: Broker, tmp_path: Path) -> None:
    """With what makes them."""
    settings = load_settings(kafka_bootstrap=broker.bootstrap, topic_prefix="nowhere-")
    with pytest.raises(IntakeError, match="'nowhere-purchase-orders' is not there; a worker"):
        await Intake(settings, Outbox(tmp_path), {}).run()


@pytest.mark.slow
async def test_process_that_is_killed_again_and_again_loses_and_forgets_nothing(
    broker: Broker, tmp_path: Path
) -> None:
    """Real processes, kill -9 at any moment: every order arrives, each time under its one id."""
    settings = load_settings(kafka_bootstrap=broker.bootstrap, topic_prefix="killed-")
    await ensure_topics(broker.bootstrap, "killed-", 2)
    outbox = tmp_path / "outbox"
    async with receiving() as receiver:
        (tmp_path / "d.toml").write_text(
            f'[[destination]]\nkind = "webhook"\nname = "erp"\nurl = "{receiver.url}"\n'
        )
        command = [sys.executable, "-m", "infra.cli", "deliver", "run", str(tmp_path / "d.toml")]
        command += ["--outbox", str(outbox), "--kafka-bootstrap", broker.bootstrap]
        command += ["--topic-prefix", "killed-", "--from-beginning", "--metrics-port", "0"]
        names = [f"po-{number}" for number in range(40)]
        await publish(settings, [("purchase-orders", order(one, time.time())) for one in names])
        for round_ in range(2):
            process = await started(command)
            wanted = (round_ + 1) * 12
            await eventually(lambda wanted=wanted: len(receiver.came) >= wanted)
            process.kill()
            assert await process.wait() == -signal.SIGKILL
        process = await started(command)
        await eventually(lambda: len(set(receiver.ids)) == len(names))
        box = Outbox(outbox)
        await eventually(lambda: box.counts().get(("erp", str(State.DELIVERED))) == len(names))
        process.terminate()
        assert await process.wait() == 0
        assert set(receiver.ids) == {f"{one}:1" for one in names}
        assert len(receiver.ids) <= len(names) + 2, "at most one repeat for each kill"


@pytest.mark.slow
async def test_documents_are_the_same_after_kills_and_no_order_is_in_two(
    broker: Broker, tmp_path: Path
) -> None:
    """120 orders to three suppliers; killed while documents gather and while one is sent."""
    settings = load_settings(kafka_bootstrap=broker.bootstrap, topic_prefix="documents-")
    await ensure_topics(broker.bootstrap, "documents-", 2)
    outbox = tmp_path / "outbox"
    names = [f"po-{number}" for number in range(120)]
    suppliers = ("acme", "lean", "east")
    async with receiving() as receiver:
        receiver.script = ["hang"]
        (tmp_path / "d.toml").write_text(
            f'[[destination]]\nkind = "webhook"\nname = "erp"\nurl = "{receiver.url}"\n'
            "gather_seconds = 1\n"
        )
        command = [sys.executable, "-m", "infra.cli", "deliver", "run", str(tmp_path / "d.toml")]
        command += ["--outbox", str(outbox), "--kafka-bootstrap", broker.bootstrap]
        command += ["--topic-prefix", "documents-", "--from-beginning"]
        orders = [
            ("purchase-orders", order(name, time.time(), suppliers[number % 3]))
            for number, name in enumerate(names)
        ]
        await publish(settings, orders)
        box = Outbox(outbox)
        for reached in (
            lambda: box.counts().get(("erp", "gathering"), 0) > 0,
            lambda: len(receiver.came) > 0,
        ):
            process = await started(command)
            await eventually(reached)
            process.kill()
            assert await process.wait() == -signal.SIGKILL
        process = await started(command)

        def is_over() -> bool:
            counts = {state: count for (_, state), count in box.counts().items()}
            return counts.get("gathered") == len(names) and set(counts) == {"gathered", "delivered"}

        await eventually(is_over)
        process.terminate()
        assert await process.wait() == 0
    bodies: dict[str, set[bytes]] = {}
    for headers, body in receiver.came:
        bodies.setdefault(headers["webhook-id"], set()).add(body)
    assert all(len(one) == 1 for one in bodies.values()), "the same bytes under the same id"
    documents = [msgspec.json.decode(next(iter(one)))["data"] for one in bodies.values()]
    ordered = [line["po_id"] for one in documents for line in one["lines"]]
    assert sorted(ordered) == sorted(names), "each order in one document"
    assert {one["supplier"] for one in documents} == set(suppliers)
    assert len(receiver.came) <= len(documents) + 2, "at most one repeat for each kill"
