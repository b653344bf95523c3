"""The command line by itself: help, wrong usage, words, and what it makes of what it read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from infra.cli.app import run
from infra.cli.explain import agrees, recompute_order
from infra.cli.health.check import Status
from infra.cli.health.kafka import check_topics
from infra.cli.health.redis import check_memory, check_version
from infra.cli.health.shards import check_groups, check_handover, check_shards
from infra.cli.terminal import wait
from infra.cli.terminal.failures import CommandError, ExitCode, outcome_of
from infra.cli.terminal.output import safe, safe_bytes
from infra.cli.terminal.wait import Target, remaining
from infra.control.entries import AuditState
from infra.control.known_names import near_matches
from infra.local.embedded import ServerError
from infra.redis.codec import GroupsMeta, ShardMeta
from infra.redis.memory import Memory
from infra.redis.reader import ShardState
from infra.settings import load_settings, without_password
from infra.wording.codes import FAMILIES, FITS, REASONS, SPLITS, chosen_split, split_rows
from infra.wording.format import duration
from infra.wording.orders import (
    basis_text,
    candidate_rows,
    demand_text,
    differences,
    stock_text,
    why_lines,
)
from policy import DemandFamily, FitCheck, Reason, recompute
from streams.contracts.events import TOPICS
from streams.contracts.purchase_orders import (
    Candidates,
    CandidateUnits,
    Expected,
    Occasion,
    PurchaseOrder,
    SupplierRole,
)
from streams.contracts.topics import all_topics, input_topics
from streams.handover.rules import HoldReason, Pause
from streams.replenishment.decision_record import POLICY_INPUTS
from streams.timestamps import NO_CLOCK

HEAVY = ("numpy", "numba", "scipy", "aiokafka", "faust", "redis", "pydantic")
NOBODY = "127.0.0.1:1"
COMMANDS = [
    *("demo", "up", "worker", "generate", "replay"),
    *("explain", "export", "item", "dlt", "doctor", "settings"),
]
HOUR_MS = 3_600_000

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own TIDEGATE_ variables are none of a test's business."""
    for name in [name for name in os.environ if name.startswith("TIDEGATE_")]:
        monkeypatch.delenv(name)


# --- help and usage ---------------------------------------------------------------------------


def test_help_loads_nothing_heavy() -> None:
    """`tidegate --help` answers at once: no compiler, client or array library is loaded for it."""
    program = (
        "import sys; from infra.cli.app import run; code = run(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_help_names_every_command_and_exit_code(capsys: Capture) -> None:
    """Who asks for help sees all commands and what each exit code means."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"│ {command} " in shown
    for code in ExitCode:
        assert f" {int(code)} " in shown


def test_notes_of_help_stand_once(capsys: Capture) -> None:
    """On the first page: a page of one command ends with its own flags."""
    assert run(["--help"]) == 0
    assert capsys.readouterr().out.count("Exit codes:") == 1
    for command in (["replay"], ["export"], ["export", "days"]):
        assert run([*command, "--help"]) == 0
        assert "Exit codes:" not in capsys.readouterr().out


def test_completion_is_installed_for_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--install-completion` writes a script that knows commands and their flags."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert run(["--install-completion"]) == 0
    written = [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
    assert any("doctor" in text and "--skip-bad" in text for text in written)


@pytest.mark.parametrize(
    "command",
    ["replay", "generate", "item", "explain", "export", "doctor", "dlt", "settings"]
    + [f"export {kind}" for kind in ("days", "items", "decisions", "uplifts", "orders", "alerts")]
    + [f"dlt {action}" for action in ("list", "show", "replay")],
)
def test_each_command_has_a_page_of_help(command: str, capsys: Capture) -> None:
    """Each command explains itself and its connection."""
    assert run([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"Usage: tidegate {command}" in shown
    assert command in ("export", "dlt", "generate") or "--state" in shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["replai"], "did you mean `tidegate replay`?"),
        (["item"], "SKU"),
        (["settings", "--jsom"], "--json"),
        (["replay", "x.jsonl", "--speed", "-1"], "max, or a number > 0"),
        (["replay", "x.jsonl", "--schema", "csv"], "tidegate"),
        (["replay"], "needs a FILE"),
        (["replay", "no-such-file"], "no-such-file must be a readable file"),
        (["generate", "x.jsonl", "--skus", "3"], "skus must be from 200 to 9999, got 3"),
        (["settings", "--redis-url", "cache"], "redis_url: must begin with redis://"),
        (["settings", "--state", "no-such-folder"], "tidegate.json is not there"),
        (["dlt", "show", "lamps", "0", "0"], "topic must be one of"),
        (["dlt", "replay", "--offset", "3"], "--offset needs --topic"),
        (["orders", "approve", "po-1"], "try `tidegate orders approve --help`"),
        (["orders", "aprove", "po-1"], 'Did you mean "approve"?'),
        (["pause", "--who", "ada"], "--why requires an argument; try `tidegate pause --help`"),
        (["--foo"], "template; try `tidegate --help`"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    arguments: list[str], complaint: str, capsys: Capture
) -> None:
    """What is wrong with a command is said in one line on standard error."""
    assert run(arguments) == ExitCode.USAGE
    reported = capsys.readouterr()
    assert reported.out == ""
    assert reported.err.count("\n") == 1
    assert complaint in reported.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["item", "lamp"],
        ["export", "days"],
        ["export", "orders"],
        ["explain", "po-1"],
        ["dlt", "list"],
    ],
)
def test_an_unreachable_server_is_one_line_and_code_3(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that is away is named, nothing is written, and no traceback is shown."""
    flags = ["--kafka-bootstrap", NOBODY, "--redis-url", f"redis://{NOBODY}"]
    assert run([*arguments, *flags]) == ExitCode.UNREACHABLE
    reported = capfd.readouterr()
    assert reported.out == ""
    assert reported.err.count("\n") == 1
    assert NOBODY in reported.err


def test_debug_shows_where_an_error_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """With TIDEGATE_DEBUG=1 the error itself comes through."""
    monkeypatch.setenv("TIDEGATE_DEBUG", "1")
    with pytest.raises(CommandError):
        run(["replay"])


@pytest.mark.slow
def test_a_broken_pipe_is_no_error() -> None:
    """`tidegate export ... | head` ends quietly."""
    command = f"{sys.executable} -m infra.cli replay --explain-schema | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_interrupts_and_bugs_have_their_own_codes() -> None:
    """Ctrl-C is 130; an error that nobody foresaw says how to see more."""
    assert outcome_of(KeyboardInterrupt())[0] == 130
    code, text = outcome_of(RuntimeError("a wheel came off"))
    assert code == ExitCode.NO
    assert "a wheel came off" in text
    assert "TIDEGATE_DEBUG=1" in text


def test_explain_schema_shows_the_mapping(capsys: Capture) -> None:
    """The mapping of the uci schema is one flag away, and is the adapters' own."""
    assert run(["replay", "--explain-schema"]) == 0
    shown = capsys.readouterr().out
    assert "type order, kind cancellation    orders     cancelled" in shown
    assert "lead_time_days                4 (lean), 2 (flexible)" in shown


# --- settings ---------------------------------------------------------------------------------


def test_settings_hide_the_password(capsys: Capture) -> None:
    """Neither the table nor the JSON shows the password of Redis."""
    flags = ["--redis-url", "redis://ops:secret@cache:6379/0"]
    assert run(["settings", *flags]) == 0
    assert run(["settings", "--json", *flags]) == 0
    shown = capsys.readouterr().out
    assert "secret" not in shown
    assert "redis://ops:***@cache:6379/0" in shown
    assert without_password("redis://:secret@cache") == "redis://:***@cache"
    assert without_password("unix:///run/redis.sock") == "unix:///run/redis.sock"


def test_settings_come_from_the_state_file(tmp_path: Path, capsys: Capture) -> None:
    """`--state DIR` finds the addresses of what runs there; a flag still comes first."""
    state = {"settings": {"kafka_bootstrap": "there:1", "topic_prefix": "a-"}, "admin_url": None}
    (tmp_path / "tidegate.json").write_text(json.dumps(state))
    assert run(["settings", "--json", "--state", str(tmp_path), "--topic-prefix", "b-"]) == 0
    in_force = json.loads(capsys.readouterr().out)
    assert (in_force["kafka_bootstrap"], in_force["topic_prefix"]) == ("there:1", "b-")


# --- generate ---------------------------------------------------------------------------------


def test_generate_writes_the_same_sale_twice(tmp_path: Path, capsys: Capture) -> None:
    """The same seed gives the same bytes, and the truth lies beside the events."""
    for name in ("one", "two"):
        out = str(tmp_path / f"{name}.jsonl.gz")
        assert run(["generate", out, "--events", "20000", "--skus", "200", "--json"]) == 0
    one, two = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert one["lines"] == two["lines"] > 10_000
    assert Path(one["events"]).read_bytes() == Path(two["events"]).read_bytes()
    assert json.loads(Path(one["truth"]).read_text())["events"]["bad"] == one["bad"]


# --- text that strangers wrote ----------------------------------------------------------------


@pytest.mark.parametrize(
    "hostile",
    ["\x1b[2J", "\x07", "\r", "\u202e", "\u2028", "\ud800", "\x9b31m", "\u200b", "a\nb"],
)
def test_hostile_text_is_shown_as_escapes(hostile: str) -> None:
    """No text from outside can move the cursor, hide itself or end a line."""
    shown = safe(f"lamp{hostile}")
    assert shown.isprintable()
    assert shown.startswith("lamp\\") or shown.startswith("lampa\\")


def test_ordinary_text_stays_as_it_is() -> None:
    """Accents, other scripts, spaces and square brackets are no threat."""
    assert safe("Größe [red] 陶 2") == "Größe [red] 陶 2"
    assert safe_bytes("Größe".encode() + b"\xff") == "Größe\\xff"


# --- words ------------------------------------------------------------------------------------


def test_every_reason_has_words_for_a_buyer() -> None:
    """A reason code that the policy or the review can give is explained."""
    codes = {reason.name.lower() for reason in Reason} | {
        "too_little_history",
        "stale_stock",
        "not_live",
    }
    assert set(REASONS) == codes
    assert set(FAMILIES) == {family.name.lower() for family in DemandFamily}
    assert set(FITS) == {check.name.lower() for check in FitCheck}


def test_the_costs_of_the_splits_are_compared() -> None:
    """Each split shows its cost, how much more it is than the chosen one, and which that is.

    One that is cheaper was ruled out by a limit: its cost says nothing, and is not shown.
    """
    costs = {"nothing": 9.0, "lean_only": 10.0, "flexible_only": None, "both": 1010.5}
    chosen = chosen_split({"quantity_lean_units": 3, "quantity_flexible_units": 0})
    rows = split_rows(costs, chosen, "EUR")
    assert [row[1:] for row in rows] == [
        ("ruled out", "", ""),
        ("10.00 EUR", "", "← chosen"),
        ("ruled out", "", ""),
        ("1,010.50 EUR", "+1,000.50", ""),
    ]


@pytest.mark.slow
def test_near_matches_stay_quick_with_many_items() -> None:
    """A quarter of a million SKUs do not make a slip of the finger slow."""
    skus = [f"sku-{number:06}" for number in range(250_000)]
    assert "sku-012345" in near_matches("SKU-012345", skus)
    assert near_matches("zebra", skus) == []


def test_server_that_ended_is_reported_with_its_log_alone() -> None:
    """Behind the end of a log no advice is read; nothing of `tidegate up` is left to look at."""
    code, text = outcome_of(ServerError("redis ended; the end of its log:\nBye"))
    assert (code, text.splitlines()[-1]) == (ExitCode.UNREACHABLE, "Bye")


def test_durations_show_two_units() -> None:
    """A time span is as exact as a person needs it."""
    assert [duration(s) for s in (0.2, 61, 90_000, 40_000_000)] == [
        "0 s",
        "1 min 1 s",
        "1 d 1 h",
        "1 y 97 d",
    ]


# --- waiting ----------------------------------------------------------------------------------


def shard_state(
    partition: int = 0,
    *,
    offset: int = 10,
    clock_ms: int = 5 * HOUR_MS,
    applied_ms: int | None = 4 * HOUR_MS,
    outbox: int = 0,
    silent_topic: str | None = None,
) -> ShardState:
    """A shard that read every topic up to one offset and one time."""
    clocks = {topic: NO_CLOCK if topic == silent_topic else clock_ms for topic in TOPICS}
    meta = ShardMeta(clocks, applied_ms, {}, {"day": 0}, 0, {})
    return ShardState(partition, 1, dict.fromkeys(TOPICS, offset), meta, outbox)


TARGET = Target({(topic, 0): 10 for topic in TOPICS}, 10_000, HOUR_MS)


@pytest.mark.parametrize(
    ("shards", "words"),
    [
        ([shard_state()], "nothing"),
        ([shard_state(offset=9)], "6 records are not in Redis yet"),
        ([], "60 records are not in Redis yet"),
        ([shard_state(applied_ms=3 * HOUR_MS)], "partitions 0 still decide, decided up to"),
        ([shard_state(applied_ms=None)], "partitions 0 still decide"),
        ([shard_state(outbox=2)], "2 orders, alerts or bad records are not published yet"),
        ([shard_state(silent_topic="stock", applied_ms=None)], "nothing"),
        ([shard_state(), shard_state(1, offset=0)], "nothing"),
    ],
)
def test_waiting_says_what_it_waits_for(shards: list[ShardState], words: str) -> None:
    """Everything is in Redis, decided and published; or what is not is named."""
    left = remaining(shards, TARGET)
    assert str(left).startswith(words)
    assert left.is_nothing == (words == "nothing")


class Unmoving:
    """A Redis in which nothing moves any more."""

    def shards(self) -> list[ShardState]:
        """Two orders are decided and not published."""
        return [shard_state(outbox=2)]


def test_wait_ends_when_only_a_person_can_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cause is an approval, not the broker; what else holds orders ends by itself."""
    monkeypatch.setattr(wait, "_ASK_SECONDS", 0.0)
    still: Any = Unmoving()
    asked = iter([{HoldReason.STARTING: 2}, {HoldReason.APPROVAL: 1, HoldReason.PAUSED: 1}])
    with pytest.raises(CommandError, match="1 order waits for an approval") as caught:
        wait.wait_until_reached(still, TARGET, print, print, lambda: next(asked))
    assert caught.value.code == ExitCode.NO
    assert "1 order waits because of a pause" in str(caught.value)


# --- doctor -----------------------------------------------------------------------------------


def statuses(checks: list[Any]) -> list[str]:
    return [str(check.status) for check in checks]


def test_doctor_sees_topics_that_do_not_fit() -> None:
    """Missing topics and inputs that are not co-partitioned fail, and say what to do."""
    settings = load_settings()
    good = dict.fromkeys(all_topics(), 4)
    assert statuses(check_topics(good, settings)) == ["ok", "ok"]
    assert statuses(check_topics({**good, "stock": 3}, settings)) == ["ok", "fail"]
    without = {name: count for name, count in good.items() if name != "alerts"}
    missing = check_topics(without, settings)[0]
    assert (missing.status, "alerts" in missing.finding) == (Status.FAIL, True)
    assert statuses(check_topics({}, settings)) == ["warn"]


@pytest.mark.parametrize(
    ("info", "status"),
    [
        ({"redis_version": "7.2.4"}, "ok"),
        ({"redis_version": "6.2.1"}, "fail"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "ok"),
        ({"redis_version": "8"}, "ok"),
    ],
)
def test_doctor_sees_an_old_redis(info: dict[str, str], status: str) -> None:
    """Redis must be 7.2 or newer; Valkey counts by its own version."""
    assert str(check_version(info).status) == status


@pytest.mark.parametrize(
    ("policy", "limit", "used", "status", "said"),
    [
        ("noeviction", 0, 500, "ok", "500.0 MB used of no limit, policy noeviction"),
        ("noeviction", 1_000, 899, "ok", "899.0 MB used of 1,000.0 MB (90%)"),
        ("noeviction", 1_000, 900, "warn", "raise its maxmemory"),
        ("noeviction", 1_000, 1_001, "fail", "raise its maxmemory"),
        ("volatile-lru", 1_000, 1, "ok", "policy volatile-lru"),
        ("volatile-ttl", 1_000, 950, "warn", "raise its maxmemory"),
        ("allkeys-lru", 1_000, 1, "fail", "CONFIG SET maxmemory-policy noeviction"),
        ("allkeys-random", 0, 1, "warn", "CONFIG SET maxmemory-policy noeviction"),
        (None, 1_000, 1, "warn", "could not be checked"),
    ],
)
def test_doctor_sees_a_redis_that_forgets_or_is_nearly_full(
    policy: str | None, limit: int, used: int, status: str, said: str
) -> None:
    """A server that evicts keys loses state; Tidegate's never expire, so volatile ones do not."""
    check = check_memory(Memory(policy, limit << 20, used << 20))
    assert str(check.status) == status
    assert said in f"{check.finding}; {check.advice}"


@pytest.mark.parametrize(
    ("shards", "end", "found"),
    [
        ([shard_state()], 10, ["ok"]),
        ([shard_state()], 50_000, ["warn"]),
        ([shard_state()], 0, ["fail"]),
        ([shard_state(outbox=50_000)], 10, ["warn"]),
        ([shard_state(silent_topic="stock")], 10, ["warn"]),
        ([shard_state(), shard_state(7)], 10, ["fail", "ok", "ok"]),
        ([], 10, ["warn"]),
    ],
)
def test_doctor_sees_how_far_shards_are(
    shards: list[ShardState], end: int, found: list[str]
) -> None:
    """A shard is at the end of its logs, or behind, or ahead of a broker that lost them."""
    ends = {(topic, 0): end for topic in input_topics()}
    assert statuses(check_shards(shards, ends, load_settings())) == found


@pytest.mark.parametrize(
    ("judged_ms", "status", "said"),
    [
        (0, "", ""),  # nothing yet
        (3 * HOUR_MS, "ok", "are judged to 1970-01-01 03:00"),
        (HOUR_MS, "warn", "partition 1 is decided to 1970-01-01 02:00"),
    ],
)
def test_doctor_says_which_partition_the_groups_wait_for(
    judged_ms: int, status: str, said: str
) -> None:
    """They are as far as the slowest partition."""
    owner, slow = shard_state(applied_ms=4 * HOUR_MS), shard_state(1, applied_ms=2 * HOUR_MS)
    assert owner.meta is not None
    owner.meta.groups = GroupsMeta(judged_ms)
    checks = check_groups([owner, slow])
    assert [str(check.status) for check in checks] == [status] * bool(status)
    assert said in "".join(check.finding for check in checks)


@pytest.mark.parametrize("reason", HoldReason)
def test_doctor_says_why_orders_wait(reason: HoldReason) -> None:
    """Whatever holds a partition or an order is named, and what to do about it."""
    state = AuditState(closed={3: [reason]})
    gate, held = check_handover(state, {reason: 7})
    assert "partition 3" in gate.finding
    assert reason in gate.finding
    assert f"7 {reason}" in held.finding
    assert gate.advice
    assert held.advice
    assert [check.status for check in (gate, held)] == [Status.WARN, Status.WARN]


def test_doctor_says_who_paused_what_and_how_to_go_on() -> None:
    """By its id, which `resume` takes; without any hold it says that orders go out."""
    pause = Pause(hold_id="au-7", who="ada", why="wrong price", since="now", supplier="acme")
    (found,) = check_handover(AuditState(pauses={"au-7": pause}), {})
    assert "supplier acme, by ada" in found.finding
    assert "tidegate resume au-7" in found.advice
    (calm,) = check_handover(AuditState(), {})
    assert calm.status == Status.OK


# --- explain ----------------------------------------------------------------------------------


def purchase_order(quantity: int, **inputs: Any) -> PurchaseOrder:
    """An order whose policy answer is known: nothing sells, and three units are owed."""
    known = {
        "on_hand_units": 0,
        "backlog_units": 3,
        "on_order_lean_units": 0,
        "on_order_flexible_units": 0,
        "inventory_position_units": -3.0,
        "demand_mean_units_per_day": 0.0,
        "demand_sd_units_per_day": 0.0,
        "allow_lean": True,
        "unit_cost_lean": 10.0,
        "unit_cost_flexible": 13.0,
        "setup_cost_lean": 90.0,
        "setup_cost_flexible": 9.0,
        "lead_time_days_lean": 4.0,
        "lead_time_days_flexible": 2.0,
        "review_period_days": 7.0,
        "holding_cost_per_unit_day": 0.01,
        "backorder_cost_per_unit_day": 0.5,
        "service_target": 0.95,
        "service_type": 1,
        "lean_capacity_units": None,
        "minimum_order_units_lean": 0,
        "minimum_order_units_flexible": 0,
        "pack_size_units_lean": 1,
        "pack_size_units_flexible": 1,
    }
    return PurchaseOrder(
        po_id="po-1",
        sku="lamp",
        warehouse="main",
        supplier="Fast & Co",
        supplier_role=SupplierRole.FLEXIBLE,
        occasion=Occasion.REGULAR,
        quantity=quantity,
        unit_cost=13.0,
        currency="EUR",
        window_started_at="2026-01-01T00:00:00Z",
        decided_at="2026-01-01T00:00:00Z",
        expected_at="2026-01-03T00:00:00Z",
        method="no_demand",
        reason="no_demand",
        inputs={**known, **inputs},
        candidates=Candidates(nothing=10.5, lean_only=126.0, flexible_only=51.0, both=166.5),
    )


def test_a_recorded_order_is_computed_again() -> None:
    """The record alone gives the same; a forged quantity, cost or reason is noticed by name."""
    order = purchase_order(3)
    again = recompute_order(order)
    assert (again["quantity_flexible_units"], again["reason"]) == (3, "no_demand")
    assert agrees(order, again)
    assert not agrees(purchase_order(4), again)
    dear = replace(order, candidates=replace(order.candidates, lean_only=125.0), reason="pack_size")
    assert [one.name for one in differences(dear, again)] == ["reason", "expected_cost_lean_only"]


def sold(**changes: Any) -> PurchaseOrder:
    """An order from the dynamic program, as the review writes it."""
    known = purchase_order(1).inputs | {
        "on_hand_units": 10,
        "backlog_units": 0,
        "inventory_position_units": 10.0,
        "observed_days": 40,
        "demand_level_units_per_day": 5.0,
        "demand_planned_units_per_day": 1.5,
        "demand_mean_units_per_day": 6.5,
        "demand_sd_units_per_day": 4.0,
        "demand_family": "negative_binomial",
        "demand_fit": "overdispersed",
        **changes,
    }
    again = recompute({name: known[name] for name in POLICY_INPUTS if name in known})
    splits = ("lean_only", "flexible_only", "both_lean", "both_flexible")
    costs = ("purchase", "setup", "holding", "backorder")
    shares = ("gap", "cycle_service", "review_service", "fill_rate")
    money = ("policy_cost_per_day", "break_even_fast_unit")
    return replace(
        purchase_order(again["quantity_lean_units"], **known),
        supplier_role=SupplierRole.LEAN,
        supplier="Slow & Co",
        unit_cost=again["order_unit_cost_lean"],
        reason=again["reason"],
        method=again["method"],
        candidates=Candidates(
            **{split: round(again[f"expected_cost_{split}"], 2) for split in SPLITS}
        ),
        candidate_units=CandidateUnits(**{s: again[f"candidate_{s}_units"] for s in splits}),
        expected=Expected(
            **{f"{cost}_cost": round(again[f"expected_{cost}_cost"], 2) for cost in costs},
            **{name: round(again[name], 6) for name in shares},
            **{name: round(again[name], 2) for name in money},
        ),
    )


def test_an_order_is_reported_as_a_story() -> None:
    """Stock, demand and what it rests on, candidates, what bound it, what a fast unit is worth."""
    order = sold()
    again = recompute_order(order)
    assert differences(order, again) == []
    basis = basis_text(order.inputs)
    assert "negative binomial" in basis
    assert "40 days seen" in basis
    assert "campaigns are planned to add 1.5" in basis
    assert "a position of 10 units" in stock_text(order.inputs)
    assert "6.5 units a day ± 4" in demand_text(order.inputs)
    rows = candidate_rows(order, again)
    assert [row[0] for row in rows] == list(SPLITS.values())
    assert sum("← chosen" in row for row in rows) == 1
    story = " ".join(why_lines(order, again))
    for words in ("Ordered at this review", "earlier saves", "Found exactly", "stock lasts"):
        assert words in story
    assert "None" not in story


def test_an_order_of_an_older_version_is_reported_too() -> None:
    """Records without parts and family are explained by what they have."""
    order = purchase_order(3)
    again = recompute_order(order)
    assert basis_text(order.inputs) == "not recorded"
    assert len(why_lines(order, again)) == 2


def test_an_incomplete_record_is_named() -> None:
    """A record that the policy refuses names field, rule and value."""
    with pytest.raises(CommandError, match="service_target must be"):
        recompute_order(purchase_order(3, service_target=7.0))
