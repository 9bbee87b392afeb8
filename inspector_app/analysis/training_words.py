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
        "The rate goes up and down ({mode}) in cycles of {total_size} steps, {up} of them up. A "
        "function of the script's own (scale_fn) would not be in the state."
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

# The checklist before resuming.
_RESUMING = {
    "resume-model": "The weights are complete: {count} tensors.",
    "resume-no-model": (
        "There are no weights of a model. Save model.state_dict() into the checkpoint."
    ),
    "resume-model-torn": (
        "The file is not whole: {count} of its parts are missing or cut off ({names}). Take an "
        "earlier checkpoint, or copy this one again."
    ),
    "resume-finite": "All weights, and all that the optimizer keeps, are finite.",
    "resume-not-finite": (
        "{count} tensors have NaN or infinite values ({names}): from them the loss is NaN at once. "
        "Go back to an earlier checkpoint."
    ),
    "resume-optimizer": ("{kind}: each of the {count} parameters has its state ({slots})."),
    "resume-no-optimizer": (
        "There is no optimizer state. Without optimizer_state_dict the weights load, but momentum "
        "and the running averages of the gradients restart at zero, and Adam corrects its bias as "
        "in the first steps: the loss jumps, and the run is another one. Save "
        "optimizer.state_dict() too."
    ),
    "resume-no-groups": (
        "The optimizer's state lists no parameters: load_state_dict raises an error. Save "
        "optimizer.state_dict() as it is."
    ),
    "resume-twice": (
        "Parameters stand in more than one place of the param groups ({names}); the state was put "
        "together by hand, and the optimizer would step them twice."
    ),
    "resume-stray": (
        "The state has {count} entries that no param group lists ({names}): on loading they belong "
        "to no parameter, and their momentum is lost. Check how the state was put together."
    ),
    "resume-sgd-plain": (
        "SGD without momentum keeps nothing for its {count} parameters, so nothing is lost."
    ),
    "resume-state-empty": (
        "The state of {kind} is empty although the training has begun: momentum and averages "
        "restart at zero on resuming, without a word. Was it saved after the optimizer was made "
        "anew?"
    ),
    "resume-state-not-begun": (
        "The state of {kind} is empty, as before the first step. If steps had been made they are "
        "lost: momentum and averages restart at zero."
    ),
    "resume-entries-missing": (
        "{without} of {count} parameters have no state ({names}). If they are frozen, or never had "
        "a gradient, that is right; else their momentum and averages restart at zero, without a "
        "word."
    ),
    "resume-slots-missing": (
        "{count} parameters lack {slots} ({names}): loading works and the first step raises a "
        "KeyError. The state was cut, or written by another optimizer."
    ),
    "resume-shapes-fit": "What is kept has the shapes of the parameters.",
    "resume-shapes": (
        "What is kept for {count} parameters has another shape than the parameter ({names}): "
        "loading works, and the first step raises an error about sizes. The optimizer belongs to "
        "another version of the model."
    ),
    "resume-too-many": (
        "The optimizer has {count} parameters and the model only {most}: load_state_dict raises an "
        "error. The optimizer belongs to another model, or has parameters that are not saved here."
    ),
    "resume-order": (
        "The optimizer's parameters are in another order than the model's. Resuming works only "
        "if the script gives them in that order again; in any other the states go to the wrong "
        "parameters, without a word where shapes are equal."
    ),
    "resume-names-given": "The state has the names of its parameters (param_names).",
    "resume-names-order": (
        "The state numbers its {count} parameters; shapes and the model's order give each its name."
    ),
    "resume-ambiguous": (
        "For {ambiguous} of {count} parameters several of the model's come into question "
        "({names}). Resuming is not affected; make the optimizer with model.named_parameters() and "
        "the state keeps names (torch 2.6)."
    ),
    "resume-left-out": (
        "{count} parameters of the model are not in the optimizer ({names}): they were frozen, or "
        "are buffers. Freeze them again before the optimizer is made: it must get as many as "
        "before."
    ),
    "resume-steps": "All parameters have made {step} steps.",
    "resume-steps-sampled": (
        "{count} of {of} parameters were looked at; all of them have made {step} steps."
    ),
    "resume-steps-differ": (
        "Most parameters have made {step} steps, {count} have not ({names}). If these were thawed "
        "later that is right; else their bias correction is that of another step."
    ),
    "resume-steps-multiple": (
        "The optimizer has made {step} steps, the file counts {told}: one step for several "
        "batches, as with gradient accumulation."
    ),
    "resume-steps-other": (
        "The optimizer has made {step} steps, the file counts {told}. If it counts batches, or "
        "steps were skipped, that is right; else optimizer and model are of different times."
    ),
    "resume-no-scheduler": (
        "There is no scheduler. If the run had one, the learning rate starts its course anew on "
        "resuming: save scheduler.state_dict() too."
    ),
    "resume-scheduler-lost": (
        "The param groups were under a scheduler (initial_lr), and its state is not here: a new "
        "one starts its course anew, so that the warm-up or the high rates of the beginning come "
        "again. Save scheduler.state_dict() too."
    ),
    "resume-scheduler-alone": (
        "{kind}: it has made {count} steps; nothing in the file says how many it should be."
    ),
    "resume-scheduler-uncounted": (
        "{kind}: it does not count its steps as torch's schedulers do, so nothing tells whether it "
        "belongs to this epoch."
    ),
    "resume-scheduler-epochs": "{kind}: it has made {count} steps, one for each epoch.",
    "resume-scheduler-steps": (
        "{kind}: it has made {count} steps, one for each of the optimizer's."
    ),
    "resume-scheduler-batches": (
        "{kind}: it has made {count} steps, which would be {each} for each epoch."
    ),
    "resume-scheduler-elsewhere": (
        "{kind}: it has made {count} steps, which fits neither ({told}). It may be stepped at "
        "other times, or belong to another checkpoint: then the rate goes on from the wrong place."
    ),
    "resume-scheduler-rates": (
        "The scheduler stands at {rates}, the param groups have {groups}: the optimizer steps with "
        "the rate of its groups until the scheduler sets another. Load the optimizer's state and "
        "the scheduler's from one checkpoint."
    ),
    "resume-scheduler-groups": (
        "The scheduler has rates for {count} param groups, the optimizer has {groups}: they belong "
        "to different runs."
    ),
    "resume-no-scaler": (
        "There is no grad scaler; one is needed only for mixed precision with float16. Without its "
        "state the scale starts at 65536 again: the first steps are skipped until it fits."
    ),
    "resume-no-scaler-but-mixed": (
        "The configuration speaks of mixed precision, and there is no grad scaler: its scale "
        "starts at 65536 again, and the first steps are skipped until it fits. Save "
        "scaler.state_dict() too."
    ),
    "resume-no-rng": (
        "There are no states of random number generators: dropout, shuffling and augmentation go "
        "on with other numbers. The run goes on, and is not the one that it would have been."
    ),
    "resume-progress": "It says how far the training is: {shown}.",
    "resume-no-progress": (
        "Neither an epoch nor a step is noted: the script would begin to count at 0, and whatever "
        "depends on it (warm-up, milestones, the end) comes too late."
    ),
    "resume-no-data-loader": (
        "Where the data loader stood is not kept: an epoch that was interrupted begins anew, so "
        "that some samples are seen twice."
    ),
    "resume-average": (
        "Averaged weights are kept beside the model's; load them into the averaged model."
    ),
}

TEMPLATES: dict[str, str] = {**_SCHEDULERS, **_PARTS, **_RESUMING}
