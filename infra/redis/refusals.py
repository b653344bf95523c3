"""What Redis says when it refuses: what it means, what mends it, and whether to connect anew.

A refusal that concerns the connection, such as that of a primary that became a replica, must not go
back to the pool with it: the next connection looks the name up again and may reach the new primary.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from redis.exceptions import RedisError, ResponseError


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way in which Redis refuses.

    Attributes:
        meaning: what is wrong and what mends it, in terms of the settings.
        concerns_connection: whether another connection can lead to a server that does not refuse.
        is_permanent: whether only a person can end it; a worker does not start into it.
    """

    meaning: str
    concerns_connection: bool = False
    is_permanent: bool = False


REFUSALS = {
    "READONLY": Refusal(
        "it is a read-only replica: redis_url must lead to the primary", concerns_connection=True
    ),
    "LOADING": Refusal("it is still loading its data: wait", concerns_connection=True),
    "MASTERDOWN": Refusal(
        "it is a replica that has lost its primary: redis_url must lead to the primary",
        concerns_connection=True,
    ),
    "UNBLOCKED": Refusal(
        "it became a replica while a command waited: redis_url must lead to the primary",
        concerns_connection=True,
    ),
    "CLUSTERDOWN": Refusal(
        "its cluster is down, not every hash slot has a server: see CLUSTER INFO",
        concerns_connection=True,
    ),
    "TRYAGAIN": Refusal("its cluster is moving these keys: wait", concerns_connection=True),
    "MOVED": Refusal(
        "it is one node of a cluster and other nodes hold these keys: redis_url must lead to a "
        "server without cluster mode",
        concerns_connection=True,
        is_permanent=True,
    ),
    "ASK": Refusal("its cluster is moving these keys: wait", concerns_connection=True),
    "NOREPLICAS": Refusal("it has too few replicas to take writes: see min-replicas-to-write"),
    "NOAUTH": Refusal(
        "it wants to know who asks: give redis_username and redis_password_file",
        is_permanent=True,
    ),
    "WRONGPASS": Refusal("redis_username and redis_password do not fit", is_permanent=True),
    "NOPERM": Refusal(
        "its user lacks a right: it needs all commands on the keys under redis_prefix",
        is_permanent=True,
    ),
    "OOM": Refusal("it is full: raise its maxmemory"),
    "MISCONF": Refusal("it cannot write to its disk and takes no writes until it can"),
    "BUSY": Refusal("a script of somebody keeps it busy: wait, or SCRIPT KILL"),
    "DENIED": Refusal(
        "it serves its own machine alone (protected mode): give it a password", is_permanent=True
    ),
    "IMPORTING": Refusal("half of a state is there: run `tidegate state import` to its end"),
}


def refusal_of(error: Exception) -> Refusal | None:
    """Return what an error of Redis or of a script means; None means that it is another error."""
    return REFUSALS.get(_code(error))


def _code(error: Exception) -> str:
    """Return the word that Redis begins an error with; some clients have cut it off."""
    text = str(error)
    if "invalid username-password" in text:
        return "WRONGPASS"
    if "uthentication required" in text or "already authenticated" in text:
        return "NOAUTH"
    code = getattr(error, "status_code", None) or text.partition(" ")[0].lstrip("-")
    # A script of before Redis 7 wraps the error of its command.
    wrapped = (word for word in REFUSALS if f"-{word} " in text)
    return str(code) if code in REFUSALS else next(wrapped, "")


def explain_refusal(error: Exception) -> str:
    """Return what Redis said, in terms of the settings where they can mend it.

    >>> explain_refusal(Exception("NOAUTH Authentication required."))
    'it wants to know who asks: give redis_username and redis_password_file'
    >>> explain_refusal(Exception("OOM command not allowed when used memory > 'maxmemory'."))
    "it is full: raise its maxmemory (command not allowed when used memory > 'maxmemory')"
    """
    if isinstance(error.__cause__, ResponseError):  # the store's own error around it
        return explain_refusal(error.__cause__)
    text = str(error).rstrip(".")
    refusal = refusal_of(error)
    if refusal is not None and _code(error) == "NOAUTH":
        return refusal.meaning
    if refusal is not None:
        return f"{refusal.meaning} ({text.removeprefix('-').removeprefix(f'{_code(error)} ')})"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not to be trusted by redis_ca_file: {text}"
    if _is_plain_text_under_tls(text):
        return f"it speaks no TLS on that port: redis_url must begin with redis:// ({text})"
    return text


def _is_plain_text_under_tls(text: str) -> bool:
    return any(said in text for said in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"))


def concerns_connection(error: Exception) -> bool:
    """Return whether the next connection may fare better than the one that was refused."""
    refusal = refusal_of(error)
    return refusal is not None and refusal.concerns_connection


def follow(pool: Any) -> Any:
    """Let a pool close each connection that is refused for what it leads to; return the pool.

    Args:
        pool: a `ConnectionPool` of redis-py, synchronous or not, from which nothing was taken yet.
    """
    is_async = pool.connection_class.__module__.startswith("redis.asyncio")
    pool.connection_class = _following(pool.connection_class, is_async)
    return pool


@cache
def _following(connection: type, is_async: bool) -> type:
    mixin = _FollowingAsync if is_async else _Following
    return type(f"Following{connection.__name__}", (mixin, connection), {})


class _Following:
    """A connection that is closed when it is given back after such a refusal."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            _mark(self, error)
            raise


class _FollowingAsync:
    """The same for asyncio."""

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc]
        except ResponseError as error:
            _mark(self, error)
            raise


def _mark(connection: Any, error: RedisError) -> None:
    if concerns_connection(error):
        connection.mark_for_reconnect()
