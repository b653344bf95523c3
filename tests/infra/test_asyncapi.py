"""The published contract is that of the structs."""

import json

import jsonschema
import msgspec
import pytest

from infra.asyncapi import PATH, document, text
from streams.contracts.events import TOPICS


def test_the_committed_contract_is_that_of_the_structs():
    """Whoever changes a struct renews the file: `python -m infra.asyncapi`."""
    assert PATH.read_text() == text()


@pytest.mark.parametrize("topic", TOPICS)
def test_every_input_topic_and_kind_is_described(topic):
    """A topic's messages are its kinds."""
    described = document()["channels"][topic]["messages"]
    assert set(described) == {kind.__name__ for kind in TOPICS[topic]}


def test_the_schema_takes_and_refuses_what_the_struct_does():
    """A placed order with a quantity of 0 breaks both."""
    schemas = document()["components"]["schemas"]
    order = {
        "kind": "placed",
        "event_id": "e1",
        "occurred_at": "2026-03-02T10:00:00Z",
        "sku": "lamp",
        "order_id": "o1",
        "quantity": 1,
    }
    resolved = {"$ref": "#/components/schemas/Placed", "components": {"schemas": schemas}}
    jsonschema.validate(order, resolved)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**order, "quantity": 0}, resolved)
    (placed, *_) = TOPICS["orders"]
    msgspec.json.decode(json.dumps(order), type=placed)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({**order, "quantity": 0}), type=placed)
