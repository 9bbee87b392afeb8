"""What is said of a training, in the window's language."""

from __future__ import annotations

from PySide6.QtCore import QT_TRANSLATE_NOOP, QCoreApplication

from inspector_app.analysis.resume_check import CheckStatus, Subject
from inspector_app.analysis.training_words import TEMPLATES, Words
from inspector_app.checkpoint.errors import sentence
from inspector_app.worker.rehearsal_findings import FINDINGS, filled
from inspector_app.worker.rehearsal_protocol import Finding

SUBJECTS = {
    Subject.MODEL: QT_TRANSLATE_NOOP("Training", "Model"),
    Subject.FINITE: QT_TRANSLATE_NOOP("Training", "Values"),
    Subject.OPTIMIZER: QT_TRANSLATE_NOOP("Training", "Optimizer"),
    Subject.NAMES: QT_TRANSLATE_NOOP("Training", "Parameter names"),
    Subject.SHAPES: QT_TRANSLATE_NOOP("Training", "Shapes"),
    Subject.COUNTERS: QT_TRANSLATE_NOOP("Training", "Step counters"),
    Subject.SCHEDULER: QT_TRANSLATE_NOOP("Training", "Scheduler"),
    Subject.SCALER: QT_TRANSLATE_NOOP("Training", "Grad scaler"),
    Subject.RNG: QT_TRANSLATE_NOOP("Training", "Random numbers"),
    Subject.PROGRESS: QT_TRANSLATE_NOOP("Training", "Progress"),
    Subject.DATA: QT_TRANSLATE_NOOP("Training", "Data loader"),
    Subject.AVERAGE: QT_TRANSLATE_NOOP("Training", "Averaged weights"),
}
STATUSES = {
    CheckStatus.OK: QT_TRANSLATE_NOOP("Training", "ok"),
    CheckStatus.NOTE: QT_TRANSLATE_NOOP("Training", "note"),
    CheckStatus.WARNING: QT_TRANSLATE_NOOP("Training", "careful"),
    CheckStatus.FAILED: QT_TRANSLATE_NOOP("Training", "fails"),
}

# What a rehearsal's findings are about, by how their codes begin.
_ABOUT = (
    ("scheduler", SUBJECTS[Subject.SCHEDULER]),
    ("needs", SUBJECTS[Subject.SCHEDULER]),
    ("stands-still", SUBJECTS[Subject.SCHEDULER]),
    ("state-shape", SUBJECTS[Subject.SHAPES]),
    ("order", QT_TRANSLATE_NOOP("Training", "Order of the parameters")),
    ("group", QT_TRANSLATE_NOOP("Training", "Param groups")),
    ("step-fails", QT_TRANSLATE_NOOP("Training", "First step")),
    ("not-finite", SUBJECTS[Subject.FINITE]),
    ("too-little-memory", QT_TRANSLATE_NOOP("Training", "Memory")),
    ("", SUBJECTS[Subject.OPTIMIZER]),
)


def translated(text: str) -> str:
    """A text of the tables, or of the analysis."""
    return QCoreApplication.translate("Training", text)


def words_text(words: Words) -> str:
    """A sentence of the analysis."""
    return sentence(words.code, words.details, translated(TEMPLATES[words.code]))


def finding_text(finding: Finding) -> str:
    """What a rehearsal found, and what to do."""
    what, advice = (filled(translated(each), finding.details) for each in FINDINGS[finding.code])
    return f"{what}. {advice}".strip()


def finding_title(finding: Finding) -> str:
    """What it is about."""
    return translated(next(title for code, title in _ABOUT if finding.code.startswith(code)))


def reason_text(code: str) -> str:
    """A code without arguments, as a sentence."""
    return translated(FINDINGS[code][0]) + "."
