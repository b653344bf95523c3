"""Whether the shop knows what a pause names: a pause of a mistyped name would stop nothing."""

from collections.abc import Sequence
from difflib import get_close_matches

from infra.control.entries import Paused, UnknownError
from infra.redis.reader import Reader, open_reader
from infra.settings import Settings

_NEAR_AT_MOST = 5
_FUZZY_NAMES_AT_MOST = 20_000  # comparing letters with more of them takes seconds


class UnknownNameError(UnknownError):
    """The shop has no such supplier, sku or warehouse of a sku."""


def require_known(settings: Settings, pause: Paused) -> None:
    """Refuse a pause that would stop nothing.

    Args:
        settings: where Redis is.
        pause: the entry, not yet written.

    Raises:
        UnknownNameError: the shop does not know one of its names.
        RedisError: Redis does not answer, so that nobody knows.
    """
    if pause.supplier is None and pause.sku is None:
        return
    with open_reader(settings) as reader:
        unknown = unknown_name(reader, pause)
    if unknown is not None:
        raise unknown


def unknown_name(reader: Reader, pause: Paused) -> UnknownNameError | None:
    """Return which name of a pause the shop does not know; None means that it knows all of them."""
    sku, warehouse, supplier = pause.sku, pause.warehouse, pause.supplier
    if sku is not None and not reader.find(sku, warehouse):
        others = sorted(reader.names(p)[place][1] for p, place in reader.find(sku))
        if others:
            rule = f"one that has the sku ({', '.join(others)})"
            return UnknownNameError("warehouse", rule, warehouse)
        return _not_known("sku", sku, reader.skus())
    if supplier is not None and supplier not in (names := reader.suppliers()):
        return _not_known("supplier", supplier, names)
    return None


def _not_known(field: str, name: str, names: Sequence[str]) -> UnknownNameError:
    near = near_matches(name, names)
    rule = "one that the shop knows" + (f" (near it: {', '.join(near)})" if near else "")
    return UnknownNameError(field, rule, name)


def near_matches(wanted: str, names: Sequence[str]) -> list[str]:
    """Return names that might have been meant, the likeliest first.

    >>> near_matches("8512a", ["85123A", "22423", "X85123AX"])
    ['85123A', 'X85123AX']
    """
    folded = wanted.casefold()
    holding = [name for name in names if folded in name.casefold()]
    likely = names
    if len(names) > _FUZZY_NAMES_AT_MOST:
        likely = [name for name in names if name[:2].casefold() == folded[:2]]
        likely = likely[:_FUZZY_NAMES_AT_MOST]
    by_folded = {name.casefold(): name for name in likely}
    close = [by_folded[one] for one in get_close_matches(folded, by_folded, n=_NEAR_AT_MOST)]
    return list(dict.fromkeys([*sorted(holding, key=len), *close]))[:_NEAR_AT_MOST]
