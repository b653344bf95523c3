"""Many seeds in several processes, and what they came to."""

import gc
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence

from tests.simulation.simulate import Verdict, simulate

_SEEDS_AT_ONCE = 5


def in_processes(seeds: Iterable[int], processes: int) -> Iterator[Verdict]:
    """Yield verdicts as they come, without traces."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, initializer=_begin) as pool:
        yield from pool.imap_unordered(_without_trace, seeds, chunksize=_SEEDS_AT_ONCE)


def _begin() -> None:
    """What is imported by now stays for good, as in a worker; worlds are short-lived."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def _without_trace(seed: int) -> Verdict:
    verdict = simulate(seed)
    verdict.trace.clear()
    return verdict


def summary(verdicts: Sequence[Verdict]) -> str:
    """Say in one line what seeds came to."""
    failed = sum(verdict.violation is not None for verdict in verdicts)
    return (
        f"{len(verdicts):,} worlds, {failed} violations; "
        f"{sum(verdict.faults for verdict in verdicts):,} faults, "
        f"{sum(verdict.deaths for verdict in verdicts):,} ends of workers, "
        f"{sum(verdict.commits for verdict in verdicts):,} commits "
        f"and {sum(verdict.refusals for verdict in verdicts):,} refused ones, "
        f"{sum(verdict.orders for verdict in verdicts):,} purchase orders, "
        f"{sum(verdict.alerts_while_shut for verdict in verdicts):,} alerts while orders waited, "
        f"{sum(verdict.virtual_s for verdict in verdicts) / 3600:.1f} simulated hours"
    )
