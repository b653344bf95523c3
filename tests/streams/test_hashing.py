"""Keys of texts and times of RFC 3339, many rows at a time."""

import datetime
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.hashing import hash_texts
from streams.timestamps import BAD_TIMESTAMP, one_time, parse_times
from tests.oracle import milliseconds

TEXTS = st.lists(st.text(max_size=20), min_size=1, max_size=12)


@settings(deadline=None)
@given(texts=TEXTS, others=TEXTS)
@example(texts=["a\\b"], others=["x\x00"])
@example(texts=["a\\0"], others=["a\x00"])
@example(texts=[""], others=["\x00"])
@example(texts=["ax", "a", "a\ud7ff"], others=["a\x00"])
def test_equal_texts_have_equal_keys_in_any_company(texts, others):
    """A text's key does not depend on what else is in its batch, and other texts have others."""
    together = hash_texts(texts + others).tolist()
    assert together == [int(hash_texts([text])[0]) for text in texts + others]
    assert len(set(together)) == len(set(texts + others))


@settings(deadline=None)
@given(texts=TEXTS, salts=st.data())
def test_key_of_two_columns_depends_on_both(texts, salts):
    """(source, id) pairs are equal only where both are."""
    sources = [salts.draw(st.sampled_from(["", "a", "b"])) for _ in texts]
    keys = hash_texts(texts, onto=hash_texts(sources)).tolist()
    assert len(set(keys)) == len(set(zip(texts, sources, strict=True)))


@pytest.mark.slow
def test_keys_are_the_same_in_every_process():
    """A stored memory of keys is read by other processes."""
    program = "from streams.hashing import hash_texts; print(int(hash_texts(['85123A/7'])[0]))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert int(told.stdout) == int(hash_texts(["85123A/7"])[0])


@pytest.mark.slow
def test_many_short_keys_do_not_collide():
    """A million counting ids have a million keys."""
    assert np.unique(hash_texts([f"e{number}" for number in range(1_000_000)])).size == 1_000_000


ZONES = st.sampled_from(["Z", "z", "+00:00", "-00:00", "+01:00", "-11:30", "+23:59", "+05:45"])
VALID = st.builds(
    lambda moment, between, digits, zone: (
        f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S}"
        + (f".{moment.microsecond:06d}{'789'}"[: digits + 1] if digits else "")
        + zone
    ),
    st.datetimes(datetime.datetime(1970, 1, 3), datetime.datetime(9999, 12, 30)),
    st.sampled_from("Tt "),
    st.integers(0, 9),
    ZONES,
)
# Near misses: every character that a time may hold, in the places where it may stand.
NEAR = st.from_regex(
    r"(19|20)[0-9]{2}-[0-3][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9]"
    r"(\.[0-9]{0,4})?(Z|[+-][0-2][0-9]:[0-5][0-9]|)",
    fullmatch=True,
)


def reference(text: str) -> int:
    """What Python's own parser says, with at most six digits of a second's fraction."""
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        if digits == 0:
            return BAD_TIMESTAMP
        text = f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
    found = milliseconds(text.upper())
    return BAD_TIMESTAMP if found is None else found


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(texts=st.lists(st.one_of(VALID, NEAR), min_size=1, max_size=10))
def test_times_are_those_of_pythons_own_parser(texts):
    """Every form of RFC 3339 and every near miss is read as `datetime` reads it."""
    assert parse_times(texts).tolist() == [reference(text) for text in texts]


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(
    values=st.lists(
        st.one_of(st.text(max_size=40), st.integers(), VALID, st.integers(0, 2**45)), max_size=10
    )
)
def test_anything_else_is_the_sentinel_and_never_an_error(values):
    """Whatever lies in a batch, each value is read as it is alone."""
    times = parse_times(values).tolist()
    assert times == [one_time(value) for value in values]
    for value, time in zip(values, times, strict=True):
        if isinstance(value, int):
            valid = 0 <= value <= 253_402_300_799_999
            assert time == (value if valid else BAD_TIMESTAMP)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z"),
        *("2024-01-01", "2024-01-01T00:00:00", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z"),
        *("2024-01-01T00:00:61Z", "2024-13-01T00:00:00Z", "2024-00-01T00:00:00Z"),
        *("2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+1:00", "2024-01-01T00:00:00+0100"),
        *("2024-01-01T00:00:00ZZ", "1969-12-31T23:59:59Z", "2024-01-01T00:00:00+24:00"),
        *("1970-01-01T00:00:00+00:01", "2024-01-01T00:00:00Z\x00", "\uff12024-01-01T00:00:00Z"),
    ],
)
def test_what_is_no_time_is_refused(text):
    """No date without a zone, no day that the calendar lacks, nothing before 1970."""
    assert one_time(text) == BAD_TIMESTAMP
