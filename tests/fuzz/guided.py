"""Coverage-guided fuzzing of one target: `python -m tests.fuzz.guided decoder 60`, in seconds.

Needs Atheris, which is not among the locked tools (Linux on x86-64 only): `make fuzz-coverage`.
What is found goes on as a failure with its bytes, in a file `crash-...` of the working directory.
"""

import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType

import atheris

from tests.fuzz.targets import TARGETS, seeds

_LOOKED_AT = (
    *(
        "infra.replay.schemas",
        "infra.control.entries",
        "infra.replay.demand_history",
        "infra.settings",
        "infra.page.api",
    ),
    *("infra.cli.solve", "policy.sourcing.model", "streams.ingest.decode"),
)
_LONGEST_BYTES = 4_096


def main() -> None:
    """Fuzz what the command line names."""
    # Function by function, not by import: numba cannot compile what is instrumented.
    for name in _LOOKED_AT:
        for function in _functions_of(import_module(name)):
            atheris.instrument_func(function)
    target, seconds = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()[target]):
            Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={_LONGEST_BYTES}", "-seed=1"]
        atheris.Setup([sys.argv[0], corpus, *options], TARGETS[target])
        atheris.Fuzz()


def _functions_of(module: ModuleType) -> Iterator[FunctionType]:
    """Its functions, and the methods of its classes."""
    for one in vars(module).values():
        if getattr(one, "__module__", None) == module.__name__:
            for each in vars(one).values() if isinstance(one, type) else [one]:
                if isinstance(each, FunctionType):
                    yield each


if __name__ == "__main__":
    main()
