"""What is said about a training: sentences with codes, for the window to translate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from inspector_app.analysis.quantities import count_text
from inspector_app.checkpoint.errors import sentence
from inspector_app.checkpoint.text import plain

Scalar = int | float | str | bool | None


class Words(NamedTuple):
    """A sentence.

    Attributes:
        code: a key of `TEMPLATES`.
        details: the sentence's arguments; strings may come from the file.
    """

    code: str
    details: Mapping[str, object] = MappingProxyType({})

    @property
    def message(self) -> str:
        """The English sentence, safe to print."""
        return sentence(self.code, self.details, TEMPLATES[self.code])


def number_text(value: Scalar) -> str:
    """A number or a text as people read it: six digits of a float, integers in full."""
    if type(value) is int:
        return count_text(value) if value.bit_length() > 80 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else str(value)
    return plain(value) if isinstance(value, str) else str(value)


def numbers_text(values: Sequence[Scalar], most: int = 6) -> str:
    """Several, with commas; equal ones once."""
    if len(values) > 1 and all(value == values[0] for value in values):
        return number_text(values[0])
    shown = ", ".join(number_text(value) for value in values[:most])
    return f"{shown}, …" if len(values) > most else shown


# What a scheduler does, where it stands, and why its future may not be known.
_SCHEDULERS = {
    "step-lr": (
        "The rate is multiplied by {gamma} every {step_size} steps of the scheduler; next at step "
        "{following}."
    ),
    "multi-step-lr": (
        "The rate is multiplied by {gamma} at the steps {milestones} of the scheduler; next at "
        "{following}."
    ),
    "multi-step-lr-over": (
        "The rate is multiplied by {gamma} at the steps {milestones} of the scheduler; all of them "
        "are behind."
    ),
    "exponential-lr": "The rate is multiplied by {gamma} at each step of the scheduler.",
    "constant-lr": (
        "The rate is multiplied by {factor} for the first {total_iters} steps of the scheduler."
    ),
    "constant-lr-over": (
        "The rate was multiplied by {factor} for the first {total_iters} steps of the scheduler; "
        "these are over, and the rate stays what it was set to."
    ),
    "linear-lr": (
        "The rate goes in a straight line from {start_factor} to {end_factor} times what it was "
        "set to, over {total_iters} steps of the scheduler."
    ),
    "linear-lr-over": (
        "The rate went in a straight line from {start_factor} to {end_factor} times what it was "
        "set to, over {total_iters} steps of the scheduler; these are over."
    ),
    "polynomial-lr": (
        "The rate falls to 0 over {total_iters} steps of the scheduler, as a polynomial of the "
        "power {power}."
    ),
    "polynomial-lr-over": (
        "The rate fell to 0 over {total_iters} steps of the scheduler, which are over: on "
        "resuming nothing more would be learned."
    ),
    "cosine-lr": (
        "The rate falls along a cosine over {T_max} steps of the scheduler, to {eta_min}."
    ),
    "cosine-lr-over": (
        "The rate falls along a cosine over {T_max} steps of the scheduler, to {eta_min}; these "
        "are over, and from there it rises again."
    ),
    "cosine-restarts": (
        "The rate falls along a cosine to {eta_min} and starts anew; the first period has {T_0} "
        "steps, each is {T_mult} times as long as the one before. It is at {T_cur} of {T_i}."
    ),
    "one-cycle": "One cycle of {total_steps} steps: the rate rises to its maximum, then falls.",
    "one-cycle-over": (
        "One cycle of {total_steps} steps, which are over: another step raises an error in torch. "
        "To train on, make a new scheduler."
    ),
    "cyclic-lr": (
        "The rate goes up and down ({mode}) in cycles of {total_size} steps, {up} of them up."
    ),
    "plateau": (
        "The rate is multiplied by {factor} when the metric ({mode}) has not improved on {best} "
        "for more than {patience} steps of the scheduler; {num_bad_epochs} have passed, "
        "{cooldown_counter} of the cool-down are left."
    ),
    "lambda-lr": "The rate is computed by a function of the training script.",
    "swa-lr": "The rate goes to the one of weight averaging (SWA) over {anneal_epochs} steps.",
    "sequential-lr": (
        "Several schedulers one after the other: {kinds}, changing at the steps {milestones}. Now "
        "it is {current}."
    ),
    "chained-lr": "Several schedulers whose effects multiply: {kinds}.",
    "scheduler-unknown": "A scheduler of a class that is not known here.",
    "scheduler-stands": "It has made {count} steps and stands at {rates}.",
    "scheduler-count": "It has made {count} steps.",
    "future-lambda": (
        "What comes next cannot be known: the functions of {kinds} are code, which a state_dict "
        "does not keep. Known are the rate where it stands and the number of steps; on resuming "
        "the script has to make the scheduler with the same functions."
    ),
    "future-plateau": (
        "What comes next depends on the metric, which is yet to be measured: after {left} more "
        "steps without an improvement the rate is multiplied by {factor}; until then it stays."
    ),
    "future-plateau-plain": (
        "What comes next depends on the metric, which is yet to be measured. Until then the rate "
        "stays."
    ),
    "future-cyclic": (
        "What comes next cannot be known: the amplitude is scaled by a function of the training "
        "script."
    ),
    "future-part": "What comes next cannot be known because of its {kind}. {reason}",
    "future-other-library": (
        "What comes next is not computed here: {kind} is not one of torch's own schedulers."
    ),
    "future-unknown-class": (
        "What comes next cannot be known: nothing says which class the scheduler is of."
    ),
}

_PARTS = {
    "part-scaler": "Scales the loss by {scale}; {steps} steps since the scale was changed.",
    "part-scaler-plain": "Scales the loss (AMP).",
    "part-scaler-off": "A grad scaler that was switched off.",
    "part-rng": "States of random number generators: {names}.",
    "part-data-loader": "Where the data loader stands in the data.",
    "part-callbacks": "{names}",
    "part-loops": "{names}",
}

TEMPLATES: dict[str, str] = {**_SCHEDULERS, **_PARTS}
