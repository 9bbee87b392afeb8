"""`stats --json`: the figures of each tensor as one JSON object.

Beyond the definitions in `analysis.distribution`: what is undefined is null. `count` is the
number of finite values, which the histogram's counts add up to; `nans` and `infs` come on
top of it. `exact` is false where the quantiles are only within `quantile_error`, relative to
the values next to their rank. `raw` has the figures of a quantized tensor's integers.
A tensor whose values cannot be read has null everywhere and says why in `error`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from inspector_app.checkpoint.model import Checkpoint, PathElement

if TYPE_CHECKING:
    from inspector_app.analysis.distribution import Distribution
    from inspector_app.analysis.findings import Finding
    from inspector_app.analysis.stats import TensorStats

SCHEMA = 1


def json_parts(
    checkpoint: Checkpoint, results: Iterable[tuple[TensorStats, Sequence[Finding]]]
) -> Iterator[str]:
    """The object's text, in pieces, with a newline at its end; a piece for each tensor."""
    yield f'{{"schema":{SCHEMA},"path":{_dump(checkpoint.path)},"tensors":['
    separator = ""
    for result, findings in results:
        yield separator + _dump(_row(result, findings))
        separator = ","
    yield "]}\n"


def _row(result: TensorStats, findings: Sequence[Finding]) -> dict[str, object]:
    tensor = result.tensor
    row: dict[str, object] = {
        "path": [_element(key) for key in tensor.path],
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": list(tensor.shape),
        **_figures(result.values),
        "findings": [finding.value for finding in findings],
    }
    if result.raw is not None:
        row["raw"] = _figures(result.raw)
    if result.error is not None:
        row["error"] = {"code": result.error.code, "message": result.error.message}
    return row


def _figures(found: Distribution | None) -> dict[str, object]:
    if found is None:
        names = "min max mean std l1 l2 zeros near_zeros nans infs count quantiles histogram"
        return dict.fromkeys([*names.split(), "exact", "quantile_error"])
    return {
        "min": _number(found.least),
        "max": _number(found.most),
        "mean": _number(found.mean),
        "std": _number(found.std),
        "l1": _number(found.l1),
        "l2": _number(found.l2),
        "zeros": found.zeros,
        "near_zeros": found.near_zeros,
        "nans": found.nans,
        "infs": found.infinities,
        "count": found.count,
        "quantiles": {f"{part:g}": _number(value) for part, value in found.quantiles.items()},
        "histogram": {
            "edges": [_number(edge) for edge in found.edges.tolist()],
            "counts": found.counts.tolist(),
        },
        "exact": found.exact,
        "quantile_error": found.quantile_error,
    }


def _number(value: float | int) -> float | int | None:
    return value if type(value) is int or math.isfinite(value) else None


def _element(key: PathElement) -> PathElement:
    return key if type(key) is int else f"{key}"


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
