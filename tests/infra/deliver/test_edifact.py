"""EDIFACT both ways: the samples byte for byte, wrong counts refused, separators in texts."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.deliver.edifact import (
    EdiError,
    EdiLine,
    EdiOrder,
    read_messages,
    value_at,
    write_orders,
)

SAMPLES = Path(__file__).parent / "samples"
ORDER = EdiOrder(
    number="po-0d42234752cf8a81a419",
    function="9",
    ordered_on="20261111",
    deliver_on="20261118",
    currency="EUR",
    lines=[EdiLine("85123A", 120, "6.25", gtin="9521234001201")],
    buyer="9521234000013",
    supplier="9521234000020",
    deliver_to="9521234000037",
    prepared_at="202611110815",
    control=42,
    note="Ring first: dock 3+4, it's new",
)


def test_order_is_written_as_the_sample() -> None:
    """Byte for byte, given the same control number."""
    assert write_orders(ORDER) == (SAMPLES / "orders-d96a.edi").read_bytes()


@pytest.mark.parametrize("name", ["orders-d96a.edi", "ordrsp-d96a.edi", "desadv-d96a.edi"])
def test_samples_are_read(name: str) -> None:
    """One message each, with its number where it belongs."""
    (message,) = read_messages((SAMPLES / name).read_bytes())
    assert value_at(message[1], 0) == "BGM"
    assert value_at(message[1], 2)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"UNT+16+1", b"UNT+15+1", "UNT must be 16 segments from UNH to UNT, got '15'"),
        (b"UNT+16+1", b"UNT+16+2", "the reference of UNT must be '1'"),
        (b"UNZ+1+42", b"UNZ+2+42", "UNZ must be 1 messages, got '2'"),
        (b"UNZ+1+42", b"UNZ+1+43", "the reference of UNZ must be '42'"),
        (b"CNT+2:1", b"CNT+2:2", r"CNT\+2 must be 1 lines, got '2'"),
        (b"UNZ+1+42'", b"", "must begin with UNB and end with UNZ"),
        (b"UNZ+1+42'", b"UNZ+1+42", "the last segment must have its end"),
        (b"UNT+16+1'", b"", "a message must end with UNT"),
    ],
)
def test_wrong_counts_are_refused(old: bytes, new: bytes, complaint: str) -> None:
    """A file that lost a part must not become an order."""
    content = (SAMPLES / "orders-d96a.edi").read_bytes()
    assert old in content
    with pytest.raises(EdiError, match=complaint):
        read_messages(content.replace(old, new))


def test_sample_with_the_wrong_count_is_refused() -> None:
    """UNT says one segment fewer than there are."""
    with pytest.raises(EdiError, match="UNT must be 16"):
        read_messages((SAMPLES / "orders-wrong-count.edi").read_bytes())


@given(
    st.text(st.characters(codec="latin-1", exclude_categories=("Cc",)), max_size=40),
    st.integers(1, 10**6),
)
def test_texts_come_back_whatever_separators_they_have(text: str, quantity: int) -> None:
    """Written, then read: the same note, item and units; counts hold."""
    line = EdiLine(text or "x", quantity, "1.5", supplier_item=text or None)
    order = EdiOrder(**{**vars(ORDER), "note": text, "lines": [line, line]})
    (message,) = read_messages(write_orders(order))
    notes = [value_at(one, 4) for one in message if one[0][0] == "FTX"]
    assert notes == ([text] if text else [])
    items = [value_at(one, 2) for one in message if one[0][0] == "PIA" and value_at(one, 1) == "5"]
    assert items == [text or "x"] * 2
    assert [value_at(one, 1, 1) for one in message if one[0][0] == "QTY"] == [str(quantity)] * 2


def test_text_outside_the_character_set_is_refused() -> None:
    """Rather than sent as something else."""
    with pytest.raises(EdiError, match="Latin-1"):
        write_orders(EdiOrder(**{**vars(ORDER), "note": "茶"}))
