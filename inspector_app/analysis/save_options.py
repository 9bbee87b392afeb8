"""What people choose when they save another form of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from inspector_app.analysis.key_mapping import Rule
from inspector_app.checkpoint.model import TreePath


class Form:
    """What is written; the ending of the target's name says which."""

    TORCH = "torch-zip"
    SAFETENSORS = "safetensors"
    NPZ = "npz"


# By the ending, in lower case. Others that people use for torch files are written as such too.
ENDINGS = {
    ".pth": Form.TORCH,
    ".pt": Form.TORCH,
    ".ckpt": Form.TORCH,
    ".bin": Form.TORCH,
    ".safetensors": Form.SAFETENSORS,
    ".npz": Form.NPZ,
}


# What tensors are cast to: where torch and ml_dtypes round alike, to the nearest, ties to even.
CASTS = (
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
)


class Ties:
    """What becomes of tensors that share their bytes."""

    KEEP = "keep"  # .pth: shared as before; others: written once, the metadata has the aliases
    CLONE = "clone"  # each has bytes of its own


@dataclass(frozen=True, slots=True)
class DtypeRule:
    """Tensors that are cast.

    Attributes:
        dtype: torch's name of a floating-point dtype.
        pattern: a glob for the name or the key of tensors, as they are in the source; "" is
            every floating-point tensor. A later rule wins over an earlier one.
    """

    dtype: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Averaging:
    """How several checkpoints become one, in float64, rounded once to the dtype of the first.

    Floating-point and complex tensors of the model are averaged; all others, such as
    ``num_batches_tracked``, are those of the last source. Of complex numbers the real and the
    imaginary parts are averaged alike. "Once" is as torch rounds: float64 becomes bfloat16,
    float16 or fp8 by way of float32.

    Attributes:
        kind: ``mean`` is ``(x0 + x1 + …) / n``; ``weighted`` is
            ``(w0·x0 + w1·x1 + …) / (w0 + w1 + …)``; ``ema`` is ``m = decay·m + (1 - decay)·x``
            from one source to the next, beginning with the first.
        weights: of ``weighted``, one for each source.
        decay: of ``ema``.
    """

    kind: str = "mean"
    weights: tuple[float, ...] = ()
    decay: float = 0.0


@dataclass(frozen=True, slots=True)
class SaveOptions:
    """What is kept, and in what form.

    Attributes:
        sections: paths of the parts that are kept. One alone becomes the whole file; several
            keep their places. None: everything for `Form.TORCH`, the model for the others.
        use_ema: the model's tensors take the values of the moving average, which is then left
            out as a part of its own.
        strip_prefix, rules, add_prefix: what is done to the keys of models, in this order.
        keep: globs; tensors whose name or key matches none are left out. () keeps all.
        drop: globs; whatever matches one is left out, tensors and other entries alike.
        dtypes: casts.
        device: instead of every device tag, such as ``cpu``; "" keeps them.
        contiguous: every tensor gets contiguous bytes that nothing else is in.
        ties: of `Ties`.
        averaging: of several sources, else None.
        max_shard_bytes: of a shard of safetensors; None writes one file.
    """

    sections: tuple[TreePath, ...] | None = None
    use_ema: bool = False
    strip_prefix: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    add_prefix: str = ""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    dtypes: tuple[DtypeRule, ...] = ()
    device: str = ""
    contiguous: bool = False
    ties: str = Ties.KEEP
    averaging: Averaging | None = None
    max_shard_bytes: int | None = None
