"""Every fault of the system tests, as often as you like: `python -m tests.system.faults --times 5`.

Each round has other moments, drawn from the seed. The outcome of every scenario has to be, byte for
byte, that of a run in peace. What is printed at the end is a table in Markdown; it ends with code 1
if there was any violation.
"""

import argparse
import asyncio
import logging
import random
import statistics
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.system.faults import network_faults, server_faults, worker_faults
from tests.system.faults.lab import Scenario, needs_kafka, run_all
from tests.system.faults.laboratory import MakeLab, laboratory, made_up_events

ALL: dict[str, Scenario] = (
    worker_faults.SCENARIOS
    | network_faults.SCENARIOS
    | server_faults.SCENARIOS
    | server_faults.LONG
)


@dataclass
class Tally:
    """What became of one fault over the rounds."""

    times: int = 0
    violations: list[BaseException] = field(default_factory=list)
    recovery_seconds: list[float] = field(default_factory=list)

    def row(self, name: str) -> str:
        """Return its line of the table."""
        known = self.recovery_seconds
        recovery = f"{statistics.median(known):.1f} s ({max(known):.1f} s)" if known else ""
        text = name.replace("_", " ")
        return f"| {text} | {self.times} | {len(self.violations)} | {recovery} |"


async def _round(
    make: MakeLab, number: int, seed: int, scenarios: Mapping[str, Scenario], at_once: int
) -> dict[str, Tally]:
    """Run each scenario once."""
    labs = [make(f"{name}-{number}", random.Random(f"{name}{seed}")) for name in scenarios]
    endings = await run_all(list(zip(labs, scenarios.values(), strict=True)), at_once)
    return {
        name: Tally(1, [] if ending is None else [ending], lab.recovery_seconds)
        for name, lab, ending in zip(scenarios, labs, endings, strict=True)
    }


async def _run(scenarios: Mapping[str, Scenario], given: argparse.Namespace) -> dict[str, Tally]:
    tallies = {name: Tally() for name in scenarios}
    async with laboratory(made_up_events(given.events), on_kafka=given.broker == "kafka") as make:
        for number in range(given.times):
            seed = given.seed + number
            print(f"round {number + 1} of {given.times}, seed {seed}", flush=True)
            for name, found in (await _round(make, number, seed, scenarios, given.at_once)).items():
                tallies[name].times += found.times
                tallies[name].violations += found.violations
                tallies[name].recovery_seconds += found.recovery_seconds
                for violation in found.violations:
                    print(f"{name}, seed {seed}:", flush=True)
                    traceback.print_exception(violation)
    return tallies


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return 1 if there was a violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ALL)}; none: all")
    parser.add_argument("--times", type=int, default=1, help="rounds")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--events", type=int, default=20_000, help="about so many")
    parser.add_argument("--at-once", type=int, default=3, help="scenarios side by side")
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="kafka")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(ALL):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = {name: ALL[name] for name in given.names or ALL}
    if given.broker == "embedded":
        left_out = [name for name in chosen if needs_kafka(chosen[name])]
        print(f"left out, they need Apache Kafka: {', '.join(left_out) or 'none'}")
        chosen = {name: one for name, one in chosen.items() if name not in left_out}
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of the test's own clients
    tallies = asyncio.run(_run(chosen, given))
    print("\n| fault | times | violations | recovery, median (worst) |\n|---|---|---|---|")
    for name, tally in tallies.items():
        print(tally.row(name))
    return int(any(tally.violations for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
