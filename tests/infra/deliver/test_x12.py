"""X12 both ways: the sample byte for byte, wrong counts refused, numbers that fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.deliver.edifact import EdiError, EdiLine, EdiOrder
from infra.deliver.x12 import order_number, read_sets, value_at, write_850
from tests.infra.deliver.test_edifact import ORDER, SAMPLES

LINE = EdiLine("85123A", 120, "6.25", supplier_item="LS-7781")
NAMES = {
    "buyer_name": "Example Shop",
    "buyer_code": "SHOP1",
    "deliver_to_name": "Example Warehouse",
}
PARTIES = {"buyer": "TIDESHOP", "supplier": "LEANSUPPLY", "deliver_to": "MAIN"}


def order(**more: object) -> EdiOrder:
    return EdiOrder(**{**vars(ORDER), **PARTIES, "lines": [LINE], **more})


def test_order_is_written_as_the_sample() -> None:
    """Byte for byte, given the same control number."""
    written = write_850(order(), **NAMES, usage="T")
    assert written == (SAMPLES / "po-850.x12").read_bytes()


@pytest.mark.parametrize("name", ["po-850.x12", "ack-855.x12", "asn-856.x12"])
def test_samples_are_read(name: str) -> None:
    """One set each, of the kind that its name says."""
    (rows,) = read_sets((SAMPLES / name).read_bytes())
    assert value_at(rows[0], 1) == name[-7:-4]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b"SE*9*0001", b"SE*8*0001", "SE01 must be 9, got '8'"),
        (b"SE*9*0001", b"SE*9*0002", "SE02 must be '0001'"),
        (b"GE*1*42", b"GE*2*42", "GE01 must be 1"),
        (b"GE*1*42", b"GE*1*43", "GE02 must be '42'"),
        (b"IEA*1*000000042", b"IEA*2*000000042", "IEA01 must be 1"),
        (b"IEA*1*000000042", b"IEA*1*000000043", "IEA02 must be '000000042'"),
        (b"CTT*1*120", b"CTT*2*120", "CTT01 must be 1"),
        (b"IEA*1*000000042~\n", b"", "must end with IEA"),
        (b"SE*9*0001~\n", b"", "every set must end with SE"),
        (b"ISA*", b"IS*", "must begin with an ISA"),
    ],
)
def test_wrong_counts_are_refused(old: bytes, new: bytes, complaint: str) -> None:
    """A file that lost a part must not become an order."""
    content = (SAMPLES / "po-850.x12").read_bytes()
    assert old in content
    with pytest.raises(EdiError, match=complaint):
        read_sets(content.replace(old, new))


def test_number_of_an_order_fits() -> None:
    """23 characters are sent as 20; what is longer than 22 is refused."""
    assert order_number("po-0d42234752cf8a81a419") == "0d42234752cf8a81a419"
    with pytest.raises(EdiError, match="at most 22 characters"):
        order_number("po-" + 23 * "x")


@given(st.text(max_size=60))
def test_no_text_breaks_the_envelope(text: str) -> None:
    """There is no escape: what X12 cannot carry is a blank, and all counts hold."""
    line = EdiLine(text, 5, "1.5")
    (rows,) = read_sets(write_850(order(lines=[line, line], currency=text), **NAMES))
    assert [value_at(row, 2) for row in rows if row[0] == "PO1"] == ["5", "5"]
    assert all("~" not in one and "*" not in one for row in rows for one in row)
