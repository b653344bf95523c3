"""The file: events in the order of their arrival, some twice, some late, some unusable."""

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from infra.sale.bad_records import BadRecord, make_bad_records
from infra.sale.settings import SaleSettings, tell_story
from infra.sale.telling import (
    Telling,
    tell_catalog,
    tell_deliveries,
    tell_orders,
    tell_promotion,
    tell_stock_corrections,
)
from infra.sale.truth import tell_truth
from infra.sale.world import Flags, Ints, closed_stock, make_items, make_order_lines
from streams.timestamps import DAY_MS, HOUR_MS, MINUTE_MS

_DUPLICATE_SHARE = 0.003
_SLIGHTLY_LATE_SHARE = 0.003
_LATE_EVENTS = 20


@dataclass(frozen=True)
class Sale:
    """A synthetic sale."""

    lines: list[bytes]  # of the `tidegate` schema, in the order of their arrival
    truth: dict[str, Any]


def generate_sale(settings: SaleSettings | None = None) -> Sale:
    """Return the sale that belongs to the settings, always the same one."""
    settings = settings or SaleSettings()
    # A stream of random numbers for each part: a change in one leaves the others alone.
    seeds = np.random.SeedSequence(settings.seed).spawn(5)
    item_random, line_random, stock_random, arrival_random, bad_random = (
        np.random.Generator(np.random.PCG64(seed)) for seed in seeds
    )
    story = tell_story(settings)
    items = make_items(settings, item_random)
    lines = make_order_lines(settings, story, items, line_random)
    stocks = [closed_stock(item, lines) for item in story.closed_items]
    tellings = [
        *tell_catalog(settings, items, stocks),
        *tell_promotion(settings, story, items),
        *tell_orders(items, lines),
        *tell_deliveries(story, items, lines, stocks),
        *tell_stock_corrections(settings, story, items, stock_random),
    ]
    bad = make_bad_records(settings, items, bad_random)
    arrivals = _arrive(tellings, arrival_random)
    truth = tell_truth(settings, story, items, lines, stocks)
    truth["events"] = _count_events(tellings, arrivals, bad)
    truth["bad_records"] = _count_bad(bad)
    return Sale(_in_order(tellings, arrivals, bad), truth)


def write_sale(
    path: str | Path, truth_path: str | Path, settings: SaleSettings | None = None
) -> Sale:
    """Write the lines (gzip when the name ends in .gz) and the truth as JSON; return both."""
    sale = generate_sale(settings)
    with open(path, "wb") as file:
        _write(file, b"\n".join([*sale.lines, b""]), is_gzip=str(path).endswith(".gz"))
    Path(truth_path).write_text(json.dumps(sale.truth, indent=1) + "\n", encoding="utf-8")
    return sale


def _write(file: BinaryIO, content: bytes, *, is_gzip: bool) -> None:
    if not is_gzip:
        file.write(content)
        return
    # Neither name nor time in its head: the same sale gives the same bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed:
        packed.write(content)


@dataclass(frozen=True)
class _Arrivals:
    """When each event arrives, all tellings in a row, and which ones arrive again and when."""

    arrived_ms: Ints
    again: Ints
    again_ms: Ints
    slightly_late: int
    late: Ints
    lost: Ints


def _arrive(tellings: Sequence[Telling], random: np.random.Generator) -> _Arrivals:
    arrived_ms = np.concatenate([telling.occurred_ms for telling in tellings])
    lost = _flags(tellings, [telling.lost for telling in tellings])
    busy = _flags(tellings, [telling.topic in ("orders", "shipments") for telling in tellings])
    chosen = random.permutation(np.flatnonzero(busy & ~lost))
    slightly_late, late, again = np.split(
        chosen[: _slices(len(chosen))[-1]], _slices(len(chosen))[:-1]
    )
    lost_rows = np.flatnonzero(lost)
    for rows, earliest_ms, latest_ms in (
        (slightly_late, 5_000, MINUTE_MS),
        (late, 20 * MINUTE_MS, 40 * MINUTE_MS),
        (lost_rows, 3 * DAY_MS, 3 * DAY_MS + 6 * HOUR_MS),
    ):
        arrived_ms[rows] += random.integers(earliest_ms, latest_ms, len(rows))
    again_ms = arrived_ms[again] + random.integers(1_000, MINUTE_MS, len(again))
    return _Arrivals(arrived_ms, again, again_ms, len(slightly_late), late, lost_rows)


def _slices(count: int) -> list[int]:
    slightly_late = round(_SLIGHTLY_LATE_SHARE * count)
    late = slightly_late + _LATE_EVENTS
    return [slightly_late, late, late + round(_DUPLICATE_SHARE * count)]


def _flags(tellings: Sequence[Telling], values: Sequence[Flags | bool | None]) -> Flags:
    parts = [
        np.broadcast_to(np.asarray(bool(value) if value is None else value), len(telling.lines))
        for telling, value in zip(tellings, values, strict=True)
    ]
    return np.concatenate(parts).astype(np.bool_)


def _in_order(
    tellings: Sequence[Telling], arrivals: _Arrivals, bad: Sequence[BadRecord]
) -> list[bytes]:
    lines = [line for telling in tellings for line in telling.lines]
    lines += [lines[row] for row in arrivals.again]
    lines += [record.line for record in bad]
    bad_ms = np.array([record.at_ms for record in bad], np.int64)
    arrived_ms = np.concatenate([arrivals.arrived_ms, arrivals.again_ms, bad_ms])
    # Stable: what arrives in one instant keeps the order in which it is written.
    in_order = np.argsort(arrived_ms, kind="stable").tolist()
    return "\n".join([lines[row] for row in in_order]).encode().split(b"\n")


def _count_events(
    tellings: Sequence[Telling], arrivals: _Arrivals, bad: Sequence[BadRecord]
) -> dict[str, Any]:
    by_kind: dict[str, Counter[str]] = {}
    for telling in tellings:
        by_kind.setdefault(telling.topic, Counter())[telling.kind] += len(telling.lines)
    distinct = sum(counts.total() for counts in by_kind.values())
    return {
        "lines": distinct + len(arrivals.again) + len(bad),
        "distinct": distinct,
        "by_topic_and_kind": {topic: dict(counts) for topic, counts in by_kind.items()},
        "duplicates": _count_rows(tellings, arrivals.again),
        "bad": len(bad),
        "up_to_1_minute_late": arrivals.slightly_late,
        "20_to_40_minutes_late": _count_rows(tellings, arrivals.late),
        "3_days_late": _count_rows(tellings, arrivals.lost),
    }


def _count_rows(tellings: Sequence[Telling], rows: Ints) -> dict[str, int]:
    """Count rows of all tellings in a row by their topic."""
    ends = np.cumsum([len(telling.lines) for telling in tellings])
    owners = np.searchsorted(ends, rows, side="right").tolist()
    return dict(sorted(Counter(tellings[owner].topic for owner in owners).items()))


def _count_bad(bad: Sequence[BadRecord]) -> dict[str, Any]:
    by_topic_and_code: dict[str, Counter[str]] = {}
    for record in bad:
        by_topic_and_code.setdefault(record.topic, Counter())[record.code] += 1
    return {
        "by_code": dict(Counter(record.code for record in bad)),
        "by_topic_and_code": {topic: dict(codes) for topic, codes in by_topic_and_code.items()},
    }
