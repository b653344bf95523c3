"""A shop over any number of partitions, with both stages, in memory."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from streams.contracts.alerts import Alert
from streams.contracts.topics import ALERTS
from streams.groups.facts import group_partition, read_facts
from streams.ingest.placement import home_of
from streams.settings import ShardSettings
from tests.streams.logs import Logs
from tests.streams.runs import SETTINGS, Run

SMALL = replace(SETTINGS, dedupe_keys=4_000, order_keys=4_000)


def spread(logs: Logs, partitions: int) -> list[Logs]:
    """The logs of each partition: records by their sku, heartbeats everywhere."""
    parts = [Logs() for _ in range(partitions)]
    for topic, log in logs:
        for value, written_ms in log:
            sku = msgspec.json.decode(value or b"", type=dict[str, object]).get("sku")
            homes = range(partitions)
            if sku is not None:
                homes = range(home := home_of(str(sku).encode(), partitions), home + 1)
            for partition in homes:
                parts[partition].add(topic, value, written_ms)
    return parts


def facts_of(logs: Logs, partitions: int, settings: ShardSettings) -> dict[int, list[bytes]]:
    """What each partition says of groups, in several records."""
    return {
        partition: _facts_of(part, _settings(settings, partitions), partition)
        for partition, part in enumerate(spread(logs, partitions))
    }


def _settings(settings: ShardSettings, partitions: int) -> ShardSettings:
    timeline = replace(settings.timeline, partitions=partitions)
    return replace(settings, timeline=timeline, dedupe_keys=4_000, order_keys=4_000)


def _facts_of(logs: Logs, settings: ShardSettings, partition: int) -> list[bytes]:
    run = Run(settings, partition=partition)
    for topic, log in logs:
        if log:
            run.read(topic, log)
    while not run.advance(40):  # a commit now and then, as in a worker
        run.commit()
    run.commit()
    return [value for value in run.facts_log if value is not None]


def judged(
    facts: Mapping[int, list[bytes]],
    settings: ShardSettings,
    *,
    seed: int = 0,
    extra: Iterable[bytes] = (),
) -> list[Alert]:
    """The alerts of the second stage, however the partitions' records lie among each other."""
    partitions = len(facts)
    run = Run(_settings(settings, partitions), partition=group_partition(partitions))
    left = {partition: list(values) for partition, values in facts.items() if values}
    chance = random.Random(seed)
    log: list[bytes | None] = []
    while left:
        partition = chance.choice(sorted(left))
        log.append(left[partition].pop(0))
        if not left[partition]:
            del left[partition]
    log += extra
    start = 0
    while start < len(log):
        stop = start + chance.randint(1, 5)
        run.shard.fold_facts(log[start:stop], start, min(stop, len(log)))
        start = stop
        if chance.random() < 0.3:
            run.commit()
    run.commit()
    alerts = (one.value for one in run.outputs if one.topic == ALERTS)
    return [msgspec.json.decode(value or b"", type=Alert) for value in alerts]


def by_boundary(facts: Mapping[int, list[bytes]]) -> dict[int, dict[int, bytes]]:
    """What was said of each boundary, by partition."""
    found: dict[int, dict[int, bytes]] = defaultdict(dict)
    for partition, values in facts.items():
        for value in values:
            for boundary in read_facts(value).boundaries:  # type: ignore[union-attr]
                found[boundary.at_ms][partition] = msgspec.json.encode(boundary)
    return found
