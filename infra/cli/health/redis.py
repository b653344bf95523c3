"""Redis: whether it is new enough, takes what is written, and keeps it; and the state in it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError
from redis.retry import Retry

from infra.cli.health.check import CHECK_SECONDS, Check, Server, Status, within
from infra.cli.health.records import check_uncounted
from infra.redis.memory import MEND, NEAR_THE_LIMIT, Memory
from infra.redis.options import connection_options, keys_of
from infra.redis.reader import Reader, ShardState
from infra.redis.refusals import REFUSALS
from infra.redis.rows import StateError
from infra.redis.state_files.keys import ShardHash, StateKeys
from infra.redis.tls_probe import explain_failure
from infra.redis.upgrades import OLDEST_VERSION
from infra.settings import Settings
from streams.shard.checkpoint import STATE_VERSION

if TYPE_CHECKING:
    from redis import Redis

_OLDEST_REDIS = (7, 2)
_PROBE_SECONDS = 10  # the probe's key forgets itself, should the deletion fail
_ANSWER_SECONDS = CHECK_SECONDS - 1.0  # the client's patience; a look at its port may follow
_OWN_ADVICE = (*(refusal.meaning for refusal in REFUSALS.values()), "it speaks")


def redis_server(settings: Settings) -> Server:
    """Redis as something to ask."""
    return Server(
        name="Redis",
        errors=(RedisError, OSError),
        explain=lambda error: _explain(error, settings),
        advice="start Redis, or set redis_url (TIDEGATE_REDIS_URL)",
        is_away=lambda error: isinstance(error, ConnectionError | TimeoutError | OSError),
        says_what_to_do=lambda text: text.startswith(_OWN_ADVICE),
    )


def _explain(error: Exception, settings: Settings) -> str:
    text = explain_failure(error, settings.redis_url)
    return f"it did not answer within {CHECK_SECONDS:g} s" if text.startswith("Timeout") else text


def connect(settings: Settings) -> "Redis":
    """Return a client that gives up before a check does."""
    from redis import Redis

    return Redis.from_url(
        settings.redis_url,
        **connection_options(settings),
        socket_connect_timeout=_ANSWER_SECONDS,
        socket_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class RedisExamination:
    """The checks of Redis, in order; each may fail without the next.

    Args:
        server: Redis.
        redis: a client of it.
        settings: names in it.
    """

    def __init__(self, server: Server, redis: "Redis", settings: Settings) -> None:
        self._server, self._redis, self._settings = server, redis, settings
        self._info: dict[str, Any] | None = None

    def server(self) -> list[Check]:
        """Look at its version."""
        info, failed = self._ask("redis", self._redis.info)
        self._info = info
        return failed if info is None else [check_version(info)]

    def writing(self) -> list[Check]:
        """Write a key that forgets itself."""
        key = f"{self._settings.redis_prefix}doctor"

        def write() -> bool:
            self._redis.set(key, "1", ex=_PROBE_SECONDS)
            self._redis.delete(key)
            return True

        written, failed = self._ask("redis writes", write)
        if written is None:
            return failed
        text = f"keys under {self._settings.redis_prefix!r} can be written"
        return [Check("redis writes", Status.OK, text)]

    def memory(self) -> list[Check]:
        """Look at what it does when it is full."""
        memory, failed = self._ask("redis memory", self._read_memory)
        return failed if memory is None else [check_memory(memory)]

    def _read_memory(self) -> Memory:
        memory = Memory.of(self._info or {})
        if memory.policy is not None:
            return memory
        try:
            answer = self._redis.config_get("maxmemory-policy", "maxmemory")
        except ResponseError:
            return memory
        limit = int(answer.get("maxmemory") or memory.limit_bytes)
        return Memory(answer.get("maxmemory-policy"), limit, memory.used_bytes)

    def state(self) -> tuple[list[ShardState] | None, list[Check]]:
        """Look at the versions of what is stored; return where each partition stands, if it can."""
        stored = StateKeys(self._redis, keys_of(self._settings))
        versions, checks = self._ask("state", lambda: stored.shards(stored.partitions()))
        if versions is None:
            return None, [*checks, *self._skipped_shards()]
        checks = check_state_versions(versions)
        if any(check.status == Status.FAIL for check in checks):
            return None, checks  # this version cannot read what is there
        try:
            reader = Reader(self._redis, keys_of(self._settings))
            shards, failed = self._ask("shards", reader.shards)
            return shards, [*checks, *failed]
        except StateError as error:
            way_back = "go back with `tidegate state import DIR --replace`"
            advice = f"run the version that wrote it, or {way_back}"
            return None, [*checks, Check("state", Status.FAIL, str(error), advice)]

    def uncounted(self, shards: Sequence[ShardState], now_ms: int) -> list[Check]:
        """Look for records that were bad or came too late."""
        reader = Reader(self._redis, keys_of(self._settings))
        newest, failed = self._ask("records", reader.uncounted)
        return failed if newest is None else list(check_uncounted(shards, newest, now_ms))

    def _skipped_shards(self) -> list[Check]:
        return [] if self._server.away is None else [self._server.skipped("shards")]

    def _ask(self, check: str, ask: Any) -> tuple[Any, list[Check]]:
        return self._server.ask(check, lambda: within(ask))


def check_version(info: Mapping[str, Any]) -> Check:
    """Return whether the server is new enough; Valkey names its own version beside Redis's."""
    is_valkey = "valkey_version" in info
    name = "Valkey" if is_valkey else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < _OLDEST_REDIS:
        advice = "Tidegate needs Redis or Valkey 7.2 or newer"
        return Check("redis", Status.FAIL, f"{name} {version} answers", advice)
    return Check("redis", Status.OK, f"{name} {version} answers")


def check_memory(memory: Memory) -> Check:
    """Return whether Redis keeps what it is given, and has room for more."""
    used = _used(memory)
    if memory.policy is None:
        text = f"{used}; its eviction policy could not be checked: it shows none, and CONFIG GET is"
        return Check("redis memory", Status.WARN, f"{text} not permitted", "it must be noeviction")
    text = f"{used}, policy {memory.policy}"
    if memory.may_evict:
        status = Status.FAIL if memory.evicts else Status.WARN
        return Check("redis memory", status, text, f"{MEND}: an evicted key is lost state")
    if memory.used_ratio >= NEAR_THE_LIMIT:
        status = Status.FAIL if memory.used_ratio >= 1 else Status.WARN
        return Check(
            "redis memory", status, text, "raise its maxmemory: a full Redis takes nothing"
        )
    return Check("redis memory", Status.OK, text)


def _used(memory: Memory) -> str:
    used = f"{_megabytes(memory.used_bytes)} used"
    if not memory.limit_bytes:
        return f"{used} of no limit"
    text = f"{used} of {_megabytes(memory.limit_bytes)} ({memory.used_ratio:.0%})"
    return f"{text}, {memory.evicted_keys:,} keys evicted" if memory.evicted_keys else text


def _megabytes(count: int) -> str:
    return f"{count / 2**20:,.1f} MB"


def check_state_versions(shards: Mapping[int, ShardHash]) -> list[Check]:
    """Return whether this version of Tidegate can go on from the state that is there.

    Args:
        shards: by partition.
    """
    checks = []
    if begun := sorted(p for p, shard in shards.items() if shard.importing is not None):
        text = f"an import was begun and not finished in {_partitions(begun)}"
        advice = "run the same `tidegate state import` again: it goes on; workers wait for it"
        checks.append(Check("state import", Status.WARN, text, advice))
    counts = Counter(s.state_version for s in shards.values() if s.state_version is not None)
    if not counts:
        return checks
    listed = [
        f"{version} in {count} partition{'s' if count > 1 else ''}"
        for version, count in sorted(counts.items())
    ]
    text = f"state version {', '.join(listed)}"
    return [*checks, Check("state", *_version_status(counts.keys(), text))]


def _version_status(versions: Collection[int], text: str) -> tuple[Status, str, str]:
    newest, oldest = max(versions), min(versions)
    if newest > STATE_VERSION:
        advice = "run the newer Tidegate that wrote it, or `tidegate state import DIR --replace`"
        return Status.FAIL, f"{text}; this Tidegate knows none after {STATE_VERSION}", advice
    if oldest < OLDEST_VERSION:
        advice = f"run `tidegate worker` of a Tidegate that upgrades version {oldest} first"
        return Status.FAIL, f"{text}; this Tidegate upgrades none before {OLDEST_VERSION}", advice
    if oldest < STATE_VERSION:
        advice = (
            f"a worker upgrades a partition to {STATE_VERSION} at its first commit; to be able to "
            "go back, run `tidegate state export DIR` before"
        )
        return Status.WARN, text, advice
    return Status.OK, text, ""


def _partitions(numbers: Sequence[int]) -> str:
    return f"partition{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
