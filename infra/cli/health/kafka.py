"""The broker and its topics."""

from collections.abc import Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from infra.cli.health.check import Check, Server, Status, run_within
from infra.cli.terminal.failures import outcome_of
from infra.kafka.log_identities import LogIdentities
from infra.kafka.options import client_options
from infra.kafka.topic_admin import producers_times
from infra.kafka.topic_reader import (
    TopicReadError,
    held_back,
    log_ends,
    open_consumer,
    partition_counts,
)
from infra.settings import Settings
from infra.wording.format import number
from streams.contracts.topics import all_topics, input_topics
from streams.shard.logs import LogIdentity

Ends = Mapping[tuple[str, int], int]  # (topic without prefix, partition) -> where its log ends


def kafka_server() -> Server:
    """The broker as something to ask."""
    return Server(
        name="the broker",
        errors=(KafkaError, OSError, TopicReadError),
        explain=lambda error: outcome_of(error)[1].split(";")[0],
        advice="start the broker, or set kafka_bootstrap (TIDEGATE_KAFKA_BOOTSTRAP)",
        is_away=lambda error: not isinstance(error, TopicReadError),
    )


@dataclass(frozen=True, slots=True)
class InputLogs:
    """The input logs at this moment, by topics without prefix."""

    ends: Ends
    identities: Mapping[str, LogIdentity]


def examine_kafka(
    kafka: Server, settings: Settings
) -> tuple[Mapping[str, int] | None, InputLogs | None, list[Check]]:
    """Return the numbers of partitions by topic, the input logs, and what was found."""
    counts, checks = kafka.ask("broker", lambda: run_within(lambda: partition_counts(settings)))
    if counts is None:
        return None, None, [*checks, kafka.skipped("topics"), kafka.skipped("partitions")]
    checks.append(Check("broker", Status.OK, f"answers, with {number(len(counts))} topics"))
    checks += check_topics(counts, settings)
    logs, failed = kafka.ask("logs", lambda: run_within(lambda: read_logs(settings, counts)))
    inputs = input_topics(settings.topic_prefix)
    held, unasked = kafka.ask(
        "transactions", lambda: run_within(lambda: held_back(settings, inputs))
    )
    checks += [*failed, *unasked, *check_transactions(held or {}), *_clocks(kafka, settings, logs)]
    return counts, logs, checks


def _clocks(kafka: Server, settings: Settings, logs: InputLogs | None) -> list[Check]:
    """Warn of inputs whose records have their producers' times, where the broker can do better."""
    prefix = settings.topic_prefix
    names = (
        [prefix + topic for topic, one in logs.identities.items() if one.topic_id] if logs else []
    )
    if not names:
        return []
    odd, failed = kafka.ask(
        "clocks", lambda: run_within(lambda: producers_times(client_options(settings), names))
    )
    if not odd:
        return failed
    text = f"producers' clocks date the records of {', '.join(odd)}: one that is fast delays others"
    return [Check("clocks", Status.WARN, text, "set message.timestamp.type=LogAppendTime there")]


def check_transactions(held: Mapping[TopicPartition, int]) -> list[Check]:
    """Return a warning for each partition in which an open transaction holds records back."""
    advice = "let its producer commit or abort it; transaction.timeout.ms ends it at the latest"
    return [
        Check(
            "transactions",
            Status.WARN,
            f"one is open in {place.topic}/{place.partition}, {number(count)} records wait",
            advice,
        )
        for place, count in sorted(held.items())
    ]


async def read_logs(settings: Settings, counts: Mapping[str, int]) -> InputLogs:
    """Return the input logs at this moment.

    Args:
        settings: where the broker is.
        counts: of the partitions, by topics with prefix.

    Raises:
        KafkaError: no broker answers.
    """
    places = [
        TopicPartition(topic, partition)
        for topic in input_topics(settings.topic_prefix)
        for partition in range(counts.get(topic, 0))
    ]
    if not places:
        return InputLogs({}, {})
    async with open_consumer(settings, places) as consumer:
        ends = await log_ends(consumer, places)
    prefix = settings.topic_prefix
    asked = LogIdentities(client_options(settings))
    try:
        found = await asked.read(input_topics(prefix))
    finally:
        await asked.stop()
    return InputLogs(
        {(place.topic.removeprefix(prefix), place.partition): end for place, end in ends.items()},
        {topic.removeprefix(prefix): one for topic, one in found.items()},
    )


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
