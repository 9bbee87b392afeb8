"""Failures of workers, in the window's language."""

from __future__ import annotations

import string

import pytest
from PySide6.QtCore import QCoreApplication, QTranslator

from inspector_app.ui.worker_words import cause_text, next_step_text
from inspector_app.worker.failures import FAILURES, Failed


class Marking(QTranslator):
    """Translates whatever is asked for of the worker, so that it can be told from English."""

    def isEmpty(self) -> bool:
        return False

    def translate(self, context, source, _comment=None, _number=-1):
        return f"»{source}«" if context == "worker" else ""


@pytest.fixture
def marking(qapp):
    translator = Marking()
    QCoreApplication.installTranslator(translator)
    yield
    QCoreApplication.removeTranslator(translator)


@pytest.mark.usefixtures("marking")
def test_both_sentences_of_every_failure_are_translated():
    for code, templates in FAILURES.items():
        names = {
            name for text in templates for _, name, _, _ in string.Formatter().parse(text) if name
        }
        failed = Failed(code, dict.fromkeys(names, "value"))
        for text in (cause_text(failed), next_step_text(failed)):
            assert text.startswith("»"), code
            assert "«" in text, code
