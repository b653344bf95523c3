"""A worker that has to end while nobody answers its shutdown."""

from pathlib import Path

from tests.conftest import Broker
from tests.system.support.running import Installation


async def test_worker_ends_though_its_broker_is_away(
    own_broker: Broker, redis_url: str, tmp_path: Path
) -> None:
    """SIGTERM ends it with 0 and within what a supervisor waits: all that matters is in Redis.

    Its consumer's thread and clients once waited for the broker without end.
    """
    tidegate = Installation(tmp_path, own_broker.bootstrap, redis_url, "shutdown-")
    try:
        await tidegate.make_topics()
        worker = await tidegate.add_ready_worker()
        own_broker.kill()
        code, seconds = await worker.end(60.0)
        assert code == 0, worker.log_tail()
        print(f"ended {seconds:.1f} s after SIGTERM")
    finally:
        tidegate.close()
