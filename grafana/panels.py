"""The two kinds of panel that our dashboards are made of, and a dashboard as rows of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SHORT, SECONDS, PER_SECOND, SHARE, UNITS = "short", "s", "cps", "percentunit", "locale"
BYTES = "bytes"

Steps = Sequence[tuple[float, str]]  # from this value on, this colour
GREEN = "green"


@dataclass(frozen=True)
class Answer:
    """One number that answers one question.

    Args:
        question: the title.
        explanation: what the number is, where it comes from and what to do when it is bad.
        query: PromQL; one number.
        unit: as Grafana names it.
        steps: colours from a value on; below the first it is green.
        empty: shown when nothing is scraped: "no data" must not look like 0.
    """

    question: str
    explanation: str
    query: str
    unit: str = SHORT
    steps: Steps = ()
    empty: str = "no data"


@dataclass(frozen=True)
class Graph:
    """Lines over time.

    Args:
        title: what is drawn.
        explanation: where it comes from, and how to read it.
        queries: legend -> PromQL.
        unit: as Grafana names it.
        item_link: whether a click leads to the item's own page.
    """

    title: str
    explanation: str
    queries: Mapping[str, str]
    unit: str = SHORT
    item_link: bool = False


@dataclass(frozen=True)
class Board:
    """A dashboard: answers in the first row, causes below them.

    Args:
        name: the end of its uid, `tidegate-...`, and of its file.
        title: shown.
        description: who looks at it, and what for.
        answers: the first row.
        causes: title of a row -> its graphs.
    """

    name: str
    title: str
    description: str
    answers: Sequence[Answer]
    causes: Mapping[str, Sequence[Graph]] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """How links name it."""
        return f"tidegate-{self.name}"

    def queries(self) -> list[str]:
        """Every query of the dashboard."""
        graphs = [
            query for row in self.causes.values() for g in row for query in g.queries.values()
        ]
        return [answer.query for answer in self.answers] + graphs
