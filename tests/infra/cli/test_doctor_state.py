"""What `tidegate doctor` says of the state versions that are there."""

import pytest

from infra.cli.health.check import Status
from infra.cli.health.redis import check_state_versions
from infra.redis.state_files.keys import ShardHash
from infra.redis.state_files.records import Stand
from infra.redis.upgrades import OLDEST_VERSION
from streams.shard.checkpoint import STATE_VERSION


def shards(*versions: int | None) -> dict[int, ShardHash]:
    """Shards of some versions; None: claimed, and never committed."""
    return {
        partition: ShardHash(
            epoch=1,
            claim="",
            stand=None if version is None else Stand(1, "{}", ""),
            state_version=version,
            importing=None,
        )
        for partition, version in enumerate(versions)
    }


@pytest.mark.parametrize(
    ("versions", "status", "finding"),
    [
        ([STATE_VERSION] * 4, Status.OK, f"state version {STATE_VERSION} in 4 partitions"),
        (
            [STATE_VERSION, STATE_VERSION - 1, None, STATE_VERSION],
            Status.WARN,
            f"state version {STATE_VERSION - 1} in 1 partition, {STATE_VERSION} in 2 partitions",
        ),
        (
            [STATE_VERSION, 99],
            Status.FAIL,
            f"state version {STATE_VERSION} in 1 partition, 99 in 1 partition; this Tidegate knows "
            f"none after {STATE_VERSION}",
        ),
        (
            [OLDEST_VERSION - 1],
            Status.FAIL,
            f"state version {OLDEST_VERSION - 1} in 1 partition; this Tidegate upgrades none "
            f"before {OLDEST_VERSION}",
        ),
    ],
)
def test_versions_are_reported(versions, status, finding):
    """One line with every version; an older one waits for its worker, a newer one is an error."""
    (check,) = check_state_versions(shards(*versions))
    assert (check.name, check.status, check.finding) == ("state", status, finding)
    assert bool(check.advice) == (status != Status.OK)


def test_empty_redis_has_no_version():
    """A shard that was never committed has none either."""
    assert check_state_versions({}) == check_state_versions(shards(None)) == []


def test_unfinished_import_is_reported():
    """Workers wait for it, so people must know how to go on."""
    begun = ShardHash(epoch=1, claim="", stand=None, state_version=None, importing="word")
    first, second = check_state_versions({**shards(STATE_VERSION), 1: begun})
    assert first.status == Status.WARN
    assert first.finding == "an import was begun and not finished in partition 1"
    assert "tidegate state import" in first.advice
    assert second.status == Status.OK
