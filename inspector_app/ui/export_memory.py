"""What was chosen for a checkpoint the last time."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from inspector_app.ui.settings import Setting, Settings
from inspector_app.worker.protocol import (
    BadMessage,
    Describe,
    Export,
    FormatOptions,
    Inputs,
    ModelChoice,
    ProofSettings,
    Prove,
    Request,
    Trial,
    read_request,
    write_request,
)

# By the checkpoint's path: the request as the protocol writes it, target, interpreter.
CHOICES: Setting[dict[str, dict[str, str]]] = Setting("export/choices", dict, {})
_MOST_CHOICES = 40


class Choices(NamedTuple):
    """What was chosen, as far as it went."""

    interpreter: str = ""
    target: str = ""
    model: ModelChoice | None = None
    inputs: Inputs | None = None
    options: FormatOptions | None = None
    proof: ProofSettings | None = None


def remembered(settings: Settings, path: str) -> Choices:
    """The choices for the checkpoint at `path`."""
    kept = settings.read(CHOICES).get(path)
    if not isinstance(kept, dict):
        return Choices()
    texts = {key: value for key, value in kept.items() if isinstance(value, str)}
    choices = Choices(texts.get("interpreter", ""), texts.get("target", ""))
    try:
        request = read_request(texts.get("request", ""))
    except BadMessage:
        return choices  # of another version
    if isinstance(request, Prove):
        return choices._replace(
            model=request.model,
            inputs=request.inputs,
            options=request.options,
            proof=request.settings,
        )
    if isinstance(request, Export):
        return choices._replace(model=request.model, inputs=request.inputs, options=request.options)
    if isinstance(request, Trial):
        return choices._replace(model=request.model, inputs=request.inputs)
    return choices._replace(model=request.model) if isinstance(request, Describe) else choices


def remember(settings: Settings, path: str, choices: Choices) -> None:
    """Keep the choices for the checkpoint at `path`, the latest first."""
    kept = {"interpreter": choices.interpreter, "target": choices.target}
    request = _request(choices)
    if request is not None:
        kept["request"] = write_request(request)
    others = {key: value for key, value in settings.read(CHOICES).items() if key != path}
    latest = {path: kept, **others}
    settings.write(CHOICES, dict(list(latest.items())[:_MOST_CHOICES]))


def _request(choices: Choices) -> Request | None:
    if choices.model is None:
        return None
    # Consent belongs to the file, not to what was chosen for it.
    model = replace(choices.model, trust=False)
    if choices.inputs is None:
        return Describe(model)
    if choices.options is None:
        return Trial(model, choices.inputs)
    if choices.proof is None:
        return Export(model, choices.inputs, "", "", choices.options)
    return Prove(model, choices.inputs, "", choices.options, choices.proof)
