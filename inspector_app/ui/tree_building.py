"""Makes the rows of a checkpoint, and sums them up on the way."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from inspector_app.checkpoint.model import Checkpoint, Node, Progress, TensorInfo
from inspector_app.ui.tree_nesting import Branch, branches_of_group, branches_of_node
from inspector_app.ui.tree_nodes import RowKind, Totals, TreeRows

# Rows between two yields: about a millisecond of work.
ROWS_A_STEP = 512


class _Level:
    """Rows with one parent, while they are added.

    Attributes:
        items: those still to come.
        start: where the labels begin in their keys.
        row: their parent, or -1.
        counted: their numbers count; the parts of a tensor are in its own already.
        template: of a fold, its first layer.
        tensors, numel, nbytes, dtype: sums so far; `nbytes` without shared storages.
        shares: by `id` of a shared storage, the bytes viewed and those it has.
    """

    __slots__ = (
        "counted",
        "dtype",
        "items",
        "nbytes",
        "numel",
        "row",
        "shares",
        "start",
        "template",
        "tensors",
    )

    def __init__(self, items: Iterable[Node | Branch], start: int, row: int, counted: bool) -> None:
        self.items = iter(items)
        self.start = start
        self.row = row
        self.counted = counted
        self.template: _Template | None = None
        self.tensors = self.numel = self.nbytes = 0
        self.dtype = ""
        self.shares: dict[int, list[int]] = {}

    def add(self, tensors: int, numel: int, nbytes: int, dtype: str) -> None:
        if self.dtype != dtype:
            self.dtype = "" if self.tensors else dtype
        self.tensors += tensors
        self.numel += numel
        self.nbytes += nbytes

    def share(self, shares: dict[int, list[int]]) -> None:
        if len(self.shares) < len(shares):
            self.shares, shares = shares, self.shares
        for storage, (viewed, available) in shares.items():
            known = self.shares.setdefault(storage, [0, available])
            known[0] += viewed


def building(checkpoint: Checkpoint) -> Generator[Progress, None, TreeRows]:
    """Make the rows of `checkpoint`, about a millisecond a step."""
    rows = TreeRows()
    yield from _find_shared(rows, checkpoint)
    shared = rows.shared
    root = checkpoint.root
    if isinstance(root, TensorInfo) or not root.children:
        rows.add(root, root.type_name or root.kind, -1, RowKind.NODE)
    counted = not isinstance(root, TensorInfo)
    items = yield from branches_of_node(root)
    levels = [_Level(items, 0, 0 if len(rows) else -1, counted)]
    labels: dict[str, str] = {}
    work = 0
    while levels:
        level = levels[-1]
        start, parent, counted = level.start, level.row, level.counted
        for item in level.items:
            work += 1
            if work >= ROWS_A_STEP:
                work = 0
                yield Progress("tree", len(rows))
            if isinstance(item, Branch):
                if level.template is not None:
                    work += len(item.entries) // 4
                    if level.template.copy(rows, level, item):
                        continue
                elif parent >= 0 and rows.kinds[parent] == RowKind.FOLD:
                    level.template = _Template(item, len(rows))
                levels.append((yield from _add_branch(rows, item, parent)))
                break
            key = item.key
            if type(key) is not str:
                label = str(key)
            elif start:
                label = key[start:]
                label = labels.setdefault(label, label)
            else:
                label = key
            row = rows.add(item, label, parent, RowKind.NODE)
            is_tensor = isinstance(item, TensorInfo)
            if is_tensor and counted:
                storage, nbytes = item.storage, item.nbytes
                if shared and storage is not None and id(storage) in shared:
                    level.share({id(storage): [nbytes, storage.nbytes]})
                    nbytes = 0
                level.add(1, item.numel, nbytes, item.dtype)
            if item.children:
                items = yield from branches_of_node(item)
                levels.append(_Level(items, 0, row, counted and not is_tensor))
                break
        else:
            levels.pop()
            _close(rows, level, levels[-1] if levels else None)
    return rows


def _find_shared(rows: TreeRows, checkpoint: Checkpoint) -> Generator[Progress, None, None]:
    # Several sets: a single one of a million takes 60 ms when it grows.
    seen: list[set[int]] = [set() for _ in range(64)]
    for count, tensor in enumerate(checkpoint.tensors):
        if count % (2 * ROWS_A_STEP) == 0:
            yield Progress("tree", 0)
        storage = tensor.storage
        if storage is not None:
            identity = id(storage)
            known = seen[identity >> 6 & 63]
            (rows.shared if identity in known else known).add(identity)
    # Nor are they freed all at once.
    while seen:
        seen.pop()
        yield Progress("tree", 0)


def _add_branch(rows: TreeRows, branch: Branch, parent: int) -> Generator[Progress, None, _Level]:
    if branch.members is not None:
        row = rows.add(None, branch.label, parent, RowKind.FOLD)
        return _Level(branch.members, branch.start, row, True)
    items = yield from branches_of_group(branch)
    row = rows.add(None, branch.label, parent, RowKind.GROUP)
    if len(items) == 1 and isinstance(items[0], Branch) and items[0].members is not None:
        rows.kinds[row] = RowKind.FOLDED
        fold = items[0]
        fold.label = " … ".join(f"{branch.label}.{end}" for end in fold.label.split(" … "))
    return _Level(items, branch.start, row, True)


class _Template:
    """The rows of a fold's first layer, from which those of the others are copied.

    The layers of a fold are equal but for their nodes, and most rows of a large file lie
    in them: copying takes a third of the time of making them.
    """

    __slots__ = ("branch", "kinds", "labels", "number", "places", "row", "sizes", "totals")

    def __init__(self, branch: Branch, row: int) -> None:
        self.branch = branch
        self.number = branch.label
        self.row = row
        self.places: list[int] | None = None

    def _read(self, rows: TreeRows) -> None:
        end = self.row + rows.sizes[self.row] + 1
        place = {id(entry): index for index, entry in enumerate(self.branch.entries)}
        self.places = [
            -1 if node is None else place[id(node)] for node in rows.nodes[self.row : end]
        ]
        self.labels = rows.labels[self.row : end]
        self.sizes = rows.sizes[self.row : end]
        self.kinds = rows.kinds[self.row : end]
        self.totals = [
            (row - self.row, rows.totals[row]) for row in range(self.row, end) if row in rows.totals
        ]

    def copy(self, rows: TreeRows, level: _Level, layer: Branch) -> bool:
        """Add `layer` to `rows` and to `level`; False if its rows have to be made."""
        entries: list[Node | None] = [*layer.entries, None]
        shared = rows.shared
        for entry in layer.entries:
            if entry.children or (shared and id(getattr(entry, "storage", None)) in shared):
                return False
        if self.places is None:
            self._read(rows)
        assert self.places is not None
        row = len(rows)
        shift = row - self.row
        rows.nodes += [entries[place] for place in self.places]
        rows.labels += self.labels
        rows.labels[row] = layer.label + self.labels[0][len(self.number) :]
        parents = rows.parents[self.row : self.row + len(self.places)]
        rows.parents.extend([parent + shift for parent in parents])
        rows.parents[row] = level.row
        rows.sizes += self.sizes
        rows.kinds += self.kinds
        for offset, totals in self.totals:
            rows.totals[row + offset] = totals
        level.add(*self.totals[0][1])
        return True


def _close(rows: TreeRows, level: _Level, above: _Level | None) -> None:
    """All rows of a level are there: sum them up."""
    row = level.row
    if row < 0:
        return
    rows.sizes[row] = len(rows) - row - 1
    if not level.counted or not level.tensors:
        return
    shared = sum(min(viewed, available) for viewed, available in level.shares.values())
    rows.totals[row] = Totals(level.tensors, level.numel, level.nbytes + shared, level.dtype)
    if above is not None and above.counted:
        above.add(level.tensors, level.numel, level.nbytes, level.dtype)
        if level.shares:
            above.share(level.shares)
