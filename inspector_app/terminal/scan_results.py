"""What a scan found, file by file, and the forms in which it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from inspector_app.terminal.scan_files import Found

if TYPE_CHECKING:
    from inspector_app.analysis.safety_report import SafetyReport
    from inspector_app.analysis.source_texts import SourceText


class Scanned(NamedTuple):
    """One file.

    Attributes:
        found: which, and why it was not looked at.
        report: what was found, or None.
        sources: the source texts in it.
        trouble: the sentence on stderr where it cannot be scanned at all, or "".
    """

    found: Found
    report: SafetyReport | None = None
    sources: tuple[SourceText, ...] = ()
    trouble: str = ""

    @property
    def path(self) -> str:
        return self.found.path

    @property
    def skipped(self) -> str:
        return self.found.skipped


class Totals:
    """How many files there were of each kind."""

    def __init__(self) -> None:
        self.clean = self.findings = self.skipped = self.troubles = 0

    def count(self, scanned: Scanned) -> None:
        if scanned.trouble:
            self.troubles += 1
        elif scanned.report is None:
            self.skipped += 1
        elif scanned.report.clean:
            self.clean += 1
        else:
            self.findings += 1

    @property
    def status(self) -> int:
        """The exit status: 2 trouble, 1 findings, 0 neither."""
        return 2 if self.troubles else 1 if self.findings else 0


class Form(Protocol):
    """One way to write what was found, file by file."""

    def begin(self) -> Iterator[str]: ...

    def file(self, scanned: Scanned) -> Iterator[str]: ...

    def end(self, totals: Totals) -> Iterator[str]: ...
