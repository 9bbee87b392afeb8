"""Everything that the program does with a file to look at it, in one call.

Whatever the file: a tree that can be walked, printed and read, or a `CheckpointError` with a
printable sentence. Any other exception is a finding.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import pkgutil
import unicodedata
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import inspector_app.checkpoint
from inspector_app.analysis.resume_checklist import checking
from inspector_app.analysis.totals import adding_up
from inspector_app.analysis.training_state import reading_training
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CheckpointError
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.values import open_values
from inspector_app.terminal import show_json, show_text, training_json, training_text
from inspector_app.terminal.style import Style

_TENSORS = 40  # whose first values are read
# Bidirectional formatting, as UAX 9 names its classes.
_TURNING = frozenset("LRE RLE LRO RLO PDF LRI RLI FSI PDI".split())
# The bounds of the program, but for those that only a machine with much memory reaches.
LIMITS = Limits()

Step = Callable[[Checkpoint], object]


def load_readers() -> None:
    """Import every module that reads, so that the first file is not slower than others."""
    for module in pkgutil.iter_modules(inspector_app.checkpoint.__path__):
        importlib.import_module(f"inspector_app.checkpoint.{module.name}")


def open_or_refuse(path: Path) -> Checkpoint | str:
    """The checkpoint, or the code of the error that says why there is none."""
    try:
        return open_checkpoint(path, LIMITS)
    except CheckpointError as error:
        return f"error {_sentence(error)}"


def assert_harmless(text: str) -> None:
    """No character moves the cursor, reorders a line or is a lone surrogate."""
    for character in set(text):
        if not character.isprintable():
            category = unicodedata.category(character)
            assert category not in ("Cc", "Cs", "Zl", "Zp"), ascii(text)
            assert unicodedata.bidirectional(character) not in _TURNING, ascii(text)


def _sentence(error: CheckpointError) -> str:
    """Its code, if its sentence can be printed."""
    assert_harmless(str(error))
    return error.code


def look(path: Path) -> str:
    """Open the file and do everything with it; ``tree FORMAT`` or ``error CODE``."""
    found = open_or_refuse(path)
    if isinstance(found, str):
        return found
    for step in STEPS:
        step(found)
    return f"tree {found.format}"


def _walk(checkpoint: Checkpoint) -> None:
    parents = {id(checkpoint.root)}
    for node in itertools.islice(checkpoint.root.walk(), 50_000):
        assert node.parent is None or id(node.parent) in parents
        if node.children:
            parents.add(id(node))
    for section in checkpoint.sections:
        assert checkpoint.find(section.path) is not None, section
    for problem in checkpoint.problems:
        assert_harmless(problem.message)
    for tensor in checkpoint.tensors:
        assert isinstance(tensor, TensorInfo)
        assert min((0, *tensor.shape)) >= -1, tensor.shape
        assert tensor.nbytes >= 0
        assert tensor.name is not None


def _show(checkpoint: Checkpoint) -> None:
    text = "".join(show_text.text_parts(checkpoint, Style(width=90)))
    assert_harmless(text.replace("\n", ""))
    document = json.loads("".join(show_json.json_parts(checkpoint)), parse_constant=_no_constant)
    assert len(document["tensors"]) == len(checkpoint.tensors)


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} in JSON")


def _training(checkpoint: Checkpoint) -> None:
    state = _last(reading_training(checkpoint, beside=False))
    found = _last(checking(state, False))
    json.loads("".join(training_json.json_parts(state, found)), parse_constant=_no_constant)
    text = "".join(training_text.text_parts(state, found, Style(width=90)))
    assert_harmless(text.replace("\n", ""))


def _analyse(checkpoint: Checkpoint) -> None:
    from inspector_app.analysis.loading_code import loading_code
    from inspector_app.analysis.needed_globals import needed_globals
    from inspector_app.analysis.quantized_storage import quantized_storage

    loading_code(checkpoint)
    needed_globals(checkpoint)
    _last(adding_up(checkpoint))
    for tensor in checkpoint.tensors[:_TENSORS]:
        quantized_storage(tensor)


def _values(checkpoint: Checkpoint) -> None:
    """The first values of the first tensors, and of the parts that they are made of."""
    with open_values(checkpoint, LIMITS) as reader:
        for tensor in itertools.islice(_all_tensors(checkpoint), _TENSORS):
            for raw in (False, True) if tensor.details.quantizer else (False,):
                try:
                    elements = reader.elements(tensor, raw)
                    slices = tuple(slice(0, 3) for _ in elements.shape)
                    values = reader.read(tensor, slices, raw)
                except CheckpointError as error:
                    _sentence(error)
                else:
                    assert values.shape == tuple(min(size, 3) for size in elements.shape)


def _all_tensors(checkpoint: Checkpoint) -> Iterator[TensorInfo]:
    for tensor in checkpoint.tensors:
        yield tensor
        yield from tensor.inner_tensors()


def _checksums(checkpoint: Checkpoint) -> None:
    from inspector_app.analysis.checksum_check import checking as checking_sums

    report = _last(checking_sums(checkpoint, LIMITS))
    assert report.sentence
    for problem in report.problems:
        assert_harmless(problem.message)


def _safety(checkpoint: Checkpoint) -> None:
    from inspector_app.analysis.safety import examine

    _last(examine(checkpoint))


def _last(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


STEPS: list[Step] = [_walk, _show, _training, _analyse, _values, _checksums]
if importlib.util.find_spec("inspector_app.analysis.safety"):
    STEPS.append(_safety)
