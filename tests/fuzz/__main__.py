"""Throws broken files at every reader.

    python -m tests.fuzz mutate [--files N] [--seed N] [--processes N] [--findings FOLDER]
    python -m tests.fuzz targets [--seconds N] [--target NAME] [--jobs N] [--findings FOLDER]
    python -m tests.fuzz coverage [--files N]
    python -m tests.fuzz look FILE…
    python -m tests.fuzz seeds FOLDER

``mutate`` and ``targets`` exit with 1 where anything was found; each finding is written to a
folder outside the tree.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz import stored_seeds

FINDINGS = Path(tempfile.gettempdir()) / "checkpoint-inspector-findings"


def main(arguments: list[str]) -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tests.fuzz", description=__doc__, formatter_class=raw
    )
    commands = parser.add_subparsers(dest="command", required=True)
    mutate = commands.add_parser("mutate")
    mutate.add_argument("--files", type=int, default=2_000)
    mutate.add_argument("--seed", type=int, default=1)
    mutate.add_argument("--first", type=int, default=0, help="the number of the first file")
    mutate.add_argument("--processes", type=int, default=2)
    targets = commands.add_parser("targets")
    targets.add_argument("--seconds", type=int, default=60)
    targets.add_argument("--target", default="")
    targets.add_argument("--jobs", type=int, default=1)
    coverage = commands.add_parser("coverage")
    coverage.add_argument("--files", type=int, default=4_000)
    for command in (mutate, targets):
        command.add_argument("--findings", type=Path, default=FINDINGS)
    commands.add_parser("look").add_argument("files", type=Path, nargs="+")
    commands.add_parser("seeds").add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    if options.command == "seeds":
        stored_seeds.store(options.folder)
        return 0
    if options.command == "look":
        return _look(options.files)
    with tempfile.TemporaryDirectory(prefix="seeds-") as name:
        folder = Path(name)
        stored_seeds.make(folder)
        if options.command == "mutate":
            return _mutate(options, folder)
        if options.command == "targets":
            from tests.fuzz.targets.running import run_targets

            return run_targets(
                folder, options.target, options.seconds, options.jobs, options.findings
            )
        from tests.fuzz.measuring import measure

        return measure(folder, options.files)


def _look(files: list[Path]) -> int:
    from tests.fuzz.looking import look

    for path in files:
        print(f"{path}: {look(path)}")
    return 0


def _mutate(options: argparse.Namespace, folder: Path) -> int:
    from tests.fuzz.minimising import minimise
    from tests.fuzz.mutating import Finding, Result, mutate

    seen: set[str] = set()

    def tell(result: Result) -> None:
        print(f"{result.files:,} files, {len(result.findings)} findings", flush=True)

    def found(finding: Finding) -> None:
        place = finding.what.rpartition(" at ")[2]
        path = options.findings / f"{options.seed}-{finding.number}{finding.seed.suffix}"
        options.findings.mkdir(parents=True, exist_ok=True)
        path.write_bytes(finding.content)
        if place not in seen:
            # One of a place is made small; the others are kept as they are.
            seen.add(place)
            minimise(folder, finding.seed, path, finding.content)
            size = path.stat().st_size
            print(f"{path} ({size} bytes, {finding.seed.name}): {finding.what}")
            print(finding.trace, flush=True)

    result = mutate(
        folder, options.files, options.seed, options.processes, tell, found, options.first
    )
    print(result.table())
    return bool(result.findings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
