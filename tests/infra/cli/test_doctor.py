"""`tidegate doctor` beside servers that do not answer: real ones, stopped, dead, or refusing."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from infra.cli.app import run
from infra.cli.terminal.failures import ExitCode
from infra.local.embedded import EmbeddedRedis
from tests.conftest import Broker
from tests.infra.redis.refusing_server import RefusingServer, running

NOBODY = "127.0.0.1:1"
_NOT_LOOKED_AT = "not looked at: Redis did not answer"
_PATIENCE_SECONDS = 60.0


@pytest.fixture
def frozen_redis(own_redis: EmbeddedRedis):
    """A Redis that takes connections and answers nothing."""
    own_redis.signal(signal.SIGSTOP)
    yield own_redis
    own_redis.signal(signal.SIGCONT)


def checks(capsys, *flags: str) -> dict[str, tuple[str, str]]:
    """Status and finding of each check, with advice."""
    assert run(["doctor", "--json", *flags]) == ExitCode.NO
    reported = json.loads(capsys.readouterr().out)
    assert not reported["healthy"]
    return {c["name"]: (c["status"], f"{c['finding']}; {c['advice']}") for c in reported["checks"]}


@pytest.mark.slow
def test_frozen_redis_and_dead_broker_are_reported_one_by_one(frozen_redis):
    """Each line is there as soon as it is known, and what hangs on Redis is named as not seen."""
    command = [sys.executable, "-m", "infra.cli", "doctor", "--kafka-bootstrap", NOBODY]
    with subprocess.Popen(
        [*command, "--redis-url", frozen_redis.url],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ok    settings")
        assert process.stdout.readline().startswith(
            f"fail  broker         Kafka: no broker answers at {NOBODY}"
        )
        assert process.poll() is None  # it waits for Redis yet
        rest = process.stdout.read()
        assert process.wait(_PATIENCE_SECONDS) == ExitCode.NO
    assert "fail  redis          it did not answer within 3 s" in rest
    assert rest.count(_NOT_LOOKED_AT) == 4  # writes, memory, state, shards
    assert "not looked at: topics, partitions, redis writes, redis memory, state, shards" in rest


@pytest.mark.slow
def test_programs_get_the_same(frozen_redis, capsys):
    """All checks are in the one object, those that were not looked at as well."""
    found = checks(capsys, "--kafka-bootstrap", NOBODY, "--redis-url", frozen_redis.url)
    assert found["redis"][0] == "fail"
    assert found["redis writes"] == ("skip", f"{_NOT_LOOKED_AT}; ")
    assert {found[name][0] for name in ("redis memory", "state", "shards", "topics")} == {"skip"}


def test_frozen_broker_does_not_hide_redis(own_broker: Broker, own_redis: EmbeddedRedis, capsys):
    """A broker that takes connections and answers nothing costs one check; Redis is looked at."""
    own_broker.signal(signal.SIGSTOP)
    try:
        flags = ["--kafka-bootstrap", own_broker.bootstrap, "--redis-url", own_redis.url]
        found = checks(capsys, *flags)
    finally:
        own_broker.signal(signal.SIGCONT)
    assert found["broker"][0] == "fail"
    assert "did not answer within 3 s" in found["broker"][1]
    assert found["topics"] == ("skip", "not looked at: the broker did not answer; ")
    assert {found[name][0] for name in ("redis", "redis writes", "redis memory")} == {"ok"}


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ("MASTERDOWN Link with MASTER is down", "it is a replica that has lost its primary"),
        ("LOADING Redis is loading the dataset in memory", "it is still loading its data"),
        ("NOPERM User x has no permissions", "its user lacks a right"),
        ("CLUSTERDOWN The cluster is down", "its cluster is down"),
    ],
)
def test_refusals_are_reported_as_what_they_are(refusal, said, capsys):
    """In terms of what has to be mended, whichever check meets them."""
    server = RefusingServer(refusal)
    with running(server):
        found = checks(capsys, "--kafka-bootstrap", NOBODY, "--redis-url", server.url)
    assert found["redis"][1].startswith(said)
    assert "start Redis" not in found["redis"][1]


def test_replica_is_reported_by_the_check_that_writes(own_redis: EmbeddedRedis, tmp_path, capsys):
    """It answers everything else."""
    with EmbeddedRedis(tmp_path / "replica") as replica:
        with redis.Redis.from_url(replica.url) as client:
            client.replicaof("127.0.0.1", own_redis.port)
        found = checks(capsys, "--kafka-bootstrap", NOBODY, "--redis-url", replica.url)
    assert found["redis"][0] == "ok"
    assert found["redis writes"][0] == "fail"
    assert "redis_url must lead to the primary" in found["redis writes"][1]


@pytest.mark.slow
@pytest.mark.parametrize("command", [["item", "lamp"], ["export", "items"]])
def test_frozen_redis_ends_other_commands_soon(frozen_redis, command, capsys):
    """One that reads Redis says after 3 s that it does not answer, and not after 100."""
    flags = ["--kafka-bootstrap", NOBODY, "--redis-url", frozen_redis.url]
    assert run([*command, *flags]) == ExitCode.UNREACHABLE
    assert "Redis: it did not answer within 3 s; `tidegate doctor`" in capsys.readouterr().err


@pytest.mark.slow
def test_frozen_redis_does_not_delay_a_pause(frozen_redis, capsys):
    """Whether the name is known is not worth waiting for: the pause goes on to Kafka."""
    flags = ["--kafka-bootstrap", NOBODY, "--redis-url", frozen_redis.url]
    who = ["--who", "ada", "--why", "a drill"]
    assert run(["pause", "--supplier", "Acme", *who, *flags]) == ExitCode.UNREACHABLE
    reported = capsys.readouterr().err
    assert "it did not answer within 3 s; whether the name is known was not looked at" in reported
    assert f"no broker answers at {NOBODY}" in reported
