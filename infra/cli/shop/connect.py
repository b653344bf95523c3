"""`tidegate connect`, and its `try`: what a message or file becomes, without sending anything."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from infra.cli.shop.asking import asker
from infra.cli.shop.file_flags import NO_FLAGS, FileFlags, Mapping, wishes_of
from infra.cli.shop.receiving import list_, run
from infra.cli.terminal.failures import CommandError, ExitCode
from infra.cli.terminal.options import Json
from infra.cli.terminal.output import note

if TYPE_CHECKING:
    from infra.connect.mapping import ShopMapping
    from infra.connect.shops.connectors import Outcome
    from infra.connect.shops.payloads import About

_TABLES = ("csv", "shopify", "woocommerce")
_HEADERS = ".headers.json"

connect = App(
    name="connect",
    help="""Read a shop's messages: webhooks, records of its topics, exports.

`connect try` shows what a message becomes and sends nothing; `connect run` takes them live.""",
)
connect.command(run)
connect.command(list_, name="list")


@connect.command(name="try")
def try_(
    source: str,
    *files: Path,
    mapping: Mapping = None,
    topic: str = "",
    shop: str = "",
    on_missing_sku: Literal["skip", "variant", "stop"] = "skip",
    yes: Annotated[bool, Parameter(negative="", alias="-y", show_default=False)] = False,
    at: str | None = None,
    as_json: Json = False,
    flags: FileFlags = NO_FLAGS,
) -> int:
    """Show the events of a shop's messages or exports. Nothing is sent.

    Several files are taken one after another, as if they had come in that order: what the second
    one repeats makes no event. Events are JSON Lines, as `tidegate replay` takes them; what is left
    out, refused or has to be fetched is said on standard error. Exit code 1: something is refused.

    Args:
        source: shopify, woocommerce, debezium, outbox, amazon, shopware, bigcommerce, or csv. With
            --mapping it may be left out.
        files: a message (JSON), several (JSON Lines, an array), or an export (CSV, Excel).
        mapping: TOML file that says what the fields are; see infra/connect/README.md.
        topic: what the shop calls the message, as orders/create; by default by its fields. A file
            NAME.headers.json beside NAME.json says topic and shop.
        shop: name of the shop, for the source of the events.
        on_missing_sku: leave a line without a sku out, name it by its variant, or refuse the order.
        yes: take all proposals about an export without asking.
        at: time of rows that name none, as RFC 3339; by default now.
        as_json: one JSON object with all of it.
    """
    from infra.connect.mapping import load_mapping

    kind, paths = _arguments(source, files, mapping)
    loaded = None if mapping is None else load_mapping(mapping)
    trial = _Trial(kind, shop, topic, loaded, flags.stock_is, on_missing_sku, as_json)
    for path in paths:
        if _is_table(path, kind, loaded):
            trial.table(path, flags, mapping, yes=yes, at=at)
        else:
            trial.messages(path)
    if as_json:
        print(json.dumps(trial.found, ensure_ascii=False))
    return ExitCode.NO if trial.found["refused"] else ExitCode.OK


def _arguments(
    source: str, files: tuple[Path, ...], mapping: Path | None
) -> tuple[str, tuple[Path, ...]]:
    """Return the kind of source and the files; with a mapping the kind may be left out."""
    from infra.connect.shops.connectors import SOURCES

    known = (*SOURCES, "csv", "json")
    if source in known:
        kind = "mapping" if mapping is not None and source in ("csv", "json") else source
    elif Path(source).exists() and (mapping is not None or not files):
        kind, files = "mapping" if mapping is not None else "", (Path(source), *files)
    else:
        raise CommandError(
            f"the source must be one of {', '.join(known)}, got {source!r}", ExitCode.USAGE
        )
    if not files:
        raise CommandError("connect try needs at least one FILE", ExitCode.USAGE)
    if not kind:
        raise CommandError(f"say the source of {files[0]}: {', '.join(known)}", ExitCode.USAGE)
    return kind, files


def _is_table(path: Path, kind: str, mapping: "ShopMapping | None") -> bool:
    """Whether a file is a table of an export, and no message."""
    from infra.connect.files import open_source

    if kind not in (*_TABLES, "mapping"):
        return False
    if path.stat().st_size == 0 or _is_form(path):
        return False
    if kind == "mapping" and mapping is not None and mapping.format == "debezium-json":
        return False
    return open_source(path).is_table


def _is_form(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(11) == b"webhook_id="


class _Trial:
    """What one command reads, and what became of it."""

    def __init__(
        self,
        kind: str,
        shop: str,
        topic: str,
        mapping: "ShopMapping | None",
        stock_is: Literal["available", "on_hand"],
        on_missing_sku: Literal["skip", "variant", "stop"],
        is_quiet: bool,
    ) -> None:
        from infra.connect.shops.connectors import Connector
        from infra.connect.shops.payloads import ShopSettings

        self.found: dict[str, list[Any]] = {
            name: [] for name in ("events", "left_out", "refused", "fetch", "notes")
        }
        self._kind = kind
        self._shop = shop
        self._topic = topic
        self._is_quiet = is_quiet
        self._connector: Connector | None = None
        if kind != "csv":
            settings = ShopSettings(stock_is, on_missing_sku)
            self._connector = Connector(kind, shop=shop, settings=settings, mapping=mapping)

    def messages(self, path: Path) -> None:
        """Take the messages of a file, one after another."""
        if self._connector is None:
            raise CommandError(f"{path} is no table; name its source", ExitCode.USAGE)
        for number, (payload, about) in enumerate(_payloads(path, self._kind), 1):
            about = self._completed(about)
            self._take(self._connector.take(payload, about), f"{path.name}, message {number}")

    def _completed(self, about: "About") -> "About":
        """Say of a message what the flags, or the headers of an earlier one, say."""
        from dataclasses import replace

        self._shop = self._shop or about.shop
        return replace(about, shop=about.shop or self._shop, topic=self._topic or about.topic)

    def table(
        self, path: Path, flags: FileFlags, mapping: Path | None, *, yes: bool, at: str | None
    ) -> None:
        """Take the rows of an export."""
        from infra.cli.shop.file_flags import NO_ASSUMPTIONS
        from infra.cli.shop.imports import checked_time
        from infra.connect.faults import Faults
        from infra.connect.guessing.answers import Answers
        from infra.connect.intake import open_intake
        from infra.connect.reading import Report
        from infra.connect.sorting import in_order_of_time

        preset = {"shopify": "shopify-orders", "woocommerce": "woocommerce-orders"}.get(self._kind)
        wishes = wishes_of(flags, NO_ASSUMPTIONS, preset=preset, mapping=mapping)
        answers = Answers(asker(yes=yes), flags.given())
        intake = open_intake(path, answers, wishes.for_shop(self._kind, self._shop))
        report = Report(Faults())
        records = intake.records(report, at=checked_time(at), latest_ms=None)
        for record in in_order_of_time(records, on_same=report.same):
            self._event({"topic": record.topic, **msgspec.json.decode(record.value)})
        for fault in report.faults.listed:
            self._say("refused", {"file": path.name, **fault.public()}, f"{path.name}, {fault}")
        for why, examples in report.examples.items():
            for one in examples:
                left = {"row": one.row, "why": why}
                self._say("left_out", left, f"{path.name}, row {one.row}: left out, {why}")
        for text in answers.taken:
            self._say("notes", text, text)

    def _take(self, outcome: "Outcome", place: str) -> None:
        for event in outcome.events:
            self._event(event)
        for left in outcome.left_out:
            text = f"{place}: line {left['line']} is left out, {left['why']}"
            self._say("left_out", left, text)
        for fault in outcome.refused:
            text = f"{place}: {fault['field']} must be {fault['rule']}, got {fault['value']!r}"
            self._say("refused", {"message": place, **fault}, text)
        for one in outcome.fetch:
            self._say("fetch", one, f"{place}: GET {one} has to be asked of the shop")
        for one in outcome.notes:
            self._say("notes", one, f"{place}: {one}")

    def _event(self, event: dict[str, Any]) -> None:
        self.found["events"].append(event)
        if not self._is_quiet:
            sys.stdout.write(json.dumps(event, ensure_ascii=False) + "\n")

    def _say(self, kind: str, what: Any, text: str) -> None:
        self.found[kind].append(what)
        if not self._is_quiet:
            note(text)


def _payloads(path: Path, kind: str) -> Iterator[tuple[Any, "About"]]:
    """Yield the messages of a file with what is known of each.

    Raises:
        FileError: it is no JSON.
    """
    from infra.connect.files import open_source

    about = _about(path)
    text = path.read_bytes()[:200].decode("utf-8", "replace").strip() if path.exists() else "?"
    if kind == "woocommerce" and text.startswith("webhook_id="):
        yield text, about
    elif kind == "debezium" and (not text or _is_tombstone(text)):
        yield None, about
    else:
        for row in open_source(path).rows():
            yield (row.cells if not row.fault else row.fault), about


def _is_tombstone(text: str) -> bool:
    """Whether a text stands for a record without a value."""
    return text == "null" or (text.startswith("key ") and "value null" in text)


def _about(path: Path) -> "About":
    """Return what the headers beside a message say."""
    from infra.connect.shops.payloads import About

    headers_path = path.with_name(path.name.removesuffix(".json") + _HEADERS)
    if not headers_path.is_file():
        return About()
    headers = {str(k).lower(): str(v) for k, v in json.loads(headers_path.read_bytes()).items()}
    shop = headers.get("x-shopify-shop-domain", "")
    if not shop and (address := headers.get("x-wc-webhook-source", "")):
        shop = address.partition("://")[2].strip("/") or address
    topic = headers.get("x-shopify-topic") or headers.get("x-wc-webhook-topic") or ""
    return About(topic=topic, shop=shop)
