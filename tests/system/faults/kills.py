"""Kill a worker again and again under load: `python -m tests.system.faults.kills --times 200`.

Every fourth kill meets a worker that is just taking over, the others one that works. The outcome
has to be, byte for byte, that of an undisturbed run over the same events; recovery times are shown
at the end. Moments are drawn from a seed that is printed, so that a run can be repeated.
"""

import argparse
import asyncio
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.progress import track

from tests.system.faults.lab import Lab
from tests.system.faults.laboratory import laboratory, made_up_events
from tests.system.support.running import WorkerUnderTest, timed

_LONGEST_LIFE_SECONDS = 6.0
_TAKEOVER_SHARE = 0.25
_SESSION_SECONDS = 2.0  # a dead worker's partitions move on after it: most of what a kill takes


@dataclass(frozen=True)
class Killed:
    """What happened."""

    times: int
    after_the_last_event: int
    ready_seconds: Sequence[float]  # from the start of a worker, where it was let live


async def _live_and_die(worker: WorkerUnderTest, lab: Lab, takeover_seconds: float) -> None:
    """Start, and die on the way to being ready or after a random while of work."""
    if lab.chance.random() < _TAKEOVER_SHARE:
        await worker.begin()
        await asyncio.sleep(lab.chance.uniform(0.0, takeover_seconds))
    else:
        await lab.time_recovery(worker.begin(), worker.wait_until_ready())
        await asyncio.sleep(lab.chance.uniform(0.0, _LONGEST_LIFE_SECONDS))
    worker.kill()


async def _kill(lab: Lab, times: int) -> Killed:
    tidegate = await lab.install(session_timeout_seconds=_SESSION_SECONDS)
    worker = await tidegate.add_worker()
    takeover_seconds = await timed(worker.wait_until_ready())
    await lab.kill_and_revive(worker)
    worker.kill()
    a_kill_seconds = lab.recovery_seconds[0] + _LONGEST_LIFE_SECONDS / 2
    replaying = lab.begin_replay(tidegate, times * (1 - _TAKEOVER_SHARE / 2) * a_kill_seconds)
    after_the_last_event = 0
    for _ in track(range(times), "killing"):
        await _live_and_die(worker, lab, takeover_seconds)
        after_the_last_event += replaying.done()
    await worker.begin()
    await lab.prove(tidegate, await replaying, patience_seconds=600.0)
    return Killed(times, after_the_last_event, lab.recovery_seconds)


async def _run(given: argparse.Namespace) -> Killed:
    events = made_up_events(given.events)
    async with laboratory(events, on_kafka=given.broker == "kafka") as make:
        lab = make("kills", random.Random(given.seed))
        with lab.equipment:
            return await _kill(lab, given.times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--events", type=int, default=200_000, help="about so many")
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    given = parser.parse_args()
    print(f"seed {given.seed}, {given.times} kills")
    done = asyncio.run(_run(given))
    median, worst = statistics.median(done.ready_seconds), max(done.ready_seconds)
    print(f"{done.times} kills, seed {given.seed}: 0 violations")
    print(f"{done.after_the_last_event} of them after the last event had been written")
    print(f"ready {median:.1f} s after a start (median), {worst:.1f} s at worst")
