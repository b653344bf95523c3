"""The routes of the API, with the structs of their questions and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from infra.page.contracts import (
    DeadLetters,
    Incidents,
    Items,
    ItemsQuery,
    NoQuery,
    Now,
    PageQuery,
    Sales,
    SalesQuery,
    Shipping,
)
from infra.page.snapshot import Snapshot
from infra.page.views.dead_letters import dead_letters
from infra.page.views.incidents import incidents
from infra.page.views.items import ItemsView
from infra.page.views.now import now
from infra.page.views.sales import sales
from infra.page.views.shipping import shipping

PREFIX = "/api/v1"


@dataclass(frozen=True, slots=True)
class View:
    """A part of the page that follows from the snapshot alone."""

    path: str
    summary: str
    query: type[msgspec.Struct]
    answer: type[msgspec.Struct]
    make: Callable[[Snapshot, Any], msgspec.Struct]


VIEWS = (
    View("/now", "The shop at a glance", NoQuery, Now, lambda snapshot, _: now(snapshot)),
    View(
        "/sales",
        "Speeds over time, beside the plan and the week before",
        SalesQuery,
        Sales,
        lambda snapshot, query: sales(snapshot, query.span),
    ),
    View(
        "/items",
        "Items, by default the one that runs out first on top",
        ItemsQuery,
        Items,
        lambda snapshot, query: ItemsView(snapshot).page(query),
    ),
    View("/shipping", "Whether orders leave in time", PageQuery, Shipping, shipping),
    View("/incidents", "Open incidents", PageQuery, Incidents, incidents),
    View(
        "/dead-letters",
        "Dead letters: records that could not be read",
        PageQuery,
        DeadLetters,
        dead_letters,
    ),
)
