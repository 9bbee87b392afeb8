"""What a rehearsal can find: codes, each with a sentence and what to do.

As of `failures`: the command prints them, the window fills its translations.
"""

from __future__ import annotations

from collections.abc import Mapping

from inspector_app.checkpoint.text import plain

__all__ = ["FINDINGS", "filled", "finding_advice", "finding_sentence"]

_LONGEST = 600  # characters of an argument that are shown

# code: (what is the matter, what to do)
FINDINGS: dict[str, tuple[str, str]] = {
    # the optimizer
    "groups-differ": (
        "The state has {saved} param groups, the model gives {given}",
        "Build the optimizer with the same {saved} param groups as when it was saved, "
        "and add others after loading.",
    ),
    "group-size": (
        "Param group {group} was saved with {saved} parameters, the model gives {given}",
        "Give the optimizer the same parameters in the same groups: freeze or unfreeze layers "
        "as they were when the checkpoint was saved.",
    ),
    "order-changed": (
        "The states fit the parameters in another order: the state saved at place {place} of "
        "group {group} belongs to {belongs}, where the model now gives {name}",
        "Give the optimizer the parameters in the order in which they were saved, or load "
        "the state by name: without that each momentum goes to another layer.",
    ),
    "state-shape": (
        "{entry} of {name} is {state}, the parameter is {shape}",
        "The layer was changed after the checkpoint was saved: delete its entry from the "
        "optimizer's state, so that it starts anew, and load the rest.",
    ),
    "state-missing": (
        "{count} of {total} parameters have no optimizer state: {first}",
        "They start at zero when training goes on, as if never trained; if that is not wished, "
        "look for a checkpoint that has them.",
    ),
    "state-extra": (
        "The state has entries for {count} parameters that no param group lists",
        "torch loads them and never uses them; delete them from the state to save their bytes.",
    ),
    "load-refused": (
        "{optimizer} does not take the state: {error}",
        "Look whether the state was saved by another optimizer.",
    ),
    "step-fails": (
        "{optimizer} loaded the state, but its first step fails: {error}",
        "Load the model's weights alone and start the optimizer anew, or correct the state.",
    ),
    "not-finite": (
        "After the step {count} parameters hold NaN or infinity: {first}",
        "The state or the weights hold such values already: look at them in the tree, and "
        "resume from an earlier checkpoint.",
    ),
    "unknown-class": (
        "{name} is no class of torch.optim, so it cannot be rebuilt here",
        "Resume with the code that saved it; what torch itself checks was not rehearsed.",
    ),
    "too-little-memory": (
        "A rehearsal needs {needed} of memory for the parameters, their gradients and the "
        "state, and {available} are available",
        "Close other programs, or rehearse on a machine with more memory; nothing was tried, and "
        "the checks above hold without it.",
    ),
    "options-changed": (
        "{option} was left out, since it does not run on this machine's CPU",
        "Nothing: on the device that it was saved for it is as before.",
    ),
    "stands-still": (
        "The learning rate is 0, so that the next step moves nothing",
        "The schedule is at its end: to train on, give it more steps or another learning rate.",
    ),
    # the scheduler
    "scheduler-groups": (
        "The scheduler has learning rates for {scheduler} param groups, the optimizer has {groups}",
        "Build the scheduler over the optimizer that it was saved with.",
    ),
    "scheduler-epoch": (
        "The scheduler has counted {counted} steps, the checkpoint says {name} {value}",
        "Save and load both together; else the learning rate goes on from another place than "
        "the training does.",
    ),
    "scheduler-rate": (
        "The scheduler's last learning rate is {scheduler}, the optimizer's param group {group} "
        "has {optimizer}",
        "Load the optimizer's state after building the scheduler: building one overwrites the "
        "learning rates.",
    ),
    "scheduler-fails": (
        "{scheduler} does not go on from its state: {error}",
        "Build the scheduler anew with last_epoch set to where the training stands.",
    ),
    # the learning rate
    "needs-functions": (
        "{scheduler} computes the rate by a function of the training script, which is not in "
        "the file",
        "Known are the rate now and the step; run the script's own scheduler for the rest.",
    ),
    "needs-metric": (
        "{scheduler} goes by the metric of each epoch, which is not known beforehand",
        "Drawn is what happens if the metric never improves again.",
    ),
    "past-unknown": (
        "Computed anew from the first step, the rate now would be {computed}, but it is {saved}",
        "The rate was changed by hand, or the scheduler had a function of its own: the steps "
        "before are not drawn.",
    ),
    "no-improvement": (
        "if the metric never improves again",
        "",
    ),
    # the chart
    "rate-zero": (
        "The learning rate is 0, so that neither run would move",
        "",
    ),
    "too-large": (
        "The parameters are too large to be run for a chart, and {optimizer} cannot be run on a "
        "part of each",
        "",
    ),
    "chart-fails": (
        "The runs for the chart fail as the step does",
        "",
    ),
    "diverges": (
        "The runs on the quadratic diverge",
        "",
    ),
}


def finding_sentence(code: str, details: Mapping[str, object]) -> str:
    """What is the matter, with its arguments."""
    return filled(FINDINGS[code][0], details)


def finding_advice(code: str, details: Mapping[str, object]) -> str:
    """What to do, or ""."""
    return filled(FINDINGS[code][1], details)


def filled(template: str, details: Mapping[str, object]) -> str:
    """A template of `FINDINGS`, or its translation, with its arguments made safe to show."""
    return template.format(**{name: _shown(each) for name, each in details.items()})


def _shown(value: object) -> str:
    return plain(f"{value:,}" if type(value) is int else str(value), _LONGEST)
