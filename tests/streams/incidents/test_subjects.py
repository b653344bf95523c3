"""What an incident is about is said in words wherever its summary goes."""

import msgspec
import pytest

from streams.contracts.alerts import AlertKind, AlertState
from streams.incidents.kinds import INCIDENT_KINDS
from streams.incidents.records import alert

NOBODY = (None, None)
ITEM = ("campaign:x", "main")


@pytest.mark.parametrize(
    ("kind", "subject", "names", "summary"),
    [
        (AlertKind.DEAD_LETTERS, "inputs/1", NOBODY, "bad records on all topics, partition 1"),
        (
            AlertKind.STALE_INPUT,
            "orders/3",
            NOBODY,
            "nothing comes in on orders, partition 3, where orders were due",
        ),
        (
            AlertKind.BROAD_SURGE,
            "category:wall lamps",
            NOBODY,
            "many items of category wall lamps sell much faster than their baseline at once",
        ),
        (AlertKind.PLAN_SHORTFALL, "shop", NOBODY, "the shop sells well below its plan"),
        (
            AlertKind.PLAN_SHORTFALL,
            "campaign:x@main",
            ITEM,
            "campaign:x@main sells well below its plan",
        ),
    ],
)
def test_summary_names_its_subject_in_words(kind, subject, names, summary):
    """The demo's feed, webhooks and the page show the summary; the subject stays an id."""
    action = INCIDENT_KINDS[kind].actions[0]
    record = alert(kind, AlertState.RAISED, subject, names, 1000, 2000, {}, action=action)
    step = msgspec.json.decode(record.value)
    assert (step["subject"], step["summary"]) == (subject, summary)
