"""What leaves: records that were decided and stored, and are not yet known to be in Kafka."""

from collections.abc import Mapping, Sequence
from itertools import islice, takewhile

from streams.contracts.outgoing import OutboxRecord, with_response
from streams.contracts.topics import ALERTS


class Outbox:
    """Records in the order in which they were decided, each under a number that only grows.

    Two lanes: purchase orders, which may be held, and all else, which leaves once it is stored.
    """

    def __init__(self) -> None:
        self._next_number = 0
        self._free: dict[int, OutboxRecord] = {}
        self._orders: dict[int, OutboxRecord] = {}
        self._numbers: dict[str, list[int]] = {}  # by po_id
        self._added: list[int] = []
        self._removed: list[int] = []
        self._left_early: dict[int, OutboxRecord] = {}  # steps of incidents, by number
        self._taken_to = 0  # numbers below were given to a commit
        self.responses = 0  # that changed something since the beginning

    def __len__(self) -> int:
        return len(self._free) + len(self._orders)

    @property
    def next_number(self) -> int:
        """The number that the next record will have."""
        return self._next_number

    @property
    def orders(self) -> int:
        """Purchase orders that wait."""
        return len(self._orders)

    def put(self, outgoing: OutboxRecord) -> None:
        """Add a record; it may be published once a commit has stored it."""
        self._keep(self._next_number, outgoing)
        self._added.append(self._next_number)
        self._next_number += 1

    def _keep(self, number: int, outgoing: OutboxRecord) -> None:
        if outgoing.order_summary is None:
            self._free[number] = outgoing
        else:
            self._orders[number] = outgoing
            self._numbers.setdefault(outgoing.order_summary.po_id, []).append(number)

    def judge(
        self,
        po_id: str,
        sku: str,
        warehouse: str,
        response: str,
        quantity: int | None = None,
        expected_ms: int | None = None,
    ) -> None:
        """Note what people said of an order, if it still waits here: it leaves as changed.

        Args:
            po_id: the order's.
            sku: of the response; another item's word says nothing.
            warehouse: likewise.
            response: the kind of event in `order-responses`.
            quantity: units that it stands at from now on; None means unchanged.
            expected_ms: when it is due from now on, likewise.
        """
        for number in self._numbers.get(po_id, ()):
            waiting = self._orders[number]
            summary = waiting.order_summary
            if summary is None or (summary.sku, summary.warehouse) != (sku, warehouse):
                continue
            judged = with_response(waiting, response, quantity, expected_ms)
            if judged != waiting:
                self._orders[number] = judged
                self._added.append(number)
                self.responses += 1

    def take_changes(self) -> tuple[list[tuple[int, OutboxRecord]], list[int]]:
        """Return the records to store and the numbers of those that need not be stored any more.

        A step of an incident that left before it was stored is in both: what is open is read from
        what commits carry.
        """
        waiting = {**self._free, **self._orders, **self._left_early} if self._added else {}
        added = [
            (number, waiting[number])
            for number in dict.fromkeys(self._added)
            if number in waiting  # else it left before, and nobody has to know
        ]
        removed, self._removed = self._removed, []
        self._added, self._left_early = [], {}
        self._taken_to = self._next_number
        return added, removed

    def stored_before(self, number: int, limit: int) -> list[tuple[int, OutboxRecord]]:
        """The oldest records that no gate holds, with a number below the one given."""
        chosen: list[tuple[int, OutboxRecord]] = []
        for waiting in self._free:
            if waiting >= number or len(chosen) == limit:
                break
            chosen.append((waiting, self._free[waiting]))
        return chosen

    def alerts(self, limit: int) -> list[tuple[int, OutboxRecord]]:
        """The oldest alerts, stored or not."""
        alerts = (entry for entry in self._free.items() if entry[1].topic == ALERTS)
        return list(islice(alerts, limit))

    def orders_between(self, start: int, stop: int) -> list[tuple[int, OutboxRecord]]:
        """The purchase orders with numbers from `start` on and below `stop`, oldest first."""
        newest_first = takewhile(lambda entry: entry[0] >= start, reversed(self._orders.items()))
        return [entry for entry in newest_first if entry[0] < stop][::-1]

    def published(self, numbers: Sequence[int]) -> None:
        """Note that Kafka has these, or never gets them; the next commit forgets them."""
        for number in numbers:
            gone = self._free.pop(number, None) or self._orders.pop(number, None)
            if gone is None:
                continue
            self._removed.append(number)
            if number >= self._taken_to and gone.incident is not None:
                self._left_early[number] = gone
            if gone.order_summary is not None:
                left = self._numbers.pop(gone.order_summary.po_id)
                left.remove(number)
                if left:
                    self._numbers[gone.order_summary.po_id] = left

    def restore(self, next_number: int, stored: Mapping[int, OutboxRecord]) -> None:
        """Take over stored records."""
        self._next_number = self._taken_to = next_number
        for number in sorted(stored):
            self._keep(number, stored[number])
