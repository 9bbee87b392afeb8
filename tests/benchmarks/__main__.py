"""`make bench`: every benchmark, or those that are named.

    python -m tests.benchmarks [structure] [large] [values] [keys] [renames] [content]
                               [comparing] [window] [looking] [search] [million] [exporting]
                               [quantizing] [bundle] [scan]
                               [--repeats N] [--readme]

Prints one table; `--readme` also writes it into README.md. Exits with 1 where a promise is
not kept.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Callable

from tests.benchmarks import (
    bundle,
    compare_window,
    converting,
    diff_content,
    diff_structure,
    exporting,
    interaction,
    quantizing,
    scanning,
    structure,
    values,
    window,
)
from tests.benchmarks.measure import HEADER, ROOT, Report, row

MANY = 100_000
MILLION = 1_000_000

SUBJECTS: dict[str, Callable[[Report, int], None]] = {
    "structure": lambda report, repeats: structure.many_tensors(report, repeats, MANY),
    "large": structure.large_file,
    "values": values.measured,
    "keys": lambda report, repeats: diff_structure.many_keys(report, repeats, MANY),
    "renames": diff_structure.renamed_keys,
    "content": diff_content.content,
    "comparing": lambda report, repeats: compare_window.many_pairs(report, repeats, MANY),
    "window": window.first_paint,
    "looking": interaction.values,
    "search": lambda report, repeats: interaction.search_and_scroll(report, MANY),
    "million": lambda report, repeats: interaction.million(report, MILLION),
    "exporting": exporting.worker,
    "converting": converting.converting,
    "quantizing": quantizing.previewed,
    "bundle": bundle.start,
    "scan": scanning.many_files,
}


def machine() -> str:
    from importlib.metadata import version

    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "PySide6-Essentials"))
    python = platform.python_version()
    return f"{os.cpu_count()} cores, {platform.system()}, Python {python}, {packages}"


def write_readme(table: str) -> None:
    readme = ROOT / "README.md"
    text, count = re.subn(
        r"(<!-- benchmarks -->\n).*?(<!-- /benchmarks -->)",
        lambda found: f"{found[1]}\n{table}\n\n{found[2]}",
        readme.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise SystemExit("README.md has no place for the benchmarks")
    readme.write_text(text, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=", ".join(SUBJECTS))
    parser.add_argument("--repeats", type=int, default=5, help="runs whose median counts")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    chosen = parser.parse_args()
    unknown = set(chosen.subjects) - SUBJECTS.keys()
    if unknown:
        parser.error(f"no such subject: {', '.join(sorted(unknown))}")

    print(machine())
    print(HEADER, flush=True)
    report = Report()
    for name in chosen.subjects or SUBJECTS:
        SUBJECTS[name](report, chosen.repeats)
    if chosen.readme:
        rows = "\n".join(row(figure) for figure in report.figures)
        write_readme(f"{machine()}.\n\n{HEADER}\n{rows}")
    missed = [figure.what for figure in report.figures if not figure.kept]
    for what in missed:
        print(f"missed: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
