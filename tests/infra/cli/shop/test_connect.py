"""`tidegate connect try`, as somebody who sets a shop up uses it."""

import json
from pathlib import Path

import pytest

from infra.cli.app import run
from infra.cli.shop import connect

SAMPLES = Path(__file__).parents[2] / "connect" / "samples"


def tried(capsys, *arguments: str) -> tuple[int, dict]:
    """Run the command for programs; return its code and its answer."""
    code = run(["connect", "try", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_messages_are_taken_one_after_another(capsys):
    """The headers beside the first message name the shop for all of them."""
    files = [str(SAMPLES / "shopify" / f"orders-{name}.json") for name in ("create", "updated")]
    code, found = tried(capsys, "shopify", *files)
    assert code == 0
    assert [event["kind"] for event in found["events"]] == ["placed", "placed", "cancelled"]
    assert {event["source"] for event in found["events"]} == {"shopify:example-shop.example"}
    assert connect.connect.name == ("connect",)


def test_events_are_lines_that_replay_takes(capsys):
    """What is left out is said beside them."""
    assert run(["connect", "try", "shopify", str(SAMPLES / "shopify/orders-create.json")]) == 0
    said = capsys.readouterr()
    (event,) = map(json.loads, said.out.splitlines())
    assert event["topic"] == "orders"
    assert "gift_card" in said.err


@pytest.mark.parametrize("place", [[], ["csv"]])
def test_a_mapping_over_messages_and_tables(capsys, place):
    """With a mapping the source may be left out."""
    own = SAMPLES / "own-topic"
    code, found = tried(capsys, "--mapping", str(own / "mapping.toml"), str(own / "order.json"))
    assert (code, len(found["events"])) == (0, 1)
    files = SAMPLES / "files"
    mapping = ["--mapping", str(files / "mapping-catalog.toml")]
    code, found = tried(capsys, *place, str(files / "catalog-de.csv"), *mapping)
    assert (code, len(found["events"]), len(found["refused"])) == (1, 2, 2)


def test_an_export_of_a_shop(capsys):
    """Its source is another one than that of the shop's messages."""
    path = str(SAMPLES / "shopify/orders-export.csv")
    code, found = tried(capsys, "shopify", path, "--shop", "example-shop.example")
    assert (code, len(found["events"])) == (0, 4)
    assert found["events"][0]["source"] == "shopify:example-shop.example/export"


def test_debezium_and_woocommerce_files(capsys):
    """A tombstone and a ping are files, too."""
    folder = SAMPLES / "debezium"
    names = ["c.json", "u.json", "d.json", "d-tombstone.txt"]
    code, found = tried(capsys, "debezium", *(str(folder / name) for name in names))
    assert (code, [event["quantity"] for event in found["events"]]) == (0, [3, 1, 2])
    folder = SAMPLES / "woocommerce"
    files = [str(folder / "ping.txt"), str(folder / "order-created.json")]
    code, found = tried(capsys, "woocommerce", *files)
    assert found["events"][0]["source"] == "woocommerce:shop.example"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["klarna", "x.json"], "must be one of shopify"),
        (["shopify"], "at least one FILE"),
        (["shopify", "none.json"], "none.json"),
        ([str(SAMPLES / "own-topic/order.json")], "say the source"),
    ],
)
def test_a_wrong_command_says_what_is_needed(capsys, arguments, says):
    """Exit code 2."""
    assert run(["connect", "try", *arguments]) == 2
    assert says in capsys.readouterr().err
