"""The one way a kernel is compiled here."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_TYPES_ONLY = re.compile(r"^if TYPE_CHECKING:\n(?:[ \t]+[^\n]*\n|\n)*", re.MULTILINE)
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]*)|import[ \t]+([^\n#]*))",
    re.MULTILINE,
)


def compiled(function: Kernel) -> Kernel:
    """Compile a kernel with a cache on disk and without the interpreter lock.

    No relaxed floating-point rules and no inner parallelism: the same numbers on any machine with
    IEEE doubles, whatever else runs. Keeps the function's type for type checkers, which numba's
    own decorator loses.
    """
    return compiled_with()(function)


def compiled_with(**options: Any) -> Callable[[Kernel], Kernel]:
    """Compile as `compiled` does, with further options of numba's `njit`."""

    def compile_kernel(function: Kernel) -> Kernel:
        kernel = njit(cache=True, nogil=True, **options)(function)
        _stamp(kernel, Path(function.__code__.co_filename))
        return cast(Kernel, kernel)

    return compile_kernel


def _stamp(kernel: Any, source: Path) -> None:
    """Let the cache of a kernel go stale when any file changes that the kernel is made of.

    Numba looks at the kernel's own file alone, and would go on using the kernels and constants that
    it once took in from others.
    """
    index = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if index is not None:
        index._source_stamp = sources_digest(source)
        index._load_index = _forgetting_what_is_gone(index._load_index)


def _forgetting_what_is_gone(load_index: Callable[[], Any]) -> Callable[[], Any]:
    """Let an index count as empty that names a type which was renamed or moved since.

    Numba unpickles the whole index before it compares the stamp.
    """

    def load() -> Any:
        try:
            return load_index()
        except (AttributeError, ImportError):
            return {}

    return load


def sources_digest(source: Path) -> str:
    """Return a digest of a module and of all that it imports from our packages."""
    digest = hashlib.sha256()
    for path in sorted(imported_closure(source)):
        digest.update(path.name.encode() + b"\0" + _text(path).encode())
    return digest.hexdigest()


def imported_closure(source: Path) -> set[Path]:
    """Return the files that a module is made of: its own, and those it imports, near and far.

    Only files of our own packages count: what numba is, numba looks at itself.
    """
    roots = tuple(dict.fromkeys((_import_root(source), _import_root(Path(__file__)))))
    found = {source, Path(__file__)}
    waiting = [*found]
    while waiting:
        fresh = set(_imported_files(waiting.pop(), roots)) - found
        found |= fresh
        waiting.extend(fresh)
    return found


@cache
def _import_root(source: Path) -> Path:
    """Return the directory from which a file is imported."""
    directory = source.parent
    while (directory / "__init__.py").exists():
        directory = directory.parent
    return directory


@cache
def _imported_files(source: Path, roots: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the files under the roots that a module imports anywhere in its text."""
    places = [
        root.joinpath(*name.split("."))
        for name in dict.fromkeys(_imported_names(_text(source)))
        for root in roots
    ]
    candidates = [path for place in places for path in (Path(f"{place}.py"), place / "__init__.py")]
    return tuple(path for path in candidates if path.is_file())


def _imported_names(text: str) -> Iterator[str]:
    """Yield the dotted names that a text imports when it runs, `a.b` for `from a import b`."""
    for module, members, modules in _IMPORT.findall(_TYPES_ONLY.sub("", text)):
        if module:
            yield module
        prefix = f"{module}." if module else ""
        for member in (members or modules).strip("()").split(","):
            if words := member.split():
                yield prefix + words[0]


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
