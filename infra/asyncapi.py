"""The contracts as an AsyncAPI 3.0 document and as examples in a README, from their structs.

`python -m infra.asyncapi` writes `asyncapi.yaml` and the examples in `streams/README.md`.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from infra.contract_files import (
    REFERENCE,
    Schema,
    block_yaml,
    example_of,
    schemas_of,
    with_examples,
)
from streams.contracts.alerts import Alert
from streams.contracts.events import TOPICS, Heartbeat
from streams.contracts.purchase_orders import PurchaseOrder
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS

PATH = Path(__file__).with_name("asyncapi.yaml")
README = Path(__file__).parent.parent / "streams" / "README.md"
KINDS: dict[str, tuple[type, ...]] = {**TOPICS, PURCHASE_ORDERS: (PurchaseOrder,), ALERTS: (Alert,)}
"""Topic -> the structs of its records."""

_BEGIN = "<!-- Examples: written by `python -m infra.asyncapi`. -->\n"
_END = "<!-- End of the examples. -->\n"
_COLUMNS = 100


@cache
def schemas() -> dict[str, Schema]:
    """Return the schema of each kind and of its parts, each field with words and an example."""
    found = with_examples(schemas_of(sorted(_all_kinds(), key=_name)))
    return {name: _ready(schema) for name, schema in found.items()}


def _ready(schema: Schema) -> Schema:
    """Describe the tag of a record; keep words beside references apart, as AsyncAPI has it."""
    if "properties" not in schema:
        return schema
    properties = {name: _ready_field(field) for name, field in schema["properties"].items()}
    return {**schema, "properties": properties}


def _ready_field(field: Schema) -> Schema:
    match field:
        case {"$ref": reference, **others}:
            return {**others, "allOf": [{"$ref": reference}]}
        case {"enum": [tag], **others} if "description" not in field:
            return {"description": f'Kind of the record: always "{tag}".', **others, "enum": [tag]}
    return field


def example_record(topic: str, kind: type) -> dict[str, Any]:
    """Return a full record of a kind, made of the first example of each field.

    Args:
        topic: without prefix.
        kind: one of its structs.
    """
    record: dict[str, Any] = example_of(schemas()[_name(kind)], schemas())
    if "event_id" in record:  # ids are unique
        record["event_id"] = f"{topic}-{KINDS[topic].index(kind) + 1}"
    return record


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document as plain values."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Tidegate",
            "version": "1",
            "description": "Events in, purchase orders and alerts out. Key of every record: its "
            "sku (alerts: their subject). Headers follow the CloudEvents 1.0 binary mode on "
            "output, and may on input.",
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, structs) for topic, structs in KINDS.items()},
        "operations": {
            topic: {
                "action": "receive" if topic in TOPICS else "send",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in KINDS
        },
        "components": {"messages": _messages(), "schemas": schemas()},
    }


def _channel(topic: str, structs: tuple[type, ...]) -> dict[str, Any]:
    messages = {_name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in structs}
    return {"address": topic, "messages": messages}


def _messages() -> dict[str, Any]:
    """Return the message of each kind, with its example record."""
    messages = {}
    for topic, structs in KINDS.items():
        for kind in structs:
            messages[_name(kind)] = {
                "summary": schemas()[_name(kind)]["description"].partition("\n")[0],
                "payload": {"$ref": REFERENCE.format(name=_name(kind))},
                "examples": [{"payload": example_record(topic, kind)}],
            }
    return messages


def _all_kinds() -> set[type]:
    return {kind for structs in KINDS.values() for kind in structs}


def _name(kind: type) -> str:
    return kind.__name__


def text() -> str:
    """Return the document as it is committed."""
    return block_yaml(document())


def with_example_records(readme: str) -> str:
    """Return a README whose part between the two marks has the example records.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = readme.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the README must have {_BEGIN.strip()} and {_END.strip()}")
    return before + begin + _example_records() + end + after


def _example_records() -> str:
    parts = []
    for topic, structs in KINDS.items():
        records = [_filled(example_record(topic, kind)) for kind in structs if kind != Heartbeat]
        direction = "in" if topic in TOPICS else "out"
        parts.append(_section(f"`{topic}` ({direction})", records))
    beat = _filled(example_record(next(iter(TOPICS)), Heartbeat))
    parts.append(_section("Every input topic, written by a worker or a replay", [beat]))
    return "\n".join(parts)


def _section(title: str, records: list[str]) -> str:
    return "\n".join([f"{title}:", "", "```json", *records, "```", ""])


def _filled(record: dict[str, Any]) -> str:
    """Return a record as JSON in lines of at most `_COLUMNS`, cut between its values."""
    first, *others = json.dumps(record, separators=(",\n", ": ")).split("\n")
    lines = [first]
    for value in others:
        if len(lines[-1]) + 1 + len(value) <= _COLUMNS:
            lines[-1] += f" {value}"
        else:
            lines.append(f"  {value}")
    return "\n".join(lines)


if __name__ == "__main__":
    PATH.write_text(text())
    README.write_text(with_example_records(README.read_text()))
