"""A Redis in memory: the few commands that the store uses, and its two scripts in Python.

The scripts stand here a second time, because there is no Lua. `test_redis_server.py` runs the same
calls on this and on the real server and compares the replies and every key.
"""

import hashlib
from collections.abc import Callable, Iterator
from importlib.resources import files

Value = dict[bytes, bytes] | list[bytes] | bytearray
Reply = bytes | int | None | list["Reply"] | dict[bytes, "Reply"]  # type: ignore[misc]

_COMMANDS_IN_COMMIT = 6  # arguments before the first command


class CommandError(Exception):
    """The reply is an error; its first word is the error's kind."""


class RedisServer:
    """Keys and scripts. Knows nothing of connections, time or faults."""

    def __init__(self) -> None:
        self.data: dict[bytes, Value] = {}
        self.on_acquire: Callable[[bytes], None] = lambda key: None
        self.on_commit: Callable[[bytes], None] = lambda key: None
        self.on_refusal: Callable[[bytes, bytes], None] = lambda key, why: None
        self._loaded: set[bytes] = set()
        self._scripts = {
            _digest("commit_script.lua"): self.commit_script,
            _digest("acquire_script.lua"): self.acquire_script,
        }
        self._commands: dict[bytes, Callable[..., Reply]] = {
            name.encode(): getattr(self, f"_{name.lower()}")
            for name in (
                *("PING", "SCRIPT", "EVALSHA", "CLIENT", "HELLO", "GET", "SET", "DEL"),
                "EXISTS",
                *("SETRANGE", "HGET", "HSET", "HDEL", "HMGET", "HGETALL"),
                *("LRANGE", "LTRIM", "RPUSH"),
            )
        }

    # -- the wire -----------------------------------------------------------------------------

    def answer(self, data: bytes) -> bytes:
        """Run the commands in some bytes, and return what goes back over the wire."""
        return b"".join(map(self._answer_one, parse_commands(data)))

    def _answer_one(self, words: list[bytes]) -> bytes:
        try:
            return _resp(self.run(*words))
        except CommandError as error:
            return b"-%b\r\n" % str(error).encode()

    def run(self, *words: bytes) -> Reply:
        """Run one command.

        Raises:
            CommandError: as the server would answer with an error.
        """
        command = self._commands.get(words[0].upper())
        if command is None:
            raise CommandError(f"ERR unknown command '{words[0].decode()}'")
        return command(*words[1:])

    # -- snapshots ----------------------------------------------------------------------------

    def snapshot(self) -> dict[bytes, Value]:
        """Return a copy of everything."""
        return {key: value.copy() for key, value in self.data.items()}

    def restart(self, snapshot: dict[bytes, Value]) -> None:
        """Come back with what a snapshot has; scripts are gone."""
        self.data = {key: value.copy() for key, value in snapshot.items()}
        self._loaded.clear()

    # -- scripts ------------------------------------------------------------------------------

    def commit_script(self, key: bytes, argv: list[bytes]) -> Reply:
        """`infra/redis/commit_script.lua`."""
        lease, before, after, offsets_before, offsets_after, meta = argv[:_COMMANDS_IN_COMMIT]
        stored = self._hmget(key, b"claim", b"sequence", b"offsets")
        refusal = self.refusal(stored, lease, before, after, offsets_before)
        if refusal is not None:
            self.on_refusal(key, refusal)
            return refusal
        at = _COMMANDS_IN_COMMIT
        while at < len(argv):
            words = int(argv[at])
            self.run(*argv[at + 1 : at + 1 + words])
            at += words + 1
        self._hset(
            *(key, b"sequence", after, b"offsets", offsets_after, b"meta", meta, b"writer", lease)
        )
        self.on_commit(key)
        return b"ok"

    def refusal(
        self,
        stored: list[bytes | None],
        lease: bytes,
        before: bytes,
        after: bytes,
        offsets_before: bytes,
    ) -> bytes | None:
        """Why a commit is not taken, if it is not: the fence."""
        if stored[0] is None:
            return b"missing"
        if stored[0] != lease:
            return b"stale_lease"
        if stored[1] == after:
            return b"already"
        if stored[1] != before or stored[2] != offsets_before:
            return b"mismatch"
        return None

    def acquire_script(self, key: bytes, argv: list[bytes]) -> Reply:
        """`infra/redis/acquire_script.lua`."""
        self.on_acquire(key)
        generation, lease = argv
        stored = self._hmget(key, b"epoch", b"sequence", b"offsets", b"writer")
        epoch = max(int(stored[0] or 0) + 1, int(generation))
        self._hset(key, b"epoch", b"%d" % epoch, b"claim", lease)
        if stored[1] is None:
            self._hset(key, b"sequence", b"0", b"offsets", b"{}", b"writer", b"")
        return [b"%d" % epoch, stored[1] or b"0", stored[2] or b"{}", stored[3] or b""]

    def _script(self, action: bytes, source: bytes) -> Reply:
        digest = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
        assert action.upper() == b"LOAD"
        assert digest in self._scripts, "this script does not stand here in Python"
        self._loaded.add(digest)
        return digest

    def _evalsha(self, digest: bytes, count: bytes, key: bytes, *argv: bytes) -> Reply:
        assert count == b"1"
        if digest not in self._loaded:
            raise CommandError("NOSCRIPT No matching script.")
        return self._scripts[digest](key, list(argv))

    # -- commands -----------------------------------------------------------------------------

    def _ping(self) -> Reply:
        return b"PONG"

    def _client(self, *_: bytes) -> Reply:
        return b"OK"

    def _hello(self, version: bytes) -> Reply:
        assert version == b"3"
        return {b"server": b"simulated", b"proto": 3}

    def _hash(self, key: bytes) -> dict[bytes, bytes]:
        found = self.data.setdefault(key, {})
        assert isinstance(found, dict)
        return found

    def _list(self, key: bytes) -> list[bytes]:
        found = self.data.setdefault(key, [])
        assert isinstance(found, list)
        return found

    def _forget_if_empty(self, key: bytes) -> None:
        if not self.data.get(key, True):
            del self.data[key]

    def _get(self, key: bytes) -> Reply:
        found = self.data.get(key)
        assert found is None or isinstance(found, bytearray)
        return None if found is None else bytes(found)

    def _set(self, key: bytes, value: bytes, *_: bytes) -> Reply:
        """Without its expiry: nothing reads the key that asks whether the server takes writes."""
        self.data[key] = bytearray(value)
        return b"OK"

    def _del(self, *keys: bytes) -> Reply:
        return sum(self.data.pop(key, None) is not None for key in keys)

    def _exists(self, *keys: bytes) -> Reply:
        return sum(key in self.data for key in keys)

    def _setrange(self, key: bytes, start: bytes, data: bytes) -> Reply:
        found = self.data.setdefault(key, bytearray())
        assert isinstance(found, bytearray)
        at = int(start)
        found.extend(bytes(max(0, at - len(found))))
        found[at : at + len(data)] = data
        self._forget_if_empty(key)
        return len(found)

    def _hget(self, key: bytes, field: bytes) -> Reply:
        return self._hmget(key, field)[0]

    def _hset(self, key: bytes, *pairs: bytes) -> Reply:
        self._hash(key).update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(pairs) // 2

    def _hdel(self, key: bytes, *fields: bytes) -> Reply:
        found = self._hash(key)
        gone = sum(found.pop(field, None) is not None for field in fields)
        self._forget_if_empty(key)
        return gone

    def _hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        found = self.data.get(key, {})
        assert isinstance(found, dict)
        return [found.get(field) for field in fields]

    def _hgetall(self, key: bytes) -> Reply:
        found = self.data.get(key, {})
        assert isinstance(found, dict)
        return dict(found)

    def _lrange(self, key: bytes, start: bytes, stop: bytes) -> Reply:
        found = self.data.get(key, [])
        assert isinstance(found, list)
        return [*found[_slice(start, stop)]]

    def _ltrim(self, key: bytes, start: bytes, stop: bytes) -> Reply:
        found = self._list(key)
        found[:] = found[_slice(start, stop)]
        self._forget_if_empty(key)
        return b"OK"

    def _rpush(self, key: bytes, *values: bytes) -> Reply:
        found = self._list(key)
        found.extend(values)
        return len(found)


def _digest(name: str) -> bytes:
    source = files("infra.redis").joinpath(name).read_bytes()
    return hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()


def _slice(start: bytes, stop: bytes) -> slice:
    """A range of a list as Redis gives it: its end counts, and -1 is the last one."""
    end = int(stop) + 1
    return slice(int(start), end or None)


def parse_commands(data: bytes) -> Iterator[list[bytes]]:
    """Yield the commands in some bytes, each as its words."""
    at = 0
    while at < len(data):
        count, at = _number(data, at)
        words = []
        for _ in range(count):
            size, at = _number(data, at)
            words.append(data[at : at + size])
            at += size + 2
        yield words


def _number(data: bytes, at: int) -> tuple[int, int]:
    end = data.index(b"\r\n", at)
    return int(data[at + 1 : end]), end + 2


def _resp(reply: Reply) -> bytes:
    """A reply as it goes over the wire (RESP, version 3)."""
    if reply is None:
        return b"_\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, dict):
        pairs = b"".join(_resp(key) + _resp(value) for key, value in reply.items())
        return b"%%%d\r\n%b" % (len(reply), pairs)
    if isinstance(reply, list):
        return b"*%d\r\n%b" % (len(reply), b"".join(map(_resp, reply)))
    return b"$%d\r\n%b\r\n" % (len(reply), reply)
