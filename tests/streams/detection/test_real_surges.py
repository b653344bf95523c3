"""Surges of a real autumn, replayed through the shard, beside labels made by rules."""

import json
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.bench.surges import read_year, replay, score

_WARM_DAY = "2011-09-20"  # the sample begins on the first: what is usual has to be learned


@pytest.mark.slow
def test_labelled_surges_of_a_real_autumn_are_told_on_their_day(shared_data: Path):
    """Three in four after three weeks of history; of a hundred bulk orders one at the most."""
    labels = json.loads((shared_data / "uci_online_retail_year2.labels.json").read_text())
    records = list(read_year(shared_data / "uci_sample_2011_autumn_300skus.jsonl.gz"))
    skus = {record.key.decode() for record in records}
    for kind in ("sku_surges_by_rule", "bulk_orders_by_rule"):
        labels[kind] = [
            one for one in labels[kind] if one["sku"] in skus and one["day"] >= _WARM_DAY
        ]
    found = score(replay(records, Settings().worker().shard), labels)
    assert found["labelled"] > 20
    assert found["told the same day"] >= 0.75 * found["labelled"], found["missed"]
    assert found["bulk begun"] <= max(1, 0.01 * found["bulk labelled"])
    assert found["known told"] == 0
