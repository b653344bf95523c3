"""Putting an exported state back into Redis: checked before, fenced meanwhile, whole or absent.

A partition is taken before anything of it is written: its shard then holds no state, and says that
an import is under way. Commits of a worker are refused, and no worker gets a lease. The shard's own
hash comes last and ends that. So an import that was killed leaves whole partitions and absent ones,
and the same command goes on with the absent ones.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

from redis import Redis

from infra.redis.keys import Keys
from infra.redis.state_files.keys import ShardHash, StateKeys
from infra.redis.state_files.records import (
    MANIFEST,
    Manifest,
    PartitionFile,
    Record,
    StateFileError,
    read_manifest,
    read_records,
    require_sound,
)
from infra.redis.upgrades import require_known
from infra.redis.wire import WORDS_AT_MOST

_WRITE = {"hash": b"HSET", "list": b"RPUSH", "string": b"APPEND"}
_BYTES_AT_ONCE = 1 << 20
_UNLINK_AT_ONCE = 1_000
_LOOK_SECONDS = 0.2
_OWN_FIELDS = (b"epoch", b"claim")  # of the import's own lease


class ImportRefusedError(RuntimeError):
    """Nothing was written: what is in Redis stands against it; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    written: list[int]  # partitions
    kept: list[int]  # written by an earlier run of the same import
    removed: list[int]  # in Redis, and not in the files
    keys: int


def read_export(directory: Path, tell: Callable[[float, str], None]) -> Manifest:
    """Return the manifest of an export after its files were checked, every byte.

    Args:
        directory: of the export.
        tell: takes the share that is done and what is being done.

    Raises:
        StateFileError: a file is missing, cut or changed, or the export was never finished.
        StateVersionError: this Tidegate cannot go on from that state.
    """
    manifest = read_manifest(directory)
    path = directory / MANIFEST
    if manifest is None:
        raise StateFileError(path, "be there: it is written by `tidegate state export`", "nothing")
    if not manifest.is_complete:
        rule = "be of a finished export: run `tidegate state export` to its end"
        raise StateFileError(path, rule, f"{len(manifest.partitions)} partitions")
    for one in manifest.partitions:
        require_known(one.state_version, str(directory / one.file))
    whole = sum(one.size for one in manifest.partitions) or 1
    done = 0
    for one in manifest.partitions:
        tell(done / whole, f"checking {one.file}")
        require_sound(directory, one)
        done += one.size
    return manifest


class StateImport:
    """Writes an exported state to Redis.

    Args:
        redis: a client that gives bytes and repeats no command by itself.
        keys: names; the prefix may be another one than that of the export.
        directory: of the export.
        manifest: of it, checked (`read_export`).
        tell: takes the share that is done and what is being done.
    """

    def __init__(
        self,
        redis: "Redis",
        keys: Keys,
        directory: Path,
        manifest: Manifest,
        tell: Callable[[float, str], None] = lambda share, text: None,
    ) -> None:
        self._redis, self._keys, self._directory = redis, keys, directory
        self._manifest, self._tell = manifest, tell
        self._state = StateKeys(redis, keys)
        self._word = manifest.digest
        self._token = f"import:{self._word}:{secrets.token_hex(8)}"
        self._begin = redis.register_script(_source("begin_import_script.lua"))
        self._fenced = redis.register_script(_source("fenced_script.lua"))

    # -- before anything is written -----------------------------------------------------------

    def require_place(self, *, replace: bool) -> list[int]:
        """Return the partitions of which the state will be replaced.

        Args:
            replace: what is there may be replaced.

        Raises:
            ImportRefusedError: a state is there that may not.
        """
        others = [p for p, shard in self._shards().items() if not self._is_ours(p, shard)]
        if others and not replace:
            raise ImportRefusedError(
                f"Redis holds keys of {len(others)} partitions under {self._keys.prefix!r} "
                f"(the first is {others[0]}): --replace replaces all of them"
            )
        return others

    def require_rest(self, seconds: float) -> None:
        """Raise unless all shards rest.

        Args:
            seconds: how long to look on.

        Raises:
            ImportRefusedError: a worker leased or committed a shard meanwhile.
        """
        if moved := self._moved_within(seconds):
            raise ImportRefusedError(
                f"a worker is at work on partition {moved[0]}: stop every worker of this shop, "
                "then try again"
            )

    def _shards(self) -> dict[int, ShardHash]:
        """Return the shards of every partition that has keys."""
        return self._state.shards(list(self._state.by_partition()))

    def _is_ours(self, partition: int, shard: ShardHash) -> bool:
        return self._is_begun(shard) or self._is_done(partition, shard)

    def _is_begun(self, shard: ShardHash) -> bool:
        return shard.importing == self._word

    def _is_done(self, partition: int, shard: ShardHash) -> bool:
        """Whether a run of this very import wrote it, and no worker has taken it since."""
        one = self._manifest.of(partition)
        is_from_here = shard.claim.startswith(f"import:{self._word}:")
        return one is not None and is_from_here and shard.stand == one.stand

    def _moved_within(self, seconds: float) -> list[int]:
        """Return the partitions that a worker leased or committed while this looked on."""
        before = self._shards()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(min(_LOOK_SECONDS, seconds))
            now = self._shards()
            if moved := [p for p in now if now[p] != before.get(p)]:
                return moved
        return []

    # -- writing ------------------------------------------------------------------------------

    def run(self) -> Imported:
        """Write every partition that is not there yet.

        Raises:
            ImportRefusedError: another import took a partition meanwhile.
        """
        keys_there = self._state.by_partition()
        shards = self._state.shards(list(keys_there))
        kept = [p for p, shard in shards.items() if self._is_done(p, shard)]
        missing = [one for one in self._manifest.partitions if one.partition not in kept]
        removed = [p for p in shards if self._manifest.of(p) is None]
        epochs = {p: self._take(p) for p in [*removed, *(one.partition for one in missing)]}
        for partition in epochs:
            self._wipe(partition)
        for partition in removed:
            self._run_fenced(partition, [[b"DEL", self._shard_key(partition)]])
        done, whole = 0, sum(one.size for one in missing) or 1
        for one in missing:
            self._write(one, epochs[one.partition], done / whole, one.size / whole)
            done += one.size
        written = [one.partition for one in missing]
        return Imported(written, kept, removed, sum(one.keys for one in missing))

    def _take(self, partition: int) -> int:
        key = self._keys.shard(partition)
        return int(self._begin(keys=[key], args=[self._token, self._word]))

    def _wipe(self, partition: int) -> None:
        """Remove all keys of a partition but the shard's hash, which holds the lease."""
        own = self._shard_key(partition)
        keys = [key for key in self._state.of_partition(partition) if key != own]
        for start in range(0, len(keys), _UNLINK_AT_ONCE):
            piece = keys[start : start + _UNLINK_AT_ONCE]
            self._run_fenced(partition, [[b"UNLINK", *piece]])

    def _write(self, one: PartitionFile, epoch: int, start: float, share: float) -> None:
        shard: dict[bytes, bytes] = {}
        commands: list[list[bytes]] = []
        size = lines = 0
        own = self._shard_key(one.partition)
        for record in read_records(self._directory / one.file):
            key = self._keys.prefix.encode() + record.key
            if key == own:
                shard.update(zip(record.values[::2], record.values[1::2], strict=True))
                continue
            self._require_own(one, key)
            commands += _commands(key, record)
            size += sum(map(len, record.values))
            lines += 1
            if size >= _BYTES_AT_ONCE:
                self._run_fenced(one.partition, commands)
                commands, size = [], 0
                self._tell(start + share * min(1.0, lines / one.keys), f"partition {one.partition}")
        self._run_fenced(one.partition, commands)
        self._finish(one, shard, epoch)

    def _require_own(self, one: PartitionFile, key: bytes) -> None:
        if self._state.partition_of(key) != one.partition:
            rule = f"hold only keys of partition {one.partition}"
            raise StateFileError(self._directory / one.file, rule, repr(key))

    def _finish(self, one: PartitionFile, shard: dict[bytes, bytes], epoch: int) -> None:
        """Write the shard's hash: from here on the partition is whole and free."""
        own = self._shard_key(one.partition)
        epoch = max(epoch, int(shard.get(b"epoch", 0)))
        fields = {name: value for name, value in shard.items() if name not in _OWN_FIELDS}
        fields[b"epoch"] = b"%d" % epoch
        pairs = [part for pair in fields.items() for part in pair]
        self._run_fenced(one.partition, [[b"HSET", own, *pairs], [b"HDEL", own, b"importing"]])

    def _shard_key(self, partition: int) -> bytes:
        return self._keys.shard(partition).encode()

    def _run_fenced(self, partition: int, commands: list[list[bytes]]) -> None:
        arguments: list[Any] = [self._token]
        for command in commands:
            arguments += [len(command), *command]
        if self._fenced(keys=[self._keys.shard(partition)], args=arguments) != b"ok":
            raise ImportRefusedError(
                f"another import took partition {partition}: let only one run at a time"
            )


def _commands(key: bytes, record: Record) -> Iterator[list[bytes]]:
    """Yield the commands that write one line; Lua takes no longer ones."""
    values = iter(record.values)
    while piece := list(islice(values, WORDS_AT_MOST)):
        yield [_WRITE[record.type], key, *piece]


def _source(name: str) -> str:
    return files("infra.redis").joinpath(name).read_text()
