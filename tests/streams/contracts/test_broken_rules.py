"""What msgspec says against a record, in words that name field, rule and value."""

import msgspec
import numpy as np
import pytest

from streams.contracts.broken_rules import broken_rule, rule_text
from streams.ingest.decode import TopicDecoder

COUNTED = {"kind": "counted", "event_id": "e", "occurred_at": 1_796_000_000_000, "sku": "a"}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"level": -1}, "level must be int >= 0, got -1"),
        ({"level": "3"}, "level must be int, got '3'"),
        ({}, "level must be present, got nothing"),
        (
            {"level": 1, "lots": [{"quantity": 1, "expires_at": "2026-12-01T00:00:00Z"}, {}]},
            "lots[1].quantity must be present, got nothing",
        ),
        ({"level": 1, "lots": [{"quantity": -1}]}, "lots[0].quantity must be int >= 0, got -1"),
        ({"level": 1, "sku": ""}, "sku must be str of length >= 1, got ''"),
        ({"level": 1, "source": ["x" * 200]}, "source must be str, got ['" + "x" * 78 + "..."),
    ],
)
def test_a_dead_letter_says_field_rule_and_value(fields: dict[str, object], message: str) -> None:
    """As every other message of Tidegate does; a long value is cut."""
    value = msgspec.json.encode({**COUNTED, **fields})
    (reject,) = TopicDecoder("stock").decode([value], np.array([-1])).rejects
    assert reject.message == message


def test_a_rule_that_breaks_before_the_value_ends_to_be_json() -> None:
    """The decoder stops at the first one; its own words stay."""
    value = b'{"kind":"counted","event_id":7,'
    (reject,) = TopicDecoder("stock").decode([value], np.array([-1])).rejects
    assert reject.message
    with pytest.raises(msgspec.DecodeError):
        broken_rule("Expected `str`, got `int` - at `$.event_id`", value)


def test_the_whole_has_a_name() -> None:
    """A list where an object should be."""
    assert rule_text(*broken_rule("Expected `object`, got `array`", b"[1]")) == (
        "value must be a JSON object, got [1]"
    )
