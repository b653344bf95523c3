"""The one way a kernel is compiled here."""

from __future__ import annotations

from collections.abc import Callable
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
        return cast(Kernel, njit(cache=True, nogil=True, **options)(function))

    return compile_kernel
