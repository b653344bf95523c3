"""`python -m tests.fuzz --records 1000000 --seed 7`: fold fuzzed records and count them."""

import argparse
import time

from tests.bench.progress import Progress
from tests.fuzz.folding import OUTCOMES, fold_fuzzed


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    started = time.monotonic()
    with Progress("records", given.records) as progress:
        outcomes = fold_fuzzed(given.seed, given.records, progress.update)
    updates = ", ".join(f"{outcomes[name]:,} {name}" for name in OUTCOMES)
    seconds = time.monotonic() - started
    print(f"seed {given.seed}: {given.records:,} records in {seconds:.0f} s: {updates}")


if __name__ == "__main__":
    main()
