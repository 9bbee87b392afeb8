"""What a scan found, as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from inspector_app.analysis.safety_report import FoundGlobal, SafetyReport
from inspector_app.checkpoint.text import plain

if TYPE_CHECKING:
    from inspector_app.analysis.source_texts import SourceText
    from inspector_app.terminal.scan_results import Scanned, Totals

SCHEMA = 1


class JsonForm:
    """Writes ``files`` one by one, then what was skipped or could not be scanned."""

    def __init__(self) -> None:
        self._separator = ""
        self._skipped: list[dict[str, str]] = []
        self._failed: list[dict[str, str]] = []

    def begin(self) -> Iterator[str]:
        yield f'{{"schema":{SCHEMA},"files":['

    def file(self, scanned: Scanned) -> Iterator[str]:
        if scanned.trouble:
            self._failed.append({"path": scanned.path, "message": scanned.trouble})
        elif scanned.report is None:
            self._skipped.append({"path": scanned.path, "reason": scanned.skipped})
        else:
            yield self._separator + dump(report_json(scanned.report, scanned.sources))
            self._separator = ","

    def end(self, totals: Totals) -> Iterator[str]:
        summary = {
            "clean": totals.clean,
            "findings": totals.findings,
            "skipped": totals.skipped,
            "failed": totals.troubles,
        }
        yield f'],"skipped":{dump(self._skipped)},"failed":{dump(self._failed)},'
        yield f'"summary":{dump(summary)}}}\n'


def report_json(report: SafetyReport, sources: Iterable[SourceText]) -> dict[str, Any]:
    """One file's object."""
    verdict = report.weights_only
    return {
        "path": report.path,
        "format": report.format,
        "clean": report.clean,
        "globals": [_global(found, report) for found in report.globals],
        "anomalies": [
            {"code": each.code, "message": each.message, "where": each.where}
            for each in report.anomalies
        ],
        "code": [
            {
                "name": each.name,
                "where": each.where,
                "offset": each.offset,
                "bytes": each.nbytes,
                "text": each.text,
                "truncated": each.truncated,
                "trouble": each.trouble,
            }
            for each in sources
        ],
        "pickles": [
            {
                "name": each.name,
                "file": each.file,
                "start": each.start,
                "end": each.end,
                "unpacked": each.data is not None,
                "role": each.role,
                "protocol": each.protocol,
                "finished": each.finished,
            }
            for each in report.pickles
        ],
        "weights_only": {
            "loads": verdict.loads,
            "sentence": verdict.sentence,
            "message": verdict.message,
            "lines": list(verdict.lines),
        },
    }


def _global(found: FoundGlobal, report: SafetyReport) -> dict[str, Any]:
    return {
        "name": found.name,
        "group": found.group,
        "allowed": found.allowed,
        "use": sorted(how for how, _ in found.counts),
        "count": found.count,
        "uses": [
            {
                "how": use.how,
                "pickle": report.pickles[use.pickle].name,
                "offset": use.offset,
                "path": None if use.path is None else [*map(_element, use.path)],
                "arguments": use.arguments,
            }
            for use in found.uses
        ],
    }


def _element(key: object) -> object:
    return key if type(key) is int and key.bit_length() < 2000 else plain(str(key), 1_000)


def dump(value: object) -> str:
    """Compact JSON of ASCII alone: a lone surrogate of a hostile name is escaped."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
