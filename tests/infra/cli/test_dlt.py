"""How dead letters go back: not faster than they may."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.cli.dlt import paced
from infra.kafka.topic_reader import TopicRecord
from tests.simulation.loop import SimulatedLoop

RECORDS = [TopicRecord("orders.dlt", 0, offset, 0, None, None, []) for offset in range(3_000)]


@pytest.mark.slow
@settings(deadline=None)
@given(
    count=st.integers(0, len(RECORDS)), rate=st.sampled_from([0.5, 1.0, 9.0, 64.0, 1_000.0, 1e9])
)
def test_dead_letters_go_back_no_faster_than_they_may(count, rate):
    """All of them in their order, and in no stretch of time more than the rate and one piece."""
    loop = SimulatedLoop()
    try:
        sent = loop.run_until_complete(send(RECORDS[:count], rate, loop))
    finally:
        loop.close()
    assert [record for _, piece in sent for record in piece] == RECORDS[:count]
    done = 0
    for at_s, piece in sent:
        assert len(piece) <= max(1, rate / 10)
        assert done <= rate * at_s + 1e-6
        done += len(piece)


async def send(records, rate: float, loop: SimulatedLoop):
    """When each piece was sent, in virtual time."""
    return [(loop.time(), piece) async for piece in paced(records, rate)]


async def test_nobody_waits_after_the_last_piece():
    """One record goes back at once, whatever the rate."""
    assert [piece async for piece in paced(RECORDS[:1], 1e-9)] == [RECORDS[:1]]
