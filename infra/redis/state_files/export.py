"""Writing a shop's state to files: each partition as it stood at one moment, workers or not."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, cast

import msgspec
from redis import Redis

from infra.redis.keys import Keys
from infra.redis.state_files.keys import ShardHash, StateKeys
from infra.redis.state_files.records import (
    MANIFEST,
    KeyType,
    Manifest,
    PartitionFile,
    Record,
    StateFileError,
    file_name,
    open_writer,
    read_manifest,
    require_sound,
    sum_of,
    write_manifest,
)

_KEYS_AT_ONCE = 500
_VALUES_A_LINE = 1_000
_BYTES_A_LINE = 1 << 20
_TRIES = 3  # at reading a partition without stopping its worker

Values = tuple[bytes, str, list[bytes]]  # a key, its type and all its values


@dataclass(slots=True)
class Exported:
    """What an export did."""

    written: list[PartitionFile] = field(default_factory=list)
    kept: list[PartitionFile] = field(default_factory=list)  # from an earlier run, still true


class StateExport:
    """Writes the state of a shop to a directory, or what of it has changed since the last time.

    Args:
        redis: a client that gives bytes.
        keys: names.
        directory: for the files.
        now: the time, as the manifest tells it.
        tell: takes the share that is done and what is being done.
        note: takes what people should know.
    """

    def __init__(
        self,
        redis: "Redis",
        keys: Keys,
        directory: Path,
        now: str,
        tell: Callable[[float, str], None] = lambda share, text: None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._redis, self._keys, self._directory = redis, keys, directory
        self._state = StateKeys(redis, keys)
        self._now, self._tell, self._note = now, tell, note
        source = files("infra.redis").joinpath("snapshot_script.lua").read_text()
        self._snapshot = redis.register_script(source)

    def run(self) -> Exported:
        """Write every partition.

        Raises:
            StateFileError: the directory holds something else.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        before = self._manifest_before()
        shards = self._state.shards(self._state.partitions())
        self._require_whole(shards)
        shards = {p: shard for p, shard in shards.items() if shard.stand is not None}
        done = Exported()
        for place, (partition, shard) in enumerate(shards.items()):
            known = None if before is None else before.of(partition)
            if known is not None and self._is_still_true(known, shard):
                done.kept.append(known)
            else:
                done.written.append(self._write(partition, place / len(shards), 1 / len(shards)))
            self._write_manifest(done, is_complete=False)
        self._write_manifest(done, is_complete=True)
        return done

    def _manifest_before(self) -> Manifest | None:
        before = read_manifest(self._directory)
        path = self._directory / MANIFEST
        if before is not None and before.prefix != self._keys.prefix:
            rule = f"be an export of the prefix {self._keys.prefix!r}"
            raise StateFileError(path, rule, repr(before.prefix))
        ours = (".gz", ".part")  # also where an earlier run ended before its first manifest
        if before is None and (strange := _others(self._directory, ours)):
            rule = "be an empty directory, or one with an earlier export"
            raise StateFileError(self._directory, rule, strange[0])
        return before

    def _require_whole(self, shards: Mapping[int, ShardHash]) -> None:
        for partition, shard in shards.items():
            if shard.importing is not None:
                raise ValueError(
                    f"partition {partition} holds half of a state: run `tidegate state import` "
                    "to its end first"
                )

    def _is_still_true(self, known: PartitionFile, shard: ShardHash) -> bool:
        if (known.stand, known.state_version) != (shard.stand, shard.state_version):
            return False
        try:
            require_sound(self._directory, known)
        except StateFileError as error:
            self._note(f"{error}: writing it again")
            return False
        return True

    def _write_manifest(self, done: Exported, *, is_complete: bool) -> None:
        partitions = sorted([*done.kept, *done.written], key=lambda one: one.partition)
        manifest = Manifest(
            prefix=self._keys.prefix,
            exported_at=self._now,
            is_complete=is_complete,
            partitions=partitions,
        )
        write_manifest(self._directory, manifest)

    # -- one partition ------------------------------------------------------------------------

    def _write(self, partition: int, start: float, share: float) -> PartitionFile:
        for _ in range(_TRIES):
            before = self._state.shard(partition)
            keys = self._state.of_partition(partition)
            values = self._read(keys, partition, start, share)
            written = self._write_file(partition, values, before)
            if written is not None:
                return written
            self._note(f"partition {partition} moved while it was read: reading it again")
        self._note(f"partition {partition} never rests: reading it in one step, its worker waits")
        found: Any = self._snapshot(
            keys=[self._keys.shard(partition)], args=[self._state.pattern(partition)]
        )
        at_once = [
            (key, kind.decode(), values)
            for key, kind, values in found
            if self._state.partition_of(key) == partition
        ]
        written = self._write_file(partition, at_once, None)
        assert written is not None
        return written

    def _read(
        self, keys: list[bytes], partition: int, start: float, share: float
    ) -> Iterator[Values]:
        for number, chosen in enumerate(_pieces(keys, _KEYS_AT_ONCE)):
            self._tell(start + share * number * _KEYS_AT_ONCE / len(keys), f"partition {partition}")
            pipeline = self._redis.pipeline(transaction=False)
            for key in chosen:
                pipeline.type(key)
            kinds = [kind.decode() for kind in pipeline.execute()]
            known = [(key, kind) for key, kind in zip(chosen, kinds, strict=True) if kind in _READ]
            for key, kind in known:
                _READ[kind](pipeline, key)
            for (key, kind), value in zip(known, pipeline.execute(), strict=True):
                if value:  # else it went away meanwhile, and the shard has moved
                    yield key, kind, _flat(value)

    def _write_file(
        self, partition: int, values: Iterable[Values], before: ShardHash | None
    ) -> PartitionFile | None:
        """Write a partition's file; return None, and write none, where the shard moved meanwhile.

        Args:
            partition: its number.
            values: of all its keys.
            before: the shard before they were read; None means they are of one moment.
        """
        path = self._directory / file_name(partition)
        own = self._keys.shard(partition).encode()
        shard: list[bytes] = []
        count = 0
        try:
            with open_writer(path) as file:
                for key, kind, one in values:
                    count += 1
                    if key == own:
                        shard = one
                    else:
                        self._write_lines(file, key, kind, one)
                self._write_lines(file, own, "hash", shard)
                found = ShardHash.of(dict(zip(shard[::2], shard[1::2], strict=True)))
                if before is not None:
                    self._require_unmoved(before, found, self._state.shard(partition))
        except _MovedError:
            return None
        if found.stand is None or found.state_version is None:
            raise ValueError(f"the state of partition {partition} went away while it was read")
        return PartitionFile(
            partition=partition,
            file=path.name,
            state_version=found.state_version,
            stand=found.stand,
            keys=count,
            size=path.stat().st_size,
            sha256=sum_of(path),
        )

    def _require_unmoved(self, *shards: ShardHash) -> None:
        if len({(shard.stand, shard.state_version) for shard in shards}) > 1:
            raise _MovedError

    def _write_lines(self, file: Any, key: bytes, kind: str, values: list[bytes]) -> None:
        name = key.removeprefix(self._keys.prefix.encode())
        for piece in _lines(kind, values):
            file.write(msgspec.json.encode(Record(name, cast(KeyType, kind), piece)) + b"\n")


def _others(directory: Path, suffixes: tuple[str, ...]) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.suffix not in suffixes)


class _MovedError(Exception):
    """The shard was committed while it was read."""


_READ: dict[str, Callable[[Any, bytes], object]] = {
    "hash": lambda pipeline, key: pipeline.hgetall(key),
    "list": lambda pipeline, key: pipeline.lrange(key, 0, -1),
    "string": lambda pipeline, key: pipeline.get(key),
}


def _flat(value: Any) -> list[bytes]:
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    return value if isinstance(value, list) else [value]


def _lines(kind: str, values: list[bytes]) -> Iterator[list[bytes]]:
    """Cut the values of one key into lines; a name is never parted from its value."""
    if kind == "string":
        (whole,) = values
        for start in range(0, len(whole), _BYTES_A_LINE):
            yield [whole[start : start + _BYTES_A_LINE]]
        return
    size, line = 0, list[bytes]()
    for piece in _pieces(values, 2 if kind == "hash" else 1):
        line += piece
        size += sum(map(len, piece))
        if len(line) >= _VALUES_A_LINE or size >= _BYTES_A_LINE:
            yield line
            size, line = 0, []
    if line:
        yield line


def _pieces(values: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(values)
    while piece := list(islice(rest, size)):
        yield piece
