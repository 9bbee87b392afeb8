"""Tensors by key and nothing else, as safetensors and npz have them."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from inspector_app.analysis.out_building import OutBuilder, tensor_form
from inspector_app.analysis.save_notes import PlannedTensor, Why
from inspector_app.analysis.save_options import Form
from inspector_app.analysis.state_dict_keys import HEADER, METADATA
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.checkpoint.errors import CannotSave
from inspector_app.checkpoint.model import Kind, Node, Progress, TensorInfo
from inspector_app.checkpoint.pickle_tree import MODULES

# safetensors/src/tensor.rs of github.com/huggingface/safetensors, `Dtype`: those that its
# Python package loads for torch, which are all of torch's that it names but one that holds two
# values in a byte.
SAFETENSORS_CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "uint16": "U16",
    "int32": "I32",
    "uint32": "U32",
    "int64": "I64",
    "uint64": "U64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
}
# What numpy itself has: no bfloat16, no fp8.
NPY_CODES = {
    "bool": "|b1",
    "uint8": "|u1",
    "int8": "|i1",
    **{f"{kind}int{8 * size}": f"<{kind or 'i'}{size}" for kind in ("", "u") for size in (2, 4, 8)},
    **{f"float{8 * size}": f"<f{size}" for size in (2, 4, 8)},
    "complex64": "<c8",
    "complex128": "<c16",
}
CODES = {Form.SAFETENSORS: SAFETENSORS_CODES, Form.NPZ: NPY_CODES}
_SLICE = 1_000


def collecting(
    builder: OutBuilder, tops: Sequence[Node], form: str
) -> Generator[Progress, None, None]:
    """Add the tensors below `tops` under their keys; the others are left.

    Several parts put their paths before their keys.
    """
    codes = CODES[form]
    taken: set[str] = set()
    done = 0
    for top in tops:
        prefix = "".join(f"{part}." for part in top.path) if len(tops) > 1 else ""
        stack: list[tuple[Node, str]] = [(top, "")]
        while stack:
            node, name = stack.pop()
            done += 1
            if done % _SLICE == 0:
                yield Progress("plan", done)
            if node is not top and builder.is_left(node):
                continue
            if isinstance(node, TensorInfo):
                key = prefix + (name or str(node.key)) if node is not top else node.name or "tensor"
                why = _why_not(builder, node, codes)
                if why:
                    builder.leave(node, why, chosen=False)
                    continue
                if key in taken:
                    raise CannotSave("save-key-collision", where=node.name, key=key)
                taken.add(key)
                builder.one_tensor(node, key)
                continue
            if not node.children or node.key == METADATA:
                builder.leave(node, Why.FORM)
                continue
            renames = builder.renames_in(node)
            for child in reversed(node.children):
                if child.key in (HEADER, MODULES) and child.kind != Kind.TENSOR:
                    continue
                key = (
                    renames.get(child.key, child.key)
                    if isinstance(child.key, str)
                    else (str(child.key))
                )
                stack.append((child, f"{name}.{key}" if name else key))


def _why_not(builder: OutBuilder, node: TensorInfo, codes: dict[str, str]) -> str:
    source = builder.source_of(node)
    form = tensor_form(source)
    if form:
        return form
    plain = form == "" and source.layout == "strided" and source.device != "meta"
    if not plain or source.details.quantizer is not None or source.dtype not in DTYPES:
        return Why.FORM
    return "" if builder.dtype_of(node) in codes else Why.DTYPE


def take_aliases(tensors: list[PlannedTensor]) -> list[tuple[str, str]]:
    """Take out tensors that are written under another name already: (theirs, that name)."""
    first: dict[int, PlannedTensor] = {}
    kept, aliases = [], []
    for each in tensors:
        tensor = each.tensor
        known = first.setdefault(id(tensor.storage), each)
        if known is each or 0 in tensor.shape or known.tensor.shape != tensor.shape:
            kept.append(each)
        else:
            aliases.append((each.name, known.name))
    tensors[:] = kept
    return aliases
