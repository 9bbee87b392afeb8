"""What a scan found, as a log of the Static Analysis Results Interchange Format 2.1.0.

Source: the OASIS standard "SARIF Version 2.1.0": results with rules by id (3.27.5), places
as byte offsets (3.30.11) and the tree's path as a logical location (3.33).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from inspector_app import __version__
from inspector_app.analysis.safety_report import FoundGlobal, Group, SafetyReport, Use
from inspector_app.checkpoint.errors import MESSAGES, Problem
from inspector_app.checkpoint.text import plain
from inspector_app.file_urls import reference_of
from inspector_app.terminal.scan_json import dump

if TYPE_CHECKING:
    from inspector_app.terminal.scan_results import Scanned, Totals

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES = {
    Group.OTHER: (
        "global/other",
        "error",
        "A class or function is named that no plain data and no model code needs.",
    ),
    Group.MODEL: (
        "global/model-code",
        "warning",
        "A class of a package is named, which loading the file would import.",
    ),
    Group.PLAIN: (
        "global/plain-data",
        "note",
        "A plain data type is named that torch.load(weights_only=True) does not accept by default.",
    ),
}
_CODE = (
    "code/source-text",
    "note",
    "Source text lies in the file, which a program that loads it may run.",
)
_MOST_USES = 20  # of one global
_MOST_CODE = 1_000


class SarifForm:
    """One run; the rules come last, when it is known which were needed."""

    def __init__(self) -> None:
        self._rules: dict[str, dict[str, Any]] = {}
        self._numbers: dict[str, int] = {}
        self._separator = ""
        self._notifications: list[dict[str, Any]] = []

    def begin(self) -> Iterator[str]:
        yield f'{{"version":"2.1.0","$schema":{dump(_SCHEMA)},"runs":[{{"results":['

    def file(self, scanned: Scanned) -> Iterator[str]:
        if scanned.trouble:
            self._notifications.append(
                {
                    "level": "error",
                    "message": {"text": scanned.trouble},
                    "locations": [{"physicalLocation": _artifact(scanned.path)}],
                }
            )
        if scanned.report is None:
            return
        for result in (*self._results(scanned.report), *self._code(scanned)):
            yield self._separator + dump(result)
            self._separator = ","

    def end(self, totals: Totals) -> Iterator[str]:
        driver = {
            "name": "checkpoint-inspector",
            "version": __version__,
            "rules": list(self._rules.values()),
        }
        invocation = {
            "executionSuccessful": not totals.troubles,
            "toolExecutionNotifications": self._notifications,
        }
        yield f'],"tool":{{"driver":{dump(driver)}}},"invocations":[{dump(invocation)}]'
        yield ',"columnKind":"unicodeCodePoints"}]}\n'

    def _results(self, report: SafetyReport) -> Iterator[dict[str, Any]]:
        for found in report.outside:
            rule, level, description = _RULES[found.group]
            index = self._rule(rule, level, description)
            for use in found.uses[:_MOST_USES]:
                yield {
                    "ruleId": rule,
                    "ruleIndex": index,
                    "level": level,
                    "message": {"text": _message(found, use)},
                    "locations": [_place(use, report)],
                }
        for problem in report.anomalies:
            rule = f"anomaly/{problem.code}"
            index = self._rule(rule, "warning", _template(problem))
            text = f"{plain(problem.where)}: {problem.message}" if problem.where else ""
            location: dict[str, Any] = {"physicalLocation": _artifact(report.path)}
            if problem.where:
                location["logicalLocations"] = [{"fullyQualifiedName": plain(problem.where)}]
            yield {
                "ruleId": rule,
                "ruleIndex": index,
                "level": "warning",
                "message": {"text": text or problem.message},
                "locations": [location],
            }

    def _code(self, scanned: Scanned) -> Iterator[dict[str, Any]]:
        rule, level, description = _CODE
        for number, code in enumerate(scanned.sources[: _MOST_CODE + 1]):
            place: dict[str, Any] = {"physicalLocation": _artifact(scanned.path)}
            text = f"and {len(scanned.sources) - _MOST_CODE} more source texts"
            if number < _MOST_CODE:
                name = plain(code.name) or "(without a name)"
                text = f"{name} is source text ({code.where})"
                place["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "resource"}]
                if code.offset is not None and code.nbytes:
                    region = {"byteOffset": code.offset, "byteLength": code.nbytes}
                    place["physicalLocation"]["region"] = region
            yield {
                "ruleId": rule,
                "ruleIndex": self._rule(rule, level, description),
                "level": level,
                "message": {"text": text},
                "locations": [place],
            }

    def _rule(self, name: str, level: str, description: str) -> int:
        if name not in self._rules:
            self._numbers[name] = len(self._rules)
            self._rules[name] = {
                "id": name,
                "shortDescription": {"text": description},
                "defaultConfiguration": {"level": level},
            }
        return self._numbers[name]


def _message(found: FoundGlobal, use: Use) -> str:
    name = plain(found.name)
    if use.how == "named":
        return f"{name} is named"
    words = {"call": "is called", "newobj": "is instantiated", "build": "is given a state"}
    return f"{name} {words.get(use.how, 'is used in a persistent id')} with ({use.arguments})"


def _place(use: Use, report: SafetyReport) -> dict[str, Any]:
    stream = report.pickles[use.pickle]
    place: dict[str, Any] = {"physicalLocation": _artifact(stream.file)}
    logical = [{"fullyQualifiedName": plain(stream.name), "kind": "resource"}]
    if stream.data is None:
        place["physicalLocation"]["region"] = {"byteOffset": use.offset, "byteLength": 1}
    if use.path:
        name = plain("/".join(map(str, use.path)), 1_000)
        logical.append({"fullyQualifiedName": name, "kind": "member"})
    place["logicalLocations"] = logical
    return place


def _artifact(path: str) -> dict[str, Any]:
    return {"artifactLocation": {"uri": reference_of(path)}}


def _template(problem: Problem) -> str:
    """The sentence of a problem's kind, with the names of its details."""
    sentence = MESSAGES[problem.code]
    return sentence[:1].upper() + sentence[1:]
