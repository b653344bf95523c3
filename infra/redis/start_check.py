"""What a worker asks Redis before it begins: is it one that will keep the state?"""

import asyncio
import logging
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from infra.redis.keys import Keys
from infra.redis.memory import MEND, Memory
from infra.redis.refusals import explain_refusal, refusal_of
from infra.redis.tls_probe import tls_mismatch

_log = logging.getLogger("tidegate")


class UnusableRedisError(RedisError):
    """Redis is not as a worker needs it, and waiting does not change that; the text says why."""


async def require_usable(pool: ConnectionPool, url: str, keys: Keys) -> None:
    """Return if Redis can be used, or is away and may be usable later.

    Args:
        pool: connections.
        url: of the server.
        keys: names in Redis.

    Raises:
        UnusableRedisError: it does not know us, speaks another language, or evicts keys.
    """
    redis = Redis(connection_pool=pool)
    try:
        await redis.set(keys.probe(), "1", ex=60)
        memory = await read_memory(redis)
    except (RedisError, OSError) as error:
        reason = await _permanent_reason(error, url)
        if reason is not None:
            raise UnusableRedisError(reason) from error
        _log.warning("Redis: %s; it will be asked again", explain_refusal(error))
        return
    if memory.policy is None:
        _log.warning("Redis does not show its maxmemory-policy, so it was not checked: %s", MEND)
    if memory.evicts:
        raise UnusableRedisError(
            f"its maxmemory-policy must be noeviction, got {memory.policy} with a maxmemory of "
            f"{memory.limit_bytes} bytes: when full it would delete parts of the state; {MEND}"
        )
    if memory.may_evict:
        _log.warning("Redis has the policy %s and no maxmemory yet: %s", memory.policy, MEND)


async def _permanent_reason(error: Exception, url: str) -> str | None:
    """Return why only a person can mend it; None means that it may pass."""
    refusal = refusal_of(error)
    text = explain_refusal(error)
    if refusal is not None:
        return text if refusal.is_permanent else None
    if isinstance(error, ConnectionError | TimeoutError | OSError):
        mismatch = await asyncio.to_thread(tls_mismatch, url)
        if mismatch is not None:
            return mismatch
        return text if text != str(error).rstrip(".") else None
    return text  # another refusal, such as of a database number that it does not have


async def read_memory(redis: Any) -> Memory:
    """Return how Redis is set up for a full memory, as far as we are allowed to see it."""
    try:
        memory = Memory.of(await redis.info("memory"))
    except ResponseError:
        memory = Memory(None, 0, 0)
    if memory.policy is not None:
        return memory
    try:
        answer = await redis.config_get("maxmemory-policy", "maxmemory")
    except ResponseError:
        return memory
    limit = int(answer.get("maxmemory") or memory.limit_bytes)
    return Memory(answer.get("maxmemory-policy"), limit, memory.used_bytes)
