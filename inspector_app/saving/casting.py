"""Values of one dtype as another, rounded as torch rounds: to the nearest, ties to even.

What is narrower than float32 is rounded from float32, as torch's conversions go
(``c10/util/BFloat16.h``, ``Half.h`` and ``Float8_*.h`` convert from float): a float64 is
rounded twice on its way to bfloat16, there and here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any

_WIDE = ("float64", "float32")
_NATIVE = ("float64", "float32", "float16")


def numpy_dtype(name: str) -> Any:
    """The numpy or ml_dtypes dtype of a torch dtype that has one."""
    import numpy as np

    if hasattr(np, name):
        return np.dtype(name if name != "bool" else np.bool_)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def cast(values: Array, dtype: str) -> tuple[Array, int]:
    """`values` (real numbers) as `dtype`, and how many finite ones are not finite any more.

    What is too large becomes infinite, or NaN where `dtype` has no infinity. NaN stays NaN.
    """
    import numpy as np

    wanted = numpy_dtype(dtype)
    if values.dtype == wanted:
        return values, 0
    with np.errstate(all="ignore"):
        if dtype in _WIDE or wanted.kind in "iub":
            made = values.astype(wanted)
        else:
            made = values.astype(np.float32, copy=False).astype(wanted)
        return made, _overflows(values, made, dtype)


def _overflows(values: Array, made: Array, dtype: str) -> int:
    import numpy as np

    if made.dtype.kind in "iub":
        return 0
    if values.dtype.kind in "iub" and dtype in (*_WIDE, "bfloat16"):
        return 0
    # Most blocks have none, and the largest code of the result tells: what is not finite has
    # the largest of all, but for the dtypes with a single NaN.
    if dtype in (*_NATIVE, "bfloat16"):
        bits = made.itemsize * 8
        codes = made.view(f"u{made.itemsize}")
        rest = (1 << bits - 1) - 1
        inf = int(np.array(np.inf).astype(made.dtype).view(f"u{made.itemsize}"))
        if not codes.size or int((codes & codes.dtype.type(rest)).max()) < inf:
            return 0
    finite = values if values.dtype.kind in "iub" else np.isfinite(values.astype(np.float64))
    if values.dtype.kind in "iub":
        finite = np.ones(values.shape, np.bool_)
    return int(np.count_nonzero(finite & ~np.isfinite(made.astype(np.float32))))
