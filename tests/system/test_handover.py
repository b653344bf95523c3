"""The kill switch, approval and the supervisor with real workers on real servers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

import infra
from infra.cli.terminal.wait import remaining
from infra.replay.replay import ReplayResult
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS
from tests.system.conftest import Events, Install, Reference
from tests.system.support.running import Installation, WorkerUnderTest, eventually

WHO = ("--who", "ada", "--why", "the price is wrong")


def command(tidegate: Installation, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `tidegate` with the installation's settings."""
    inherited = {name: text for name, text in os.environ.items() if "TIDEGATE_" not in name}
    environment = {
        **inherited,
        **tidegate.settings.environment(),
        "PYTHONPATH": str(Path(infra.__file__).parents[1]),
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def reported(tidegate: Installation, *arguments: str) -> str:
    """What a command that succeeds prints."""
    done = command(tidegate, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def export_orders(tidegate: Installation) -> list[dict[str, object]]:
    """The rows of `tidegate export orders`."""
    lines = reported(tidegate, "export", "orders", "--format", "jsonl").splitlines()
    return [json.loads(line) for line in lines]


async def published(tidegate: Installation, topic: str) -> int:
    """Records in a topic."""
    return len(await tidegate.read(topic))


async def test_pause_holds_every_workers_orders_over_restarts(
    install: Install, events: Events, reference: Reference
) -> None:
    """Nothing is bought while it is in force, all is decided and said; then the same bytes go."""
    tidegate = await install()
    one, _ = await tidegate.add_worker(), await tidegate.add_worker()
    for worker in tidegate.workers:
        await worker.wait_until_ready()
    hold = json.loads(await asyncio.to_thread(reported, tidegate, "pause", *WHO, "--json"))["hold"]
    asks_of_all = [worker.ask for worker in tidegate.workers]
    await eventually(
        lambda: all("paused by ada" in ask("/readyz").text for ask in asks_of_all), "all know it"
    )
    result = await tidegate.replay(events.records)
    all_orders = len({row["po_id"] for row in _orders_of(reference)})
    await eventually(lambda: len(tidegate.frozen_outbox()) >= all_orders, "all is decided")
    await eventually(lambda: _is_read(tidegate, result), "all is read and decided")
    assert await published(tidegate, PURCHASE_ORDERS) == 0
    assert await published(tidegate, ALERTS) > 0

    await asyncio.to_thread(one.kill)
    await one.begin()
    await one.wait_until_ready()
    assert await published(tidegate, PURCHASE_ORDERS) == 0
    rows = await asyncio.to_thread(export_orders, tidegate)
    assert {row["hold"] for row in rows} == {"paused"}
    assert len(rows) == all_orders
    doctor = await asyncio.to_thread(command, tidegate, "doctor", "--json")
    assert hold["hold_id"] in doctor.stdout
    explained = await asyncio.to_thread(reported, tidegate, "explain", str(rows[0]["po_id"]))
    assert "not handed over yet: paused" in explained

    await asyncio.to_thread(reported, tidegate, "resume", hold["hold_id"], *WHO)
    await tidegate.wait_until_stored(result)
    (await tidegate.exports()).require_same(reference.exports)
    assert await tidegate.require_one_body_for_each_order() == all_orders
    audit = json.loads(await asyncio.to_thread(reported, tidegate, "audit", "--json"))
    assert audit["whole"]
    kinds = [entry["kind"] for entry in audit["entries"] if entry["who"] == "ada"]
    assert kinds == ["paused", "resumed"]


async def test_pause_of_a_supplier_and_of_an_item_holds_these_and_no_others(
    install: Install, events: Events, reference: Reference
) -> None:
    """By command and by name; `resume all` lets the same bytes go."""
    orders = _orders_of(reference)
    supplier, _ = Counter(order["supplier"] for order in orders).most_common()[-1]
    sku = next(order["sku"] for order in orders if order["supplier"] != supplier)
    held = {
        order["po_id"] for order in orders if order["supplier"] == supplier or order["sku"] == sku
    }
    assert 0 < len(held) < len(orders)
    tidegate = await install()
    worker = await tidegate.add_ready_worker()
    for what in (("--supplier", supplier), ("--sku", sku)):  # nothing is known of the shop yet
        await asyncio.to_thread(reported, tidegate, "pause", *WHO, *what, "--anyway")
    await eventually(lambda: worker.ask("/readyz").text.count("paused by ada") == 2, "it knows")
    result = await tidegate.replay(events.records)
    await eventually(
        lambda: (
            _is_read(tidegate, result) and {order["po_id"] for order in _held(tidegate)} == held
        ),
        "all is decided, and all but what is paused has left",
    )
    sent = await tidegate.read(PURCHASE_ORDERS)
    sent_ids = {msgspec.json.decode(record.value or b"")["po_id"] for record in sent}
    assert sent_ids == {order["po_id"] for order in orders} - held
    await asyncio.to_thread(reported, tidegate, "resume", "all", *WHO)
    await tidegate.wait_until_stored(result)
    (await tidegate.exports()).require_same(reference.exports)


def _is_read(tidegate: Installation, result: ReplayResult) -> bool:
    left = remaining(tidegate.shards(), tidegate.target(result))
    return not (left.records or left.undecided)


def _orders_of(reference: Reference) -> list[dict[str, str]]:
    return [json.loads(line) for line in reference.exports.orders.splitlines()]


async def test_order_above_the_amount_waits_for_its_approval(
    install: Install, events: Events
) -> None:
    """Only the one that was approved leaves: within two seconds, and the log learns it."""
    tidegate = await install(approval_amount=0.01)
    await tidegate.add_ready_worker()
    await tidegate.replay(events.records)
    await eventually(lambda: tidegate.shards() and _held(tidegate), "an order waits")
    order = _held(tidegate)[0]
    assert await published(tidegate, PURCHASE_ORDERS) == 0
    await eventually(
        lambda: {row["hold"] for row in export_orders(tidegate)} == {"approval"},
        "caught up, orders wait for nothing but their approval",
    )
    listed = json.loads(reported(tidegate, "orders", "list", "--waiting", "--json"))["orders"]
    assert order["po_id"] in {row["po_id"] for row in listed}
    assert {row["hold"] for row in listed} == {"approval"}
    refused = command(tidegate, "orders", "approve", "po-of-nobody", *WHO)
    assert (refused.returncode, "po-of-nobody" in refused.stderr) == (2, True)
    said = json.loads(reported(tidegate, "orders", "approve", order["po_id"], *WHO, "--json"))
    approved_s = time.monotonic()
    await eventually(
        lambda: order["po_id"] not in {one["po_id"] for one in _held(tidegate)}, "it left"
    )
    print(f"left {time.monotonic() - approved_s:.1f} s after the command ended")
    # A starved broker may get it twice (at least once); each time it is that order.
    written = {record.value for record in await tidegate.read(PURCHASE_ORDERS)}
    (left_as,) = (msgspec.json.decode(value or b"") for value in written)
    assert left_as["po_id"] == order["po_id"]
    assert left_as["expected_at"] == said["order"]["expected_at"] > order["decided_at"]
    events_reported = [
        msgspec.json.decode(one.value or b"") for one in await tidegate.read("order-responses")
    ]
    (word,) = (one for one in events_reported if one["kind"] != "heartbeat")
    assert (word["kind"], word["po_id"]) == ("approved", order["po_id"])
    assert word["reason"] == WHO[3]
    audit = json.loads(await asyncio.to_thread(reported, tidegate, "audit", "--json"))
    left = [entry for entry in audit["entries"] if entry["kind"] == "order_left"]
    # Written again where Kafka took longer than the recorder waits.
    assert {(one["po_id"], one["verdict"]) for one in left} == {(order["po_id"], "approved")}


def _held(tidegate: Installation) -> list[dict[str, str]]:
    records = [one for one in tidegate.frozen_outbox() if one.topic == PURCHASE_ORDERS]
    return [msgspec.json.decode(record.value or b"") for record in records]


class SupervisedWorker(WorkerUnderTest):
    """A worker as a person starts it."""

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "infra.cli", "worker"]

    def child(self) -> int:
        """The process that does the work."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return int(children[0]) if children else 0


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
async def test_worker_that_dies_is_started_again_and_ends_when_asked(
    install: Install, tmp_path: Path
) -> None:
    """kill -9 of the working process costs a moment; SIGTERM to the parent ends both in peace."""
    tidegate = await install()
    worker = SupervisedWorker(tmp_path / "supervised", tidegate.settings, number=1, port=None)
    try:
        await worker.begin()
        await worker.wait_until_ready()
        first = worker.child()
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: worker.child() not in (0, first), "another child is there")
        await eventually(worker.is_ready, "it is ready")
        last = worker.child()
        code, _ = await worker.end()
        assert code == 0
        assert not _runs(last)
    finally:
        worker.kill()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
async def test_worker_does_not_outlive_its_supervisor(install: Install, tmp_path: Path) -> None:
    """kill -9 of the parent: the child finds nobody to give a sign to, and ends."""
    tidegate = await install()
    worker = SupervisedWorker(tmp_path / "supervised", tidegate.settings, number=1, port=None)
    try:
        await worker.begin()
        await worker.wait_until_ready()
        child = worker.child()
        worker.kill()
        await eventually(lambda: not _runs(child), "the child ended too")
    finally:
        worker.kill()
