"""Which optimizer wrote a state_dict, by the keys of its param groups and of its state.

``Optimizer.state_dict()`` does not say whose it is. Each class has options of its own in the
param groups, which change with torch's versions, and keeps tensors under names of its own.
Every class that could have written what is there is named: Adam and AdamW have the same keys
until torch 2.7 gave both ``decoupled_weight_decay``.

Sources: ``torch/optim/*.py`` of 1.0 to 2.13; bitsandbytes ``optim/optimizer.py``
(``init_state``, ``update_step``); torchao ``optim/adam.py``; transformers
``optimization.py`` (Adafactor); timm ``optim/``; lion-pytorch; apex ``fused_*.py``;
prodigyopt; schedulefree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Kind(NamedTuple):
    """A class of optimizers.

    Attributes:
        name: the class.
        library: the module that it is of.
        options: keys that its param groups have, whatever the version.
        slots: what it may keep for a parameter.
        needs: of these what it always keeps, once it has made a step.
        foreign: options that it has in no version.
    """

    name: str
    library: str
    options: frozenset[str]
    slots: frozenset[str]
    needs: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()


TORCH = "torch.optim"
_ADAM = _names("step exp_avg exp_avg_sq max_exp_avg_sq")
_ADAM_NEEDS = _names("exp_avg exp_avg_sq")
# Options that some other class of the Adam family has and Adam never had.
_NOT_ADAM = _names(
    "momentum_decay schedule_decay rectify degenerated_to_sgd final_lr gamma bias_correction "
    "grad_averaging max_grad_norm d0 d_coef growth_rate warmup_steps weight_lr_power rho "
    "scale_parameter relative_step always_adapt trust_clip t_alpha t_beta3 hessian_power "
    "correct_bias no_prox use_gc N_sma_threshhold n_sma_threshhold k r alpha step_counter"
)
# What came with or after ``amsgrad`` (0.4).
_SINCE_AMSGRAD = _names(
    "amsgrad maximize foreach capturable differentiable fused decoupled_weight_decay"
)
_EIGHT_BIT = _names("state1 qmap1 max1 new_max1 absmax1 gnorm_vec unorm_vec step")
_EIGHT_BIT_TWO = _EIGHT_BIT | _names("state2 qmap2 max2 new_max2 absmax2")

KINDS: tuple[Kind, ...] = (
    Kind(
        "SGD",
        TORCH,
        _names("lr momentum dampening weight_decay nesterov"),
        _names("momentum_buffer"),
    ),
    Kind(
        "Muon",
        TORCH,
        _names("lr momentum nesterov ns_steps"),
        _names("momentum_buffer"),
        _names("momentum_buffer"),
        _names("dampening"),
    ),
    Kind(
        "Adam",
        TORCH,
        _names("lr betas eps weight_decay amsgrad"),
        _ADAM,
        _ADAM_NEEDS,
        _NOT_ADAM,
    ),
    Kind(
        "Adam",
        TORCH,
        _names("lr betas eps weight_decay"),
        _names("step exp_avg exp_avg_sq"),
        _ADAM_NEEDS,
        _NOT_ADAM | _SINCE_AMSGRAD,
    ),
    Kind(
        "AdamW",
        "transformers",
        _names("lr betas eps weight_decay correct_bias"),
        _names("step exp_avg exp_avg_sq"),
        _ADAM_NEEDS,
    ),
    Kind(
        "AdamW",
        TORCH,
        _names("lr betas eps weight_decay amsgrad"),
        _ADAM,
        _ADAM_NEEDS,
        _NOT_ADAM,
    ),
    Kind(
        "NAdam",
        TORCH,
        _names("lr betas eps weight_decay momentum_decay"),
        _names("step mu_product exp_avg exp_avg_sq"),
        _names("mu_product exp_avg exp_avg_sq"),
    ),
    Kind(
        "RAdam",
        TORCH,
        _names("lr betas eps weight_decay"),
        _names("step exp_avg exp_avg_sq"),
        _ADAM_NEEDS,
        _NOT_ADAM | _names("amsgrad fused"),
    ),
    Kind(
        "Adamax",
        TORCH,
        _names("lr betas eps weight_decay"),
        _names("step exp_avg exp_inf"),
        _names("exp_avg exp_inf"),
        _NOT_ADAM | _names("amsgrad fused decoupled_weight_decay"),
    ),
    Kind(
        "SparseAdam",
        TORCH,
        _names("lr betas eps"),
        _names("step exp_avg exp_avg_sq"),
        _ADAM_NEEDS,
        _NOT_ADAM | _names("weight_decay amsgrad foreach"),
    ),
    Kind(
        "Adadelta",
        TORCH,
        _names("lr rho eps weight_decay"),
        _names("step square_avg acc_delta"),
        _names("square_avg acc_delta"),
        _names("betas"),
    ),
    Kind(
        "Adagrad",
        TORCH,
        _names("lr lr_decay weight_decay"),
        _names("step sum"),
        _names("sum"),
        _names("betas"),
    ),
    Kind(
        "RMSprop",
        TORCH,
        _names("lr momentum alpha eps centered weight_decay"),
        _names("step square_avg momentum_buffer grad_avg"),
        _names("square_avg"),
        _names("decoupled_decay lr_in_momentum"),
    ),
    Kind(
        "Rprop",
        TORCH,
        _names("lr etas step_sizes"),
        _names("step prev step_size"),
        _names("prev step_size"),
    ),
    Kind(
        "ASGD",
        TORCH,
        _names("lr lambd alpha t0 weight_decay"),
        _names("step eta mu ax"),
        _names("eta mu ax"),
    ),
    Kind(
        "LBFGS",
        TORCH,
        _names("lr max_iter max_eval tolerance_grad history_size"),
        _names(
            "func_evals n_iter al d t old_dirs old_stps ro H_diag prev_flat_grad prev_loss "
            "prev_grad"
        ),
    ),
    Kind(
        "Adafactor",
        TORCH,
        _names("lr beta2_decay eps d weight_decay"),
        _names("step row_var col_var variance"),
    ),
    Kind(
        "Adafactor",
        "transformers",
        _names("lr eps clip_threshold decay_rate beta1 scale_parameter relative_step"),
        _names("step exp_avg exp_avg_sq exp_avg_sq_row exp_avg_sq_col RMS"),
    ),
    Kind(
        "Lion",
        "lion-pytorch",
        _names("lr betas weight_decay"),
        _names("exp_avg"),
        _names("exp_avg"),
        _NOT_ADAM | _names("eps amsgrad"),
    ),
    Kind(
        "RMSpropTF",
        "timm.optim",
        _names("lr momentum alpha eps centered weight_decay decoupled_decay lr_in_momentum"),
        _names("step square_avg momentum_buffer grad_avg"),
        _names("square_avg"),
    ),
    Kind(
        "LAMB",
        "timm.optim or apex",
        _names("lr betas eps weight_decay grad_averaging max_grad_norm"),
        _names("step exp_avg exp_avg_sq"),
        _ADAM_NEEDS,
    ),
    Kind(
        "FusedAdam",
        "apex or deepspeed",
        _names("lr bias_correction betas eps weight_decay"),
        _names("step exp_avg exp_avg_sq master_param"),
        _ADAM_NEEDS,
        _names("grad_averaging max_grad_norm amsgrad d0"),
    ),
    Kind(
        "AdaBelief",
        "adabelief-pytorch",
        _names("lr betas eps weight_decay amsgrad"),
        _names("step exp_avg exp_avg_var max_exp_avg_var"),
        _names("exp_avg exp_avg_var"),
    ),
    Kind(
        "Prodigy",
        "prodigyopt",
        _names("lr betas eps weight_decay d d0 d_coef"),
        _names("step s p0 exp_avg exp_avg_sq"),
    ),
    Kind(
        "AdamWScheduleFree",
        "schedulefree",
        _names("lr betas eps r k warmup_steps weight_lr_power"),
        _names("z exp_avg_sq"),
    ),
    Kind(
        "Adan",
        "adan or timm.optim",
        _names("lr betas eps weight_decay no_prox"),
        _names("step exp_avg exp_avg_sq exp_avg_diff neg_pre_grad pre_grad neg_grad_or_diff"),
    ),
)

# bitsandbytes writes the same options for all its classes: what it keeps tells them apart,
# where a momentum of one state differs from two.
_BITSANDBYTES = "bitsandbytes.optim"
_TWO_STATES = ("Adam8bit", "AdamW8bit", "LAMB8bit", "AdEMAMix8bit")
_ONE_STATE = ("Lion8bit", "SGD8bit", "RMSprop8bit", "Adagrad8bit", "LARS8bit")
_TORCHAO = {
    "OptimState8bit": "8bit",
    "OptimState4bit": "4bit",
    "OptimStateFp8": "Fp8",
}


class Recognised(NamedTuple):
    """Which optimizer it is.

    Attributes:
        names: the classes that could have written it; () if none is known that could.
        library: the module that they are of, or "".
    """

    names: tuple[str, ...]
    library: str = ""


def recognise(
    options: Iterable[str],
    values: Mapping[str, object],
    slots: Iterable[str],
    subclasses: Iterable[str] = (),
) -> Recognised:
    """Which optimizer has such a state.

    Args:
        options: keys of its param groups.
        values: of the options of a group those that are single values.
        slots: what it keeps for parameters, of all of them.
        subclasses: the types of tensors that wrap others, among what it keeps.
    """
    given, kept = frozenset(options), frozenset(slots)
    eight_bit = _bitsandbytes(given, values, kept)
    if eight_bit is not None:
        return eight_bit
    found = [kind for kind in KINDS if _could_be(kind, given, kept)]
    if not kept:
        # Options that torch's own classes have, too, speak for these.
        found = [kind for kind in found if kind.library == TORCH] or found
    names = _by_decay(found, values)
    library = found[0].library if found else ""
    for subclass in subclasses:
        ending = _TORCHAO.get(subclass.rpartition(".")[2])
        if ending is not None:
            return Recognised(tuple(name + ending for name in names), "torchao.optim")
    return Recognised(names, library)


def _could_be(kind: Kind, options: frozenset[str], slots: frozenset[str]) -> bool:
    if not kind.options <= options or kind.foreign & options:
        return False
    return slots <= kind.slots and (not slots or kind.needs <= slots)


def _by_decay(found: list[Kind], values: Mapping[str, object]) -> tuple[str, ...]:
    """The names of what was found, the most telling ones."""
    most = max((len(kind.options) for kind in found), default=0)
    # Options of its own speak for a class, the lack of any for none.
    names = [kind.name for kind in found if len(kind.options) == most]
    library = {kind.library for kind in found if len(kind.options) == most}
    if library == {TORCH} and {"Adam", "AdamW"} <= set(names):
        decoupled = values.get("decoupled_weight_decay")
        if type(decoupled) is bool:
            names.remove("Adam" if decoupled else "AdamW")
    return tuple(dict.fromkeys(names))


def _bitsandbytes(
    options: frozenset[str], values: Mapping[str, object], slots: frozenset[str]
) -> Recognised | None:
    if "state1" not in slots or not slots <= _EIGHT_BIT_TWO:
        return None
    quantized = bool(slots & _names("qmap1 absmax1 max1"))
    names: tuple[str, ...] = _TWO_STATES if "state2" in slots else _ONE_STATE
    if "alpha" in options and "state2" in slots and values.get("alpha") in (None, 0, 0.0):
        names = tuple(name for name in names if name != "AdEMAMix8bit")
    if not quantized:
        names = tuple(name.removesuffix("8bit") for name in names)
    return Recognised(names, _BITSANDBYTES)


def variant(values: Mapping[str, object], slots: Iterable[str]) -> tuple[str, ...]:
    """What is switched on, as the options' own names: ``momentum``, ``nesterov``, ``amsgrad`` …"""
    found = []
    kept = frozenset(slots)
    momentum = values.get("momentum")
    if (isinstance(momentum, (int, float)) and momentum) or "momentum_buffer" in kept:
        found.append("momentum")
    for name in ("nesterov", "amsgrad", "centered", "maximize"):
        if values.get(name) is True:
            found.append(name)
    return tuple(found)
