"""The commands against a whole Tidegate that played a sale: real sockets, a real worker."""

import asyncio
import csv
import gzip
import io
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from infra.cli.app import run
from infra.cli.terminal.failures import ExitCode
from infra.kafka.topic_admin import ensure_topics
from infra.kafka.topic_reader import TopicRecord, read_topics
from infra.local.embedded import EmbeddedRedis
from infra.local.stack import WorkerProcess
from infra.redis.reader import open_reader
from infra.settings import ALWAYS, STATE_FILE, Settings, load_settings
from policy import recompute
from streams.contracts.topics import PURCHASE_ORDERS
from streams.replenishment.decision_record import POLICY_INPUTS
from tests.conftest import Broker

LATE = (
    b'{"kind":"placed","event_id":"late-1","occurred_at":1000000000000,"sku":"desk",'
    b'"order_id":"o-late","quantity":1}'
)
RECORDS = {"dead letters", "late records"}

ROOT = Path(__file__).parents[3]
REDIS_DATABASES = (4_090, 4_091)  # beyond those that single tests are given
SAMPLE = "uci_sample_2011_autumn_300skus"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


@dataclass(frozen=True)
class Tidegate:
    """A running installation, and the command line pointed at it."""

    directory: Path
    settings: Settings

    def __call__(self, *arguments: str) -> Answer:
        """Run one command, with real files for its output."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            with redirect_stdout(out), redirect_stderr(err):
                code = run([*arguments, "--state", str(self.directory)])
            for file in (out, err):
                file.seek(0)
            return Answer(code, out.read(), err.read())

    def feed(self, text: str, *flags: str) -> Answer:
        """Replay lines of the tidegate schema."""
        file = self.directory / "lines.jsonl"
        file.write_text(text)
        return self("replay", str(file), *flags)

    def topic(self, name: str) -> list[TopicRecord]:
        """All records of a topic."""

        async def read() -> list[TopicRecord]:
            name_there = self.settings.topic_prefix + name
            return [record async for record in read_topics(self.settings, [name_there])]

        return asyncio.run(read())

    def write(
        self,
        name: str,
        value: bytes,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Write one record to a topic."""

        async def send() -> None:
            producer = AIOKafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap)
            await producer.start()
            try:
                topic = self.settings.topic_prefix + name
                await producer.send_and_wait(topic, value, key=key, headers=headers or [])
            finally:
                await producer.stop()

        asyncio.run(send())


def installed(
    broker: Broker, redis: EmbeddedRedis, directory: Path, prefix: str, database: int, tick: int
) -> Iterator[Tidegate]:
    settings = load_settings(
        kafka_bootstrap=broker.bootstrap,
        redis_url=f"redis://{redis.address}/{database}",
        topic_prefix=prefix,
        group_id=prefix,
        session_timeout_seconds=6,
        tick_seconds=tick,
        minimum_history_days=1,
        surge_minimum_days=1,
        live_from=ALWAYS,
    )
    asyncio.run(ensure_topics(settings.kafka_bootstrap, prefix, settings.partitions))
    worker = WorkerProcess(directory, settings, number=1, port=None)
    with worker:
        state = {
            "settings": settings.model_dump(),
            "admin_url": f"http://{worker.address}",
            "pids": {worker.name: worker.pid},
        }
        (directory / STATE_FILE).write_text(json.dumps(state))
        yield Tidegate(directory, settings)


@dataclass(frozen=True)
class Played:
    """A sale that was played, its truth, and what was exported before tests added to it."""

    tidegate: Tidegate
    file: Path
    truth: dict[str, Any]
    replayed: dict[str, Any]
    days: str
    dead_letters: dict[str, Any]


@pytest.fixture(scope="module")
def sale(
    broker: Broker, redis_server: EmbeddedRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Played]:
    """A small synthetic sale, generated, replayed and decided."""
    directory = tmp_path_factory.mktemp("cli")
    running = installed(broker, redis_server, directory, "cli-", REDIS_DATABASES[0], 60)
    for tidegate in running:
        file = directory / "sale.jsonl.gz"
        assert run(["generate", str(file), "--events", "20000", "--skus", "200"]) == 0
        answer = tidegate("replay", str(file), "--wait", "--json")
        assert answer.code == 0, answer.err
        yield Played(
            tidegate,
            file,
            json.loads((directory / "sale.truth.json").read_text()),
            answer.json,
            tidegate("export", "days").out,
            tidegate("dlt", "list", "--json").json,
        )


# --- replay and days --------------------------------------------------------------------------


def test_replay_wait_returns_when_all_is_in_redis(sale: Played) -> None:
    """After `replay --wait` the days are those that really happened, every row."""
    assert sale.replayed["complete"]
    assert sale.replayed["records"] == sale.truth["events"]["lines"]
    events = sale.truth["events"]
    assert sale.replayed["dead_lettered"] == events["bad"]
    assert sale.replayed["late"] == sum(events["3_days_late"].values())
    rows = [tuple(row) for row in csv.reader(io.StringIO(sale.days))]
    assert rows[0] == ("day", "sku", "orders", "lines", "units")
    assert rows[1:] == [tuple(map(str, row)) for row in sale.truth["days"]]


def test_replaying_again_changes_nothing(sale: Played) -> None:
    """The same file once more has the same event ids: no total and no order moves."""
    orders = sale.tidegate("export", "orders", "--format", "jsonl").out
    again = sale.tidegate("replay", str(sale.file), "--wait")
    assert again.code == 0, again.err
    assert "all of it" in again.out
    assert "known already, counted once" in again.out
    assert sale.tidegate("export", "days").out == sale.days
    assert sale.tidegate("export", "orders", "--format", "jsonl").out == orders


def test_real_orders_come_to_their_exact_days(
    broker: Broker, redis_server: EmbeddedRedis, tmp_path: Path, shared_data: Path
) -> None:
    """The sample of real orders through broker, worker and Redis equals its totals, every byte."""
    running = installed(broker, redis_server, tmp_path, "cli-uci-", REDIS_DATABASES[1], 3_600)
    for tidegate in running:
        file = str(shared_data / f"{SAMPLE}.jsonl.gz")
        answer = tidegate("replay", file, "--schema", "uci", "--wait")
        assert answer.code == 0, answer.err
        out = tmp_path / "days.csv.gz"
        assert tidegate("export", "days", "--output", str(out)).code == 0
        wanted = gzip.decompress((shared_data / f"{SAMPLE}.daily.csv.gz").read_bytes())
        assert gzip.decompress(out.read_bytes()) == wanted
        assert not list(tmp_path.glob("*.part"))


def test_a_file_without_events_is_no_success(sale: Played, tmp_path: Path) -> None:
    """An export that went wrong is empty."""
    (tmp_path / "empty.jsonl").write_text("")
    answer = sale.tidegate("replay", str(tmp_path / "empty.jsonl"))
    assert answer.code == 1
    assert "the file holds no events" in answer.err


def test_bad_lines_stop_a_replay_or_are_left_out(sale: Played) -> None:
    """A bad line names its number and field; with --skip-bad it is counted and the rest is sent."""
    stopped = sale.tidegate.feed('{"topic":"orders"}')
    assert stopped.code == ExitCode.USAGE
    assert "line 1: kind must be present" in stopped.err
    skipped = sale.tidegate.feed(
        'x\n{"topic":"orders","kind":"heartbeat"}\n', "--skip-bad", "--json"
    )
    assert (skipped.code, skipped.json["bad_lines"], skipped.json["records"]) == (1, 2, 0)
    assert "nothing was sent: all 2 lines are bad" in skipped.err


def test_a_time_that_cannot_be_never_stops_the_other_lines(sale: Played) -> None:
    """Microseconds or the year 2205 amid a file: the line is said, the rest is sent and decided."""
    line = {"topic": "orders", "kind": "placed", "sku": "clock", "warehouse": "north"}
    line |= {"order_id": "o", "quantity": 3}
    times = [sale.replayed["last_at"], 1_772_900_000_000_000, "2205-03-05T09:00:00Z", 10**20]
    lines = [
        json.dumps({**line, "event_id": f"clock-{number}", "occurred_at": at})
        for number, at in enumerate([*times, sale.replayed["last_at"]])
    ]
    answer = sale.tidegate.feed("\n".join(lines), "--wait", "--json")
    assert answer.code == ExitCode.NO
    assert answer.json["records"] == 2
    assert answer.json["bad_lines_by_code"] == {"time_in_microseconds": 1, "time_out_of_range": 2}
    assert answer.json["last_at"] == sale.replayed["last_at"]
    assert "line 2: occurred_at must be in milliseconds" in answer.err
    assert "Errno" not in answer.err
    allowed = sale.tidegate.feed("\n".join(lines), "--skip-bad", "--json")
    assert (allowed.code, allowed.json["bad_lines"]) == (0, 3)


def test_standard_input_is_replayed(sale: Played) -> None:
    """`-` reads a pipe, in a process of its own as from a shell."""
    command = [sys.executable, "-m", "infra.cli", "replay", "-", "--json"]
    done = subprocess.run(
        [*command, "--state", str(sale.tidegate.directory)],
        input=gzip.decompress(sale.file.read_bytes()).splitlines()[0],
        capture_output=True,
        check=True,
        cwd=ROOT,
    )
    assert json.loads(done.stdout)["records"] == 1


# --- exports ----------------------------------------------------------------------------------


def test_days_by_warehouse_add_up(sale: Played) -> None:
    """The rows of the warehouses come to the rows of the skus."""
    sums: Counter[tuple[str, str]] = Counter()
    for row in sale.tidegate("export", "days", "--by-warehouse").rows:
        assert row["warehouse"] in ("north", "south")
        sums[row["day"], row["sku"]] += int(row["units"])
    whole = {
        (row["day"], row["sku"]): int(row["units"])
        for row in csv.DictReader(io.StringIO(sale.days))
    }
    assert {key: units for key, units in sums.items() if key in whole} == whole


def test_items_are_sorted_and_complete(sale: Played) -> None:
    """Each item of the sale has one row, with its stock and the time of its count."""
    rows = sale.tidegate("export", "items").rows
    names = [(row["sku"], row["warehouse"]) for row in rows]
    assert names == sorted(set(names))
    assert len(names) >= 400
    assert all(row["counted_at"].endswith("Z") for row in rows if row["on_hand_units"] != "0")


def test_a_decision_is_computed_again_from_its_row(sale: Played) -> None:
    """A line of `export decisions` holds all that the policy needs to decide the same."""
    answer = sale.tidegate("export", "decisions", "--format", "jsonl")
    decided = [json.loads(line) for line in answer.out.splitlines()]
    keys = [(d["reviewed_at"], d["sku"], d["warehouse"], d["occasion"]) for d in decided]
    assert keys == sorted(keys)
    free = [decision for decision in decided if decision["method"] != "held"]
    assert free
    for decision in free[:: max(1, len(free) // 50)]:
        again = recompute({name: decision[name] for name in POLICY_INPUTS})
        for name in ("quantity_lean_units", "quantity_flexible_units", "method", "reason"):
            assert again[name] == decision[name]


def test_csv_and_json_lines_tell_the_same(sale: Played) -> None:
    """Both formats have the same rows; nothing is empty, true is true."""
    table = sale.tidegate("export", "decisions").rows
    lines = sale.tidegate("export", "decisions", "--format", "jsonl").out.splitlines()
    for row, line in zip(table, lines, strict=True):
        record = json.loads(line)
        assert list(row) == list(record)
        assert row["lean_capacity_units"] == (
            "" if record["lean_capacity_units"] is None else str(record["lean_capacity_units"])
        )
        assert row["allow_lean"] == str(record["allow_lean"]).lower()
        assert (float(row["gap"]) if row["gap"] else None) == record["gap"]


def test_export_as_json_is_one_array(sale: Played) -> None:
    """As `--json` elsewhere; its rows are those of JSON Lines."""
    for kind in ("items", "orders"):
        lines = sale.tidegate("export", kind, "--format", "jsonl").out.splitlines()
        assert sale.tidegate("export", kind, "--json").json == [json.loads(one) for one in lines]


def test_pause_of_an_unknown_name_is_refused_unless_wanted(sale: Played) -> None:
    """The kill switch says that it would stop nothing; resume answers programs too."""
    who = ("--who", "ada", "--why", "test")
    sku = sale.tidegate("export", "items").rows[0]["sku"]
    refused = sale.tidegate("pause", "--supplier", "Leen", *who)
    assert refused.code == ExitCode.NO
    assert "supplier must be one that the shop knows" in refused.err
    assert "nothing was paused; --anyway" in refused.err
    assert sale.tidegate("pause", "--sku", f"{sku}?", *who).code == ExitCode.NO
    assert sale.tidegate("resume", "all", *who, "--json").json == {"holds": []}
    made = sale.tidegate("pause", "--sku", sku, *who, "--json").json["hold"]
    wanted = sale.tidegate("pause", "--supplier", "Leen", "--anyway", *who, "--json").json["hold"]
    assert sale.tidegate("resume", "all", *who, "--json").json == {"holds": [made, wanted]}


def test_an_order_that_was_published_twice_is_reported_once(sale: Played) -> None:
    """Delivery is at least once; the export is exactly once and in order."""
    before = sale.tidegate("export", "orders", "--format", "jsonl").out
    record = sale.tidegate.topic(PURCHASE_ORDERS)[0]
    assert record.value is not None
    sale.tidegate.write(PURCHASE_ORDERS, record.value, record.key)
    sale.tidegate.write(PURCHASE_ORDERS, b"a stranger's record")
    answer = sale.tidegate("export", "orders", "--format", "jsonl")
    assert answer.out == before
    assert "left out 1 records" in answer.err
    keys = [(o["decided_at"], o["po_id"]) for o in map(json.loads, before.splitlines())]
    assert keys == sorted(keys)


def test_alerts_are_reported_in_order(sale: Played) -> None:
    """Every incident of the sale begins before it ends, and figures are readable JSON."""
    rows = sale.tidegate("export", "alerts").rows
    keys = [(row["occurred_at"], row["incident_id"], int(row["version"])) for row in rows]
    assert keys == sorted(keys)
    assert {"raised", "resolved"} <= {row["state"] for row in rows}
    assert all(isinstance(json.loads(row["figures"]), dict) for row in rows)


# --- item and explain -------------------------------------------------------------------------


def test_item_tells_what_is_known(sale: Played) -> None:
    """Stock, demand, last days and the latest decision of each warehouse, for people and JSON."""
    sku = sale.truth["days"][0][1]
    shown = sale.tidegate("item", sku)
    assert shown.code == 0
    for words in (
        f"{sku} in warehouse north",
        f"{sku} in warehouse south",
        "units on hand",
        "latest decision",
    ):
        assert words in shown.out
    (one,) = sale.tidegate("item", sku, "--warehouse", "south", "--json").json
    assert (one["sku"], one["warehouse"]) == (sku, "south")
    assert one["latest_decision"]["reviewed_at"] <= one["as_of"]
    exported = [
        r
        for r in sale.tidegate("export", "items").rows
        if (r["sku"], r["warehouse"]) == (sku, "south")
    ]
    assert exported[0]["on_hand_units"] == str(one["on_hand_units"])
    assert [day["day"] for day in one["days"]] == sorted(
        (d["day"] for d in one["days"]), reverse=True
    )


def test_an_unknown_item_names_its_neighbours(sale: Played) -> None:
    """A slip of the finger gets near matches and exit code 1."""
    sku = sale.truth["days"][0][1]
    answer = sale.tidegate("item", sku.upper()[:-1])
    assert answer.code == ExitCode.NO
    assert sku in answer.err
    assert answer.err.count("\n") == 1
    elsewhere = sale.tidegate("item", sku, "--warehouse", "moon")
    assert (elsewhere.code, "north, south" in elsewhere.err) == (ExitCode.NO, True)


def test_hostile_names_are_shown_safely(sale: Played) -> None:
    """A sku with terminal codes and markup is found, and shown as escapes."""
    sku = "lamp\x1b[2J[red]\u202e"
    event = {
        **{
            "topic": "orders",
            "kind": "placed",
            "event_id": "hostile-1",
            "order_id": "o\x1b]0;x\x07",
        },
        **{"occurred_at": sale.replayed["last_at"], "sku": sku, "quantity": 1},
    }
    assert sale.tidegate.feed(json.dumps(event), "--wait").code == 0
    shown = sale.tidegate("item", sku)
    assert shown.code == 0
    assert "lamp\\x1b[2J[red]\\u202e in warehouse main" in shown.out
    assert "\x1b" not in shown.out
    missing = sale.tidegate("item", sku + "\x1b[1m")
    assert missing.code == ExitCode.NO
    assert "\x1b" not in missing.err
    rows = sale.tidegate("export", "items").rows
    assert sku in [row["sku"] for row in rows]  # data stays as it is


def test_every_kind_of_order_can_be_explained(sale: Played) -> None:
    """An order of each reason and role is put in words and computes to the same quantities."""
    lines = sale.tidegate("export", "orders", "--format", "jsonl").out.splitlines()
    orders = {(o["reason"], o["supplier_role"]): o for o in map(json.loads, lines)}
    assert orders
    for order in orders.values():
        shown = sale.tidegate("explain", order["po_id"])
        assert shown.code == 0, shown.err
        assert "recomputed: same quantities" in shown.out
        assert "← chosen" in shown.out
        assert order["sku"] in shown.out
    answer = sale.tidegate("explain", order["po_id"], "--json").json
    assert (answer["same"], answer["order"]["po_id"]) == (True, order["po_id"])


def test_explain_says_whether_an_order_is_open(sale: Played) -> None:
    """What Redis still waits for is shown as open, with its due date."""
    with open_reader(sale.tidegate.settings) as reader:
        open_ids = [po_id for p in reader.partitions() for po_id in _open_orders(reader, p)]
    assert open_ids
    shown = sale.tidegate("explain", open_ids[0])
    assert "still to come, due 2026-" in shown.out


def _open_orders(reader: Any, partition: int) -> list[str]:
    states = [reader.item(partition, place) for place in range(len(reader.names(partition)))]
    return [order.po_id for state in states for order in state.open_orders]


def test_a_forged_order_is_noticed(sale: Played) -> None:
    """A record whose quantity does not follow from its inputs is exit code 1."""
    record = next(r for r in sale.tidegate.topic(PURCHASE_ORDERS) if r.value and b"po-" in r.value)
    order = msgspec.json.decode(record.value or b"")
    forged = {**order, "po_id": "po-forged", "quantity": order["quantity"] + 1}
    sale.tidegate.write(PURCHASE_ORDERS, msgspec.json.encode(forged), record.key)
    shown = sale.tidegate("explain", "po-forged")
    assert shown.code == ExitCode.NO
    assert "NOT THE SAME" in shown.out
    unknown = sale.tidegate("explain", "po-unknown")
    assert unknown.code == ExitCode.NO
    assert "po-unknown" in unknown.err


# --- dead letters -----------------------------------------------------------------------------


def test_dead_letters_are_counted_by_code(sale: Played) -> None:
    """Each bad record of the sale is there once, under its topic and code."""
    counted = {
        (row["topic"].removeprefix("cli-").removesuffix(".dlt"), row["code"]): row["records"]
        for row in sale.dead_letters["counts"]
        if row["code"] != "late"
    }
    wanted = sale.truth["bad_records"]["by_topic_and_code"]
    assert counted == {
        (topic, code): count for topic, codes in wanted.items() for code, count in codes.items()
    }
    assert len(sale.dead_letters["newest"]) == 10


def test_a_late_record_is_counted_shown_and_explained(sale: Played) -> None:
    """It stands among the dead letters with code, count, newest time and what to do."""
    sale.tidegate.write("orders", LATE, b"desk")
    record = _side_exit(sale.tidegate, "orders.late", LATE)
    rows = sale.tidegate("dlt", "list", "--json").json["counts"]
    (row,) = [row for row in rows if row["topic"] == "cli-orders.late"]
    assert (row["code"], row["records"] > 0) == ("late", True)
    assert row["newest_at"].startswith("20")
    text = sale.tidegate("dlt", "list").out
    assert "cli-orders.late" in text
    assert "count the stock of its item again" in text
    place = ("orders.late", str(record.partition), str(record.offset))
    assert sale.tidegate("dlt", "show", *place, "--json").json["code"] == "late"
    checks = {one["name"]: one for one in sale.tidegate("doctor", "--json").json["checks"]}
    assert checks["late records"]["status"] == "warn"
    assert "count the stock of its item again" in checks["late records"]["advice"]


def test_a_dead_letter_is_shown_safely(sale: Played) -> None:
    """Headers and value are shown whole, and nothing in them reaches the terminal."""
    place = _dead_letter(sale.tidegate, b"\x1b[2J[red]\xff not json", [("trace\x07", b"\x1b[31m")])
    shown = sale.tidegate("dlt", "show", *place)
    assert shown.code == 0
    assert "\\x1b[2J[red]\\xff not json" in shown.out
    assert "\x1b" not in shown.out + shown.err
    assert "\x07" not in shown.out
    reported = sale.tidegate("dlt", "show", *place, "--json").json
    assert reported["code"] == "not_utf8"
    assert ["kafka_dlt-original-topic", "cli-orders"] in reported["headers"]
    nothing = sale.tidegate("dlt", "show", "orders", "0", "999999")
    assert (nothing.code, "no record at offset" in nothing.err) == (ExitCode.NO, True)


def test_dead_letters_go_back_only_when_confirmed(sale: Played) -> None:
    """Without --yes and nobody to ask, nothing is sent."""
    before = len(sale.tidegate.topic("orders"))
    asked = sale.tidegate("dlt", "replay", "--code", "oversized")
    assert asked.code == ExitCode.USAGE
    assert "--yes" in asked.err
    assert len(sale.tidegate.topic("orders")) == before
    none = sale.tidegate("dlt", "replay", "--code", "no-such-code", "--yes")
    assert none.code == ExitCode.NO


def test_a_dead_letter_goes_back_as_it_came(sale: Played) -> None:
    """Key, value and own headers are kept; Tidegate's are gone, and it says where it comes from."""
    topic, partition, offset = _dead_letter(sale.tidegate, b"mend me", [("trace", b"7")])
    chosen = ("--topic", topic, "--partition", partition, "--offset", offset)
    sent = sale.tidegate("dlt", "replay", *chosen, "--yes", "--json")
    assert sent.json == {"sent": {"cli-orders": 1}}
    back = [r for r in sale.tidegate.topic("orders") if r.header("tidegate-replayed-from")][-1]
    assert (back.key, back.value) == (b"lamp", b"mend me")
    assert list(back.headers) == [
        ("trace", b"7"),
        ("tidegate-replayed-from", f"cli-orders.dlt/{partition}/{offset}".encode()),
    ]


def test_a_dead_letter_goes_back_mended(sale: Played, tmp_path: Path) -> None:
    """With another value it is marked, and keyed by the sku that it speaks of now."""
    topic, partition, offset = _dead_letter(sale.tidegate, b"wrong", [])
    chosen = ("--topic", topic, "--partition", partition, "--offset", offset)
    mended = tmp_path / "mended.json"
    mended.write_bytes(b'{"kind": "placed"}')
    refused = sale.tidegate("dlt", "replay", *chosen, "--value", str(mended), "--yes")
    assert (refused.code, "missing_field" in refused.err) == (ExitCode.USAGE, True)
    at_ms = 1_000_000_000_000  # long past: nothing that other tests look at moves
    order = {"kind": "placed", "event_id": f"mended-{offset}", "occurred_at": at_ms}
    mended.write_text(json.dumps({**order, "sku": "desk", "order_id": "o", "quantity": 1}))
    sent = sale.tidegate("dlt", "replay", *chosen, "--value", str(mended), "--yes", "--json")
    assert sent.json == {"sent": {"cli-orders": 1}}
    back = [r for r in sale.tidegate.topic("orders") if r.header("tidegate-mended")][-1]
    assert (back.key, back.value) == (b"desk", mended.read_bytes())
    assert back.header("tidegate-replayed-from") == f"cli-orders.dlt/{partition}/{offset}".encode()
    many = sale.tidegate("dlt", "replay", "--value", str(mended), "--yes")
    assert (many.code, "--value corrects one record" in many.err) == (ExitCode.USAGE, True)


def _dead_letter(
    tidegate: Tidegate, value: bytes, headers: list[tuple[str, bytes]]
) -> tuple[str, str, str]:
    """Let the worker refuse a bad record; return topic, partition and offset as text."""
    tidegate.write("orders", value, b"lamp", headers)
    record = _side_exit(tidegate, "orders.dlt", value)
    return "orders", str(record.partition), str(record.offset)


def _side_exit(tidegate: Tidegate, topic: str, value: bytes) -> TopicRecord:
    """Wait until the worker has copied a record to a topic; return the copy."""
    for _ in range(100):
        for record in reversed(tidegate.topic(topic)):
            if record.value == value and record.header("tidegate-replayed-from") is None:
                return record
    raise AssertionError(f"the worker did not copy the record to {topic}")


# --- doctor -----------------------------------------------------------------------------------


def test_doctor_finds_a_whole_tidegate_healthy(sale: Played) -> None:
    """Broker, topics, Redis, every shard and the worker are well; the sale has bad records."""
    answer = sale.tidegate("doctor", "--json")
    checks = {check["name"]: check["status"] for check in answer.json["checks"]}
    wanted = {"settings", "broker", "topics", "partitions", "redis", "redis writes", "redis memory"}
    assert wanted | {"shard 0", "shard 3", "worker"} <= set(checks)
    assert answer.code == 0
    assert {name for name, status in checks.items() if status != "ok"} <= RECORDS
    assert "it works; look at the warnings" in sale.tidegate("doctor").out


def test_doctor_says_what_is_away(sale: Played) -> None:
    """Servers that do not answer are failing lines with advice, not errors."""
    nobody = "127.0.0.1:1"
    flags = ["--kafka-bootstrap", nobody, "--redis-url", f"redis://{nobody}", "--json"]
    answer = sale.tidegate("doctor", *flags)
    assert answer.code == ExitCode.NO
    failing = {c["name"]: c["advice"] for c in answer.json["checks"] if c["status"] == "fail"}
    assert set(failing) == {"broker", "redis"}
    assert all(failing.values())


def test_campaign_silence_reads_the_window_of_the_campaign(sale: Played) -> None:
    """A campaign that is not known is refused before anybody is asked; then Alertmanager is."""
    unknown = sale.tidegate("campaign", "silence", "no-such-sale")
    assert unknown.code == ExitCode.NO
    assert "no campaign 'no-such-sale'" in unknown.err
    nobody = "http://127.0.0.1:9"
    away = sale.tidegate("campaign", "silence", "spring-sale", "--alertmanager", nobody)
    assert away.code == ExitCode.UNREACHABLE
    assert f"Alertmanager does not answer at {nobody}" in away.err


def test_campaign_check_reads_lines_stock_and_orders_of_the_installation(sale: Played) -> None:
    """The campaign of the sale by its id; capacity comes from a file."""
    assert "no campaign 'no-such-sale'" in sale.tidegate("campaign", "check", "no-such-sale").err
    more = sale.tidegate.directory / "capacity.json"
    more.write_text('{"capacity": {"warehouse": "main", "orders_per_day": 1}}')
    answer = sale.tidegate("campaign", "check", "spring-sale", "--with", str(more), "--json")
    assert answer.json["campaign_id"] == "spring-sale"
    assert any(line["usable_units"] > 0 for line in answer.json["lines"])
    assert all(line["expected_units"] > 0 for line in answer.json["lines"])


def test_campaign_is_saved_checked_and_approved_and_its_lines_are_sent(sale: Played) -> None:
    """The ad budget waits for the check; the lines reach the items by their topic."""
    call, person = sale.tidegate, ("--who", "ann", "--why", "test")
    sku = call("campaign", "check", "spring-sale", "--json").json["lines"][0]["sku"]
    file = call.directory / "autumn.json"
    line = {"sku": sku, "expected_units": 5, "ad_budget": 90}
    window = {"starts_at": "2031-10-01", "ends_at": "2031-10-03", "checked_at": "2031-09-01"}
    file.write_text(json.dumps({"campaign_id": "autumn", **window, "lines": [line]}))
    saved = call("campaign", "save", str(file), *person)
    assert (saved.code, saved.out) == (ExitCode.OK, "autumn: version 1, draft\n")
    refused = call("campaign", "approve", "autumn", *person)
    assert refused.code == ExitCode.USAGE
    assert "checked and feasible" in refused.err
    checked = call("campaign", "check", "autumn", *person, "--json")
    assert checked.json["lines"][0]["usable_units"] >= 0  # the stock is that of the installation
    call("campaign", "approve", "autumn", "--override", *person)
    shown = call("campaign", "show", "autumn", "--json").json
    assert shown["state"] == "approved"
    assert shown["ad_budget"]["approved"] == 90
    (listed,) = call("campaign", "list", "--json").json["campaigns"]
    assert listed["versions"][-1]["who"] == "ann"
    sent = [json.loads(one.value) for one in call.topic("campaigns") if b"autumn" in one.value]
    assert [(one["sku"], one["expected_units"]) for one in sent] == [(sku, 5)]
    assert call("campaign", "send", "autumn").out == "sent 1 lines of autumn\n"
    assert "campaign autumn: version" in call("audit").out


def test_campaign_promises_are_published_for_the_page_of_the_shop(sale: Played) -> None:
    """One record for each item of the campaign, by sku and warehouse."""
    answer = sale.tidegate("campaign", "promises", "spring-sale", "--publish", "--json")
    published = {one.key: json.loads(one.value) for one in sale.tidegate.topic("promises")}
    lines = answer.json["lines"]
    assert {f"{one['sku']}@{one['warehouse']}".encode() for one in lines} == set(published)
    assert all(one["sellable_units"] >= 0 for one in published.values())
    advice = sale.tidegate("campaign", "advise", "spring-sale", "--json")
    assert advice.json["campaign_id"] == "spring-sale"


def test_campaign_report_counts_what_the_installation_sold(sale: Played) -> None:
    """The campaign of the sale, with its incidents; the causes add up to the gap."""
    found = sale.tidegate("campaign", "report", "spring-sale", "--json").json
    assert found["actual_units"] >= 0
    assert sum(found["causes"].values()) == pytest.approx(found["gap_units"], abs=1e-6)
    assert found["assumptions"]
