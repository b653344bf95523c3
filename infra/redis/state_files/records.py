"""A shop's state as files: one a partition, and a manifest that says what belongs together.

A file holds one JSON object a line, gzipped: a key without the shop's prefix, its type and some of
its values, bytes in base64. The values of a large key stand in several lines, one after another.
The shard's own hash comes last.
"""

import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

import msgspec

FORMAT = 1
MANIFEST = "manifest.json"
_GZIP_LEVEL = 4

KeyType = Literal["hash", "list", "string"]


class StateFileError(ValueError):
    """A file of an export breaks a rule; the text names the file and the rule."""

    def __init__(self, path: Path, rule: str, value: object) -> None:
        super().__init__(f"{path} must {rule}, got {value}")


class Record(msgspec.Struct, frozen=True):
    """One line: some values of one key."""

    key: bytes  # without the prefix
    type: KeyType
    values: list[bytes]  # of a hash: name, value, name, value...


class Stand(msgspec.Struct, frozen=True):
    """Where a shard stands: as long as this is the same, so is all that is stored of it."""

    sequence: int
    offsets: str
    writer: str


class PartitionFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest says of one file."""

    partition: int
    file: str
    state_version: int
    stand: Stand
    keys: int
    size: int  # bytes
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an export holds."""

    format: int = FORMAT
    prefix: str  # of the keys in Redis
    exported_at: str
    is_complete: bool
    partitions: list[PartitionFile]

    def of(self, partition: int) -> PartitionFile | None:
        """What is said of a partition, if anything is."""
        return next((one for one in self.partitions if one.partition == partition), None)

    @property
    def digest(self) -> str:
        """A word for the state that the files hold; the same state has the same one."""
        sums = "".join(one.sha256 for one in self.partitions)
        return hashlib.sha256(sums.encode()).hexdigest()[:16]


def file_name(partition: int) -> str:
    """Return the name of a partition's file.

    >>> file_name(3)
    'partition-00003.jsonl.gz'
    """
    return f"partition-{partition:05}.jsonl.gz"


# -- writing ---------------------------------------------------------------------------------------


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all."""
    with _draft(directory / MANIFEST) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


@contextmanager
def open_writer(path: Path) -> Iterator[IO[bytes]]:
    """Open a partition's file for its lines; it appears under its name once it is whole."""
    with _draft(path) as raw, gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed:
        yield packed  # type: ignore[misc]  # a GzipFile has all that is needed of IO


@contextmanager
def _draft(path: Path) -> Iterator[IO[bytes]]:
    draft = path.with_name(path.name + ".part")
    try:
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


# -- reading ---------------------------------------------------------------------------------------


def read_manifest(directory: Path) -> Manifest | None:
    """Return the manifest of a directory; None where there is none.

    Raises:
        StateFileError: it cannot be read.
    """
    path = directory / MANIFEST
    try:
        read = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        manifest = msgspec.json.decode(read, type=Manifest)
    except msgspec.DecodeError as error:
        raise StateFileError(path, "be the manifest of an export", str(error)) from None
    if manifest.format != FORMAT:
        raise StateFileError(path, f"have format {FORMAT}", manifest.format)
    return manifest


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_sound(directory: Path, one: PartitionFile) -> None:
    """Raise unless a partition's file is the one that the manifest speaks of."""
    path = directory / one.file
    if not path.is_file():
        raise StateFileError(path, "be there, the manifest names it", "nothing")
    if (size := path.stat().st_size) != one.size:
        raise StateFileError(path, f"have {one.size} bytes by the manifest", size)
    if (found := sum_of(path)) != one.sha256:
        raise StateFileError(path, f"have the SHA-256 {one.sha256} of the manifest", found)


def read_records(path: Path) -> Iterator[Record]:
    """Yield the lines of a partition's file.

    Raises:
        StateFileError: a line is none.
    """
    decode = msgspec.json.Decoder(Record).decode
    with gzip.open(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield decode(line)
            except msgspec.DecodeError as error:
                raise StateFileError(path, f"hold a key in line {number}", str(error)) from None
