"""What the safety page says, translated. It never says that a file is safe."""

from __future__ import annotations

from typing import NamedTuple

from PySide6.QtCore import QCoreApplication, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QPainter, QPalette, QPixmap

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.safety_report import (
    FoundGlobal,
    Group,
    PickleStream,
    SafetyReport,
    Use,
    Verdict,
)
from inspector_app.checkpoint.text import plain
from inspector_app.ui import theme
from inspector_app.ui.diff_status import Look, paint_badge

_translate = QCoreApplication.translate
CALM, UNUSUAL, GRAVE = "calm", "unusual", "grave"
_NAMED = 3
_BADGE = 15
_SCALES = (1, 2, 3)
_LETTERS = {Group.OTHER: "O", Group.MODEL: "M", Group.PLAIN: "P", Group.TENSORS: "T"}
_LIGHT = {
    Group.OTHER: Look("#9c1f1f", "#fde7e5"),
    Group.MODEL: Look("#744a00", "#fff1d0"),
    Group.PLAIN: Look("#234a96", "#e6eefc"),
    Group.TENSORS: Look("#5b6472", "#eef0f3"),
}
_DARK = {
    Group.OTHER: Look("#ffb3ad", "#452426"),
    Group.MODEL: Look("#ffd58a", "#3d311a"),
    Group.PLAIN: Look("#b6cffc", "#22304a"),
    Group.TENSORS: Look("#a3acba", "#2a2f38"),
}


class Headline(NamedTuple):
    """What is said first.

    Attributes:
        tone: `CALM`, `UNUSUAL` or `GRAVE`.
        title: in a few words.
        text: what it means, in a sentence or two.
    """

    tone: str
    title: str
    text: str


def headline(report: SafetyReport) -> Headline:
    """What is said first of a file."""
    outside = report.outside
    grave = [found for found in outside if found.group == Group.OTHER]
    anomalies = len(report.anomalies)
    if outside:
        return Headline(
            GRAVE if grave else UNUSUAL,
            _outside_title(len(outside)),
            _outside_text(grave or list(outside), bool(grave)),
        )
    if anomalies:
        return Headline(
            UNUSUAL,
            _translate("Safety", "Nothing outside the allowlist, and 1 anomaly")
            if anomalies == 1
            else _translate("Safety", "Nothing outside the allowlist, and {n} anomalies").format(
                n=count_text(anomalies)
            ),
            _translate("Safety", "No program that writes checkpoints leaves a file like this."),
        )
    if not report.pickles:
        return Headline(
            CALM,
            _translate("Safety", "Nothing outside the allowlist"),
            _translate("Safety", "The format has no place for names that loading would import."),
        )
    return Headline(
        CALM,
        _translate("Safety", "Nothing outside the allowlist"),
        _translate(
            "Safety",
            "The file names {n} classes and functions, all on the allowlist of "
            "torch.load(weights_only=True).",
        ).format(n=count_text(len(report.globals))),
    )


def _outside_title(count: int) -> str:
    if count == 1:
        return _translate("Safety", "1 class or function outside the allowlist")
    return _translate("Safety", "{n} classes and functions outside the allowlist").format(
        n=count_text(count)
    )


def _outside_text(found: list[FoundGlobal], grave: bool) -> str:
    used = [each for each in found if any(how != "named" for how, _ in each.counts)]
    names = ", ".join(plain(each.name, 80) for each in (used or found)[:_NAMED])
    left = len(used or found) - _NAMED
    if left > 0:
        names = _translate("Safety", "{names} and {n} more").format(names=names, n=count_text(left))
    if not used:
        text = _translate("Safety", "With weights_only=False, loading would import {names}.")
    elif grave:
        text = _translate("Safety", "With weights_only=False, loading would call {names}.")
    else:
        text = _translate(
            "Safety", "With weights_only=False, loading would import and use {names}."
        )
    done = _translate("Safety", "Nothing has been imported or run here.")
    return f"{text.format(names=names)} {done}"


def verdict_text(verdict: Verdict) -> str:
    """What ``torch.load(weights_only=True)`` does with the file."""
    if verdict.loads is None:
        return _translate("Safety", "It is no file for torch.load.")
    if verdict.loads:
        return _translate("Safety", "torch.load(weights_only=True) of torch 2.13 loads it.")
    return _translate("Safety", "torch.load(weights_only=True) of torch 2.13 refuses it:")


def group_text(group: str) -> str:
    """A group in a word or two."""
    return {
        Group.OTHER: _translate("Safety", "Other"),
        Group.MODEL: _translate("Safety", "Model code"),
        Group.PLAIN: _translate("Safety", "Plain data"),
        Group.TENSORS: _translate("Safety", "Tensors, on the allowlist"),
    }[group]


def group_hint(group: str) -> str:
    """What a group stands for."""
    return {
        Group.OTHER: _translate(
            "Safety", "What neither tensors nor data need: it could do anything"
        ),
        Group.MODEL: _translate(
            "Safety", "Classes of packages that would have to be installed, and would be imported"
        ),
        Group.PLAIN: _translate(
            "Safety", "Data types of Python and numpy that are not on torch's allowlist"
        ),
        Group.TENSORS: _translate(
            "Safety", "On the allowlist of torch.load(weights_only=True) of torch 2.13"
        ),
    }[group]


def counts_text(found: FoundGlobal) -> str:
    """How often a global is used, and how."""
    return ", ".join(
        _how_often(how, count) if count > 1 else how_text(how) for how, count in found.counts
    )


def how_text(how: str) -> str:
    """One way to use a global."""
    return {
        "call": _translate("Safety", "called"),
        "newobj": _translate("Safety", "made"),
        "build": _translate("Safety", "given a state"),
        "persistent-id": _translate("Safety", "names a storage"),
        "named": _translate("Safety", "only named"),
    }.get(how, plain(how, 40))


def _how_often(how: str, count: int) -> str:
    text = _translate("Safety", "{how} {n}×")
    return text.format(how=how_text(how), n=count_text(count))


def place_text(use: Use, streams: tuple[PickleStream, ...]) -> str:
    """Where a use is: in the tree, else in which stream."""
    if use.path:
        return plain("/".join(map(str, use.path)), 300)
    if use.path is not None:
        return _translate("Safety", "(the whole file)")
    return plain(streams[use.pickle].name, 300)


def stream_text(stream: PickleStream) -> str:
    """A stream's name and what it is there for."""
    name = plain(stream.name, 120) or _translate("Safety", "The pickle")
    role = {
        "extra": _translate("Safety", "{name} (torch does not read it)"),
        "nested": _translate("Safety", "{name} (bytes in another stream)"),
    }.get(stream.role, "{name}")
    return role.format(name=name)


def look(group: str, palette: QPalette) -> Look:
    """The colours of a group that go with `palette`."""
    return (_DARK if theme.is_dark(palette) else _LIGHT)[group]


def badge(group: str, palette: QPalette) -> QIcon:
    """A group's letter in a square of its colour."""
    colours = look(group, palette)
    quiet = group == Group.TENSORS
    fill, text = (colours.fill, colours.text) if quiet else (colours.text, colours.fill)
    made = QIcon()
    for scale in _SCALES:
        pixmap = QPixmap(QSize(_BADGE, _BADGE) * scale)
        pixmap.setDevicePixelRatio(scale)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        paint_badge(painter, _LETTERS[group], QRectF(0, 0, _BADGE, _BADGE), fill, text)
        painter.end()
        made.addPixmap(pixmap)
        made.addPixmap(pixmap, QIcon.Mode.Selected)
    return made
