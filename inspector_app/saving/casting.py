"""Values of one dtype as another, rounded as torch rounds: to the nearest, ties to even.

What is narrower than float32 is rounded from float32, as torch's conversions go
(``c10/util/BFloat16.h``, ``Half.h`` and ``Float8_*.h`` convert from float): a float64 is
rounded twice on its way to bfloat16, there and here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any

_WIDE = ("float64", "float32")
# The largest number of float8_e4m3fn, and what still rounds to it: c10/util/Float8_e4m3fn.h.
_SATURATED, _LARGEST, _ROUNDED_DOWN = "float8_e4m3fn", 448.0, 464.0
_NATIVE = ("float64", "float32", "float16")


def numpy_dtype(name: str) -> Any:
    """The numpy or ml_dtypes dtype of a torch dtype that has one."""
    import numpy as np

    if hasattr(np, name):
        return np.dtype(name if name != "bool" else np.bool_)
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name))


def cast(values: Array, dtype: str) -> tuple[Array, int]:
    """`values` (real numbers) as `dtype`, and how many finite ones were too large for it.

    What is too large becomes infinite, or NaN where `dtype` has no infinity; of
    ``float8_e4m3fn``, as with torch 2.13, the largest number, and so does an infinity. NaN stays
    NaN.
    """
    import numpy as np

    wanted = numpy_dtype(dtype)
    if values.dtype == wanted:
        return values, 0
    with np.errstate(all="ignore"):
        if dtype in _WIDE or wanted.kind in "iub":
            made = values.astype(wanted)
            return made, _overflows(values, made, dtype)
        single: Array = values.astype(np.float32, copy=False)
        if dtype != _SATURATED:
            made = single.astype(wanted)
            return made, _overflows(values, made, dtype)
        made = np.clip(single, -_LARGEST, _LARGEST).astype(wanted)
        # Only what is closer to the next number that there would be is too large.
        past = np.isfinite(values.astype(np.float64)) & (np.abs(single) > _ROUNDED_DOWN)
        return made, int(np.count_nonzero(past))


def _overflows(values: Array, made: Array, dtype: str) -> int:
    import numpy as np

    if made.dtype.kind in "iub":
        return 0
    if values.dtype.kind in "iub" and dtype in (*_WIDE, "bfloat16"):
        return 0
    # Most blocks have none, and the largest code of the result tells: nothing finite has one
    # that is as large.
    if dtype in (*_NATIVE, "bfloat16"):
        codes = made.view(f"u{made.itemsize}")
        rest = (1 << made.itemsize * 8 - 1) - 1  # all but the sign
        inf = int(np.array(np.inf).astype(made.dtype).view(codes.dtype))
        if not codes.size or int((codes & codes.dtype.type(rest)).max()) < inf:
            return 0
    # Wide enough for all: float128 is none of torch's.
    finite = np.isfinite(values.astype(np.float64))
    return int(np.count_nonzero(finite & ~np.isfinite(made.astype(np.float32))))
