"""The benchmarks' own parts: the records are what they lease, and a tiny run goes through."""

import json
import os
import time

import msgspec
import numpy as np
import pytest
from aiokafka.partitioner import DefaultPartitioner

from streams.contracts.events import Item, Placed
from tests.bench import latency, memory, orders, throughput
from tests.bench.contenders import common, plain_shard
from tests.bench.harness import cpu_seconds, memory_bytes

FLOOD = orders.Flood(events=12_000, start_ms=1_700_000_000_000, items=50, events_per_second=4_000)


@pytest.fixture(scope="module")
def placed() -> list[tuple[int, str, Placed]]:
    """Partition, key and event of every record."""
    return [
        (partition, sku, event)
        for partition in range(FLOOD.partitions)
        for sku, value in FLOOD.records(partition)
        for event in common.decode([value])
    ]


def test_flood_has_the_events_it_promises(placed):
    """Every record is a valid order line with an id of its own, and `kind` stands first."""
    assert len(placed) == FLOOD.events == sum(map(FLOOD.count, range(FLOOD.partitions)))
    assert all(type(event) is Placed for _, _, event in placed)
    assert len({event.event_id for _, _, event in placed}) == FLOOD.events
    assert len({event.order_id for _, _, event in placed}) == FLOOD.events // 3
    assert next(FLOOD.records(0))[1].startswith(b'{"kind":"placed",')


def test_flood_lies_in_the_partitions_of_its_keys(placed):
    """The key is the sku, and the default partitioner would have chosen the same partition."""
    partitions = list(range(FLOOD.partitions))
    for partition, sku, event in placed[:: FLOOD.events // 200]:
        assert sku == event.sku
        assert DefaultPartitioner()(sku.encode(), partitions, partitions) == partition


def test_flood_advances_in_event_time(placed):
    """Times never go back in a partition, and cover events / rate seconds."""
    for partition in range(FLOOD.partitions):
        times = [str(event.occurred_at) for p, _, event in placed if p == partition]
        assert times == sorted(times)
    assert min(str(event.occurred_at) for _, _, event in placed) == "2023-11-14T22:13:20.000Z"
    assert max(str(event.occurred_at) for _, _, event in placed) == "2023-11-14T22:13:22.999Z"


def test_flood_is_the_same_each_time():
    """The same values give the same bytes; another first number gives other ids."""
    assert list(FLOOD.records(1)) == list(FLOOD.records(1))
    other = orders.Flood(FLOOD.events, FLOOD.start_ms, first=1)
    assert next(other.records(0))[1] != next(FLOOD.records(0))[1]


def test_catalog_of_the_benchmarks_is_valid():
    """The items that lie beside the orders follow the contract."""
    assert msgspec.json.decode(orders.item("lamp", 0), type=Item).sku == "lamp"


def test_latency_is_the_first_moment_at_which_an_offset_is_covered():
    """An order is visible when Redis says a next offset behind its own."""
    watch = object.__new__(latency.Watch)
    watch.seen = {0: [(3, 10.0), (5, 20.0)]}
    assert watch.times(0, np.array([0, 2, 3, 4])).tolist() == [10.0, 10.0, 20.0, 20.0]


def test_process_figures_grow_with_use():
    """CPU time and memory of a process are read in seconds and bytes."""
    before = cpu_seconds(os.getpid())
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert 0.1 < cpu_seconds(os.getpid()) - before < 2
    assert memory_bytes(os.getpid()) > 1_000_000


@pytest.mark.slow
def test_shard_comes_back_from_redis_in_a_fresh_process(redis_server, redis_url):
    """The memory benchmark builds, saves and loads a small shard."""
    module = plain_shard.__name__
    assert memory.in_fresh_process("build", module, 1_000, redis_url).items == 1_000
    assert memory.in_fresh_process("load", module, 1_000, redis_url).items == 1_000


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.parametrize("contender", ["floor", "by-hand", "ordinary"])
def test_tiny_run_measures_each_contender(tmp_path, capfd, contender):
    """Servers start, records load, each contender is measured, and the table is printed."""
    figures = tmp_path / "figures.json"
    arguments = ["--broker", "embedded", "--events", "30000", "--ordinary-events", "5000"]
    throughput.main([*arguments, "--items", "100", "--only", contender, "--json", str(figures)])
    measured = json.loads(figures.read_text())["measured"]
    assert all(each["seconds"] > 0 and each["events"] > 0 for each in measured)
    assert "Orders made durable" in capfd.readouterr().out
