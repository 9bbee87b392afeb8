"""Which model a worker is to build, and what its inputs are: the parts of most requests.

Standard library only, as `protocol`, which hands all of it on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What DataParallel, torch.compile and both together put before each key.
WRAPPERS = ("_orig_mod.", "module.")
# What a model's floating point tensors can be cast to before it runs.
FLOAT_DTYPES = ("float32", "float16", "bfloat16", "float64")


# --- which model


class SourceKind:
    """Where a model's code comes from."""

    FILE = "file"  # the checkpoint holds it: TorchScript, .pt2, a whole pickled model
    CODE = "code"  # FILE.py:NAME or package.module:NAME, a class or a factory
    TRANSFORMERS = "transformers"  # a Hugging Face config.json


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where the model comes from.

    Attributes:
        source: one of `SourceKind`.
        spec: of code ``path/to/model.py:Net`` or ``package.module:create``; of transformers
            the ``config.json`` ("" for the one beside the checkpoint); else "".
        arguments: keyword arguments of the class or factory, as JSON values; of
            transformers ``{"class": "BertForMaskedLM"}`` where the config names none.
    """

    source: str = SourceKind.FILE
    spec: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Weights:
    """Which tensors go into the model, and under which keys.

    Attributes:
        section: the path of the state_dict in the checkpoint; None for its first model
            section, or the first average where there is none.
        renames: keys of the checkpoint and the model's keys that they stand for; any other
            key stands for itself.
        strip_prefixes: that keys lose, in the checkpoint or in the model, if more of them
            match then and `renames` is empty.
        rules: a regular expression and what replaces it, for keys without their prefix, one
            after the other.
        strict: anything missing, unexpected or mismatched is a failure.
        load: put them in at all; a model of `SourceKind.FILE` brings its own.
    """

    section: tuple[str | int, ...] | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    strip_prefixes: tuple[str, ...] = WRAPPERS
    rules: tuple[tuple[str, str], ...] = ()
    strict: bool = True
    load: bool = True


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model with its weights.

    Attributes:
        checkpoint: an absolute path.
        source: where the model comes from.
        weights: what goes into it.
        trust: the user has consented that loading the file runs its code.
        device: where the model runs.
        dtype: what floating point parameters are cast to, or "".
    """

    checkpoint: str
    source: ModelSource = ModelSource()
    weights: Weights = Weights()
    trust: bool = False
    device: str = "cpu"
    dtype: str = ""


# --- its inputs


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input of `forward`.

    Attributes:
        name: a parameter of `forward`, or any name: then inputs are passed in their order.
        shape: of the example; of a file's values where it is empty.
        dtype: torch's name; "" for that of a file.
        low, high: of random values: integers from `low` up to and without `high`, floats
            uniform between; None for a standard normal distribution, or for 0 and 2.
        file: ``.npy``, ``.npz`` or ``.pt`` with the values, or "".
        entry: the array's name in an ``.npz``, the key in a ``.pt``; "" if there is one only.
    """

    name: str
    shape: tuple[int, ...] = ()
    dtype: str = "float32"
    low: float | int | None = None
    high: float | int | None = None
    file: str = ""
    entry: str = ""


@dataclass(frozen=True, slots=True)
class DynamicAxis:
    """An axis whose size may differ; axes of one name have equal sizes."""

    input: str
    axis: int
    name: str
    least: int | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Inputs:
    """All inputs, and the axes that are dynamic. Random values are made from `seed`."""

    specs: tuple[InputSpec, ...]
    dynamic: tuple[DynamicAxis, ...] = ()
    seed: int = 0
