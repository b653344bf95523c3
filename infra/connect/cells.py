"""The values of cells as shops write them: numbers, units, skus, times, states of orders. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from infra.connect.faults import CellError
from infra.connect.times import (
    BadTimeError,
    TimeStyle,
    excel_moment,
    read_moment,
    read_time,
    rfc3339_of,
)

Decimals = Literal[".", ","]

_MINUS = "\u2212"  # as word processors write it
_MOST_DIGITS = 18  # after the point
_MOST_WHOLE = 2**53  # beyond it a float is no exact number of units
_SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+", re.ASCII)
_ERRORS = re.compile(r"#(N/A|REF!|VALUE!|DIV/0!|NAME\?|NUM!|NULL!|NV|BEZUG!|WERT!)", re.IGNORECASE)
_MONEY_WORDS = re.compile(
    r"^(?:[A-Z]{3}|[A-Z]{1,2}\$|[$€£¥₩₹₽]|kr\.?|zł|Fr\.?|元|円)\s*|"
    r"\s*(?:[A-Z]{3}|[$€£¥₩₹₽]|kr\.?|zł|Kč|Fr\.?|元|円|,-)$"
)
_UNIT_WORDS = re.compile(
    r"\s*(?:x|\u00d7|pcs?\.?|pieces?|units?|stk\.?|stück|st\.?|ud\.?|uds\.?|pz\.?|szt\.?|個|件|点|ea)$",
    re.IGNORECASE,
)
_SPACES = re.compile(r"[\s\u00a0\u202f\u2009'\u2019]")
_CURRENCIES = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "zł": "PLN", "₹": "INR", "₩": "KRW"}
SCIENTIFIC_RULE = "a number in scientific form: the spreadsheet has destroyed it"


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written."""

    decimal: Decimals = "."
    thousands: str | None = None  # None means that none are marked; blanks and ' always are

    def rule(self) -> str:
        """What a number must be, in words."""
        return f"a number with decimal '{self.decimal}'"


def read_number(value: Any, style: NumberStyle) -> float | int:
    """Return a number.

    >>> read_number("1.200,50 €", NumberStyle(",", "."))
    1200.5
    >>> read_number("12.50", NumberStyle("."))
    12.5

    Raises:
        CellError: it is none in that style. `repaired` has it where another style is certain.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise CellError(style.rule(), value)
    if not isinstance(value, str):
        if not math.isfinite(value):
            raise CellError(style.rule(), value)
        return _whole_if_possible(float(value)) if not isinstance(value, int) else value
    text = bare_number(value)
    plain = _in_style(text, style)
    if plain is None:
        raise CellError(style.rule(), value, _certain(text))
    return _whole_if_possible(float(plain))


def _whole_if_possible(number: float) -> float | int:
    return int(number) if number.is_integer() and abs(number) < _MOST_WHOLE else number


def bare_number(text: str) -> str:
    """Return a number without currency, blanks and marks; (12) and 12- are below zero.

    >>> bare_number("(€ 1 234,50)"), bare_number("12-"), bare_number("1'234.50 CHF")
    ('-1234,50', '-12', '1234.50')
    """
    text = text.strip()
    if text.startswith("(") and text.endswith(")"):
        text = "-" + text[1:-1].strip()
    sign = "-" if text.startswith(("-", _MINUS)) else ""
    text = text.removeprefix("+").removeprefix("-").removeprefix(_MINUS).strip()
    bare = _MONEY_WORDS.sub("", _MONEY_WORDS.sub("", text)).strip()
    if bare != text and bare.startswith(("-", _MINUS)):  # € -12
        sign, bare = "-", bare[1:]
    text = bare
    if text.endswith("-"):
        sign, text = "-", text[:-1]
    return sign + _SPACES.sub("", text)


def _in_style(text: str, style: NumberStyle) -> str | None:
    """Return a number as Python reads it; None means that it is none."""
    mark = style.thousands
    if mark is None and style.decimal == ",":
        mark = "."
    elif mark is None:
        mark = ","
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, found, part = digits.partition(style.decimal)
    if found and not part.isdigit():
        return None
    if mark in whole:
        if style.thousands is None and not _is_grouped_surely(whole, part, mark):
            return None
        groups = whole.split(mark)
        if not 1 <= len(groups[0]) <= 3 or any(len(group) != 3 for group in groups[1:]):
            return None
        whole = "".join(groups)
    if not (whole.isdigit() or (not whole and found)) or not (whole + part).isascii():
        return None
    return f"{sign}{whole or '0'}.{part or '0'}"


def _is_grouped_surely(whole: str, part: str, mark: str) -> bool:
    """Whether a mark can only be one of thousands: it is there twice, or a fraction follows."""
    return whole.count(mark) > 1 or bool(part)


def _certain(text: str) -> str | None:
    """Return a number that has only one reading, as the point writes it."""
    for decimal, thousands in ((".", ","), (",", ".")):
        plain = _in_style(text, NumberStyle(decimal, thousands))  # type: ignore[arg-type]
        whole, _, part = text.lstrip("-").rpartition(decimal)
        if plain is not None and whole and len(part) != 3:
            return plain
    return None


@dataclass(frozen=True)
class NumberGuess:
    """What the numbers of a column look like."""

    are_numbers: bool
    are_whole: bool
    style: NumberStyle | None  # None means that both readings fit: 1,234


def guess_numbers(texts: Iterable[str]) -> NumberGuess:
    """Return the style of a column's numbers.

    >>> guess_numbers(["1.200,50", "3,10"]).style
    NumberStyle(decimal=',', thousands='.')
    >>> guess_numbers(["1,234"]).style is None
    True
    """
    points: set[str] = set()
    count = good = whole = doubtful = fractions = 0
    for value in texts:
        count += 1
        text = bare_number(value)
        if not re.fullmatch(r"-?[\d.,]+", text) or not any(char.isdigit() for char in text):
            continue
        good += 1
        last = max(text.rfind("."), text.rfind(","))
        if last < 0:
            whole += 1
            continue
        mark, other = text[last], "," if text[last] == "." else "."
        digits = len(text) - last - 1
        if text.count(mark) > 1:
            points.add(other)
            whole += 1
        elif other in text or digits != 3 or text.lstrip("-").startswith("0"):
            points.add(mark)
            whole += set(text[last + 1 :]) <= {"0"}
        else:
            doubtful += 1
            fractions += text.endswith("000")
    is_most = count > 0 and good >= 0.8 * count
    all_whole = whole + doubtful == good
    if len(points) == 1:
        decimal: Any = points.pop()
        return NumberGuess(is_most, all_whole, NumberStyle(decimal, "," if decimal == "." else "."))
    if doubtful or points:
        return NumberGuess(is_most, all_whole, None)
    return NumberGuess(is_most, all_whole, NumberStyle())


def money(value: Any) -> float | None:
    """Return an amount that comes as a text, a number, or an object with a scale.

    >>> money("12.50"), money({"amount": 1250, "scale": 2}), money({"amount": "12.5"})
    (12.5, 12.5, 12.5)
    """
    if value in (None, ""):
        return None
    if isinstance(value, Mapping):
        amount = next((value[name] for name in ("amount", "value", "price") if name in value), None)
        number, scale = money(amount), value.get("scale", 0)
        if not isinstance(scale, int) or not 0 <= scale <= _MOST_DIGITS:
            raise CellError(f"an amount with a scale from 0 to {_MOST_DIGITS}", scale)
        return None if number is None else number / 10**scale
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CellError("a number", value)
    return number


def read_units(value: Any, style: NumberStyle) -> int:
    """Return whole units; 3.0 and "3 pcs" are 3.

    >>> read_units("3.0", NumberStyle())
    3

    Raises:
        CellError: it is no whole number.
    """
    rule = "a whole number of units"
    text = _UNIT_WORDS.sub("", value.strip()) if isinstance(value, str) else value
    try:
        number = read_number(text, style)
    except CellError as error:
        raise CellError(rule, value, error.repaired) from None
    if number != int(number):
        raise CellError(rule, value)
    return int(number)


def read_share(value: Any, style: NumberStyle) -> float:
    """Return a share; "15 %" and 15 are 0.15."""
    is_percent = isinstance(value, str) and value.strip().endswith("%")
    number = float(
        read_number(value.strip().rstrip("%") if isinstance(value, str) else value, style)
    )
    return number / 100 if is_percent or number > 1 else number


def read_sku(value: Any, *, width: int | None = None) -> str:
    """Return a sku as text.

    Args:
        value: a cell.
        width: digits that a sku has at least; zeros are put before shorter ones. None means that a
            number is not taken for a text.

    >>> read_sku("0085123"), read_sku(85123, width=7)
    ('0085123', '0085123')

    Raises:
        CellError: a spreadsheet made a number of it.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if width is None:
            rule = "text: the cell holds a number, and zeros at its start may be lost"
            raise CellError(rule, value, str(value))
        return str(value).zfill(width)
    if isinstance(value, float):
        raise CellError(SCIENTIFIC_RULE if abs(value) >= 1e11 else "text, not a number", value)
    if isinstance(value, datetime):
        raise CellError("text: the spreadsheet has made a date of it", value)
    text = str(value).strip().removeprefix("'")
    if _SCIENTIFIC.fullmatch(text) and ("." in text or "," in text or "+" in text):
        raise CellError(SCIENTIFIC_RULE, value)
    if _ERRORS.fullmatch(text):
        raise CellError("text, not an error of the spreadsheet", value)
    if width is not None and text.isdigit():
        return text.zfill(width)
    return text


def read_text(value: Any) -> str:
    """Return an id or a name as text; 727.0 is the id 727."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _MOST_WHOLE:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return str(value).strip()


def read_when(value: Any, style: TimeStyle, unit: str | None = None) -> str:
    """Return a time as RFC 3339.

    Raises:
        CellError: it is none.
    """
    try:
        if isinstance(value, datetime):
            return read_moment(value, style)
        if isinstance(value, int | float) and not isinstance(value, bool):
            if unit is None and 20_000 <= value < 80_000:
                return rfc3339_of(excel_moment(float(value), style))
            value = str(int(value))
        return read_time(str(value), style)
    except (BadTimeError, ValueError, OverflowError, OSError):
        raise CellError(style.rule(), value) from None


def read_currency(value: Any) -> str | None:
    """Return the code of a currency; None means that a text names none.

    >>> read_currency("eur"), read_currency("12,50 €"), read_currency("12.50")
    ('EUR', 'EUR', None)
    """
    text = str(value).strip()
    if re.fullmatch(r"[A-Za-z]{3}", text):
        return text.upper()
    if match := re.search(r"\b([A-Z]{3})\b", text):
        return match[1]
    return next((code for mark, code in _CURRENCIES.items() if mark in text), None)


# --- states of orders -------------------------------------------------------------------------

OrderStatus = Literal["counted", "cancelled", "not_placed"]

_CANCELLED = re.compile(
    r"\b(?:cancel|storn|annul|anulad|geannul|anulowan|avbrut|avbest|peruut|void|refunded|erstattet|"
    r"rembours|reembols|rimborsat|terugbetaald|zwr[oó]|declined|abgelehnt|expired|chargeback)|"
    r"キャンセル|取消|返金|退款|交易关闭|已关闭|已關閉|不成立",
)
_NOT_PLACED = re.compile(
    r"\b(?:(?:checkout.?)?draft|entwurf|brouillon|borrador|bozza|fail|fehlgeschlagen|[ée]chou|fallid|"
    r"fallit|mislukt|trash|papierkorb|corbeille|papelera|abandon|incomplete|unvollst)|"
    r"(?:pending|awaiting) payment|未払|未付款|待付款|失敗|下書き",
)
_PARTLY = re.compile(r"partial|partly|\bteil|\bparti|\bparc|\bparz|gedeelt|częśc|一部|部分")
_UNPAID = ("pending", "checkout-draft")


def order_status(value: Any, *, pending_counts: bool = True) -> OrderStatus:
    """Return what a shop's word for the state of an order means for its units.

    Args:
        value: the word.
        pending_counts: whether `pending` is an order; in WooCommerce it waits for its payment.

    >>> order_status("Storniert"), order_status("wc-processing"), order_status("wc-failed")
    ('cancelled', 'counted', 'not_placed')
    >>> order_status("partially refunded"), order_status("unavoidable")
    ('counted', 'counted')
    """
    text = str(value).strip().casefold().removeprefix("wc-").replace("_", " ")
    if _PARTLY.search(text):
        return "counted"
    if _NOT_PLACED.search(text) or (not pending_counts and text in _UNPAID):
        return "not_placed"
    return "cancelled" if _CANCELLED.search(text) else "counted"


_NO_GOODS = (
    (
        "gift_card",
        r"gift ?(?:card|voucher)|geschenk(?:karte|gutschein)|wertgutschein|carte[ -]cadeau|"
        r"tarjeta[ -]regalo|carta regalo|cadeau(?:kaart|bon)|karta podarunkowa|ギフトカード|礼品卡",
    ),
    (
        "shipping",
        r"(?:shipping|versand(?:kosten)?|porto|postage|delivery|freight|carriage|livraison|"
        r"frais de (?:port|livraison)|(?:gastos de )?env[ií]o|spedizione|verzend(?:ing|kosten)|"
        r"dotcom postage|送料|运费|運費)(?: (?:cost|charge|fee)s?| & handling)?",
    ),
    ("tip", r"(?:tip|trinkgeld|pourboire|propina|mancia|fooi|小费)s?"),
    (
        "fee",
        r"(?:fees?|geb[üu]hr|frais|handling|surcharge|bank charges|手数料|手续费|discount|rabatt|"
        r"remise|descuento|sconto|korting)",
    ),
)
_NO_GOODS_SHAPES = [(why, re.compile(shape, re.IGNORECASE)) for why, shape in _NO_GOODS]


@lru_cache(maxsize=65_536)
def no_goods(*texts: Any) -> str | None:
    """Return why a line is no goods (a gift card, shipping, a tip, a fee); None means that it is.

    >>> no_goods("GIFT-25", "Gift card 25 EUR"), no_goods("85123A", "Tide mug")
    ('gift_card', None)
    """
    for why, shape in _NO_GOODS_SHAPES:
        match = shape.search if why == "gift_card" else shape.fullmatch
        if any(isinstance(text, str) and match(text.strip()) for text in texts):
            return why
    return None
