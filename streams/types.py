"""Names for the arrays that pass between the parts."""

from typing import Any

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
UInt8Array = npt.NDArray[np.uint8]
UInt64Array = npt.NDArray[np.uint64]
Float64Array = npt.NDArray[np.float64]
Table = npt.NDArray[np.void]
"""A structured array: one row an item."""

Record = Any
"""One row of a table, inside a kernel: its fields are attributes there."""

AnyArray = npt.NDArray[Any]
