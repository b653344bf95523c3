"""Signing in to real servers: a right, a wrong and an expired credential, and what is said."""

import asyncio
import base64
import contextlib
import gc
import json
import logging
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import AuthenticationError, RedisError

from infra.bootstrap import redis_pool
from infra.cli.terminal.failures import outcome_of
from infra.kafka.options import KafkaRefusal
from infra.kafka.topic_reader import partition_counts
from infra.local.embedded import EmbeddedRedis, ServerError
from infra.redis.options import connection_options, keys_of, retention_of
from infra.redis.reader import open_reader
from infra.redis.shard_store import RedisStore, StoreError
from infra.settings import Settings
from tests.certificates import Authority
from tests.secure_kafka import PASSWORD, USER, SecureKafka
from tests.system.support.running import WorkerUnderTest, eventually

WRONG = "wrong-password-of-the-tests"


@dataclass(frozen=True)
class Lab:
    """A broker behind TLS and SASL, and files with credentials."""

    broker: SecureKafka
    authority: Authority
    stranger: Authority
    directory: Path

    def file(self, name: str, text: str) -> Path:
        """A file with a secret."""
        path = self.directory / name
        path.write_text(text + "\n")
        return path

    def client(self, which: str) -> dict[str, Path]:
        """A client's certificate: right, expired, or signed by a stranger."""
        signer = self.stranger if which == "stranger" else self.authority
        signed = signer.sign(f"client-{which}", is_expired=which == "expired")
        return {"kafka_certificate_file": signed.certificate, "kafka_key_file": signed.key}


@pytest.fixture(scope="module")
def lab(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One broker for all tests here."""
    directory = tmp_path_factory.mktemp("secure")
    authority = Authority(directory / "authority")
    stranger = Authority(directory / "stranger", "stranger")
    with SecureKafka(directory / "broker", authority) as broker:
        yield Lab(broker, authority, stranger, directory)


def topics(**settings: Any) -> dict[str, int]:
    """Ask the broker something."""
    try:
        return asyncio.run(partition_counts(Settings(**settings)))
    finally:
        # The client leaves the socket of a refused connection to the collector, which complains.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def token(lifetime_s: float) -> str:
    """A token as an identity provider makes it, unsigned: the broker's test validator takes it."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    now = time.time()
    leases = {"sub": USER, "iat": now - 600, "exp": now + lifetime_s}
    return f"{part({'alg': 'none'})}.{part(leases)}."


@pytest.mark.kafka
def test_kafka_by_certificate(lab: Lab) -> None:
    """The broker checks the client's certificate, the client the broker's."""
    at = {"kafka_bootstrap": lab.broker.at("MUTUAL"), "kafka_security": "ssl"}
    ours = {**at, "kafka_ca_file": lab.authority.certificate}
    assert topics(**ours, **lab.client("right")) is not None
    for which in ("expired", "stranger"):
        with pytest.raises(KafkaRefusal, match="kafka_certificate_file given, not expired"):
            topics(**ours, **lab.client(which))
    with pytest.raises(KafkaRefusal, match="kafka_certificate_file given"):
        topics(**ours)
    with pytest.raises(KafkaRefusal, match="not to be trusted by kafka_ca_file"):
        topics(**at, kafka_ca_file=lab.stranger.certificate, **lab.client("right"))


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("listener", ["SIGNED", "OPEN"])
def test_kafka_by_password(lab: Lab, mechanism: str, listener: str) -> None:
    """A wrong password is reported as that, and is not in what is reported."""
    settings: dict[str, Any] = {
        "kafka_bootstrap": lab.broker.at(listener),
        "kafka_security": "sasl_ssl" if listener == "SIGNED" else "sasl_plaintext",
        "kafka_ca_file": lab.authority.certificate,
        "kafka_sasl": mechanism,
        "kafka_username": USER,
    }
    assert topics(**settings, kafka_password_file=lab.file("right", PASSWORD)) is not None
    assert topics(**settings, kafka_password=PASSWORD) is not None
    with pytest.raises(KafkaRefusal, match=f"refused kafka_username.*{mechanism}") as raised:
        topics(**settings, kafka_password=WRONG)
    assert WRONG not in str(raised.value)


@pytest.mark.kafka
@pytest.mark.parametrize("listener", ["SIGNED", "OPEN"])
def test_kafka_by_token(lab: Lab, listener: str) -> None:
    """The token is read from its file at each sign-in; an expired one is reported as that."""
    path = lab.file("token", token(600))
    settings: dict[str, Any] = {
        "kafka_bootstrap": lab.broker.at(listener),
        "kafka_security": "sasl_ssl" if listener == "SIGNED" else "sasl_plaintext",
        "kafka_ca_file": lab.authority.certificate,
        "kafka_sasl": "OAUTHBEARER",
        "kafka_token_file": path,
    }
    assert topics(**settings) is not None
    for bad in (token(-300), "nonsense"):
        lab.file("token", bad)
        with pytest.raises(KafkaRefusal, match="kafka_token_file: expired, or not made for it"):
            topics(**settings)
    lab.file("token", token(600))
    assert topics(**settings) is not None


@pytest.mark.kafka
async def test_worker_lives_behind_tls_and_scram(lab: Lab, redis_url: str, tmp_path: Path) -> None:
    """Faust, producer, admin client and audit log all sign in; no secret reaches the log."""
    settings = Settings(
        kafka_bootstrap=lab.broker.at("SIGNED"),
        kafka_security="sasl_ssl",
        kafka_ca_file=lab.authority.certificate,
        kafka_sasl="SCRAM-SHA-512",
        kafka_username=USER,
        kafka_password=PASSWORD,
        redis_url=redis_url,
        session_timeout_seconds=6.0,
        log_level="debug",
    )
    worker = WorkerUnderTest(tmp_path, settings, number=1, port=None)
    try:
        await worker.begin()
        await worker.wait_until_ready()
        goes = '"handover": []'
        await eventually(lambda: goes in worker.ask("/readyz").text, "orders may go")
    finally:
        worker.stop()
    assert PASSWORD not in worker.log_text()
    refused = Settings(**{**settings.model_dump(), "kafka_password": WRONG})
    with pytest.raises(ServerError, match="the broker refused kafka_username"):
        await WorkerUnderTest(tmp_path / "refused", refused, number=1, port=None).begin()
    assert WRONG not in (tmp_path / "refused" / "worker-1.log").read_text()


# -- Redis -----------------------------------------------------------------------------------------


@pytest.fixture
def guarded_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """A server with an access list: `tide` may use its own keys, `reader` may only look."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        client = redis.Redis.from_url(server.url)
        keys = ("resetkeys", "~tg:*", "&*")
        client.execute_command("ACL", "SETUSER", "tide", "on", f">{PASSWORD}", *keys, "+@all")
        client.execute_command("ACL", "SETUSER", "reader", "on", f">{PASSWORD}", *keys, "+@read")
        client.execute_command("ACL", "SETUSER", "default", "off")
        client.close()
        yield server


async def _ping(settings: Settings) -> None:
    pool = redis_pool(settings.redis_url, **connection_options(settings))
    try:
        store = RedisStore(pool, keys_of(settings), retention_of(settings))
        await store.ping()
    finally:
        await pool.disconnect()


async def test_redis_by_access_list(guarded_redis: EmbeddedRedis, tmp_path: Path) -> None:
    """User and password from settings or a file; a wrong one, or a missing right, is reported."""
    secret = tmp_path / "secret"
    secret.write_text(PASSWORD + "\n")
    at = {"redis_url": guarded_redis.url, "redis_username": "tide"}
    await _ping(Settings(**at, redis_password_file=secret))
    with open_reader(Settings(**at, redis_password=PASSWORD)) as reader:
        assert reader.partitions() == []
    with pytest.raises(AuthenticationError, match="invalid username-password") as raised:
        await _ping(Settings(**at, redis_password=WRONG))
    assert WRONG not in str(raised.value)
    assert "redis_password" in outcome_of(raised.value)[1]
    with pytest.raises(RedisError) as raised:
        await _ping(Settings(redis_url=guarded_redis.url))
    assert "give redis_username" in outcome_of(raised.value)[1]
    looking = Settings(**{**at, "redis_username": "reader"}, redis_password=PASSWORD)
    pool = redis_pool(looking.redis_url, **connection_options(looking))
    try:
        with pytest.raises(StoreError, match="permission"):
            await RedisStore(pool, keys_of(looking), retention_of(looking)).acquire(0, 1)
    finally:
        await pool.disconnect()


@contextlib.asynccontextmanager
async def tls_in_front_of(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Speak TLS for a server that cannot (the embedded one is built without); return the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("signer", "is_expired", "trusted", "complaint"),
    [
        ("ours", False, "ours", None),
        ("ours", False, "stranger", "CERTIFICATE_VERIFY_FAILED"),
        ("ours", True, "ours", "certificate has expired"),
    ],
)
async def test_redis_behind_tls(
    redis_server: EmbeddedRedis,
    tmp_path: Path,
    signer: str,
    is_expired: bool,
    trusted: str,
    complaint: str | None,
) -> None:
    """The certificate is checked against redis_ca_file, and its dates too."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # the server's side of a refusal
    authorities = {name: Authority(tmp_path / name, name) for name in ("ours", "stranger")}
    signed = authorities[signer].sign("redis", is_expired=is_expired)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(signed.certificate, signed.key)
    async with tls_in_front_of(redis_server.port, context) as port:
        settings = Settings(
            redis_url=f"rediss://127.0.0.1:{port}/0",
            redis_ca_file=authorities[trusted].certificate,
        )
        if complaint is None:
            await _ping(settings)
        else:
            with pytest.raises(RedisError, match=complaint):
                await _ping(settings)
