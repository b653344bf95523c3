"""In what a log differs from the one that the state was made from."""

import pytest

from streams.shard.logs import LogChange, LogIdentity, compare

KNOWN = LogIdentity("one", 4)


@pytest.mark.parametrize(
    ("known", "now", "end", "change"),
    [
        (KNOWN, None, 7, LogChange.MISSING),
        (KNOWN, LogIdentity("two", 4), 9, LogChange.RECREATED),
        (KNOWN, LogIdentity("one", 6), 9, LogChange.PARTITIONS),
        (KNOWN, KNOWN, 6, LogChange.SHORTER),
        (None, KNOWN, 0, LogChange.SHORTER),
        (KNOWN, KNOWN, 7, None),
        (KNOWN, KNOWN, None, None),
        (LogIdentity("", 4), KNOWN, 9, None),
        (KNOWN, LogIdentity("", 4), 9, None),
        (None, KNOWN, 9, None),
    ],
)
def test_log_is_compared_with_what_the_state_was_made_from(known, now, end, change):
    """Another id, another number of partitions, or an end before where the state stands."""
    found = compare(known, now, 7, end)
    assert (None if found is None else found.change) == change
