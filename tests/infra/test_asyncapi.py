"""The published contract is that of the structs, in words and with examples that hold."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import jsonschema
import msgspec
import pytest
import yaml
from msgspec import Meta

from infra.asyncapi import KINDS, PATH, README, document, example_record, text, with_example_records
from infra.cli.explain import recompute_order
from infra.contract_files import REFERENCE, block_yaml, schemas_of, with_examples
from infra.wording.orders import differences
from streams.contracts.events import TOPICS
from streams.contracts.ids import purchase_order_id
from streams.contracts.purchase_orders import PurchaseOrder
from streams.ingest.decode import TopicDecoder
from streams.timestamps import one_time

SCHEMAS: dict[str, Any] = document()["components"]["schemas"]
RECORDS = [(topic, kind) for topic, kinds in KINDS.items() for kind in kinds]


def breaks(value: Any, schema: Any, schemas: dict[str, Any]) -> bool:
    """Whether a value is not what a schema allows."""
    whole = {**schema, "components": {"schemas": schemas}}
    return not jsonschema.Draft202012Validator(whole).is_valid(value)


def fields_of(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every field at every depth of a schema, by name."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for name, part in schema.items():
            if name not in ("examples", "default", "enum"):
                yield from fields_of(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from fields_of(part)


def complaints(schemas: dict[str, Any]) -> list[str]:
    """What fields lack: words that end as a sentence, and examples that their schemas allow."""
    found = []
    for title, schema in schemas.items():
        for name, field in fields_of(schema):
            if not field.get("description", "").endswith("."):
                found.append(f"{title}.{name} has no description")
            if not field.get("examples"):
                found.append(f"{title}.{name} has no example")
            for example in field.get("examples", []):
                if breaks(example, field, schemas):
                    found.append(f"{title}.{name} does not allow its example {example!r}")
    return found


def test_the_committed_contract_is_that_of_the_structs():
    """Whoever changes a struct renews the file: `python -m infra.asyncapi`."""
    assert PATH.read_text() == text()


def test_the_readme_has_the_example_records_of_the_structs():
    """The same command renews the examples in `streams/README.md`."""
    readme = README.read_text()
    assert readme == with_example_records(readme)


def test_a_readme_without_its_marks_is_refused():
    """Examples are never appended in a wrong place in silence."""
    with pytest.raises(ValueError, match="must have"):
        with_example_records("# A README\n")


@pytest.mark.slow
def test_the_contract_is_yaml_in_block_style():
    """Only an empty list or object stands in brackets, so the file is no JSON."""
    with pytest.raises(json.JSONDecodeError):
        json.loads(PATH.read_text())
    assert flow_nodes(PATH.read_text()) == []
    assert yaml.safe_load(PATH.read_text()) == document()


def flow_nodes(written: str) -> list[int]:
    """Lines at which a list or an object with content is written in brackets."""
    nodes: list[Any] = [yaml.compose(written)]
    lines = []
    while nodes:
        node = nodes.pop()
        if not isinstance(node, yaml.CollectionNode):
            continue
        if node.flow_style and node.value:
            lines.append(node.start_mark.line)
        nodes += [
            part for pair in node.value for part in (pair if type(pair) is tuple else (pair,))
        ]
    return lines


def test_brackets_are_seen():
    """JSON is YAML in brackets; what is written in block style has none, aliases neither."""
    assert flow_nodes('{"a": [1]}') == [0, 0]
    shared = ["x"]
    assert block_yaml({"a": shared, "b": {"c": shared}, "d": []}) == (
        "a:\n- x\nb:\n  c:\n  - x\nd: []\n"
    )


def test_every_field_is_described_and_has_examples_that_hold():
    """Of every record and of every part of it."""
    assert complaints(SCHEMAS) == []
    assert sum(len(list(fields_of(schema))) for schema in SCHEMAS.values()) > 290


class Bare(msgspec.Struct):
    """Lacks what a contract needs."""

    silent: Annotated[int, Meta(examples=[1])]
    wrong: Annotated[int, Meta(description="At least 1.", ge=1, examples=[0])]


def test_a_field_that_lacks_something_is_seen():
    """The check notices a missing description and an example that breaks its own rule."""
    assert complaints(schemas_of([Bare])) == [
        "Bare.silent has no description",
        "Bare.wrong does not allow its example 0",
    ]


def test_a_field_without_any_example_cannot_be_published():
    """The generator fails: it makes up nothing."""

    class Mute(msgspec.Struct):
        units: Annotated[int, Meta(description="Units.")]

    with pytest.raises(ValueError, match="no example"):
        with_examples(schemas_of([Mute]))


@pytest.mark.parametrize(("topic", "kind"), RECORDS)
def test_every_message_has_a_full_example_that_is_taken(topic, kind):
    """By the schema, by the decoder of its topic where it is an input, and by its struct."""
    message = document()["components"]["messages"][kind.__name__]
    (example,) = (one["payload"] for one in message["examples"])
    assert example == example_record(topic, kind)
    assert example.keys() == SCHEMAS[kind.__name__]["properties"].keys()
    assert not breaks(example, message["payload"], SCHEMAS)
    encoded = json.dumps(example).encode()
    assert type(msgspec.json.decode(encoded, type=kind)) is kind
    if topic in TOPICS:
        decoded = TopicDecoder(topic).decode([encoded], None)
        assert (decoded.rejects, len(decoded.columns)) == ([], 1)


def test_example_events_can_be_read_together():
    """No two of a topic have the same id, or the second would not be counted."""
    for topic, kinds in TOPICS.items():
        ids = [example_record(topic, kind).get("event_id") for kind in kinds]
        assert len(set(ids)) == len(ids), topic


def test_the_example_order_is_one_that_the_policy_makes():
    """Its id, quantity, costs and reason follow from its own inputs."""
    record = example_record("purchase-orders", PurchaseOrder)
    order = msgspec.convert(record, PurchaseOrder)
    assert differences(order, recompute_order(order)) == []
    window_ms = one_time(order.window_started_at)
    key = f"{order.sku}@{order.warehouse}"
    assert order.po_id == purchase_order_id(key, window_ms, order.supplier_role, order.occasion)


@pytest.mark.parametrize("topic", TOPICS)
def test_every_input_topic_and_kind_is_described(topic):
    """A topic's messages are its kinds."""
    described = document()["channels"][topic]["messages"]
    assert set(described) == {kind.__name__ for kind in TOPICS[topic]}


def test_the_schema_takes_and_refuses_what_the_struct_does():
    """A placed order with a quantity of 0 breaks both."""
    order = {
        "kind": "placed",
        "event_id": "e1",
        "occurred_at": "2026-03-02T10:00:00Z",
        "sku": "lamp",
        "order_id": "o1",
        "quantity": 1,
    }
    schema = {"$ref": REFERENCE.format(name="Placed")}
    assert not breaks(order, schema, SCHEMAS)
    assert breaks({**order, "quantity": 0}, schema, SCHEMAS)
    (placed, *_) = TOPICS["orders"]
    msgspec.json.decode(json.dumps(order), type=placed)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps({**order, "quantity": 0}), type=placed)
