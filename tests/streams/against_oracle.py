"""A run compared with the plain reading of `tests.oracle`: counts, sums, history, stock."""

from streams.contracts.events import TOPICS
from streams.settings import ShardSettings
from tests.oracle import DAY, HOUR, MINUTE, Oracle
from tests.streams.logs import Logs
from tests.streams.runs import SETTINGS, Run

_WIDTHS = {"minute": MINUTE, "hour": HOUR, "day": DAY}


def oracle_of(settings: ShardSettings = SETTINGS) -> Oracle:
    """An oracle with the shard's time rules."""
    return Oracle(allowed_lateness_ms=settings.allowed_lateness_ms, grace_ms=settings.grace_ms)


def read_by_oracle(logs: Logs, settings: ShardSettings = SETTINGS) -> Oracle:
    """Read logs record by record."""
    oracle = oracle_of(settings)
    for topic, log in logs:
        for value, written_ms in log:
            oracle.read(topic, value, written_ms)
    return oracle


def require_as_oracle(run: Run, logs: Logs) -> None:
    """Fail where a run that has advanced to its watermark differs from the oracle."""
    oracle = read_by_oracle(logs, run.settings)
    _check_counts(run, oracle)
    _check_rings(run, oracle)
    _check_history(run, oracle)
    if oracle.watermark is not None:
        _check_stock(run, oracle)
        _check_lines(run, oracle)


def _check_counts(run: Run, oracle: Oracle) -> None:
    for topic in TOPICS:
        for outcome in ("folded", "duplicate", "late", "dead_lettered", "heartbeat"):
            found, expected = run.shard.counts[f"{topic}:{outcome}"], oracle.counts[topic, outcome]
            assert found == expected, f"{topic}:{outcome}: {found}, not {expected}"


def _check_rings(run: Run, oracle: Oracle) -> None:
    items = run.shard.timeline.items
    for name, ring in run.shard.rings.items():
        if oracle.newest_sale >= 0:
            assert ring.newest == oracle.newest_sale // _WIDTHS[name]
        for bucket in ring.buckets():
            cells = ring.of_bucket(bucket)
            for place, item in enumerate(items.names):
                expected = oracle.buckets.get((_WIDTHS[name], bucket, item))
                figures = expected.figures() if expected else (0, 0, 0)
                assert tuple(cells[place].tolist()[:3]) == figures, (name, bucket, item)


def _check_history(run: Run, oracle: Oracle) -> None:
    days = {
        (bucket, f"{name[0]}@{name[1]}"): (*sums.figures(), sums.cancelled, sums.returned)
        for (width, bucket, name), sums in oracle.buckets.items()
        if width == DAY
    }
    assert {key: cell for key, cell in run.days.items() if any(cell)} == days


def _check_stock(run: Run, oracle: Oracle) -> None:
    timeline = run.shard.timeline
    assert run.shard.watermark_ms == oracle.watermark
    tick_ms = run.settings.timeline.tick_ms
    assert timeline.applied_ms == oracle.watermark // tick_ms * tick_ms
    stocks = oracle.stocks(timeline.applied_ms)
    for place, item in enumerate(timeline.items.names):
        row, stock = timeline.items.rows[place], stocks[item]
        found = [int(row[name]) for name in _STOCK_FIELDS]
        assert found == [
            *(stock.on_hand, stock.backlog, stock.counted_at),
            *(stock.cancelled, stock.returned),
        ], item


def _check_lines(run: Run, oracle: Oracle) -> None:
    """What is open of each order, and that a backlog is the sum of it."""
    timeline = run.shard.timeline
    found = sorted(
        (timeline.items.names[int(line["item"])], int(line["open_units"]))
        for line in timeline.state.open_lines.unsettled()
    )
    stocks = oracle.stocks(timeline.applied_ms or 0)
    assert found == sorted(
        (item, line.left)
        for item, stock in stocks.items()
        for line in stock.lines.values()
        if line.left
    )
    rows = timeline.state.rows()
    assert rows["open_line_units"].tolist() == rows["backlog_units"].tolist()


_STOCK_FIELDS = (
    *("on_hand_units", "backlog_units", "counted_at_ms"),
    *("cancelled_units", "returned_units"),
)
