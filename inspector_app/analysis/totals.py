"""What a checkpoint adds up to: counts, bytes, dtypes, devices, shared storages."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import islice

from inspector_app.checkpoint.model import Checkpoint, Progress, Section, TensorInfo

TENSORS_PER_STEP = 500
STORAGES_PER_STEP = 10_000


@dataclass(slots=True)
class Share:
    """What some of the tensors add up to.

    Attributes:
        tensors: how many; the parts of a wrapping subclass count as one.
        elements: of all of them.
        nbytes: of their elements, bytes that two of them share counted twice.
    """

    tensors: int = 0
    elements: int = 0
    nbytes: int = 0

    def add(self, tensor: TensorInfo, elements: int, nbytes: int) -> None:
        """Count one more tensor."""
        self.tensors += 1
        self.elements += elements
        self.nbytes += nbytes


@dataclass(slots=True)
class Totals:
    """What a checkpoint adds up to.

    Attributes:
        whole: every tensor.
        dtypes, devices: by name, the most bytes first.
        sections: in the checkpoint's order, each with what lies in it and in no section
            within it.
        storages: how many there are.
        storage_bytes: of all storages, each counted once.
        sharing: by `id` of the storage, the tensors that view it, where there are several.
    """

    whole: Share = field(default_factory=Share)
    dtypes: dict[str, Share] = field(default_factory=dict)
    devices: dict[str, Share] = field(default_factory=dict)
    sections: list[tuple[Section, Share]] = field(default_factory=list)
    storages: int = 0
    storage_bytes: int = 0
    sharing: dict[int, list[TensorInfo]] = field(default_factory=dict)


def adding_up(checkpoint: Checkpoint) -> Generator[Progress, None, Totals]:
    """Add up in short steps; the totals are the return value."""
    totals = Totals()
    totals.sections = [(section, Share()) for section in checkpoint.sections]
    section_of: dict[int, Share | None] = {}
    for section, share in totals.sections:
        node = checkpoint.find(section.path)
        if node is not None:
            section_of[id(node)] = share
    first: dict[int, TensorInfo] = {}
    count = len(checkpoint.tensors)
    for index, tensor in enumerate(checkpoint.tensors):
        if index % TENSORS_PER_STEP == 0:
            yield Progress("totals", index, count)
        storage = tensor.storage
        if storage is not None:
            other = first.setdefault(id(storage), tensor)
            if other is not tensor:
                totals.sharing.setdefault(id(storage), [other]).append(tensor)
        parent = tensor.parent
        if isinstance(parent, TensorInfo):
            continue  # part of a tensor that is counted
        elements, nbytes = tensor.numel, tensor.nbytes
        totals.whole.add(tensor, elements, nbytes)
        _share(totals.dtypes, tensor.dtype).add(tensor, elements, nbytes)
        _share(totals.devices, tensor.device).add(tensor, elements, nbytes)
        found = _section(tensor, section_of)
        if found is not None:
            found.add(tensor, elements, nbytes)
    totals.dtypes = _largest_first(totals.dtypes)
    totals.devices = _largest_first(totals.devices)
    totals.storages = len(checkpoint.storages)
    storages = iter(checkpoint.storages.values())
    while batch := list(islice(storages, STORAGES_PER_STEP)):
        totals.storage_bytes += sum(storage.nbytes for storage in batch)
        yield Progress("storages", 0, totals.storages)
    return totals


def _share(shares: dict[str, Share], name: str) -> Share:
    share = shares.get(name)
    if share is None:
        share = shares[name] = Share()
    return share


def _section(tensor: TensorInfo, known: dict[int, Share | None]) -> Share | None:
    """The innermost section that has the tensor; what lies on the way is remembered."""
    way = []
    node = tensor.parent
    while node is not None and id(node) not in known:
        way.append(id(node))
        node = node.parent
    found = known[id(node)] if node is not None else None
    for identity in way:
        known[identity] = found
    return found


def _largest_first(shares: dict[str, Share]) -> dict[str, Share]:
    return dict(sorted(shares.items(), key=lambda item: (-item[1].nbytes, item[0])))
