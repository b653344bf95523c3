"""The command `tidegate`: one module a command, loaded only when the command is used."""

import sys


def main() -> None:
    """Run the command line and exit with a code that means something."""
    from infra.cli.app import run

    sys.exit(run(sys.argv[1:]))
