"""`python -m tests.simulation`: replay one seed with its trace, or run many."""

import argparse
import os
import sys
import time

from tests.bench.progress import Progress, console
from tests.simulation.many import in_processes, summary
from tests.simulation.simulate import Verdict, simulate


def main() -> int:
    """Run what the command line asks for; return 1 where an invariant does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--seed", type=int, help="replay this one and print its trace")
    what.add_argument("--seeds", type=int, help="run so many and print those that fail")
    parser.add_argument("--first", type=int, default=0, help="the first seed of many")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    if given.seed is not None:
        return replay(given.seed)
    return run_many(range(given.first, given.first + given.seeds), given.processes)


def replay(seed: int) -> int:
    """Print the trace of one seed and its verdict."""
    verdict = simulate(seed)
    print(*verdict.trace, sep="\n")
    print(f"seed {seed}: {tell(verdict)}")
    return 1 if verdict.violation else 0


def run_many(seeds: range, processes: int) -> int:
    """Run seeds, print those that fail, and what all of them came to."""
    started = time.monotonic()
    verdicts = []
    with Progress("worlds", len(seeds)) as progress:
        for verdict in in_processes(seeds, processes):
            verdicts.append(verdict)
            if verdict.violation:
                console.print(f"seed {verdict.seed}: {tell(verdict)}", markup=False)
            progress.update(len(verdicts))
    failed = sorted(verdict.seed for verdict in verdicts if verdict.violation)
    print(f"{summary(verdicts)}, {time.monotonic() - started:.0f} s")
    if failed:
        print(f"replay one: python -m tests.simulation --seed {failed[0]}")
    return 1 if failed else 0


def tell(verdict: Verdict) -> str:
    """Say in one line what a seed led to."""
    if verdict.violation is None:
        return f"holds; {summary([verdict])}"
    return f"VIOLATION: {verdict.violation}"


if __name__ == "__main__":
    sys.exit(main())
