"""What a global is for, by its name. A group informs; it decides nothing."""

from __future__ import annotations

from inspector_app.analysis.needed_globals import is_plain_data, leads_to_standard, split_global
from inspector_app.analysis.python_text import is_identifier
from inspector_app.analysis.safety_report import Group

# Packages that are there wherever Python or torch is, or that make functions out of bytes:
# what they offer is no model's own code.
_NO_MODELS = frozenset(
    {
        "IPython",
        "cloudpickle",
        "dill",
        "distutils",
        "functorch",
        "joblib",
        "numpy",
        "pip",
        "pkg_resources",
        "setuptools",
        "sympy",
        "torch",
        "torchgen",
        "wheel",
    }
)
# Parts of torch whose classes whole models and trainings pickle.
_TORCH_MODELS = ("torch.nn.", "torch.optim.", "torch.ao.", "torch.quantization.")
_TORCH_FUNCTIONS = ("torch.nn.functional.", "torch.nn.init.")


def group_of(name: str, allowed: bool) -> str:
    """The `Group` of a global outside or (`allowed`) on torch's allowlist."""
    if allowed:
        return Group.TENSORS
    if is_plain_data(name):
        return Group.PLAIN
    module, qualified_name = split_global(name)
    if not name.isascii() or not all(map(is_identifier, name.split("."))):
        # Letters that look like others are no accident.
        return Group.OTHER
    if leads_to_standard(module):
        return Group.OTHER
    if name.startswith(_TORCH_FUNCTIONS) and name.count(".") == 3:
        return Group.MODEL
    if name.startswith(_TORCH_MODELS) and qualified_name.rpartition(".")[2][:1].isupper():
        return Group.MODEL
    return Group.OTHER if module.partition(".")[0] in _NO_MODELS else Group.MODEL
