"""The one way a kernel is compiled here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


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
    """Let the cache of a kernel go stale when any file of kernels beside it, or here, changes.

    Numba looks at the kernel's own file alone, and would go on using what it once took in from
    the others.
    """
    index = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if index is not None:
        index._source_stamp = kernels_digest(source.parent) + kernels_digest(Path(__file__).parent)


@cache
def kernels_digest(directory: Path) -> str:
    """Return a digest of the files in the directory that hold kernels, or their constants."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*.py")):
        text = path.read_bytes()
        if b"policy.compiled import" in text or path.stem.endswith(("_columns", "compiled")):
            digest.update(path.name.encode() + b"\0" + text)
    return digest.hexdigest()
