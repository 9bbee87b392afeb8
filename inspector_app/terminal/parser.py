"""Parses a command line. Apart from `cli`, so that a double click need not wait for argparse."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

from inspector_app import __version__
from inspector_app.terminal.command import Command, Trouble


class _Parser(argparse.ArgumentParser):
    """Reports a usage error as every other error: one line.

    Attributes:
        many: it takes any number of files, and options may stand between them.
    """

    many = False

    def parse_args(self, *arguments: Any, **keywords: Any) -> Any:
        parse = self.parse_intermixed_args if self.many else super().parse_args
        return parse(*arguments, **keywords)

    def error(self, message: str) -> NoReturn:
        raise Trouble(f"{message} (see {self.prog} --help)")


class _Environment(argparse.Action):
    """Prints what the program runs on, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from inspector_app.environment import environment_lines, report_text

        print(report_text(environment_lines()), end="")
        parser.exit()


def parser_of(
    program: str, commands: Mapping[str, Command], command: str, explicit: bool
) -> argparse.ArgumentParser:
    """The parser of `command`; without its name (not `explicit`) it also explains the others."""
    parser = _Parser(
        prog=f"{program} {command}" if explicit else program,
        description=f"{commands[command].summary[0].upper()}{commands[command].summary[1:]}.",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if not explicit:
        parser.usage = f"{program} [open] [FILE ...] [--compare] [--new-window]\n"
        parser.usage += f"       {program} [open] FILE ... --screenshot OUT.png\n"
        parser.usage += f"       {program} COMMAND ..."
        parser.description = "See what is inside a PyTorch checkpoint without running it."
        width = max(map(len, commands))
        lines = [f"  {name:<{width}}  {entry.summary}" for name, entry in commands.items()]
        lines += ["", f"{program} COMMAND --help explains a command."]
        lines += ["A file that is named like a command is opened as ./NAME."]
        parser.epilog = "\n".join(["commands:", *lines])
        parser.add_argument("--version", action="version", version=f"{program} {__version__}")
        parser.add_argument(
            "--environment",
            action=_Environment,
            nargs=0,
            help="print what the program runs on, to be added to the report of a problem",
        )
    commands[command].declare(parser)
    parser.many = any(action.nargs == "+" for action in parser._get_positional_actions())
    return parser
