"""The audit log's follower: while it does not know what people ordered, every order waits."""

import pytest

from infra.control import log as control_log
from infra.control.log import ControlLog
from infra.kafka.topic_admin import ensure_topics
from tests.conftest import Broker
from tests.system.support.running import eventually


async def test_follower_outlives_its_broker(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that was killed and came back is followed again, as often as that happens.

    A consumer that was closed while its fetch waited to be tried again once ended the follower
    without a word, and the hand-over with it.
    """
    monkeypatch.setattr(control_log, "_STALLED_S", 1.0)
    await ensure_topics(own_broker.bootstrap, "", 1)
    control = ControlLog({"bootstrap_servers": own_broker.bootstrap}, known_for_s=3.0)
    await control.start()
    try:
        for _ in range(2):
            await eventually(lambda: control.controls().is_known, "the log is followed")
            own_broker.kill()
            await eventually(lambda: not control.controls().is_known, "nobody knows")
            own_broker.start()
            await ensure_topics(own_broker.bootstrap, "", 1)
        await eventually(lambda: control.controls().is_known, "the log is followed again")
    finally:
        await control.stop()
