"""A safetensors file: the length of a JSON header, the header, the tensors' bytes.

Source: https://github.com/huggingface/safetensors, README ("Format") and
``safetensors/src/tensor.rs``: no holes between tensors, wide dtypes first so that each is
aligned, the header padded with spaces so that the first one is. The index of shards is that of
transformers (``modeling_utils.py``, ``save_pretrained``).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import NamedTuple

from inspector_app.analysis.flat_tensors import SAFETENSORS_CODES
from inspector_app.analysis.save_plan import PlannedTensor, SavePlan
from inspector_app.checkpoint.dtypes import DTYPES
from inspector_app.saving.layout import FileLayout, Write
from inspector_app.saving.read_ahead import Job

_ALIGNED = 8


class Shard(NamedTuple):
    """Tensors that go into one file of several."""

    tensors: list[PlannedTensor]
    nbytes: int


class SafetensorsLayout(FileLayout):
    """The header, and the tensors one right after the other."""

    def __init__(
        self, jobs: Sequence[Job], names: Sequence[str], dtypes: Sequence[str], header: bytes
    ) -> None:
        super().__init__(jobs, names, dtypes)
        self._header = header
        self.nbytes += len(header)

    def begin(self, write: Write) -> None:
        write(self._header)


def layout(
    tensors: Sequence[PlannedTensor], metadata: Sequence[tuple[str, str]]
) -> SafetensorsLayout:
    """How a file of these tensors is put together."""
    ordered = sorted(tensors, key=lambda each: -DTYPES[each.tensor.dtype].itemsize)
    places = {}
    jobs = []
    offset = 0
    for each in ordered:
        storage = each.tensor.storage
        assert storage is not None
        places[each.name] = [offset, offset + storage.nbytes]
        offset += storage.nbytes
        jobs.append(Job(storage.content, storage.nbytes))
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    # The keys stay in their order; where the bytes lie is another matter.
    for each in tensors:
        header[each.name] = {
            "dtype": SAFETENSORS_CODES[each.tensor.dtype],
            "shape": list(each.tensor.shape),
            "data_offsets": places[each.name],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNED)
    names = [each.name for each in ordered]
    dtypes = [each.tensor.dtype for each in ordered]
    return SafetensorsLayout(jobs, names, dtypes, struct.pack("<Q", len(text)) + text)


def shards(plan: SavePlan, most_bytes: int) -> list[Shard]:
    """The tensors in their order, as many to a file as fit; a larger one has its own."""
    found: list[Shard] = []
    tensors: list[PlannedTensor] = []
    nbytes = 0
    for each in plan.tensors:
        storage = each.tensor.storage
        assert storage is not None
        if tensors and nbytes + storage.nbytes > most_bytes:
            found.append(Shard(tensors, nbytes))
            tensors, nbytes = [], 0
        tensors.append(each)
        nbytes += storage.nbytes
    return [*found, Shard(tensors, nbytes)]


def index(plan: SavePlan, parts: Sequence[Shard], names: Sequence[str]) -> bytes:
    """Which tensor is in which file."""
    where = {
        each.name: name for part, name in zip(parts, names, strict=True) for each in part.tensors
    }
    metadata = {**dict(plan.metadata), "total_size": sum(part.nbytes for part in parts)}
    content = {"metadata": metadata, "weight_map": where}
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
