"""What `tidegate item` says of one item."""

import pytest

from infra.cli.item import _show
from infra.cli.terminal.output import make_console
from tests.infra.page.test_incident_kinds import state_of
from tests.streams.logs import START_MS


@pytest.mark.parametrize(
    ("units", "said"),
    [
        (-5, "0 units on hand — COUNT THIS: by the record -5, because more left than was counted"),
        (0, "0 units on hand, last counted"),
        (7, "7 units on hand, last counted"),
    ],
)
def test_stock_below_nothing_is_a_fault_to_count(
    units: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shelf cannot hold less than nothing: people see 0 and what to do, programs the record."""
    state = state_of(on_hand_units=units, counted_at_ms=START_MS)
    _show(make_console(), state, None)
    assert said in " ".join(capsys.readouterr().out.split())
