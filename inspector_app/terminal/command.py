"""What a command of the command line is, and how it says that it cannot go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import argparse


class Trouble(Exception):
    """What keeps a command from doing its work, as one sentence."""


class Command(NamedTuple):
    """One command.

    Attributes:
        summary: what it does, in a few words.
        declare: adds its arguments to a parser.
        run: does it and returns the exit status.
    """

    summary: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
