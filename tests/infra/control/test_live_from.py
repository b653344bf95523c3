"""When a shop went live: said once, kept in the audit log, and the same for every worker."""

import asyncio

import pytest
from pydantic import ValidationError

from infra.control.live_from import with_live_from
from infra.control.log import read_audit
from infra.kafka.options import client_options
from infra.kafka.topic_admin import ensure_topics
from infra.redis.reader import connect
from infra.settings import ALWAYS, FIRST_START, Settings
from streams.timestamps import one_time


async def shop(stack, **given) -> Settings:
    """The settings of a shop whose topics are there."""
    settings = Settings(
        kafka_bootstrap=stack.bootstrap,
        redis_url=stack.redis_url,
        topic_prefix=stack.prefix,
        **given,
    )
    await ensure_topics(client_options(settings), settings.topic_prefix, 1, 1)
    return settings


async def test_first_start_is_said_once_for_all_workers(stack):
    """Two that start together, and one that starts later, order from the same moment on."""
    settings = await shop(stack)
    together = await asyncio.gather(with_live_from(settings), with_live_from(settings))
    later = await with_live_from(settings)
    assert {one.live_from for one in (*together, later)} == {later.live_from}
    assert later.worker().shard.timeline.review.live_from_ms == one_time(later.live_from)
    assert later.live_from > "2026"
    audit, _ = await read_audit(settings)
    assert audit.faults == []


async def test_shop_that_has_a_state_already_goes_on_as_before(stack):
    """It ordered before there was this setting: built anew, it comes to the same orders."""
    settings = await shop(stack)
    connect(stack.redis_url).hset("tg:shard:{0}", "epoch", 1)
    assert (await with_live_from(settings)).live_from == ALWAYS


async def test_time_that_somebody_set_stands(stack):
    """Nothing is written, and nothing is read."""
    settings = await shop(stack, live_from="2026-11-20T08:00:00Z")
    assert await with_live_from(settings) == settings
    assert (await read_audit(settings))[1] == []


def test_what_is_no_time_is_refused():
    """The message says what may stand there."""
    with pytest.raises(ValidationError, match=f"must be {FIRST_START} or a time"):
        Settings(live_from="tomorrow")
