"""A worker that takes its time to decide, so that a fault surely finds it with work in hand.

The production command runs; only its thinking is slowed down, by the seconds that the environment
names, before each stretch of event time.
"""

import os
import sys
import time

from infra.cli import main
from streams.shard.shard import Shard

SECONDS_VARIABLE = "SLOW_WORKER_SECONDS"

_advance = Shard.advance


def _advance_slowly(self: Shard, limit: int = 1_000) -> bool:
    time.sleep(float(os.environ[SECONDS_VARIABLE]))
    return _advance(self, limit)


if __name__ == "__main__":
    Shard.advance = _advance_slowly  # type: ignore[method-assign]
    sys.exit(main())
