"""What is told about a plan: what is written, what is not, what in another form, and why."""

from __future__ import annotations

from typing import NamedTuple

from inspector_app.analysis.output_tree import OutTensor
from inspector_app.checkpoint.model import TensorInfo
from inspector_app.checkpoint.text import plain


class Why:
    """Why something of the source is not written, or not as it was."""

    NOT_CHOSEN = "not-chosen"  # a part that was not asked for
    DROPPED = "dropped"  # by --drop, or not among --keep
    REPLACED = "replaced"  # the moving average, whose values the model took
    FORM = "form"  # the form that is written has no room for it
    NO_VALUES = "no-values"  # the file has no values for it
    NOT_PLAIN = "not-plain"  # an object that weights_only would refuse
    DTYPE = "dtype"  # no such dtype in the form that is written


class Left(NamedTuple):
    """Something that is not written.

    Attributes:
        name: its name in the source.
        why: of `Why`.
        tensors, nbytes: how much it holds; bytes that something written shares are not
            counted.
        details: arguments of the sentence.
        chosen: the user asked for it.
    """

    name: str
    why: str
    tensors: int
    nbytes: int
    details: dict[str, object]
    chosen: bool


class Changed(NamedTuple):
    """Something that is written in another form than it was; not silently.

    Attributes:
        name: its name in the source.
        what: a code: ``object-to-dict``, ``array-to-tensor``, ``to-number``, ``to-text``,
            ``to-list``, ``to-set``, ``to-dict``, ``module-to-state-dict``,
            ``subclass-to-tensor``, ``storage-to-tensor``, ``attribute-dropped``, ``untied``,
            ``not-cast``, ``not-averaged``, ``key-to-text``, ``key-to-value``,
            ``object-to-value``, ``object-to-tuple``, ``object-to-state``,
            ``arguments-dropped``.
        details: ``type``: what it was.
    """

    name: str
    what: str
    details: dict[str, object]


class PlannedTensor(NamedTuple):
    """A tensor that is written.

    Attributes:
        name: in the result, joined by ``/``; in safetensors and npz the key.
        source: what it comes from, of the first checkpoint that has it.
        tensor: what is written.
        note: ``""``, or what is done to it: a code of ``cast``, ``average``, ``ema``,
            ``taken``, ``fitted``, ``initialised``.
    """

    name: str
    source: TensorInfo
    tensor: OutTensor
    note: str


_WHY = {
    Why.NOT_CHOSEN: "it was not chosen",
    Why.DROPPED: "it was left out by its name",
    Why.REPLACED: "the model took its values",
    Why.FORM: "the file has no room for it ({type})",
    Why.NO_VALUES: "its values are not in the file",
    Why.NOT_PLAIN: "torch.load(weights_only=True) would refuse it ({type})",
    Why.DTYPE: "the file cannot hold its dtype ({type})",
}
_WHAT = {
    "object-to-dict": "{type} becomes a plain dict",
    "object-to-value": "{type} becomes the value that it is made of",
    "object-to-tuple": "{type} becomes a tuple of what it is made of",
    "object-to-state": "{type} becomes its state, as plain data",
    "arguments-dropped": "{type} loses the arguments that it was made with",
    "to-dict": "{type} becomes a plain dict",
    "to-list": "{type} becomes a list",
    "to-set": "{type} becomes a set",
    "to-number": "{type} becomes a plain number",
    "to-text": "{type} becomes text",
    "array-to-tensor": "{type} becomes a tensor",
    "storage-to-tensor": "the storage becomes a tensor",
    "module-to-state-dict": "the module {type} becomes its state_dict",
    "subclass-to-tensor": "{type} becomes a plain tensor",
    "attribute-dropped": "the tensor loses its attribute {type}",
    "key-to-text": "its key becomes the text {type}",
    "key-to-value": "its key becomes the value {type}",
    "untied": "it shared bytes with other tensors and has its own now",
    "not-cast": "{type} tensors are not cast",
    "not-averaged": "it is that of the last file ({type})",
}


def why_sentence(left: Left) -> str:
    """Why it is not written, in English."""
    return sentence_of(_WHY[left.why], left.details)


def what_sentence(changed: Changed) -> str:
    """How it is written, in English."""
    return sentence_of(_WHAT[changed.what], changed.details)


def sentence_of(template: str, details: dict[str, object]) -> str:
    """A template, or its translation, filled with text that comes from files, made plain."""
    return template.format(**{name: plain(str(each), 100) for name, each in details.items()})
