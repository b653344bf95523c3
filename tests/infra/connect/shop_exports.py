"""Exports of made-up shops: the same order lines, by three kinds of shop in four locales."""

import csv
import io
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SKUS = ("0085123", "85123B", "MUG-01", "T-SHIRT/M", "4711")
NAMES = ("Tide mug", "Saucer, small", 'Mug "blue"', "T-shirt M", "Cologne")


@dataclass(frozen=True)
class Line:
    """One order line, as it is meant."""

    order: int
    at: datetime
    sku: str
    name: str
    units: int
    price: float
    is_cancelled: bool


@dataclass(frozen=True)
class Locale:
    """How a shop of a country writes."""

    name: str
    encoding: str
    delimiter: str
    decimal: str
    date: str
    zone: str  # empty: written with its offset
    headers: tuple[str, ...]  # order, time, sku, name, quantity, price, currency, status
    cancelled: str
    done: str


LOCALES = (
    Locale(
        *("us", "utf-8", ",", ".", "%m/%d/%Y %I:%M %p", "America/New_York"),
        (
            "Order #",
            "Order Date",
            "SKU",
            "Product",
            "Qty",
            "Unit Price",
            "Currency",
            "Order Status",
        ),
        *("Canceled", "Shipped"),
    ),
    Locale(
        *("de", "cp1252", ";", ",", "%d.%m.%Y %H:%M", "Europe/Berlin"),
        (
            *("Bestell-Nr.", "Bestelldatum", "Artikelnummer", "Bezeichnung", "Menge"),
            *("Einzelpreis", "Währung", "Status"),
        ),
        *("Storniert", "Versendet"),
    ),
    Locale(
        *("fr", "utf-8-sig", ";", ",", "%d/%m/%Y %H:%M:%S", "Europe/Paris"),
        (
            *("N° commande", "Date de commande", "Référence", "Désignation", "Quantité"),
            *("Prix unitaire", "Devise", "Statut"),
        ),
        *("Annulée", "Expédiée"),
    ),
    Locale(
        *("ja", "shift_jis", "\t", ".", "%Y/%m/%d %H:%M", "Asia/Tokyo"),
        ("注文番号", "注文日時", "商品コード", "商品名", "数量", "単価", "通貨", "注文ステータス"),
        *("キャンセル", "発送済み"),
    ),
)


def made_lines(count: int = 60, seed: int = 3) -> list[Line]:
    """Return order lines; some orders have two, some are cancelled."""
    chance = random.Random(seed)
    start = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
    lines: list[Line] = []
    order = 1000
    while len(lines) < count:
        order += 1
        at = start + timedelta(minutes=997 * (order - 1000))
        is_cancelled = chance.random() < 0.1
        for place in chance.sample(range(len(SKUS)), chance.choice((1, 1, 2))):
            units, price = chance.randint(1, 4), chance.choice((12.5, 5.0, 1250.0, 0.95))
            lines.append(Line(order, at, SKUS[place], NAMES[place], units, price, is_cancelled))
    return lines


def plain_export(lines: list[Line], locale: Locale) -> bytes:
    """Return a table with a row for each line."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=locale.delimiter, lineterminator="\r\n")
    writer.writerow(locale.headers)
    for line in reversed(lines):  # the newest first, as shops export
        writer.writerow(
            [
                *(f"B{line.order}", _local(line.at, locale), line.sku, line.name, line.units),
                *(_money(line.price, locale), "EUR"),
                locale.cancelled if line.is_cancelled else locale.done,
            ]
        )
    return text.getvalue().encode(locale.encoding)


def shopify_export(lines: list[Line], locale: Locale) -> bytes:
    """Return Shopify's export: English columns everywhere, the shop's offset, blanks below."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = (
        *("Name", "Email", "Financial Status", "Fulfillment Status", "Currency", "Created at"),
        *("Lineitem quantity", "Lineitem name", "Lineitem price", "Lineitem sku"),
        *("Billing Name", "Cancelled at", "Id", "Shipping Zip", "Location"),
    )
    writer.writerow(columns)
    before = None
    zone = ZoneInfo(locale.zone)
    for line in sorted(lines, key=lambda line: -line.order):
        at = line.at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %z")
        first = line.order != before
        before = line.order
        head = ("refunded" if line.is_cancelled else "paid", "fulfilled", "EUR")
        writer.writerow(
            [
                *(f"#{line.order}", "x@example.org", *(head if first else ("", "", "")), at),
                *(line.units, line.name, f"{line.price:.2f}", line.sku, "Zoë Ä"),
                *((at if line.is_cancelled else "", 5_000_000 + line.order) if first else ("", "")),
                *("'04109", "Shop" if first else ""),
            ]
        )
    return text.getvalue().encode()


def woo_export(lines: list[Line], locale: Locale) -> bytes:
    """Return what a plug-in of WooCommerce writes: its statuses, the shop's decimal sign."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=locale.delimiter, lineterminator="\n")
    writer.writerow(
        [
            *(
                "Order Number",
                "Order Status",
                "Order Date",
                "First Name (Billing)",
                "SKU",
                "Item #",
            ),
            *("Item Name", "Quantity", "Item Cost", "Order Total Amount", "Currency"),
        ]
    )
    place = {}
    for line in lines:
        place[line.order] = place.get(line.order, 0) + 1
        at = line.at.astimezone(ZoneInfo(locale.zone)).strftime("%Y-%m-%d %H:%M")
        status = "wc-cancelled" if line.is_cancelled else "wc-completed"
        writer.writerow(
            [
                *(line.order, status, at, "Zoë", line.sku, place[line.order], line.name),
                *(line.units, _money(line.price, locale), _money(99, locale), "EUR"),
            ]
        )
    return text.getvalue().encode("utf-8-sig")


EXPORTS = {"plain": plain_export, "shopify": shopify_export, "woocommerce": woo_export}


def nested_json(lines: list[Line]) -> bytes:
    """Return orders as a shop's own service gives them, the lines inside."""
    orders: dict[int, dict] = {}
    for line in lines:
        order = orders.setdefault(
            line.order,
            {
                **{"orderNo": f"S-{line.order}", "createdAt": line.at.isoformat()},
                **{"customer": {"email": "x@example.org"}, "cur": "EUR", "positions": []},
                "state": "cancelled" if line.is_cancelled else "open",
            },
        )
        product = {"code": line.sku, "title": line.name}
        own = {"article": product, "qty": float(line.units), "unitPrice": f"{line.price:.2f}"}
        order["positions"].append(own)
    return "\n".join(json.dumps(order) for order in orders.values()).encode()


def _local(at: datetime, locale: Locale) -> str:
    return at.astimezone(ZoneInfo(locale.zone)).strftime(locale.date)


def _money(price: float, locale: Locale) -> str:
    text = f"{price:,.2f}"
    if locale.decimal == ",":
        return text.translate(str.maketrans(",.", ".,"))
    return text
