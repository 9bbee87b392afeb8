"""Saving in tests, and whether two loaded objects are the same to the last bit."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import torch

from inspector_app.analysis.save_options import SaveOptions
from inspector_app.analysis.save_plan import SavePlan, plan
from inspector_app.checkpoint import open_checkpoint
from inspector_app.saving.save import Saved, saving
from tests.checkpoint.torch_files import prototypes

PLAIN = SaveOptions()


def save(
    sources: Path | Sequence[Path], target: Path, options: SaveOptions = PLAIN, force: bool = False
) -> tuple[SavePlan, Saved]:
    """Plan and write; nothing but the files stays, and the sources are not touched."""
    paths = [sources] if isinstance(sources, Path) else list(sources)
    before = [path.read_bytes() for path in paths if path.is_file()]
    made = plan([open_checkpoint(path) for path in paths], target, options)
    partials = set(target.parent.glob(".*.partial"))
    saved = run_steps(saving(made, force))
    if target not in paths:
        assert [path.read_bytes() for path in paths if path.is_file()] == before
    assert set(target.parent.glob(".*.partial")) <= partials
    return made, saved


def run_steps(steps: Generator[Any, None, Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def load(path: Path, *, mmap: bool = False) -> Any:
    """As everybody loads a torch file today."""
    with prototypes():
        return torch.load(path, weights_only=True, map_location="cpu", mmap=mmap)


def differences(one: Any, two: Any, place: str = "") -> list[str]:
    """Where two objects differ in type, shape, dtype, layout or a single bit."""
    if isinstance(one, torch.Tensor) or isinstance(two, torch.Tensor):
        return [] if _same_tensor(one, two) else [f"{place}: {one!r} is not {two!r}"]
    if type(one) is not type(two):
        return [f"{place}: {type(one)} is not {type(two)}"]
    if isinstance(one, dict):
        if list(one) != list(two):
            return [f"{place}: keys {list(one)[:9]} are not {list(two)[:9]}"]
        found = [line for key in one for line in differences(one[key], two[key], f"{place}/{key}")]
        mine, theirs = (getattr(each, "_metadata", None) for each in (one, two))
        return found if mine == theirs else [*found, f"{place}: _metadata {mine} not {theirs}"]
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return [f"{place}: {len(one)} not {len(two)} items"]
        pairs = enumerate(zip(one, two, strict=True))
        return [line for number, pair in pairs for line in differences(*pair, f"{place}/{number}")]
    if isinstance(one, float) and math.isnan(one) and math.isnan(two):
        return []
    return [] if one == two else [f"{place}: {one!r} is not {two!r}"]


def bits(tensor: torch.Tensor) -> bytes:
    """The elements in C order."""
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return stored(plain.clone())


def stored(tensor: torch.Tensor) -> bytes:
    """All bytes of its storage."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy().tobytes()


def _same_tensor(one: Any, two: Any) -> bool:
    if type(one) is not type(two) or one.dtype != two.dtype or one.layout != two.layout:
        return False
    if one.is_nested or two.is_nested:
        parts = zip(one.unbind(), two.unbind(), strict=True)
        return one.size(0) == two.size(0) and all(_same_tensor(*pair) for pair in parts)
    if one.shape != two.shape or one.requires_grad != two.requires_grad:
        return False
    if one.is_meta or two.is_meta:
        return one.device == two.device
    if one.is_quantized:
        return _same_quantized(one, two)
    if one.layout == torch.sparse_coo:
        pairs = [(one._indices(), two._indices()), (one._values(), two._values())]
        return one.is_coalesced() == two.is_coalesced() and all(_same_tensor(*p) for p in pairs)
    if one.layout in (torch.sparse_csr, torch.sparse_bsr):
        names = ("crow_indices", "col_indices", "values")
    elif one.layout in (torch.sparse_csc, torch.sparse_bsc):
        names = ("ccol_indices", "row_indices", "values")
    else:
        return bits(one) == bits(two)
    return all(_same_tensor(getattr(one, name)(), getattr(two, name)()) for name in names)


def _same_quantized(one: torch.Tensor, two: torch.Tensor) -> bool:
    if one.qscheme() != two.qscheme() or stored(one) != stored(two):
        return False
    if one.qscheme() == torch.per_tensor_affine:
        return (one.q_scale(), one.q_zero_point()) == (two.q_scale(), two.q_zero_point())
    return (
        one.q_per_channel_axis() == two.q_per_channel_axis()
        and _same_tensor(one.q_per_channel_scales(), two.q_per_channel_scales())
        and _same_tensor(one.q_per_channel_zero_points(), two.q_per_channel_zero_points())
    )
