"""Values as shops write them."""

from datetime import datetime

import pytest

from infra.connect.cells import (
    NumberStyle,
    guess_numbers,
    no_goods,
    order_status,
    read_number,
    read_sku,
    read_units,
)
from infra.connect.faults import CellError

POINT, COMMA = NumberStyle(".", ","), NumberStyle(",", ".")


@pytest.mark.parametrize(
    ("text", "style", "number"),
    [
        ("12.50", POINT, 12.5),
        ("12,50", COMMA, 12.5),
        ("1.200,50", COMMA, 1200.5),
        ("1 200,50 €", COMMA, 1200.5),
        ("1\u202f200,50", COMMA, 1200.5),
        ("CHF 1'234.50", POINT, 1234.5),
        ("$1,234.50", POINT, 1234.5),
        ("(12.00)", POINT, -12),
        ("12-", POINT, -12),
        ("-3", POINT, -3),
        (".5", POINT, 0.5),
        (3.0, POINT, 3),
        ("1.234.567", COMMA, 1234567),
    ],
)
def test_numbers_are_read_in_their_style(text, style, number):
    """Currency, blanks and marks of thousands are no part of a number."""
    assert read_number(text, style) == number


@pytest.mark.parametrize("text", ["abc", "1,234", "1,2,3", "12.5.6", "", "1,23,456", "٣", "--3"])
def test_what_is_no_number_is_refused(text):
    """`1,234` has two readings while nobody said what its comma is."""
    with pytest.raises(CellError):
        read_number(text, NumberStyle("."))


def test_a_number_of_another_style_is_offered_repaired():
    """12,50 can only be twelve and a half."""
    with pytest.raises(CellError) as error:
        read_number("12,50", POINT)
    assert error.value.repaired == "12.50"


@pytest.mark.parametrize("value", ["3.0", "3", 3.0, "3 pcs", "3 Stk.", " 3,00 "])
def test_units_are_whole(value):
    """3.0 and "3 pcs" are three units."""
    style = COMMA if "," in str(value) else NumberStyle()
    assert read_units(value, style) == 3
    with pytest.raises(CellError):
        read_units("2.5", NumberStyle())


@pytest.mark.parametrize(
    ("texts", "decimal"),
    [
        (["12,50", "3,10"], ","),
        (["12.50", "1,200.50"], "."),
        (["1.234", "5,50"], ","),
        (["0.125"], "."),
        (["1,234,567"], "."),
        (["3", "4"], "."),
    ],
)
def test_the_style_of_a_column_is_found(texts, decimal):
    """One value that has a single reading decides for its column."""
    assert guess_numbers(texts).style.decimal == decimal


def test_a_style_that_is_not_certain_is_none():
    """Neither 1,234 nor a column of both styles decides."""
    assert guess_numbers(["1,234", "2,500"]).style is None
    assert guess_numbers(["1,50", "1.50"]).style is None


@pytest.mark.parametrize(
    "value", ["8,60E+12", "8.6e12", 8.6e12, 12.5, datetime(2026, 3, 4), "#N/A"]
)
def test_a_sku_that_a_spreadsheet_has_destroyed_is_refused(value):
    """What was lost cannot be read back."""
    with pytest.raises(CellError):
        read_sku(value, width=7)


def test_zeros_of_a_sku_stay_and_come_back():
    """A text is taken as it is; a number only with the width of a sku."""
    assert read_sku("0085123") == "0085123"
    assert read_sku(85123, width=7) == "0085123"
    assert read_sku("12E5") == "12E5"
    with pytest.raises(CellError):
        read_sku(85123)


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((word, "cancelled") for word in ("Cancelled", "canceled", "Storniert", "Annulée")),
        *((word, "cancelled") for word in ("キャンセル", "已取消", "voided", "Refunded")),
        *(
            (word, "not_placed")
            for word in ("Failed", "draft", "checkout-draft", "Pending payment")
        ),
        *((word, "counted") for word in ("paid", "Versendet", "partially refunded", "", "pending")),
    ],
)
def test_words_for_states_of_orders(word, status):
    """A shop's word says whether an order's units count."""
    assert order_status(word) == status


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Gift card 25 EUR", "gift_card"),
        ("Geschenkgutschein", "gift_card"),
        ("Versandkosten", "shipping"),
        ("Shipping", "shipping"),
        ("Tip", "tip"),
        ("Tide mug", None),
        ("Tip-top mug", None),
    ],
)
def test_lines_that_are_no_goods(text, why):
    """Gift cards, shipping and tips are no items of a warehouse."""
    assert no_goods(text) == why
