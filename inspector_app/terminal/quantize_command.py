"""`quantize`: what quantization would cost, and a file that is quantized."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from inspector_app.terminal.command import Trouble

Write = Callable[[Iterable[str]], None]


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from inspector_app.terminal.quantize_preview import declare_preview

    parser.add_argument("file", metavar="SRC", help="a checkpoint, a shard index or its folder")
    declare_preview(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object, compact")
    parser.add_argument("--quiet", action="store_true", help="the summary only")
    parser.add_argument("--no-progress", action="store_true", help="no progress on stderr")


def quantize(arguments: argparse.Namespace, write: Write) -> bool:
    """Do what the command line asks for.

    Returns:
        Whether anything was found that is worth an exit status of 1.

    Raises:
        CheckpointError: the file cannot be read.
        Trouble: the arguments do not go together.
    """
    if not arguments.preview:
        raise Trouble("say what to do: --preview shows what each scheme would cost")
    from inspector_app.terminal.quantize_preview import preview

    return preview(arguments, write)
