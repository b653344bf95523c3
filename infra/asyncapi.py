"""Writes `asyncapi.yaml` from the structs of the contracts: `python -m infra.asyncapi`."""

import json
from pathlib import Path
from typing import Any

import msgspec

from streams.contracts.alerts import Alert
from streams.contracts.events import TOPICS
from streams.contracts.purchase_orders import PurchaseOrder
from streams.contracts.topics import ALERTS, PURCHASE_ORDERS

PATH = Path(__file__).with_name("asyncapi.yaml")
_OUTPUTS: dict[str, tuple[type, ...]] = {PURCHASE_ORDERS: (PurchaseOrder,), ALERTS: (Alert,)}
_REFERENCE = "#/components/schemas/{name}"


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document as plain values."""
    kinds: dict[str, list[type]] = {
        topic: list(structs) for topic, structs in {**TOPICS, **_OUTPUTS}.items()
    }
    every = sorted({kind for structs in kinds.values() for kind in structs}, key=_name)
    _, schemas = msgspec.json.schema_components(every, ref_template=_REFERENCE)
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
        "channels": {topic: _channel(topic, structs) for topic, structs in kinds.items()},
        "operations": {
            topic: {
                "action": "receive" if topic in TOPICS else "send",
                "channel": {"$ref": f"#/channels/{topic}"},
            }
            for topic in kinds
        },
        "components": {
            "messages": {
                _name(kind): {"payload": {"$ref": _REFERENCE.format(name=_name(kind))}}
                for kind in every
            },
            "schemas": schemas,
        },
    }


def _channel(topic: str, structs: list[type]) -> dict[str, Any]:
    messages = {_name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in structs}
    return {"address": topic, "messages": messages}


def _name(kind: type) -> str:
    return kind.__name__


def text() -> str:
    """Return the document as it is committed: JSON, which every YAML reader reads."""
    return json.dumps(document(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
