"""The parts of a checkpoint, on the shapes that frameworks write."""

import argparse
import random
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.model import Kind, Node, Section, TensorInfo, contiguous_stride
from inspector_app.checkpoint.sections import SAMPLE, find_sections, model_section, sample


class Model:
    """Stands for a whole module in `tree`: the state_dict that it would give."""

    def __init__(self, state: dict) -> None:
        self.state = state


def tree(value: object, key: str | int = "", parent: Node | None = None) -> Node:
    """The nodes a reader makes of `value`."""
    if isinstance(value, torch.Tensor):
        shape = tuple(value.shape)
        dtype = str(value.dtype).removeprefix("torch.")
        return TensorInfo(key, dtype, shape, contiguous_stride(shape), None, 0, parent=parent)
    if isinstance(value, np.ndarray):
        return Node(key, Kind.ARRAY, "numpy.ndarray", None, parent)
    if isinstance(value, Model):
        node = Node(key, Kind.MODULE, "models.yolo.Model", None, parent)
        node.children = [tree(part, name, node) for name, part in value.state.items()]
    elif isinstance(value, argparse.Namespace):
        node = Node(key, Kind.OBJECT, "argparse.Namespace", None, parent)
        node.children = [tree(part, name, node) for name, part in vars(value).items()]
    elif isinstance(value, Mapping):
        node = Node(key, Kind.MAPPING, type(value).__name__, None, parent)
        node.children = [tree(part, name, node) for name, part in value.items()]
    elif isinstance(value, (list, tuple)):
        node = Node(key, Kind.SEQUENCE, type(value).__name__, None, parent)
        node.children = [tree(part, index, node) for index, part in enumerate(value)]
    else:
        node = Node(key, Kind.SCALAR, type(value).__name__, value, parent)
    return node


def sections(value: object) -> list[tuple[str, str]]:
    return [("/".join(map(str, s.path)), s.kind) for s in find_sections(tree(value))]


NET = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
STATE = dict(NET.state_dict())
PARALLEL = {f"module.{name}": tensor for name, tensor in STATE.items()}


def optimizer_state() -> dict:
    optimizer = torch.optim.Adam(NET.parameters())
    NET(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


def scheduler_state(kind: str = "StepLR", **arguments: float) -> dict:
    optimizer = torch.optim.SGD(NET.parameters(), 0.1)
    return getattr(torch.optim.lr_scheduler, kind)(optimizer, **arguments).state_dict()


OPTIMIZER = optimizer_state()
STEP = scheduler_state(step_size=2)
SCALER = {
    "scale": 65536.0,
    "growth_factor": 2.0,
    "backoff_factor": 0.5,
    "growth_interval": 2000,
    "_growth_tracker": 0,
}
CPU_RNG = torch.get_rng_state()
CUDA_RNG = torch.zeros(16, dtype=torch.uint8)
HYPER = {"lr": 0.1, "batch_size": 32, "layers": [64, 64]}

CASES = {
    "bare state_dict": (STATE, [("", "model")]),
    "bare, names without dots": ({"w1": torch.ones(2), "w2": torch.ones(2)}, [("", "model")]),
    "a tensor": (torch.ones(2), []),
    "nothing": ({}, []),
    "training": (
        {"epoch": 3, "model_state_dict": STATE, "optimizer_state_dict": OPTIMIZER, "loss": 0.5},
        [("model_state_dict", "model"), ("optimizer_state_dict", "optimizer")],
    ),
    "keys that say nothing": (
        {"a": STATE, "b": OPTIMIZER, "c": STEP, "d": SCALER, "e": HYPER, "f": CPU_RNG},
        [
            ("a", "model"),
            ("b", "optimizer"),
            ("c", "scheduler"),
            ("d", "grad-scaler"),
            ("e", "hyper-parameters"),
            ("f", "rng"),
        ],
    ),
    "keys that lie": (
        {"optimizer": STATE, "model": OPTIMIZER},
        [("optimizer", "model"), ("model", "optimizer")],
    ),
    "lightning": (
        {
            "epoch": 1,
            "global_step": 10,
            "pytorch-lightning_version": "2.0",
            "state_dict": STATE,
            "loops": {
                "fit_loop": {
                    "state_dict": {},
                    "epoch_progress": {"current": {"ready": 1}},
                    "epoch_loop.scheduler_progress": {"total": {"ready": 1, "completed": 0}},
                }
            },
            "callbacks": {
                "ModelCheckpoint{}": {
                    "best_model_score": torch.tensor(0.1),
                    "dirpath": "/x",
                    "best_k_models": {"/x/epoch=0.ckpt": torch.tensor(0.1)},
                },
                "EarlyStopping{}": {
                    "wait_count": 0,
                    "best_score": torch.tensor(1.0),
                    "patience": 3,
                },
            },
            "optimizer_states": [OPTIMIZER, OPTIMIZER],
            "lr_schedulers": [STEP],
            "MixedPrecision": SCALER,
            "hparams_name": "kwargs",
            "hyper_parameters": {"hidden": 3, "net": {"depth": 2}, "loss": Model(STATE)},
        },
        [
            ("state_dict", "model"),
            ("MixedPrecision", "grad-scaler"),
            ("hyper_parameters", "hyper-parameters"),
            ("optimizer_states/0", "optimizer"),
            ("optimizer_states/1", "optimizer"),
            ("lr_schedulers/0", "scheduler"),
        ],
    ),
    "timm": (
        {
            "epoch": 4,
            "arch": "resnet18",
            "state_dict": STATE,
            "optimizer": OPTIMIZER,
            "version": 2,
            "args": argparse.Namespace(lr=0.1, data="/d"),
            "state_dict_ema": STATE,
            "amp_scaler": SCALER,
            "metric": 70.1,
        },
        [
            ("state_dict", "model"),
            ("optimizer", "optimizer"),
            ("args", "hyper-parameters"),
            ("state_dict_ema", "ema"),
            ("amp_scaler", "grad-scaler"),
        ],
    ),
    "ultralytics": (
        {
            "epoch": -1,
            "best_fitness": None,
            "model": Model(STATE),
            "ema": Model(STATE),
            "updates": 7,
            "optimizer": None,
            "train_args": {"task": "detect", "data": "coco.yaml"},
            "train_metrics": {"fitness": 0.1},
            "date": "2024",
        },
        [("model", "model"), ("ema", "ema"), ("train_args", "hyper-parameters")],
    ),
    "mmengine": (
        {
            "meta": {"cfg": "a = 1", "seed": 1, "epoch": 2, "dataset_meta": {"CLASSES": ["a"]}},
            "state_dict": STATE,
            "ema_state_dict": {"steps": torch.tensor(3), **PARALLEL},
            "message_hub": {"log_scalars": {}, "runtime_info": {"iter": 3}, "resumed_keys": {}},
            "optimizer": OPTIMIZER,
            "param_schedulers": [
                {"last_step": 3, "_global_step": 4, "base_values": [0.1], "verbose": False}
            ],
        },
        [
            ("state_dict", "model"),
            ("ema_state_dict", "ema"),
            ("optimizer", "optimizer"),
            ("param_schedulers/0", "scheduler"),
        ],
    ),
    "fairseq": (
        {
            "args": None,
            "cfg": {"common": {"seed": 1, "fp16": True}, "model": {"_name": "bart"}},
            "model": STATE,
            "criterion": None,
            "optimizer_history": [
                {"optimizer_name": "Adam", "lr_scheduler_state": {"best": 3.2}, "num_updates": 9}
            ],
            "extra_state": {"metrics": {}, "train_iterator": {"epoch": 3}},
            "last_optimizer_state": OPTIMIZER,
        },
        [
            ("cfg", "hyper-parameters"),
            ("model", "model"),
            ("last_optimizer_state", "optimizer"),
            ("optimizer_history/0/lr_scheduler_state", "scheduler"),
        ],
    ),
    "detectron2": (
        {
            "model": STATE,
            "optimizer": OPTIMIZER,
            "scheduler": {"last_epoch": 1, "best": 2, "_last_lr": [1]},
            "iteration": 9,
        },
        [("model", "model"), ("optimizer", "optimizer"), ("scheduler", "scheduler")],
    ),
    "GAN": (
        {"netG": STATE, "netD": STATE, "netG_ema": STATE, "optG": OPTIMIZER, "optD": OPTIMIZER},
        [
            ("netG", "model"),
            ("netD", "model"),
            ("netG_ema", "ema"),
            ("optG", "optimizer"),
            ("optD", "optimizer"),
        ],
    ),
    "an average by its keys": (
        {"model": STATE, "smooth": PARALLEL},
        [("model", "model"), ("smooth", "ema")],
    ),
    "twins that have no name of a model": (
        {"netG": STATE, "torch": STATE, "a b": STATE},
        [("netG", "model"), ("torch", "model"), ("a b", "model")],
    ),
    "numbers among the tensors": (
        {**STATE, **{f"number{i}": i for i in range(20)}},
        [("", "model")],
    ),
    "a weight among numbers": (
        {"config": {"lr": 0.1, "seed": 1, "momentum": 2, "class_weight": torch.ones(2)}},
        [],
    ),
    "masks with a model's keys": (
        {"state_dict": STATE, "compression_sched": {"masks_dict": STATE}},
        [("state_dict", "model")],
    ),
    "AveragedModel": (
        {"model": STATE, "second": {"n_averaged": torch.tensor(3), **PARALLEL}},
        [("model", "model"), ("second", "ema")],
    ),
    "torch_ema": (
        {
            "model": STATE,
            "ema": {"decay": 0.9, "num_updates": 3, "shadow_params": list(STATE.values())},
        },
        [("model", "model"), ("ema", "ema")],
    ),
    "an average in a wrapper": (
        {"model": STATE, "ema": {"module": STATE, "updates": 3}},
        [("model", "model"), ("ema/module", "ema")],
    ),
    "everything in a wrapper": (
        {"state": {"net": STATE, "opt": OPTIMIZER}, "step": 3},
        [("state/net", "model"), ("state/opt", "optimizer")],
    ),
    "encoder and decoder": (
        {"encoder": {"weight": torch.ones(2, 2)}, "decoder": {"weight": torch.ones(2, 2)}},
        [("encoder", "model"), ("decoder", "model")],
    ),
    "a tuple": ((STATE, OPTIMIZER, 3), [("0", "model"), ("1", "optimizer")]),
    "parts among a bare state_dict": (
        {**STATE, "epoch": 3, "optim": OPTIMIZER, "_metadata": {"": {"version": 1}}},
        [("", "model"), ("optim", "optimizer")],
    ),
    "optimizer.pt": (OPTIMIZER, [("", "optimizer")]),
    "scheduler.pt": (STEP, [("", "scheduler")]),
    "scaler.pt": (SCALER, [("", "grad-scaler")]),
    "rng_state.pth": (
        {
            "python": random.getstate(),
            "numpy": np.random.get_state(),
            "cpu": CPU_RNG,
            "cuda": CPU_RNG,
        },
        [("", "rng")],
    ),
    "rng of accelerate": (
        {
            "random_state": random.getstate(),
            "numpy_random_seed": np.random.get_state(),
            "torch_manual_seed": CPU_RNG,
            "torch_cuda_manual_seed": [CUDA_RNG],
            "step": 0,
        },
        [("", "rng")],
    ),
    "rng states one by one": (
        {
            "model": STATE,
            "torch_rng_state": CPU_RNG,
            "cuda_rng_state_all": [CUDA_RNG, CUDA_RNG],
            "numpy_rng_state": np.random.get_state(legacy=False),
            "python_rng_state": random.getstate(),
        },
        [
            ("model", "model"),
            ("torch_rng_state", "rng"),
            ("cuda_rng_state_all", "rng"),
            ("numpy_rng_state", "rng"),
            ("python_rng_state", "rng"),
        ],
    ),
    "bytes that are no rng state": ({"model": STATE, "codes": CUDA_RNG}, [("model", "model")]),
    "data": ({"batch": {"images": torch.ones(2), "labels": torch.ones(2)}}, []),
    "metrics": ({"history": {"loss": [1.0, 2.0], "accuracy": [0.1, 0.2]}, "epoch": 2}, []),
    "plateau and cosine": (
        {
            "s1": scheduler_state("ReduceLROnPlateau"),
            "s2": scheduler_state("CosineAnnealingLR", T_max=3),
            "lr_scheduler": {"t_initial": 3, "lr_min": 0.1},
        },
        [("s1", "scheduler"), ("s2", "scheduler"), ("lr_scheduler", "scheduler")],
    ),
    "quantized": (
        {
            "fc.scale": torch.tensor(1.0),
            "fc.zero_point": torch.tensor(0),
            "fc._packed_params.dtype": torch.qint8,
            "fc._packed_params._packed_params": (torch.ones(2), torch.ones(2)),
        },
        [("", "model")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sections_of(name: str) -> None:
    value, expected = CASES[name]
    assert sections(value) == expected


def test_a_file_of_tensors_alone_is_a_model_whatever_their_names() -> None:
    root = tree({"onnx::MatMul_3": torch.ones(2), "graph": {"inputs": []}})
    assert model_section(root) == [Section((), "model")]
    assert model_section(tree({"graph": {"inputs": []}})) == []


def test_a_script_module_with_packed_parameters_is_a_model() -> None:
    assert sections(Model({"features": {"0": {"_packed": [torch.ones(2)]}}})) == [("", "model")]


MODEL_AND_OPTIMIZER = [("state_dict", "model"), ("optimizer_state_dict", "optimizer")]
REAL = {
    "analogdevicesinc__ai8x-synthesis/ai85-mnist-qat8.pth.tar": MODEL_AND_OPTIMIZER,
    "analogdevicesinc__ai8x-synthesis/ai85-mnist-qat8-q.pth.tar": MODEL_AND_OPTIMIZER,
    "analogdevicesinc__ai8x-synthesis/test-firetestnet-cifar10.pth.tar": MODEL_AND_OPTIMIZER,
    "atomistic-machine-learning__schnetpack/si16.model": [("", "model")],
    "chemprop__chemprop/example_model_v1_regression_mol.pt": [
        ("args", "hyper-parameters"),
        ("state_dict", "model"),
    ],
    "chemprop__chemprop/example_model_v2_regression_mol.ckpt": [
        ("state_dict", "model"),
        ("hyper_parameters", "hyper-parameters"),
        ("optimizer_states/0", "optimizer"),
        ("lr_schedulers/0", "scheduler"),
    ],
    "dotnet__TorchSharp/linrelu.script.dat": [("", "model")],
    "pytorch__ios-demo-app/mobilenet_quantized.pt": [("", "model")],
    "richzhang__PerceptualSimilarity/alex_v0.1.pth": [("", "model")],
    "shaltielshmid__TorchSharp.PyBridge/adam_load.pth": [("", "optimizer")],
    "snakers4__silero-vad/silero_vad.jit": [("", "model")],
    "snakers4__silero-vad/silero_vad_16k.safetensors": [("", "model")],
    "txie-93__cgcnn/band-gap.pth.tar": [
        ("state_dict", "model"),
        ("optimizer", "optimizer"),
        ("args", "hyper-parameters"),
    ],
}


@pytest.mark.parametrize("name", REAL)
def test_sections_of_real_files(name: str, corpus: Path) -> None:
    found = open_checkpoint(corpus / name).sections
    assert [("/".join(map(str, each.path)), each.kind) for each in found] == REAL[name]


def test_sections_of_a_saved_file(tmp_path: Path) -> None:
    value, expected = CASES["keys that say nothing"]
    rng = {"python": random.getstate(), "numpy": np.random.get_state()}
    torch.save({**value, "g": argparse.Namespace(lr=1), "h": rng, "i": NET}, tmp_path / "x.pth")
    found = open_checkpoint(tmp_path / "x.pth").sections
    assert [("/".join(map(str, each.path)), each.kind) for each in found] == [
        *expected,
        ("g", "hyper-parameters"),
        ("h", "rng"),
        ("i", "model"),
    ]


@pytest.mark.parametrize("count", [0, 1, SAMPLE, SAMPLE + 1, SAMPLE + 70, 5_000])
def test_a_sample_keeps_order_and_ends(count: int) -> None:
    children = [Node(index, Kind.SCALAR) for index in range(count)]
    taken = [child.key for child in sample(children)]
    assert taken == sorted(set(taken))
    assert len(taken) == min(count, SAMPLE)
    assert taken[:3] == list(range(count))[:3]
    assert taken[-3:] == list(range(count))[-3:]


class Counting(list):
    """Children that count how often they are looked at."""

    looks = 0

    def __getitem__(self, index: object) -> Node:
        Counting.looks += 1
        return super().__getitem__(index)

    def __iter__(self) -> object:
        Counting.looks += len(self)
        return super().__iter__()


def test_a_wide_state_dict_is_only_sampled() -> None:
    root = Node("", Kind.MAPPING, "dict")
    children = [tree(torch.empty(1), f"layers.{i}.weight", root) for i in range(20_000)]
    children.append(tree(OPTIMIZER, "optimizer", root))
    root.children = Counting(children)
    assert find_sections(root) == [Section((), "model"), Section(("optimizer",), "optimizer")]
    assert Counting.looks < 20 * SAMPLE


def test_a_tree_of_many_containers_is_not_walked_whole() -> None:
    root = Node("", Kind.MAPPING, "dict")
    inner = []
    for index in range(500):
        node = Node(f"part{index}", Kind.SEQUENCE, "list", None, root)
        node.children = Counting(Node(i, Kind.SEQUENCE, "list", None, node) for i in range(1_000))
        inner.append(node)
    root.children = inner
    Counting.looks = 0
    assert find_sections(root) == []
    assert Counting.looks < 200_000


def test_a_very_long_key_and_numbers_as_keys() -> None:
    assert sections({"e" * 1_000_000: STATE, 3: OPTIMIZER}) == [
        ("e" * 1_000_000, "model"),
        ("3", "optimizer"),
    ]


def test_plain_names_beside_what_torch_keeps_are_a_state_dict() -> None:
    """A module with parameters of its own, which have no dots in their names."""
    plain = {name: torch.ones(2) for name in ("theta", "phi", "mixing", "log_sigma")}
    kept = {"": {"version": 1}}
    assert sections({**plain, "_metadata": kept}) == [("", "model")]
    assert sections({**plain, "history": kept}) == []
