"""The kill switch of one supplier or item: a name that the shop does not know is refused."""

from typing import Any

import pytest

from infra.cli.pause import unknown_name


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
        ((None, "lamp", None), None),
        ((None, "lamp", "main"), None),
        (("Acme", None, None), None),
        (("Acme", "lamp", "main"), None),
        ((None, "lamb", None), "no sku 'lamb' is known; near it: lamp"),
        ((None, "zzz", None), "no sku 'zzz' is known"),
        ((None, "lamp", "west"), "sku 'lamp' is not in warehouse 'west'; it is in main"),
        (("acme", None, None), "no supplier 'acme' is known; near it: Acme"),
        (("acme", "lamp", None), "no supplier 'acme' is known; near it: Acme"),
    ],
)
def test_name_that_nothing_has_is_told_with_what_is_near(
    names: tuple[str | None, str | None, str | None], complaint: str | None
) -> None:
    """A pause of a mistyped name would stop nothing, while its author thinks that it does."""
    shop: Any = Shop()
    assert unknown_name(shop, *names) == complaint
