"""`tidegate export`: tables out of Redis and topics."""

import asyncio
import csv
import gzip
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter
from redis.exceptions import RedisError

from infra.cli.terminal.options import NOT_GIVEN, Connection, Flag, Json
from infra.cli.terminal.output import note
from infra.control.holds import read_waiting_orders
from infra.kafka.topic_reader import Ledger, TopicReadError, read_topics
from infra.redis.reader import Reader, open_reader
from infra.redis.rows import (
    DAY_COLUMNS,
    DECISION_COLUMNS,
    ITEM_COLUMNS,
    UPLIFT_COLUMNS,
    WAREHOUSE_DAY_COLUMNS,
    Row,
)
from infra.settings import Settings
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS

Format = Literal["csv", "jsonl", "json"]
Output = Annotated[Path | None, Parameter(alias="-o")]
_STANDARD_OUTPUT = Path("-")
# What begins like this a spreadsheet may run; the apostrophe, so that taking one away is exact.
_RISKY = frozenset("=+-@\t\r'")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WRITE_BYTES = 1 << 20

export = App(
    name="export",
    help="""Write days, items, decisions, uplifts, orders or alerts as CSV or JSON Lines.

Days, items, decisions and uplifts come from Redis; orders and alerts from their topics, as far as
those reach, each once. `--json` is short for `--format json`: one array. The order of the rows does
not depend on speed, batches or workers: two runs over the same logs give the same bytes.

A spreadsheet runs text that begins with = + - or @ as a formula. In CSV such text, and text that
begins with an apostrophe, gets an apostrophe in front; a number, like -3, stays a number. Programs
take JSON, where all text is as it was, or remove the one apostrophe.""",
)


@export.command
def days(
    *,
    format: Format = "csv",
    output: Output = None,
    by_warehouse: Flag = False,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write what each sku sold on each day (UTC): orders, lines and units, gross of cancellations.

    Args:
        format: csv, jsonl or json.
        output: a file, gzipped if its name ends in .gz; without it, standard output.
        by_warehouse: one row for each warehouse, not one for all of them.
        as_json: one JSON array, as `--format json`.
    """
    columns = WAREHOUSE_DAY_COLUMNS if by_warehouse else DAY_COLUMNS
    with _open_reader(connection) as reader:
        _write(output, _form(format, as_json), columns, reader.days(by_warehouse=by_warehouse))


@export.command
def items(
    *,
    format: Format = "csv",
    output: Output = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write one row an item: stock, supply, demand and the next review.

    Args:
        format: csv, jsonl or json.
        output: a file, gzipped if its name ends in .gz; without it, standard output.
        as_json: one JSON array, as `--format json`.
    """
    with _open_reader(connection) as reader:
        _write(output, _form(format, as_json), ITEM_COLUMNS, reader.items())


@export.command
def decisions(
    *,
    format: Format = "csv",
    output: Output = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write every decision with its inputs, the cost of each split, the quantities and the reason.

    Args:
        format: csv, jsonl or json.
        output: a file, gzipped if its name ends in .gz; without it, standard output.
        as_json: one JSON array, as `--format json`.
    """
    with _open_reader(connection) as reader:
        _write(output, _form(format, as_json), DECISION_COLUMNS, reader.decisions())


@export.command
def uplifts(
    *,
    format: Format = "csv",
    output: Output = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write what promotions of each type brought: units sold over units of the baseline level.

    A window of one item is one sample; from two on the factor has a standard error.

    Args:
        format: csv, jsonl or json.
        output: a file, gzipped if its name ends in .gz; without it, standard output.
        as_json: one JSON array, as `--format json`.
    """
    with _open_reader(connection) as reader:
        _write(output, _form(format, as_json), UPLIFT_COLUMNS, reader.uplifts())


@export.command
def orders(
    *,
    format: Format = "csv",
    output: Output = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write the purchase orders, by time; JSON Lines are the records as they were published.

    Orders that are held back are included: their field `hold` names the reason.

    Args:
        format: csv, jsonl or json.
        output: a file, gzipped if its name ends in .gz; without it, standard output.
        as_json: one JSON array, as `--format json`.
    """
    _write_topic("orders", PURCHASE_ORDERS, _form(format, as_json), output, connection.settings())


@export.command
def alerts(
    *,
    format: Format = "csv",
    output: Output = None,
    as_json: Json = False,
    connection: Connection = NOT_GIVEN,
) -> None:
    """Write every step of every incident, by time; JSON Lines are the records as published.

    Args:
        format: csv, jsonl or json.
        output: a file, gzipped if its name ends in .gz; without it, standard output.
        as_json: one JSON array, as `--format json`.
    """
    _write_topic("alerts", ALERTS, _form(format, as_json), output, connection.settings())


def _form(format: Format, as_json: bool) -> Format:
    return "json" if as_json else format


@contextmanager
def _open_reader(connection: Connection) -> Iterator[Reader]:
    settings = connection.settings()
    with open_reader(settings) as reader:
        if not reader.partitions():
            note(f"no worker has ever written to this Redis under {settings.redis_prefix!r}")
        yield reader


def _write_topic(
    kind: str, topic: str, form: Format, output: Path | None, settings: Settings
) -> None:
    ledger = asyncio.run(_read_ledger(kind, settings.topic_prefix + topic, settings))
    if kind == "orders":
        _add_held(ledger, settings)
    if ledger.strangers:
        note(f"left out {ledger.strangers} records of {topic} that Tidegate did not write")
    if form != "csv":
        with _open_output(output) as file:
            _write_json(file, form, (value.decode() for value in ledger.in_order()))
        return
    flat = [_flatten(msgspec.json.decode(value)) for value in ledger.in_order()]
    if kind == "orders":
        flat = [{"hold": None, **row} for row in flat]
    columns = list(dict.fromkeys(chain.from_iterable(flat))) or _empty_columns(kind)
    _write(output, form, columns, (tuple(map(row.get, columns)) for row in flat))


async def _read_ledger(kind: str, topic: str, settings: Settings) -> Ledger:
    ledger = Ledger(kind)
    async for record in read_topics(settings, [topic]):
        ledger.add(record.value)
    return ledger


def _add_held(ledger: Ledger, settings: Settings) -> None:
    try:
        waiting = asyncio.run(read_waiting_orders(settings))
    except (RedisError, TopicReadError) as error:
        note(f"orders that are held cannot be shown: {error}")
        return
    for order in waiting:
        if order.reason is not None:
            ledger.add(with_hold(order.value, order.reason))


def with_hold(value: bytes, reason: str) -> bytes:
    """Return the record of an order with the reason why it waits.

    >>> with_hold(b'{"po_id":"po-1"}', "approval")
    b'{"po_id":"po-1","hold":"approval"}'
    """
    return value[:-1] + b',"hold":' + msgspec.json.encode(reason) + b"}"


def _flatten(record: dict[str, Any]) -> dict[str, Any]:
    """Give the values inside an order's parts columns of their own, named as in `decisions`."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name == "inputs" and isinstance(value, dict):
            flat.update(value)
        elif name == "candidates" and isinstance(value, dict):
            flat.update({f"expected_cost_{split}": cost for split, cost in value.items()})
        elif name == "candidate_units" and isinstance(value, dict):
            flat.update({f"candidate_{split}_units": units for split, units in value.items()})
        elif name == "expected" and isinstance(value, dict):
            flat.update(
                {f"expected_{n}" if n.endswith("_cost") else n: v for n, v in value.items()}
            )
        elif isinstance(value, dict | list):
            flat[name] = msgspec.json.encode(value).decode()  # the figures differ by alert
        else:
            flat[name] = value
    return flat


def _empty_columns(kind: str) -> list[str]:
    from streams.contracts.alerts import Alert
    from streams.contracts.purchase_orders import PurchaseOrder

    if kind == "orders":
        return ["hold", "kind", *PurchaseOrder.__struct_fields__]
    return [*dict.fromkeys(["kind", *Alert.__struct_fields__])]


# --- writing ----------------------------------------------------------------------------------


@contextmanager
def _open_output(path: Path | None) -> Iterator[IO[str]]:
    """Open the output: UTF-8 whatever the locale; a file appears whole or not at all."""
    if path is None or path == _STANDARD_OUTPUT:
        sys.stdout.flush()
        with open(
            sys.stdout.fileno(), "w", _WRITE_BYTES, "utf-8", newline="", closefd=False
        ) as out:
            yield out
        return
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as raw:
            packed = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.suffix == ".gz" else raw
            with io.TextIOWrapper(packed, "utf-8", newline="") as text:
                yield text
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _write(path: Path | None, form: Format, columns: Sequence[str], rows: Iterable[Row]) -> None:
    rows = iter(rows)
    first = list(islice(rows, 1))  # nothing is written where nothing can be read
    with _open_output(path) as file:
        if form == "csv":
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(_csv_rows(chain(first, rows)))
            return
        encode = msgspec.json.Encoder().encode
        records = (dict(zip(columns, row, strict=True)) for row in chain(first, rows))
        _write_json(file, form, (encode(record).decode() for record in records))


def _write_json(file: IO[str], form: Format, records: Iterable[str]) -> None:
    """Write one record a line; as an array too, which people can read and cut line by line."""
    if form == "jsonl":
        file.writelines(f"{record}\n" for record in records)
        return
    file.write("[")
    for place, record in enumerate(records):
        file.write(f"{',' if place else ''}\n{record}")
    file.write("\n]\n")


def harmless(text: str) -> str:
    """Return text that a spreadsheet takes as text: what begins like a formula gets an apostrophe.

    >>> harmless("=1+1"), harmless("-3"), harmless("-3-3"), harmless("lamp"), harmless("'lamp")
    ("'=1+1", '-3', "'-3-3", 'lamp', "''lamp")
    """
    return f"'{text}" if text[:1] in _RISKY and not _NUMBER.fullmatch(text) else text


def _csv_rows(rows: Iterable[Row]) -> Iterator[Row]:
    """Write true and false as JSON and most databases do, and no text that a spreadsheet runs."""
    for row in rows:
        if any(type(value) is str and value[:1] in _RISKY for value in row):
            row = tuple(harmless(value) if type(value) is str else value for value in row)
        if True in row or False in row:  # also where a number is 1 or 0: looked at more closely
            yield tuple(
                ("true" if value else "false") if isinstance(value, bool) else value
                for value in row
            )
        else:
            yield row
