"""What becomes of objects in a clean copy, and what was proven of it."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.quantities import count_text
from inspector_app.analysis.save_notes import Why
from inspector_app.analysis.save_plan import SavePlan

_translate = QCoreApplication.translate


def clean_words(plan: SavePlan) -> str:
    """How many objects become plain data, and how many are left out."""
    changed = len({each.name for each in plan.changed})
    left = sum(each.why == Why.NOT_PLAIN for each in plan.left)
    if not changed and not left:
        return _translate("SaveClean", "All of the file is tensors and plain data already.")
    parts = []
    if changed:
        text = _translate("SaveClean", "{n} entries become plain data")
        if changed == 1:
            text = _translate("SaveClean", "1 entry becomes plain data")
        parts.append(text.format(n=count_text(changed)))
    if left:
        text = _translate("SaveClean", "{n} cannot and are left out")
        if left == 1:
            text = _translate("SaveClean", "1 cannot and is left out")
        parts.append(text.format(n=count_text(left)))
    return _translate("SaveClean", "{parts}; the list says which.").format(parts=", ".join(parts))


def proven_words() -> str:
    """What is known of a copy that got its name."""
    return _translate(
        "SaveClean", "✓ The copy names nothing outside the allowlist of weights_only=True"
    )
