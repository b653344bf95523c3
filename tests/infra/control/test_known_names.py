"""A pause of a name that the shop does not know is refused, with what is near it."""

from typing import Any

import pytest

from infra.control.entries import make_pause
from infra.control.known_names import unknown_name


class Shop:
    """What is asked of Redis, of a shop with one item."""

    def find(self, sku: str, warehouse: str | None = None) -> list[tuple[int, int]]:
        """The lamp is in one warehouse."""
        return [(0, 0)] if sku == "lamp" and warehouse in (None, "main") else []

    def names(self, partition: int) -> list[tuple[str, str]]:
        """Its name."""
        return [("lamp", "main")]

    def skus(self) -> list[str]:
        """All of them."""
        return ["lamp"]

    def suppliers(self) -> list[str]:
        """Two of them."""
        return ["Acme", "Fast & Co"]


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ({}, None),
        ({"sku": "lamp"}, None),
        ({"sku": "lamp", "warehouse": "main"}, None),
        ({"supplier": "Acme"}, None),
        ({"supplier": "Acme", "sku": "lamp", "warehouse": "main"}, None),
        (
            {"sku": "lamb"},
            "sku must be one that the shop knows (near it: lamp), got 'lamb'",
        ),
        ({"sku": "zzz"}, "sku must be one that the shop knows, got 'zzz'"),
        (
            {"sku": "lamp", "warehouse": "west"},
            "warehouse must be one that has the sku (main), got 'west'",
        ),
        (
            {"supplier": "acme", "sku": "lamp"},
            "supplier must be one that the shop knows (near it: Acme), got 'acme'",
        ),
    ],
)
def test_name_that_nothing_has_is_refused_with_what_is_near(
    names: dict[str, str], complaint: str | None
) -> None:
    """A pause of a mistyped name would stop nothing, while its author thinks that it does."""
    shop: Any = Shop()
    unknown = unknown_name(shop, make_pause("ada", "a drill", **names))
    assert complaint == (None if unknown is None else str(unknown))
