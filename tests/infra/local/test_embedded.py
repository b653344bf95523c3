"""The embedded servers and the topics, on real processes and sockets."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from infra.kafka.topic_admin import TopicError, ensure_topics
from infra.local.embedded import EmbeddedBroker, EmbeddedRedis, ServerError, free_port
from streams.contracts.topics import all_topics, audit_topic, input_topics, output_topics

_ROOT = Path(__file__).parents[3]


def eventually(true: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_alive(pid: int) -> bool:
    """A zombie, that nobody has collected yet, is not alive."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip()[:1] not in ("", "Z")


def test_servers_answer_as_soon_as_they_are_started(tmp_path):
    """`start()` returns a server that takes requests, on loopback."""
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("appendonly") == {"appendonly": "no"}
    with EmbeddedBroker(tmp_path) as broker:
        assert broker.bootstrap.startswith("127.0.0.1:")
        assert asyncio.run(ensure_topics(broker.bootstrap, "", 2)) == 2


def test_stopped_server_is_gone_and_comes_back_on_its_port(tmp_path):
    """A restart keeps the port, because clients know it."""
    server = EmbeddedRedis(tmp_path).start()
    pid, port = server.pid, server.port
    server.stop()
    assert not server.running
    assert not is_alive(pid)
    server.stop()
    with server.start():
        assert server.port == port
        assert server.pid != pid


def test_append_only_server_keeps_its_data_over_a_kill(tmp_path):
    """With `append_only` what was written is there after kill -9 and start."""
    with EmbeddedRedis(tmp_path, append_only=True) as server:
        with redis.Redis.from_url(server.url) as client:
            client.set("demand", 7)
            client.config_set("appendfsync", "always")
            client.set("demand", 8)
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("demand") == b"8"


@pytest.mark.parametrize("kind", [EmbeddedBroker, EmbeddedRedis])
def test_taken_port_is_a_clear_error(tmp_path, kind):
    """A given port that somebody holds is named, and nothing is left running."""
    with EmbeddedRedis(tmp_path) as holder:
        server = kind(tmp_path / "second", port=holder.port)
        with pytest.raises(ServerError, match=f"cannot listen on port {holder.port}"):
            server.start()
        assert not server.running


def test_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path):
    """Why the server did not start is in the error, not only in a file."""

    class Broken(EmbeddedRedis):
        def _command(self) -> list[str]:
            return [*super()._command(), "--no-such-option", "1"]

    with pytest.raises(ServerError, match="no-such-option"):
        Broken(tmp_path, port=free_port()).start()


def test_server_that_never_answers_is_given_up(tmp_path):
    """The wait for a start is bounded, and the child does not stay behind."""

    class Mute(EmbeddedRedis):
        start_timeout_seconds = 0.2

        def _command(self) -> list[str]:
            return ["sleep", "60"]

    server = Mute(tmp_path, port=free_port())
    with pytest.raises(ServerError, match=r"did not answer on .* within 0.2 s"):
        server.start()
    assert not server.running


@pytest.mark.parametrize("kind", ["EmbeddedBroker", "EmbeddedRedis"])
def test_server_dies_with_its_parent(tmp_path, kind):
    """Not even kill -9 of the parent leaves a server behind."""
    program = f"""
import time
from infra.local.embedded import {kind}
server = {kind}({str(tmp_path)!r}).start()
print(server.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=_ROOT
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
    assert eventually(lambda: not is_alive(pid))


def test_server_outlives_the_thread_that_started_it(tmp_path):
    """A server may be started from a thread pool."""
    server = EmbeddedRedis(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    time.sleep(0.1)
    try:
        assert server.running
    finally:
        server.stop()


def test_ctrl_c_does_not_reach_the_server(tmp_path):
    """The parent orders the shutdown: a terminal's interrupt goes to another process group."""
    with EmbeddedRedis(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_stopped_process_that_ignores_sigterm_is_killed(tmp_path):
    """`stop()` ends a hung server too."""
    with EmbeddedRedis(tmp_path) as server:
        server.stop_timeout_seconds = 0.2
        server.signal(signal.SIGSTOP)
        pid = server.pid
        server.stop()
        assert not is_alive(pid)


async def test_ensure_topics_makes_all_topics_once(stack):
    """Every input and output topic is there; a second call changes nothing."""
    assert await ensure_topics(stack.bootstrap, stack.prefix, 3) == 3
    assert await ensure_topics(stack.bootstrap, stack.prefix, 8) == 3
    client = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await client.start()
    try:
        described = {t["topic"]: len(t["partitions"]) for t in await client.describe_topics()}
    finally:
        await client.close()
    own = {name: count for name, count in described.items() if name.startswith(stack.prefix)}
    expected = {**dict.fromkeys(all_topics(stack.prefix), 3), audit_topic(stack.prefix): 1}
    assert own == expected


async def test_ensure_topics_by_several_workers_at_once(stack):
    """Workers that start together all succeed."""
    counts = await asyncio.gather(
        *(ensure_topics(stack.bootstrap, stack.prefix, 2) for _ in range(4))
    )
    assert counts == [2, 2, 2, 2]


async def test_inputs_with_different_partition_counts_are_refused(stack):
    """Co-partitioning is checked: the error names topic, rule and value."""
    client = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await client.start()
    try:
        odd, *others = input_topics(stack.prefix)
        await client.create_topics([NewTopic(odd, 5, 1)] + [NewTopic(n, 4, 1) for n in others])
    finally:
        await client.close()
    message = f"topic '{odd}' must have 4 partitions like the other input topics, got 5"
    with pytest.raises(TopicError, match=message):
        await ensure_topics(stack.bootstrap, stack.prefix, 4)


@pytest.mark.kafka  # the embedded broker takes any name
async def test_topic_that_the_broker_refuses_is_a_clear_error(stack):
    """The error names the topic and says why the broker did not take it."""
    with pytest.raises(TopicError, match="must be accepted by the broker"):
        await ensure_topics(stack.bootstrap, "no spaces allowed ", 1)


async def test_topics_take_and_give_records(stack):
    """A record written to a made topic is read back."""
    await ensure_topics(stack.bootstrap, stack.prefix, 1)
    topic = stack.prefix + "orders"
    async with AIOKafkaProducer(bootstrap_servers=stack.bootstrap) as producer:
        await producer.send_and_wait(topic, b"{}", key=b"lamp")
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 10)
    assert (record.key, record.value) == (b"lamp", b"{}")


def test_topic_names_follow_the_contract():
    """Each input has a dead-letter and a late topic, under the same prefix."""
    assert input_topics("p-")[:2] == ["p-catalog", "p-campaigns"]
    assert {"p-purchase-orders", "p-alerts", "p-orders.dlt", "p-orders.late"} <= set(
        output_topics("p-")
    )


@pytest.mark.kafka  # the embedded broker keeps nothing
async def test_killed_broker_comes_back_with_its_records(own_broker):
    """After kill -9 and start, the same address gives what was acknowledged before."""
    topic = NewTopic("orders", 1, 1)
    client = AIOKafkaAdminClient(bootstrap_servers=own_broker.bootstrap)
    await client.start()
    await client.create_topics([topic])
    await client.close()
    async with AIOKafkaProducer(bootstrap_servers=own_broker.bootstrap) as producer:
        await producer.send_and_wait("orders", b"{}")
    await asyncio.to_thread(own_broker.kill)
    await asyncio.to_thread(own_broker.start)
    async with AIOKafkaConsumer(
        "orders", bootstrap_servers=own_broker.bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        assert (await asyncio.wait_for(consumer.getone(), 20)).value == b"{}"
