"""Names of megabytes, and such that would turn a terminal or a window upside down."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import hostile_archives as hostile
import numpy as np
import onnx
import pytest

from inspector_app.checkpoint import open_checkpoint
from inspector_app.terminal.show_json import json_parts
from inspector_app.terminal.show_text import text_parts
from inspector_app.terminal.style import Style

LONG = 10_000_000
# Right-to-left override, an escape sequence, a bell, a line break, a zero-width joiner.
NASTY = "a\u202egpj.\x1b[31m\x07\nb\u200d"


def pickled(path: Path, name: str) -> None:
    text = name.encode()
    stream = b"\x80\x02}X" + struct.pack("<I", len(text)) + text + b"K\x01s."
    path.write_bytes(hostile.archive(hostile.pickled(stream), hostile.VERSION))


def safetensors(path: Path, name: str) -> None:
    header = json.dumps({name: {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0")


def exported(path: Path, name: str) -> None:
    weight = onnx.numpy_helper.from_array(np.zeros(1, np.float32), name)
    graph = onnx.helper.make_graph([], name, [], [], [weight])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())


def entry(path: Path, name: str) -> None:
    """The name of an archive's entry; they end after 65,535 bytes."""
    other = hostile.pickled(name=f"archive/{name}".encode()[:0xFFFF])
    path.write_bytes(hostile.archive(hostile.pickled(hostile.WEIGHTS), hostile.VERSION, other))


def indexed(path: Path, name: str) -> None:
    path.write_text(json.dumps({"weight_map": {name: f"{name}.safetensors"}}))


WRITERS = [pickled, safetensors, exported, entry, indexed]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", [NASTY, "k" * LONG, NASTY * (LONG // len(NASTY))], ids=len)
def test_every_name_is_printed_plainly_and_shortly(
    write: object, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    write(path, name)  # type: ignore[operator]
    checkpoint = open_checkpoint(path)
    for width in (60, 200):
        text = "".join(text_parts(checkpoint, Style(width=width)))
        assert text.replace("\n", "").isprintable()
        assert len(text) < 20_000
    assert all(len(problem.message) < 2_000 for problem in checkpoint.problems)
    document = json.loads("".join(json_parts(checkpoint)))
    assert document["path"] == str(path)
