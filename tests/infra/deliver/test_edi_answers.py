"""Suppliers' EDI answers as events that Tidegate's own decoders take."""

import msgspec
import pytest

from infra.deliver.edi_answers import Partner, events_of
from infra.deliver.edifact import EdiError
from streams.contracts.events import TOPICS
from tests.infra.deliver.test_edifact import SAMPLES

PARTNER = Partner("lean", {"9521234001201": "85123A"})
PO = "po-0d42234752cf8a81a419"
ACKNOWLEDGED = {
    "topic": "order-responses",
    "kind": "acknowledged",
    "event_id": "855/LS-90017/1",
    "occurred_at": "2026-11-12T00:00:00Z",
    "sku": "85123A",
    "po_id": PO,
    "expected_at": "2026-11-18T00:00:00Z",
    "source": "edi:lean",
}
EXPECTED = {
    "ordrsp-d96a.edi": [
        {**ACKNOWLEDGED, "kind": "changed", "event_id": "ordrsp/LS-90017/1", "quantity": 96}
    ],
    "ack-855.x12": [
        ACKNOWLEDGED,
        {
            **ACKNOWLEDGED,
            "topic": "shipments",
            "kind": "delayed",
            "event_id": "855/LS-90017/1/2",
            "supplier": "lean",
            "quantity": 24,
            "expected_at": "2026-11-25T00:00:00Z",
        },
    ],
    "desadv-d96a.edi": [
        {
            **ACKNOWLEDGED,
            "topic": "shipments",
            "kind": "advised",
            "event_id": "desadv/DES-9001/1",
            "occurred_at": "2026-11-16T00:00:00Z",
            "supplier": "lean",
            "quantity": 96,
        }
    ],
    "asn-856.x12": [
        {
            **ACKNOWLEDGED,
            "topic": "shipments",
            "kind": "advised",
            "event_id": "856/DES9001/3",
            "occurred_at": "2026-11-16T00:00:00Z",
            "supplier": "lean",
            "quantity": 96,
        }
    ],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_samples_become_events(name: str) -> None:
    """Those of the samples; the structs of the topics take them."""
    found = events_of((SAMPLES / name).read_bytes(), PARTNER)
    assert found == EXPECTED[name]
    for event in found:
        event = dict(event)
        kinds = TOPICS[event.pop("topic")]
        known = [one for one in kinds if one.__struct_config__.tag == event["kind"]]
        assert msgspec.convert(event, known[0])


@pytest.mark.parametrize(
    ("name", "old", "new", "kind"),
    [
        ("ordrsp-d96a.edi", b"QTY+113:96", b"QTY+113:0", "rejected"),
        ("ordrsp-d96a.edi", b"QTY+113:96", b"QTY+113:120", "acknowledged"),
        ("ordrsp-d96a.edi", b"BGM+231+LS-90017+4", b"BGM+231+LS-90017+27", "rejected"),
        ("ordrsp-d96a.edi", b"LIN+1+3", b"LIN+1+7", "rejected"),
        ("ack-855.x12", b"ACK*IA*96", b"ACK*IQ*96", "changed"),
        ("ack-855.x12", b"ACK*IA*96", b"ACK*IR*96", "rejected"),
    ],
)
def test_each_answer_has_its_kind(name: str, old: bytes, new: bytes, kind: str) -> None:
    """Less is a change, nothing is a refusal."""
    content = (SAMPLES / name).read_bytes()
    assert old in content
    assert events_of(content.replace(old, new), PARTNER)[0]["kind"] == kind


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("ordrsp-d96a.edi", b"RFF+ON:", b"RFF+XX:", r"RFF\+ON must name our order"),
        ("ordrsp-d96a.edi", b"85123A:IN", b"85123A:SA", None),
        ("desadv-d96a.edi", b"9521234001201", b"9521234009999", "or a known GTIN"),
        ("desadv-d96a.edi", b"QTY+12:96", b"QTY+12:9.5", "whole units"),
        ("ack-855.x12", b"BP*85123A", b"VP*85123A", "must name our item"),
        ("po-850.x12", b"~", b"~", "a set must be 855 or 856, got '850'"),
        ("orders-wrong-count.edi", b"'", b"'", "UNT must be 16"),
    ],
)
def test_answer_that_names_nothing_is_refused(
    name: str, old: bytes, new: bytes, complaint: str | None
) -> None:
    """The whole file; an item named by a known GTIN alone is taken."""
    content = (SAMPLES / name).read_bytes().replace(old, new)
    if complaint is None:
        assert events_of(content, PARTNER)[0]["sku"] == "85123A"
        return
    with pytest.raises(EdiError, match=complaint):
        events_of(content, PARTNER)
