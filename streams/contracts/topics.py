"""The names of all topics, without and with their prefix."""

from streams.contracts.events import TOPICS

INPUTS: tuple[str, ...] = tuple(TOPICS)
ORDER_RESPONSES = "order-responses"
PURCHASE_ORDERS = "purchase-orders"
ALERTS = "alerts"
AUDIT = "tidegate-audit"
GROUP_FACTS = "group-facts"
COMPACTED = frozenset({"catalog", "campaigns"})


def dead_letter_topic(topic: str) -> str:
    """The topic that takes the bad records of `topic`, byte for byte."""
    return f"{topic}.dlt"


def late_topic(topic: str) -> str:
    """The topic that takes the records of `topic` that came after the grace."""
    return f"{topic}.late"


def input_topics(prefix: str = "") -> list[str]:
    """The input topics in the order of `streams.contracts.events.TOPICS`."""
    return [prefix + name for name in INPUTS]


def output_topics(prefix: str = "") -> list[str]:
    """The output topics: purchase orders, alerts, and the two side exits of each input."""
    exits = [name(topic) for topic in INPUTS for name in (dead_letter_topic, late_topic)]
    return [prefix + name for name in (PURCHASE_ORDERS, ALERTS, *exits)]


def read_topics(prefix: str = "") -> list[str]:
    """The topics that a worker reads: the inputs, and what its shards tell of groups."""
    return [*input_topics(prefix), prefix + GROUP_FACTS]


def audit_topic(prefix: str = "") -> str:
    """The audit log: one partition, so that its entries have one order, and kept for ever."""
    return prefix + AUDIT


def all_topics(prefix: str = "") -> list[str]:
    """Every topic of Tidegate."""
    return [*read_topics(prefix), *output_topics(prefix), audit_topic(prefix)]
