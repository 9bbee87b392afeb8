"""Everything that the program does with a file to look at it, in one call.

Whatever the file: a tree that can be walked, printed and read, or a `CheckpointError` with a
printable sentence. Any other exception is a finding.
"""

from __future__ import annotations

import importlib
import itertools
import json
import pkgutil
import unicodedata
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import inspector_app.checkpoint
from inspector_app.analysis import checksum_check, tensor_checks
from inspector_app.analysis.loading_code import loading_code
from inspector_app.analysis.needed_globals import needed_globals
from inspector_app.analysis.quantized_storage import quantized_storage
from inspector_app.analysis.resume_checklist import checking
from inspector_app.analysis.safety import examine, examine_broken, tracing
from inspector_app.analysis.safety_report import PickleStream, SafetyReport
from inspector_app.analysis.totals import adding_up
from inspector_app.analysis.training_state import reading_training
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.byte_source import ByteSource
from inspector_app.checkpoint.disassembly import Disassembly
from inspector_app.checkpoint.errors import CheckpointError, UnreadableFile, UnrecognisedFormat
from inspector_app.checkpoint.limits import Limits
from inspector_app.checkpoint.model import Checkpoint, TensorInfo
from inspector_app.checkpoint.record_source import MemorySource
from inspector_app.checkpoint.values import open_values
from inspector_app.terminal import show_json, show_text, training_json, training_text
from inspector_app.terminal.scan_files import Found
from inspector_app.terminal.scan_json import JsonForm
from inspector_app.terminal.scan_results import Scanned, Totals
from inspector_app.terminal.scan_sarif import SarifForm
from inspector_app.terminal.scan_text import TextForm
from inspector_app.terminal.style import Style

_TENSORS = 40  # whose first values are read
_STREAMS = 3  # pickles of a file that are disassembled
# Bidirectional formatting, as UAX 9 names its classes.
_TURNING = frozenset("LRE RLE LRO RLO PDF LRI RLI FSI PDI".split())
# The bounds of the program, but for those that only a machine with much memory reaches.
LIMITS = Limits()

Step = Callable[[Checkpoint], object]


def load_readers() -> None:
    """Import every module that reads, so that the first file is not slower than others."""
    for module in pkgutil.iter_modules(inspector_app.checkpoint.__path__):
        importlib.import_module(f"inspector_app.checkpoint.{module.name}")


def look(path: Path, whole: bool = True) -> str:
    """Open the file and do everything with it; ``tree FORMAT`` or ``error CODE``.

    Args:
        whole: also what reads the file another time, such as the safety report.
    """
    try:
        found = open_checkpoint(path, LIMITS)
    except CheckpointError as error:
        refused = error
    else:
        for step in STEPS if whole else READING:
            step(found)
        return f"tree {found.format}"
    # Outside of its handling: a traceback holds what was read.
    code = _sentence(refused)
    if not isinstance(refused, UnrecognisedFormat | UnreadableFile):
        _print_report(last(examine_broken(str(path), refused, LIMITS)))
    return f"error {code}"


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
    state = last(reading_training(checkpoint, beside=False))
    found = last(checking(state, False))
    json.loads("".join(training_json.json_parts(state, found)), parse_constant=_no_constant)
    text = "".join(training_text.text_parts(state, found, Style(width=90)))
    assert_harmless(text.replace("\n", ""))


def _analyse(checkpoint: Checkpoint) -> None:
    loading_code(checkpoint)
    needed_globals(checkpoint)
    last(adding_up(checkpoint))
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
    report = last(checksum_check.checking(checkpoint, LIMITS))
    assert report.sentence
    for problem in report.problems:
        assert_harmless(problem.message)


def _parts(checkpoint: Checkpoint) -> None:
    """Indices of sparse tensors and scales of quantized ones, read whole."""
    for problem in last(tensor_checks.checking(checkpoint)):
        assert_harmless(problem.message)


def _safety(checkpoint: Checkpoint) -> None:
    report = last(examine(checkpoint, LIMITS))
    _print_report(report)
    for stream in report.pickles[:_STREAMS]:
        _disassemble(stream)
        last(tracing(stream, LIMITS))


def _print_report(report: SafetyReport) -> None:
    """As text, JSON and SARIF."""
    scanned = Scanned(Found(report.path), report)
    totals = Totals()
    totals.count(scanned)
    for form in (TextForm(Style(width=90)), JsonForm(), SarifForm()):
        text = "".join([*form.begin(), *form.file(scanned), *form.end(totals)])
        if isinstance(form, TextForm):
            assert_harmless(text.replace("\n", ""))
        else:
            json.loads(text, parse_constant=_no_constant)


def _disassemble(stream: PickleStream) -> None:
    """The opcodes of a stream: the first and the last rows."""
    with ByteSource(stream.file) as file:
        source = file if stream.data is None else MemorySource(file, stream.data)
        listing = Disassembly(source, stream.start, stream.end, LIMITS)
        last(listing.indexing())
        for number in {0, 1, listing.count // 2, listing.count - 1}:
            if 0 <= number < listing.count:
                row = listing.row(number)
                assert_harmless(row.argument)
                assert listing.row_at(row.offset) == number


def last(steps: Generator[Any, None, Any]) -> Any:
    """What `steps` return, all of them taken."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


READING: tuple[Step, ...] = (_walk, _show, _values)
STEPS: tuple[Step, ...] = (*READING, _training, _analyse, _checksums, _parts, _safety)
