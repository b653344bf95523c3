"""What incidents are about, in words."""

import re

_INPUT = re.compile(r"(orders|inputs)/(\d+)")


def subject_text(subject: str) -> str:
    """Return the subject of an incident for people: a topic of one partition in words.

    >>> subject_text("orders/2"), subject_text("inputs/0"), subject_text("lamp@main")
    ('orders, partition 2', 'all topics, partition 0', 'lamp@main')
    """
    found = _INPUT.fullmatch(subject)
    if found is None:
        return subject
    topic = "all topics" if found[1] == "inputs" else found[1]
    return f"{topic}, partition {found[2]}"
