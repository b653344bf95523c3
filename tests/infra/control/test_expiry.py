"""Drafts that nobody answers are rejected after the hours of the setting."""

import pytest

from infra.control.entries import OrderAnswered, OrderWaits, Paused
from infra.control.expiry import DraftExpiry
from infra.control.orders import Word, answer_to
from infra.settings import Settings
from streams.handover.rules import HoldReason, Verdict
from tests.infra.control.test_orders import stored
from tests.infra.memory_log import NEW_YEAR_2026, MemoryLog

HOUR_S = 3_600.0
WAITS = OrderWaits(who="tidegate", why="w", po_id="po-1", reason=HoldReason.APPROVAL)


class Wall:
    """A clock that the test owns."""

    now_s = NEW_YEAR_2026

    def __call__(self) -> float:
        return self.now_s


class Expiring:
    """A shop with one order that waits for its approval, and what makes it expire."""

    def __init__(self, redis_url: str, hours: float | None = 48.0) -> None:
        self.wall = Wall()
        self.log = MemoryLog(self.wall)
        settings = stored(redis_url)
        self.settings = Settings(
            redis_url=settings.redis_url, approval_amount=800.0, draft_expiry_hours=hours
        )
        self.owned = [0]
        self.expiry = DraftExpiry(self.settings, self.log, lambda: self.owned, self.wall)

    async def look_after(self, hours: float) -> list[str]:
        self.wall.now_s = NEW_YEAR_2026 + hours * HOUR_S
        await self.expiry.look()
        said = [one for one in self.log.entries if isinstance(one, OrderAnswered)]
        return [f"{one.verdict} {one.po_id} {one.quantity}" for one in said]


@pytest.fixture
def shop(redis_url):
    """One with 48 hours, in which the order began to wait."""
    made = Expiring(redis_url)
    made.log.note(WAITS)
    return made


async def test_order_that_nobody_answers_is_rejected_once(shop):
    """By Tidegate, with the rule as its reason; the word goes to the logs like a person's."""
    assert await shop.look_after(47.9) == []
    assert await shop.look_after(48) == ["rejected po-1 10"]
    assert await shop.look_after(96) == ["rejected po-1 10"]
    entry = shop.log.entries[-1]
    assert (entry.who, entry.why) == ("tidegate", "expired: no answer for 48 h")
    assert [one.po_id for one in shop.log.responses] == ["po-1"]


async def test_a_change_begins_the_time_anew(shop):
    """Somebody looks after it; approved, it never expires."""
    shop.wall.now_s = NEW_YEAR_2026 + 40 * HOUR_S
    word = Word("po-1", Verdict.CHANGED, "ada", "less", 7)
    controls = shop.log.controls()
    entry, _ = answer_to(shop.settings, shop.log.state, controls, word)
    await shop.log.answer(entry)
    assert await shop.look_after(80) == ["changed po-1 7"]
    assert (await shop.look_after(88))[-1] == "rejected po-1 7"


async def test_answered_order_does_not_expire(shop):
    """Though it is held until the logs have brought its change."""
    for word in (
        Word("po-1", Verdict.CHANGED, "ada", "less", 7),
        Word("po-1", Verdict.APPROVED, "ada", "good"),
    ):
        entry, _ = answer_to(shop.settings, shop.log.state, shop.log.controls(), word)
        await shop.log.answer(entry)
    assert await shop.look_after(99) == ["changed po-1 7", "approved po-1 7"]


@pytest.mark.parametrize("case", ["paused", "elsewhere", "unknown", "no setting"])
async def test_what_nobody_was_asked_about_does_not_expire(redis_url, case):
    """A pause, another worker's partition, an order that is not known to wait, no setting."""
    shop = Expiring(redis_url, None if case == "no setting" else 48.0)
    if case != "unknown":
        shop.log.note(WAITS)
    if case == "paused":
        shop.log.note(Paused(who="ada", why="w"))
    if case == "elsewhere":
        shop.owned = [1]
    assert await shop.look_after(99) == []
    if case == "no setting":
        await shop.expiry.run()  # ends at once


async def test_nothing_expires_while_people_s_words_are_not_known(shop, monkeypatch):
    """An approval may lie in the log that cannot be read."""
    unknown = shop.log.state.controls(is_known=False)
    monkeypatch.setattr(shop.log, "controls", lambda: unknown)
    assert await shop.look_after(99) == []
