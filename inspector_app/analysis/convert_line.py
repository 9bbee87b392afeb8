"""The command that saves what a dialog would: ``checkpoint-inspector convert …``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from inspector_app.analysis.save_options import SaveOptions, Ties

PROGRAM = "checkpoint-inspector"


def command_line(
    sources: Sequence[str],
    target: str,
    options: SaveOptions,
    force: bool = False,
    clean: bool = False,
) -> str:
    """The command, quoted for a POSIX shell."""
    words = [PROGRAM, "convert", *sources, target]
    for path in options.sections or ():
        if path:
            words += ["--section", "/".join(map(str, path))]
    if options.use_ema:
        words.append("--ema")
    for flag, values in (
        ("--keep", options.keep),
        ("--drop", options.drop),
        ("--strip-prefix", options.strip_prefix),
        ("--map", tuple(map(str, options.rules))),
    ):
        # Joined, since a value may begin with a hyphen.
        words += [f"{flag}={value}" for value in values]
    if options.add_prefix:
        words.append(f"--add-prefix={options.add_prefix}")
    for rule in options.dtypes:
        words += ["--dtype", f"{rule.pattern}={rule.dtype}" if rule.pattern else rule.dtype]
    if options.device:
        words += ["--device", options.device]
    if options.contiguous:
        words.append("--contiguous")
    if options.ties != Ties.KEEP:
        words += ["--ties", options.ties]
    if options.max_shard_bytes is not None:
        words += ["--max-shard-size", str(options.max_shard_bytes)]
    averaging = options.averaging
    if averaging is not None:
        words += {
            "mean": ["--average"],
            "weighted": [f"--weights={','.join(map(repr, averaging.weights))}"],
            "ema": [f"--ema-decay={averaging.decay!r}"],
        }[averaging.kind]
    if clean:
        words.append("--clean")
    if force:
        words.append("--force")
    return shlex.join(words)
