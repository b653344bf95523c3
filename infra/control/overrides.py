"""How often people change what is proposed, and why: the share of proposals that they override."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import msgspec

from infra.control.entries import TIDEGATE, AnyEntry, OrderAnswered
from streams.contracts.fields import described
from streams.handover.rules import Verdict

_SHOWN = 20


class Reason(msgspec.Struct, frozen=True):
    """A reason that people gave, or an item or a person that it is about, and how often."""

    name: str
    orders: int


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What people made of the orders that were proposed."""

    proposed: Annotated[int, described("Orders that were proposed, whatever became of them.")]
    approved: Annotated[int, described("Left as proposed, by somebody's word.")]
    changed: Annotated[int, described("Changed by somebody, and not rejected.")]
    rejected: Annotated[int, described("Rejected or cancelled by somebody.")]
    expired: Annotated[int, described("Rejected because nobody answered.")]
    override_rate: Annotated[
        float | None, described("Changed and rejected by people / proposed; null without any.")
    ]
    reasons: list[Reason]
    items: list[Reason]
    people: list[Reason]


def overrides_of(entries: Iterable[AnyEntry], published: Iterable[str]) -> Overrides:
    """Return how often, and why, people overrode what was proposed.

    Args:
        entries: of the audit log, in order.
        published: ids of the orders that left; those that only the log names count, too.
    """
    answers: dict[str, list[OrderAnswered]] = {}
    for one in entries:
        if isinstance(one, OrderAnswered):
            answers.setdefault(one.po_id, []).append(one)
    fates = {po_id: _fate(said) for po_id, said in answers.items()}
    counts = Counter(fates.values())
    overriding = [
        next(one for one in reversed(answers[po_id]) if one.verdict == _VERDICTS[fate])
        for po_id, fate in fates.items()
        if fate in _VERDICTS
    ]
    proposed = len({*published, *answers})
    return Overrides(
        proposed=proposed,
        approved=counts["approved"],
        changed=counts["changed"],
        rejected=counts["rejected"],
        expired=counts["expired"],
        override_rate=len(overriding) / proposed if proposed else None,
        reasons=_most(one.why for one in overriding),
        items=_most(f"{one.sku}@{one.warehouse}" for one in overriding),
        people=_most(one.who for one in overriding),
    )


_VERDICTS = {"changed": Verdict.CHANGED, "rejected": Verdict.REJECTED}


def _fate(said: list[OrderAnswered]) -> str:
    """Return what became of an order by the words about it, the oldest first."""
    if said[-1].verdict == Verdict.REJECTED:
        return "expired" if said[-1].who == TIDEGATE else "rejected"
    if any(one.verdict == Verdict.CHANGED for one in said):
        return "changed"
    return "approved"


def _most(names: Iterable[str]) -> list[Reason]:
    found = sorted(Counter(names).items(), key=lambda pair: (-pair[1], pair[0]))
    return [Reason(name, count) for name, count in found[:_SHOWN]]
