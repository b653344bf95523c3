"""What incidents are about, in words: for summaries, the page and the command line."""

import re

_INPUT = re.compile(r"(orders|inputs)/(\d+)")
_GROUP = re.compile(r"(campaign|category):(.+)", re.DOTALL)
_SHOP = "shop"


def subject_text(subject: str) -> str:
    """Return the subject of an incident for people; one of an item or an order stays as it is.

    >>> subject_text("orders/2"), subject_text("inputs/0"), subject_text("lamp@main")
    ('orders, partition 2', 'all topics, partition 0', 'lamp@main')
    >>> subject_text("shop"), subject_text("category:lamps"), subject_text("po-1")
    ('the shop', 'category lamps', 'po-1')
    """
    if (found := _INPUT.fullmatch(subject)) is not None:
        topic = "all topics" if found[1] == "inputs" else found[1]
        return f"{topic}, partition {found[2]}"
    if (found := _GROUP.fullmatch(subject)) is not None:
        return f"{found[1]} {found[2]}"
    return "the shop" if subject == _SHOP else subject
