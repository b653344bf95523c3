"""The synthetic sale is deterministic, keeps its own truth, and tells its story."""

import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.replay.faults import Record, occurred_ms
from infra.replay.schemas import adapt
from infra.sale import Sale, SaleSettings, generate_sale, write_sale
from streams.ingest.decode import TopicDecoder

SMALL = SaleSettings(events=20_000, skus=200)
MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def sale() -> Sale:
    return generate_sale(SaleSettings(events=60_000))


@pytest.fixture(scope="module")
def records(sale: Sale) -> list[Record]:
    return list(adapt(sale.lines, schema="tidegate"))


@pytest.fixture(scope="module")
def events(sale: Sale) -> dict[str, dict[str, Any]]:
    """Distinct good events by their id."""
    found = (json.loads(line) for line in sale.lines)
    return {event["event_id"]: event for event in found if "key" not in event}


def of_kind(events: dict[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events.values() if event["kind"] == kind]


def is_within(event: dict[str, Any], part: dict[str, Any]) -> bool:
    in_window = bool(part["starts_at"] <= event["occurred_at"] < part["ends_at"])
    return in_window and event["sku"] in part["skus"]


@pytest.mark.slow
def test_same_seed_same_bytes(tmp_path: Path) -> None:
    """The file and its truth are a function of the settings, compressed or not."""
    names = [("a.jsonl.gz", "a.json"), ("b.jsonl.gz", "b.json"), ("c.jsonl", "c.json")]
    for name, truth in names:
        write_sale(tmp_path / name, tmp_path / truth, SMALL)
    first, second, plain = ((tmp_path / name).read_bytes() for name, _ in names)
    assert first == second
    assert gzip.decompress(first) == plain
    truths = {(tmp_path / truth).read_bytes() for _, truth in names}
    assert len(truths) == 1


def test_another_seed_is_another_sale() -> None:
    """Seeds matter."""
    other = generate_sale(SaleSettings(seed=8, events=20_000, skus=200))
    assert other.lines != generate_sale(SMALL).lines


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    events=st.integers(20_000, 40_000),
    skus=st.integers(200, 400),
    days=st.integers(5, 8),
)
def test_every_sale_agrees_with_its_truth(seed: int, events: int, skus: int, days: int) -> None:
    """Whatever the settings, lines are valid, in time order, about as many as asked, and add up."""
    sale = generate_sale(SaleSettings(seed=seed, events=events, skus=skus, days=days))
    records = list(adapt(sale.lines, schema="tidegate"))
    counted = sale.truth["events"]
    by_kind = sum(sum(kinds.values()) for kinds in counted["by_topic_and_kind"].values())
    assert by_kind == counted["distinct"]
    assert len(records) == len(sale.lines) == counted["lines"]
    assert counted["lines"] == by_kind + sum(counted["duplicates"].values()) + counted["bad"]
    assert len(sale.lines) == pytest.approx(events, rel=0.15)


@pytest.mark.slow
def test_days_are_exact(sale: Sale, events: dict[str, dict[str, Any]]) -> None:
    """Orders, lines and units by day and SKU are those of the order lines that came in time."""
    lost = lost_ids(sale)
    orders: dict[tuple[str, str], set[str]] = defaultdict(set)
    lines: Counter[tuple[str, str]] = Counter()
    units: Counter[tuple[str, str]] = Counter()
    for event in of_kind(events, "placed"):
        if event["event_id"] in lost:
            continue
        cell = (event["occurred_at"][:10], event["sku"])
        orders[cell].add(event["order_id"])
        lines[cell] += 1
        units[cell] += event["quantity"]
    expected = [[*cell, len(orders[cell]), lines[cell], units[cell]] for cell in sorted(lines)]
    assert sale.truth["days"] == expected
    assert sale.truth["totals"]["units"] == sum(units.values())


def lost_ids(sale: Sale) -> set[str]:
    """Ids of the events that arrive days after they happened."""
    newest_ms = 0
    lost = set()
    for line in sale.lines:
        event = json.loads(line)
        at_ms = occurred_ms(event["occurred_at"])
        newest_ms = max(newest_ms, at_ms)
        if newest_ms - at_ms > 24 * 60 * MINUTE_MS:
            lost.add(event["event_id"])
    return lost


def test_lines_stand_in_the_order_of_their_arrival(sale: Sale, records: list[Record]) -> None:
    """Only duplicates and the late events that the truth counts are older than what is before."""
    late: Counter[str] = Counter()
    newest_ms = 0
    for record in records:
        newest_ms = max(newest_ms, record.occurred_ms)
        minutes = (newest_ms - record.occurred_ms) / MINUTE_MS
        late["up to 2" if minutes <= 2 else "20 to 40" if 19 < minutes <= 40 else "more"] += 1
    counted = sale.truth["events"]
    assert late["20 to 40"] == sum(counted["20_to_40_minutes_late"].values()) == 20
    assert late["more"] == sum(counted["3_days_late"].values()) == 5


def test_duplicates_are_the_same_bytes(sale: Sale) -> None:
    """A producer's retry repeats its record; no other line comes twice."""
    counts = Counter(sale.lines)
    repeated = [line for line, count in counts.items() if count > 1]
    assert len(repeated) == sum(sale.truth["events"]["duplicates"].values()) > 100
    assert max(counts.values()) == 2


def test_each_bad_record_gets_the_code_that_the_truth_says(
    sale: Sale, records: list[Record]
) -> None:
    """Tidegate's own decoder refuses exactly the bad records, each for the expected reason."""
    written_ms = occurred_ms(sale.truth["ends_at"])
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for topic in ("catalog", "campaigns", "orders", "shipments", "stock"):
        values = [record.value for record in records if record.topic == topic]
        for reject in TopicDecoder(topic).decode(values, np.full(len(values), written_ms)).rejects:
            found[topic][reject.code] += 1
    expected = sale.truth["bad_records"]["by_topic_and_code"]
    assert {topic: dict(codes) for topic, codes in found.items()} == expected


def test_the_promotion_is_announced_and_comes(
    sale: Sale, events: dict[str, dict[str, Any]]
) -> None:
    """The announced SKUs sell as the campaign says, under its id; withdrawn ones are called off."""
    promotion = sale.truth["promotion"]
    planned = of_kind(events, "planned")
    assert {event["sku"] for event in planned} == {
        *promotion["skus"],
        *promotion["withdrawn_skus"],
    }
    assert all(event["occurred_at"] < promotion["starts_at"] for event in planned)
    sold = [event for event in of_kind(events, "placed") if is_within(event, promotion)]
    assert all(event["campaign_id"] == promotion["campaign_id"] for event in sold)
    expected_units = sum(
        event["expected_units"] for event in planned if event["sku"] in promotion["skus"]
    )
    assert sum(event["quantity"] for event in sold) == pytest.approx(expected_units, rel=0.15)
    withdrawn = {
        event["sku"] for event in of_kind(events, "cancelled") if event["topic"] == "campaigns"
    }
    assert withdrawn == set(promotion["withdrawn_skus"])


def test_the_surge_has_many_orders_and_no_announcement(
    sale: Sale, events: dict[str, dict[str, Any]]
) -> None:
    """The surging SKUs get several times the distinct orders of the same hours a day before."""
    surge = sale.truth["surge"]
    day_before = surge | {
        name: surge[name].replace("03-04", "03-03") for name in ("starts_at", "ends_at")
    }
    placed = of_kind(events, "placed")
    during, before = (
        len({event["order_id"] for event in placed if is_within(event, window)})
        for window in (surge, day_before)
    )
    assert during > 5 * before
    assert not any(event["sku"] in surge["skus"] for event in of_kind(events, "planned"))


def test_the_bulk_order_is_one_line_of_one_customer(
    sale: Sale, events: dict[str, dict[str, Any]]
) -> None:
    """One order line has far more units than any other."""
    bulk = sale.truth["bulk_order"]
    (line,) = [event for event in of_kind(events, "placed") if event["quantity"] == bulk["units"]]
    assert (line["sku"], line["order_id"]) == (bulk["sku"], bulk["order_id"])
    same_order = [e for e in of_kind(events, "placed") if e["order_id"] == bulk["order_id"]]
    assert same_order == [line]


@pytest.mark.parametrize("part", ["stock_out", "late_delivery"])
def test_closed_items_run_empty_and_are_filled_again(
    part: str, sale: Sale, events: dict[str, dict[str, Any]]
) -> None:
    """Nothing leaves while the shelf is empty; nothing but the announced delivery arrives."""
    reported = sale.truth[part]
    own = [
        e
        for e in events.values()
        if (e["sku"], e["warehouse"]) == (reported["sku"], reported["warehouse"])
    ]
    (item,) = [event for event in own if event["kind"] == "item"]
    assert item["assume_received"] is False
    sent = [event for event in own if event["kind"] == "dispatched"]
    before = sum(e["quantity"] for e in sent if e["occurred_at"] < reported["empty_from"])
    while_empty = [
        e for e in sent if reported["empty_from"] <= e["occurred_at"] < reported["received_at"]
    ]
    after = sum(e["quantity"] for e in sent if e["occurred_at"] >= reported["received_at"])
    assert before == reported["opening_units"] > 0
    assert while_empty == []
    assert 0 < reported["open_units_then"] <= after <= reported["received_units"]
    (received,) = [event for event in own if event["kind"] == "received"]
    assert received["occurred_at"] == reported["received_at"]


def test_the_late_delivery_is_promised_twice(sale: Sale, events: dict[str, dict[str, Any]]) -> None:
    """The lean supplier advises, moves the date, and is late even then."""
    reported = sale.truth["late_delivery"]
    (advised,), (delayed,) = of_kind(events, "advised"), of_kind(events, "delayed")
    assert advised["expected_at"] == reported["first_expected_at"] < delayed["expected_at"]
    assert delayed["expected_at"] == reported["then_expected_at"] < reported["received_at"]
    assert advised["po_id"] == delayed["po_id"] == reported["po_id"]


def test_lead_times_are_shorter_than_review_periods(events: dict[str, dict[str, Any]]) -> None:
    """The exact decision of the policy applies, and every item is reviewed during the sale."""
    items = of_kind(events, "item")
    assert {item["review_period_days"] for item in items} == {1, 2, 3}
    assert all(item["lead_time_days_lean"] < item["review_period_days"] for item in items)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"events": 10}, "events must be >= 20000, got 10"),
        ({"days": 4}, "days must be from 5 to 60, got 4"),
        ({"skus": 12}, "skus must be from 200 to 9999, got 12"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_a_wrong_setting_names_field_rule_and_value(wrong: dict[str, int], message: str) -> None:
    """A sale that cannot tell its story is refused."""
    with pytest.raises(ValueError, match=message):
        SaleSettings(**wrong)  # type: ignore[arg-type]
