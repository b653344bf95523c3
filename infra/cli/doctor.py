"""`tidegate doctor`: is everything there, does it fit together, does it move; and what to do."""

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from rich.text import Text

from infra.cli.pause import what_is_paused
from infra.cli.terminal.failures import ExitCode, outcome_of
from infra.cli.terminal.options import NOT_GIVEN, Connection, Json
from infra.cli.terminal.output import make_console, make_table
from infra.control.entries import AuditState
from infra.control.holds import read_waiting_orders
from infra.control.log import read_audit
from infra.kafka.options import client_options
from infra.kafka.topic_reader import TopicReadError, log_ends, open_consumer, partition_counts
from infra.redis.options import connection_options, keys_of
from infra.redis.reader import Reader, ShardState, connect
from infra.redis.rows import StateError
from infra.redis.state_keys import ShardHash, StateKeys
from infra.redis.upgrades import OLDEST_VERSION
from infra.settings import STATE_FILE, Settings, SettingsError, without_password
from infra.wording.format import moment, number
from streams.contracts.topics import all_topics, audit_topic, input_topics
from streams.handover.rules import HoldReason
from streams.shard.checkpoint import STATE_VERSION

if TYPE_CHECKING:
    from redis import Redis

_OLDEST_REDIS = (7, 2)
_ADMIN_SECONDS = 3.0
_LAG_WORTH_A_WARNING = 10_000
_OUTBOX_WORTH_A_WARNING = 1_000
_HOLD_ADVICE = "they are published when the reason ends, or after `tidegate resume`"
_PROBE_SECONDS = 10  # the probe's key forgets itself, should the deletion fail


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    status: Status
    finding: str
    advice: str = ""


def doctor(*, as_json: Json = False, connection: Connection = NOT_GIVEN) -> ExitCode:
    """Check settings, broker, topics, Redis and workers; say what is wrong and what to do.

    Exit code 1: something fails. Warnings alone are no failure.

    Args:
        as_json: one JSON object with all checks.
    """
    checks = list(_examine(connection))
    failed = any(check.status == Status.FAIL for check in checks)
    if as_json:
        print(json.dumps({"healthy": not failed, "checks": [_record(check) for check in checks]}))
    else:
        _show(checks)
    return ExitCode.NO if failed else ExitCode.OK


def _record(check: Check) -> dict[str, str]:
    return {
        "name": check.name,
        "status": str(check.status),
        "finding": check.finding,
        "advice": check.advice,
    }


def _show(checks: list[Check]) -> None:
    styles = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}
    rows = [
        (Text(str(check.status), style=styles[check.status]), check.name, _said(check))
        for check in checks
    ]
    console = make_console()
    console.print(make_table([("", False), ("", False), ("", False)], rows))
    worst = Status.OK
    for status in (Status.WARN, Status.FAIL):
        worst = status if any(check.status == status for check in checks) else worst
    words = {
        Status.OK: "all is well",
        Status.WARN: "it works; look at the warnings",
        Status.FAIL: "something is wrong: see what each failing line advises",
    }
    console.print(words[worst], style=styles[worst])


def _said(check: Check) -> str:
    return f"{check.finding} — {check.advice}" if check.advice else check.finding


# --- the examination --------------------------------------------------------------------------


def _examine(connection: Connection) -> Iterator[Check]:
    try:
        settings = connection.settings()
        client_options(settings)
        connection_options(settings)
    except SettingsError as error:
        yield Check("settings", Status.FAIL, str(error), "correct it; nothing else can be checked")
        return
    yield Check("settings", Status.OK, f"Kafka {settings.kafka_bootstrap}, {_redis_name(settings)}")
    counts, ends, kafka_checks = asyncio.run(_examine_kafka(settings))
    yield from kafka_checks
    shards, redis_checks = _examine_redis(settings)
    yield from redis_checks
    if shards is not None and counts is not None:
        yield from check_shards(shards, ends, settings)
    if counts is not None and counts.get(audit_topic(settings.topic_prefix)):
        yield from _examine_handover(settings)
    yield from _examine_admin(connection, settings)


def _redis_name(settings: Settings) -> str:
    return f"Redis {without_password(settings.redis_url)}"


# --- Kafka ------------------------------------------------------------------------------------

Ends = Mapping[tuple[str, int], int]  # (topic without prefix, partition) -> where its log ends


async def _examine_kafka(settings: Settings) -> tuple[dict[str, int] | None, Ends, list[Check]]:
    try:
        counts = await partition_counts(settings)
        checks = check_topics(counts, settings)
        ends = await _end_offsets(settings, counts)
    except (KafkaError, OSError) as error:
        advice = "start the broker, or set kafka_bootstrap (TIDEGATE_KAFKA_BOOTSTRAP)"
        text = outcome_of(error)[1].split(";")[0]
        return None, {}, [Check("broker", Status.FAIL, text, advice)]
    found = Check("broker", Status.OK, f"answers, with {number(len(counts))} topics")
    return counts, ends, [found, *checks]


async def _end_offsets(settings: Settings, counts: Mapping[str, int]) -> Ends:
    places = [
        TopicPartition(topic, partition)
        for topic in input_topics(settings.topic_prefix)
        for partition in range(counts.get(topic, 0))
    ]
    if not places:
        return {}
    async with open_consumer(settings, places) as consumer:
        ends = await log_ends(consumer, places)
    prefix = settings.topic_prefix
    return {(place.topic.removeprefix(prefix), place.partition): end for place, end in ends.items()}


def check_topics(counts: Mapping[str, int], settings: Settings) -> list[Check]:
    """Return whether all topics are there and the inputs have the same number of partitions."""
    prefix = settings.topic_prefix
    missing = [name for name in all_topics(prefix) if not counts.get(name)]
    inputs = {name: counts[name] for name in input_topics(prefix) if counts.get(name)}
    checks = []
    if len(missing) == len(all_topics(prefix)):
        named = f" with prefix {prefix!r}" if prefix else ""
        advice = "start a worker (`tidegate worker`): it makes them"
        return [Check("topics", Status.WARN, f"none of Tidegate's topics{named} is there", advice)]
    if missing:
        checks.append(
            Check(
                "topics",
                Status.FAIL,
                f"missing: {', '.join(missing)}",
                "start a worker: it makes them",
            )
        )
    else:
        checks.append(Check("topics", Status.OK, f"all {len(all_topics(prefix))} are there"))
    numbers = sorted(set(inputs.values()))
    if len(numbers) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in inputs.items())
        advice = "make them alike: a sku must have the same partition in each"
        checks.append(Check("partitions", Status.FAIL, f"the inputs differ: {listed}", advice))
    elif numbers:
        checks.append(Check("partitions", Status.OK, f"{numbers[0]} in every input topic"))
    return checks


# --- Redis ------------------------------------------------------------------------------------


def _examine_redis(settings: Settings) -> tuple[list[ShardState] | None, list[Check]]:
    redis = connect(settings.redis_url, **connection_options(settings))
    try:
        info: dict[str, Any] = redis.info()
        checks = [
            check_version(info),
            _check_writing(redis, settings),
            check_eviction(info),
        ]
        stored = StateKeys(redis, keys_of(settings))
        versions = check_state_versions(stored.shards(stored.partitions()))
        checks += versions
        if any(check.status == Status.FAIL for check in versions):
            return None, checks  # this version cannot read what is there
        shards = Reader(redis, keys_of(settings)).shards()
        return shards, checks
    except StateError as error:
        advice = (
            "run the version that wrote it, or go back with `tidegate state import DIR --replace`"
        )
        return None, [*checks, Check("state", Status.FAIL, str(error), advice)]
    except (AuthenticationError, NoPermissionError) as error:
        advice = "set user and password in redis_url, and let the user read and write its keys"
        return None, [Check("redis", Status.FAIL, str(error), advice)]
    except (RedisError, OSError) as error:
        advice = "start Redis, or set redis_url (TIDEGATE_REDIS_URL)"
        return None, [Check("redis", Status.FAIL, str(error), advice)]
    finally:
        redis.close()


def check_version(info: Mapping[str, Any]) -> Check:
    """Return whether the server is new enough; Valkey names its own version beside Redis's."""
    is_valkey = "valkey_version" in info
    name = "Valkey" if is_valkey else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < _OLDEST_REDIS:
        advice = "Tidegate needs Redis or Valkey 7.2 or newer"
        return Check("redis", Status.FAIL, f"{name} {version} answers", advice)
    return Check("redis", Status.OK, f"{name} {version} answers")


def _check_writing(redis: "Redis", settings: Settings) -> Check:
    key = f"{settings.redis_prefix}doctor"
    try:
        redis.set(key, "1", ex=_PROBE_SECONDS)
        redis.delete(key)
    except RedisError as error:
        advice = "give this user the right to write, or point redis_url at the primary"
        return Check("redis writes", Status.FAIL, str(error), advice)
    return Check("redis writes", Status.OK, f"keys under {settings.redis_prefix!r} can be written")


def check_eviction(info: Mapping[str, Any]) -> Check:
    """Return whether Redis keeps what it is given."""
    policy = str(info.get("maxmemory_policy") or "")
    if not policy:
        return Check(
            "redis memory",
            Status.WARN,
            "Redis does not show its eviction policy",
            "it must be noeviction",
        )
    limit = int(info.get("maxmemory", 0))
    used = f"{info.get('used_memory_human', '?')} used of " + (
        str(info.get("maxmemory_human")) if limit else "no limit"
    )
    if policy != "noeviction":
        status = Status.FAIL if limit else Status.WARN
        advice = "CONFIG SET maxmemory-policy noeviction: an evicted key is lost state"
        return Check("redis memory", status, f"{used}, policy {policy}", advice)
    return Check("redis memory", Status.OK, f"{used}, policy noeviction")


def check_state_versions(shards: Mapping[int, ShardHash]) -> list[Check]:
    """Return whether this version of Tidegate can go on from the state that is there.

    Args:
        shards: by partition.
    """
    checks = []
    if begun := sorted(p for p, shard in shards.items() if shard.importing is not None):
        text = f"an import was begun and not finished in {_partitions(begun)}"
        advice = "run the same `tidegate state import` again: it goes on; workers wait for it"
        checks.append(Check("state import", Status.WARN, text, advice))
    counts = Counter(s.state_version for s in shards.values() if s.state_version is not None)
    if not counts:
        return checks
    listed = [
        f"{version} in {count} partition{'s' if count > 1 else ''}"
        for version, count in sorted(counts.items())
    ]
    text = f"state version {', '.join(listed)}"
    return [*checks, Check("state", *_version_status(counts.keys(), text))]


def _version_status(versions: Collection[int], text: str) -> tuple[Status, str, str]:
    newest, oldest = max(versions), min(versions)
    if newest > STATE_VERSION:
        advice = "run the newer Tidegate that wrote it, or `tidegate state import DIR --replace`"
        return Status.FAIL, f"{text}; this Tidegate knows none after {STATE_VERSION}", advice
    if oldest < OLDEST_VERSION:
        advice = f"run `tidegate worker` of a Tidegate that upgrades version {oldest} first"
        return Status.FAIL, f"{text}; this Tidegate upgrades none before {OLDEST_VERSION}", advice
    if oldest < STATE_VERSION:
        advice = (
            f"a worker upgrades a partition to {STATE_VERSION} at its first commit; to be able to "
            "go back, run `tidegate state export DIR` before"
        )
        return Status.WARN, text, advice
    return Status.OK, text, ""


def _partitions(numbers: Sequence[int]) -> str:
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


# --- shards -----------------------------------------------------------------------------------


def check_shards(shards: list[ShardState], ends: Ends, settings: Settings) -> list[Check]:
    """Return whether every partition has a shard, and how far each is behind its logs."""
    expected = {partition for _, partition in ends}
    present = {shard.partition for shard in shards}
    if not present:
        advice = "start a worker: `tidegate worker`"
        return [Check("shards", Status.WARN, "no worker has ever written here", advice)]
    checks = []
    if missing := sorted(expected - present):
        advice = "is a worker running? each partition gets its shard when it is first assigned"
        text = f"no shard of partitions {', '.join(map(str, missing))}"
        checks.append(Check("shards", Status.WARN, text, advice))
    if strange := sorted(present - expected):
        advice = "do redis_prefix and topic_prefix belong together?"
        text = f"shards of partitions that no topic has: {', '.join(map(str, strange))}"
        checks.append(Check("shards", Status.FAIL, text, advice))
    return [*checks, *(_check_shard(shard, ends, settings) for shard in shards)]


def _check_shard(shard: ShardState, ends: Ends, settings: Settings) -> Check:
    name = f"shard {shard.partition}"
    lags = {
        topic: end - shard.offsets.get(topic, 0)
        for (topic, partition), end in ends.items()
        if partition == shard.partition
    }
    ahead = [topic for topic, lag in lags.items() if lag < 0]
    if ahead:
        text = f"Redis is ahead of the logs of {', '.join(ahead)}"
        advice = "was the broker emptied, or is it the wrong one? delete these keys to start again"
        return Check(name, Status.FAIL, text, advice)
    behind = sum(lags.values())
    parts = [f"{number(behind)} records behind" if behind else "at the end of its logs"]
    if shard.applied_ms is not None:
        parts.append(f"decided up to {moment(shard.applied_ms)}")
    parts.append(f"{number(shard.outbox)} in the outbox")
    history = {} if shard.meta is None else shard.meta.history_from
    parts += [f"{topic} begins at offset {at}" for topic, at in sorted(history.items())]
    advice = _shard_advice(shard, behind, settings)
    return Check(name, Status.WARN if advice else Status.OK, ", ".join(parts), advice)


def _shard_advice(shard: ShardState, behind: int, settings: Settings) -> str:
    if behind > _LAG_WORTH_A_WARNING:
        return "is a worker running? ask again: the number should fall"
    if shard.outbox > _OUTBOX_WORTH_A_WARNING:
        return "orders and alerts wait to be published: can the worker write to Kafka?"
    if shard.meta is not None and shard.watermark_ms(0) is None and shard.offsets:
        silent = sorted(t for t, clock in shard.meta.clocks.items() if clock < 0)
        return (
            f"nothing is decided until every input topic has a record; empty: {', '.join(silent)}"
        )
    return ""


# --- hand-over --------------------------------------------------------------------------------


def _examine_handover(settings: Settings) -> list[Check]:
    try:
        audit, _ = asyncio.run(read_audit(settings))
        waiting = asyncio.run(read_waiting_orders(settings))
    except (KafkaError, RedisError, OSError, TopicReadError) as error:
        return [Check("hand-over", Status.FAIL, outcome_of(error)[1], "see above")]
    return check_handover(audit, Counter(order.reason for order in waiting if order.reason))


def check_handover(audit: AuditState, held: Mapping[HoldReason, int]) -> list[Check]:
    """Return whether purchase orders go out, and if not, who or what holds them."""
    checks = [
        Check(
            "paused",
            Status.WARN,
            f"{what_is_paused(pause)}, by {pause.who} since {pause.since}: {pause.why}",
            f"tidegate resume {pause.hold_id} --who NAME --why REASON",
        )
        for pause in audit.pauses.values()
    ]
    for partition, reasons in sorted(audit.closed.items()):
        text = f"partition {partition} is held: {', '.join(reasons)}"
        checks.append(Check("hand-over", Status.WARN, text, _HOLD_ADVICE))
    if held:
        listed = ", ".join(f"{number(count)} {reason}" for reason, count in sorted(held.items()))
        advice = "`tidegate export orders` lists them; `approved` or `released` frees one"
        checks.append(Check("held orders", Status.WARN, listed, advice))
    if not checks:
        checks.append(Check("hand-over", Status.OK, "purchase orders are published"))
    for fault in audit.faults:
        advice = "who could write to that topic? compare with a backup of it"
        checks.append(Check("audit log", Status.FAIL, fault, advice))
    return checks


# --- workers ----------------------------------------------------------------------------------


def _examine_admin(connection: Connection, settings: Settings) -> list[Check]:
    """Ask the worker that the state file names, if there is one."""
    if connection.state is None:
        return []
    try:
        url = json.loads((connection.state / STATE_FILE).read_text()).get("admin_url")
    except (OSError, ValueError):
        return []
    if not url:
        return [
            Check("worker", Status.WARN, f"{STATE_FILE} names no admin port", "wait, ask again")
        ]
    return [_ask_ready(str(url), settings)]


def _ask_ready(url: str, settings: Settings) -> Check:
    token = settings.secret("viewer_token") or settings.secret("operator_token")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/readyz", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_ADMIN_SECONDS) as reply:
            answer = json.load(reply)
    except urllib.error.HTTPError as error:
        reasons = "; ".join(json.load(error).get("reasons", [])) or f"HTTP {error.code}"
        return Check(
            "worker", Status.FAIL, f"not ready: {reasons}", f"see its log, and {url}/metrics"
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            text = f"{url} did not answer within {_ADMIN_SECONDS:g} s"
            return Check("worker", Status.WARN, text, "it is busy, or it hangs: ask again")
        advice = "did the worker end? start `tidegate up` again"
        return Check("worker", Status.FAIL, f"{url} does not answer: {reason}", advice)
    owned = answer.get("partitions", [])
    if not owned:
        return Check("worker", Status.WARN, "ready, and owns no partition", "too many workers?")
    listed = ", ".join(map(str, owned))
    if held := "; ".join(answer.get("handover", [])):
        text = f"ready, owns partitions {listed}, holds orders: {held}"
        return Check("worker", Status.WARN, text, _HOLD_ADVICE)
    return Check("worker", Status.OK, f"ready, owns partitions {listed} ({url})")
