"""What a scan found, as text that people read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.safety_report import GROUPS, FoundGlobal, Group, SafetyReport, Use
from inspector_app.checkpoint.text import plain
from inspector_app.terminal.style import Style, clipped

if TYPE_CHECKING:
    from inspector_app.analysis.source_texts import SourceText
    from inspector_app.terminal.scan_results import Scanned, Totals

_NARROWEST = 30
_SHOWN_USES = 5
_SHOWN_GLOBALS = 200
_SHOWN_ANOMALIES = 200
_SHOWN_CODE = 10
_PRINTED_CODE, _PRINTED_LINES, _PRINTED_CHARACTERS = 1_000, 2_000, 2_000
_WORDS = {
    "call": "called",
    "newobj": "instantiated",
    "build": "given a state",
    "persistent-id": "in a persistent id",
    "named": "named",
}
_GROUP_WORDS = {
    Group.OTHER: "other",
    Group.MODEL: "model code, of a package that would have to be installed",
    Group.PLAIN: "plain data types",
}


class TextForm:
    """A line for each file with nothing outside the allowlist, the details of the others.

    Args:
        quiet: leave out the lines of files without findings.
        code: print source texts, not their names alone.
    """

    def __init__(self, style: Style, quiet: bool = False, code: bool = False) -> None:
        self._style = style
        self._with_code = code
        self._quiet = quiet

    def begin(self) -> Iterator[str]:
        return iter(())

    def file(self, scanned: Scanned) -> Iterator[str]:
        return map(self._style.drawing, self._file(scanned))

    def end(self, totals: Totals) -> Iterator[str]:
        """One line that sums up, where there was more than one file."""
        total = totals.clean + totals.findings + totals.troubles
        if total + totals.skipped < 2:
            return
        words = [f"{_counted(total, 'file')}: {count_text(totals.clean)} with nothing to report"]
        if totals.findings:
            words.append(f"{count_text(totals.findings)} with findings")
        if totals.troubles:
            words.append(f"{count_text(totals.troubles)} that could not be scanned")
        text = ", ".join(words)
        if totals.skipped:
            text += f"; {_counted(totals.skipped, 'other file')} skipped"
        yield self._style.bold(text) + "\n"

    def _file(self, scanned: Scanned) -> Iterator[str]:
        report = scanned.report
        if report is None:
            return
        path = plain(scanned.path, 1_000)
        if report.clean:
            if not self._quiet:
                count = len(report.globals)
                seen = f", {_counted(count, 'global')}" if count else ", no globals"
                yield f"{path}: nothing outside the allowlist ({report.format}{seen})\n"
                yield from self._code(scanned.sources)
            return
        yield self._style.bold(f"{path}: {_summary(report)} ({report.format})") + "\n"
        yield from self._globals(report)
        yield from self._anomalies(report)
        yield from self._code(scanned.sources)
        yield f"  {report.weights_only.sentence}\n"
        if report.weights_only.lines:
            yield "  it would load after:\n"
            for line in report.weights_only.lines:
                yield f"    {line}\n" if line else "\n"

    def _globals(self, report: SafetyReport) -> Iterator[str]:
        shown = 0
        for group in GROUPS:
            found = [each for each in report.outside if each.group == group]
            if found:
                yield f"  {self._style.warning(_GROUP_WORDS.get(group, group))}\n"
            for each in found:
                shown += 1
                if shown > _SHOWN_GLOBALS:
                    yield f"    and {count_text(len(report.outside) - _SHOWN_GLOBALS)} more\n"
                    return
                yield f"    {_name(each.name)}{self._style.dim(_counts(each))}\n"
                for use in each.uses[:_SHOWN_USES]:
                    yield f"      {self._use(use, report)}\n"
                more = each.count - min(len(each.uses), _SHOWN_USES)
                if more > 0:
                    yield f"      and {count_text(more)} more\n"

    def _anomalies(self, report: SafetyReport) -> Iterator[str]:
        if report.anomalies:
            yield f"  {self._style.warning('anomalies')}\n"
        for problem in report.anomalies[:_SHOWN_ANOMALIES]:
            place = f"{plain(problem.where)}: " if problem.where else ""
            yield f"    {place}{problem.message} [{problem.code}]\n"
        if len(report.anomalies) > _SHOWN_ANOMALIES:
            yield f"    and {count_text(len(report.anomalies) - _SHOWN_ANOMALIES)} more\n"

    def _code(self, sources: Sequence[SourceText]) -> Iterator[str]:
        if sources:
            yield f"  {self._style.warning('source text in the file')}\n"
        most = _PRINTED_CODE if self._with_code else _SHOWN_CODE
        for code in sources[:most]:
            place = "" if code.offset is None else f", byte {code.offset}"
            yield f"    {plain(code.name)} ({code.where}{place})\n"
            if self._with_code:
                yield from _lines(code)
        if len(sources) > most:
            yield f"    and {count_text(len(sources) - most)} more\n"

    def _use(self, use: Use, report: SafetyReport) -> str:
        """What is done, and where; arguments are cut to what the terminal has room for."""
        place = f"byte {use.offset} of {plain(report.pickles[use.pickle].name, 80)}"
        if use.path:
            place = f"{plain('/'.join(map(str, use.path)), 80)}, {place}"
        verb = _WORDS[use.how]
        if use.how == "named":
            return f"{verb} at {place}"
        arguments = use.arguments
        if self._style.width:
            room = self._style.width - len(f"      {verb} with () at {place}")
            arguments = clipped(arguments, max(room, _NARROWEST))
        return f"{verb} with ({arguments}) {self._style.dim(f'at {place}')}"


def _lines(code: SourceText) -> Iterator[str]:
    """The text as it stands, a line at a time, so that none of it can pass for our own."""
    if code.text is None:
        yield f"      {code.trouble}\n"
        return
    lines = code.text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    for line in lines[:_PRINTED_LINES]:
        yield f"      | {plain(line.expandtabs(4), _PRINTED_CHARACTERS)}".rstrip() + "\n"
    if len(lines) > _PRINTED_LINES:
        yield f"      and {count_text(len(lines) - _PRINTED_LINES)} more lines\n"
    if code.truncated:
        yield "      and more, which is not shown\n"


def _summary(report: SafetyReport) -> str:
    words = []
    if report.outside:
        words.append(f"{_counted(len(report.outside), 'global')} outside the allowlist")
    if report.anomalies:
        count = len(report.anomalies)
        words.append("1 anomaly" if count == 1 else f"{count_text(count)} anomalies")
    return ", ".join(words)


def _name(name: str) -> str:
    shown = plain(name)
    # Letters of another alphabet may look like those of a known name.
    return shown if shown.isascii() else f"{shown} (that is {ascii(name)[:200]})"


def _counts(found: FoundGlobal) -> str:
    return "  " + ", ".join(
        _WORDS[how] + (f" {count_text(count)} times" if count > 1 else "")
        for how, count in found.counts
    )


def _counted(count: int, noun: str) -> str:
    return f"{count_text(count)} {noun}{'' if count == 1 else 's'}"
