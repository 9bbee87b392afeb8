"""What was chosen for a checkpoint's quantization the last time."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from inspector_app.ui.settings import Setting, Settings
from inspector_app.worker.protocol import (
    BadMessage,
    Inputs,
    ModelChoice,
    read_request,
    write_request,
)
from inspector_app.worker.quantize_protocol import (
    CalibrationData,
    LeftInFloat,
    Quantize,
    QuantizeOptions,
)

# By the checkpoint's path: the request as the protocol writes it, target, interpreter, scheme.
CHOICES: Setting[dict[str, dict[str, str]]] = Setting("quantize/choices", dict, {})
_MOST = 40
_YES = "yes"


class Choices(NamedTuple):
    """What was chosen, as far as it went.

    Attributes:
        interpreter, target: paths.
        scheme: of the preview.
        options: None where nothing is remembered.
        model, inputs, data: None where they were not filled in.
        nothing: it was chosen to have no data.
    """

    interpreter: str = ""
    target: str = ""
    scheme: str = ""
    options: QuantizeOptions | None = None
    left: LeftInFloat = LeftInFloat()
    model: ModelChoice | None = None
    inputs: Inputs | None = None
    data: CalibrationData | None = None
    nothing: bool = False


def remembered(settings: Settings, path: str) -> Choices:
    """The choices for the checkpoint at `path`."""
    kept = settings.read(CHOICES).get(path)
    if not isinstance(kept, dict):
        return Choices()
    texts = {key: value for key, value in kept.items() if isinstance(value, str)}
    choices = Choices(
        texts.get("interpreter", ""), texts.get("target", ""), texts.get("scheme", "")
    )
    try:
        request = read_request(texts.get("request", ""))
    except BadMessage:
        return choices  # of another version
    if not isinstance(request, Quantize):
        return choices
    return choices._replace(
        options=request.options,
        left=request.left,
        model=request.model if texts.get("model") == _YES else None,
        inputs=request.inputs if request.inputs.specs else None,
        data=request.data,
        nothing=texts.get("nothing") == _YES,
    )


def remember(settings: Settings, path: str, choices: Choices) -> None:
    """Keep the choices for the checkpoint at `path`, the latest first."""
    kept = {
        "interpreter": choices.interpreter,
        "target": choices.target,
        "scheme": choices.scheme,
        "model": _YES if choices.model is not None else "",
        "nothing": _YES if choices.nothing else "",
    }
    if choices.options is not None:
        # Consent belongs to the file, not to what was chosen for it.
        model = replace(choices.model or ModelChoice(path), trust=False)
        inputs = choices.inputs or Inputs(())
        request = Quantize(model, inputs, choices.options, choices.left, choices.data, "", "", "")
        kept["request"] = write_request(request)
    others = {key: value for key, value in settings.read(CHOICES).items() if key != path}
    settings.write(CHOICES, dict(list({path: kept, **others}.items())[:_MOST]))
