"""Why something is not written, or in another form, in words."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication

from inspector_app.analysis.save_notes import Why, sentence_of
from inspector_app.checkpoint.text import plain

_translate = QCoreApplication.translate


def why_text(why: str, details: dict[str, object]) -> str:
    """Why it is not written."""
    template = {
        Why.NOT_CHOSEN: _translate("SaveWords", "not chosen"),
        Why.DROPPED: _translate("SaveWords", "left out by its name"),
        Why.REPLACED: _translate("SaveWords", "the model takes its values"),
        Why.FORM: _translate("SaveWords", "this format has no room for it ({type})"),
        Why.NO_VALUES: _translate("SaveWords", "its values are not in the file"),
        Why.NOT_PLAIN: _translate("SaveWords", "weights_only would refuse it ({type})"),
        Why.DTYPE: _translate("SaveWords", "this format cannot hold its dtype ({type})"),
    }.get(why)
    return sentence_of(template, details) if template else plain(why, 80)


def changed_text(what: str, details: dict[str, object]) -> str:
    """In which other form it is written."""
    becomes_dict = _translate("SaveWords", "{type} becomes a plain dict")
    template = {
        "object-to-dict": becomes_dict,
        "object-to-value": _translate("SaveWords", "{type} becomes its value"),
        "object-to-tuple": _translate("SaveWords", "{type} becomes a tuple"),
        "object-to-state": _translate("SaveWords", "{type} becomes its state, as plain data"),
        "arguments-dropped": _translate("SaveWords", "{type} loses its arguments"),
        "key-to-text": _translate("SaveWords", "its key becomes the text {type}"),
        "key-to-value": _translate("SaveWords", "its key becomes the value {type}"),
        "to-dict": becomes_dict,
        "to-list": _translate("SaveWords", "{type} becomes a list"),
        "to-set": _translate("SaveWords", "{type} becomes a set"),
        "to-number": _translate("SaveWords", "{type} becomes a plain number"),
        "to-text": _translate("SaveWords", "{type} becomes text"),
        "array-to-tensor": _translate("SaveWords", "{type} becomes a tensor"),
        "storage-to-tensor": _translate("SaveWords", "the storage becomes a tensor"),
        "module-to-state-dict": _translate("SaveWords", "the module {type} becomes its state_dict"),
        "subclass-to-tensor": _translate("SaveWords", "{type} becomes a plain tensor"),
        "attribute-dropped": _translate("SaveWords", "loses its attribute {type}"),
        "untied": _translate("SaveWords", "gets bytes of its own"),
        "not-cast": _translate("SaveWords", "{type} tensors are not cast"),
        "not-averaged": _translate("SaveWords", "that of the last file ({type})"),
    }.get(what)
    return sentence_of(template, details) if template else plain(what, 80)


def note_text(note: str) -> str:
    """What is done to the values of a tensor, or ""; of a cast the dtypes themselves tell."""
    if note == "average":
        return _translate("SaveWords", "averaged")
    if note == "ema":
        return _translate("SaveWords", "the moving average's values")
    return ""
