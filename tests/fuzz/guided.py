"""Coverage-guided fuzzing of one target: `python -m tests.fuzz.guided decoder 60`, in seconds.

Needs Atheris, which is not among the locked tools (Linux and x86-64 only): `pip install .[fuzz]`.
What is found goes on as a failure with its bytes, in a file `crash-...` of the working directory.
"""

import sys
import tempfile
from pathlib import Path

import atheris

# Not the modules of kernels: numba cannot compile what is instrumented.
_LOOKED_AT = [
    *("infra.adapters", "infra.audit", "infra.history", "infra.settings", "infra.page.api"),
    *("infra.cli.solving", "policy.sourcing_model", "streams.decode", "streams.events"),
]
_LONGEST_BYTES = 4_096


def main() -> None:
    """Fuzz what the command line names."""
    with atheris.instrument_imports(include=_LOOKED_AT):
        from tests.fuzz.targets import TARGETS, seeds
    name, seconds = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()[name]):
            Path(corpus, str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={_LONGEST_BYTES}", "-seed=1"]
        atheris.Setup([sys.argv[0], corpus, *options], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
