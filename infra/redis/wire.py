"""Redis commands as bytes, built by hand: redis-py's own packing is several times slower."""

from collections.abc import Iterable, Sequence

WORDS_AT_MOST = 4_000
"""Lua can spread no more than about 8,000 arguments over one call."""


def bulk(word: bytes) -> bytes:
    """Return one word of a command as it goes over the wire.

    >>> bulk(b"HSET")
    b'$4\\r\\nHSET\\r\\n'
    """
    return b"$%d\r\n%b\r\n" % (len(word), word)


class ScriptCall:
    """An EVALSHA that carries further commands in its arguments.

    Args:
        digest: the script's SHA-1.
        key: the one key that it is called with.
        arguments: what stands before the commands.
    """

    def __init__(self, digest: str, key: str, arguments: Iterable[bytes]) -> None:
        first = [b"EVALSHA", digest.encode(), b"1", key.encode(), *arguments]
        self._parts = [bulk(word) for word in first]
        self._words = len(first)

    def add(self, *words: bytes) -> None:
        """Let the script run one more command."""
        self._begin(len(words))
        self._parts.extend(map(bulk, words))

    def add_many(self, command: bytes, key: str, bulks: Sequence[bytes], group: int) -> None:
        """Let the script run a command with many words, which are already on-the-wire bulks.

        It is cut into several where it is too long, at multiples of `group` words.
        """
        at_most = WORDS_AT_MOST // group * group
        head = (bulk(command), bulk(key.encode("utf-8", "surrogatepass")))
        for start in range(0, len(bulks), at_most):
            piece = bulks[start : start + at_most]
            self._begin(2 + len(piece))
            self._parts.extend(head)
            self._parts.extend(piece)

    def _begin(self, words: int) -> None:
        self._parts.append(bulk(b"%d" % words))
        self._words += words + 1

    def to_bytes(self) -> bytes:
        """The whole command."""
        return b"*%d\r\n%b" % (self._words, b"".join(self._parts))
