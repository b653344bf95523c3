"""`python -m infra.cli`: the command where it is not installed."""

from infra.cli import main

main()
