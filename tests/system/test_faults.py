"""Invariants 1 to 3: whatever is killed, frozen, cut, filled or moved, the outcome is the same."""

from collections.abc import Iterator

import pytest

from infra.embedded import EmbeddedRedis
from tests.conftest import Broker
from tests.system import network_faults, server_faults, worker_faults
from tests.system.conftest import Events, Reference
from tests.system.lab import Endings, parameters, run_scenarios

SCENARIOS = worker_faults.SCENARIOS | network_faults.SCENARIOS | server_faults.SCENARIOS


@pytest.fixture(scope="module")
def endings(
    request: pytest.FixtureRequest,
    broker: Broker,
    redis_server: EmbeddedRedis,
    events: Events,
    reference: Reference,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Endings]:
    """Run those scenarios that are asked for, side by side; return how each ended."""
    yield from run_scenarios(
        SCENARIOS, request, broker, redis_server, events, reference, tmp_path_factory
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", parameters(SCENARIOS))
def test_nothing_is_lost_doubled_or_decided_otherwise(name: str, endings: Endings) -> None:
    """Days, items, decisions, orders and alerts are, byte for byte, those of a run in peace."""
    ending = endings[name]
    if ending is not None:
        raise ending
