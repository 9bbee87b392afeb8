"""The files that are measured: made once by torch itself, kept in a cache folder.

The folder is ``checkpoint-inspector-benchmarks`` below ``$TMPDIR`` (or the system's). It
grows to about 7.7 GB; delete it when you like.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Bump when what is written below changes, so that an older file is not measured for it.
VERSION = 1


def folder() -> Path:
    path = Path(tempfile.gettempdir()) / "checkpoint-inspector-benchmarks"
    path.mkdir(exist_ok=True)
    return path


def many_tensors(count: int) -> Path:
    """A state_dict of `count` small float32 tensors, each with a storage of its own."""
    return _made(f"tensors-{count}", "many", count)


def large_file() -> Path:
    """A state_dict of 303 bfloat16 tensors, 1.2 GB: a language model of 20 layers."""
    return _made("bf16-1200mb", "large")


def large_float32_file() -> Path:
    """The same with half as many layers in float32: 1.2 GB as well."""
    return _made("f32-1200mb", "large", "float32")


def one_tensor() -> Path:
    """One bfloat16 tensor of 537 MB beside a small one."""
    return _made("bf16-one-500mb", "one")


def four_gigabytes() -> Path:
    """64 float32 tensors of 67 MB each: 4.3 GB."""
    return _made("f32-4gb", "four")


def few_values() -> Path:
    """Two tensors, just large enough that they are counted by the compiled loops."""
    return _made("few-values", "few")


def warm(path: Path) -> None:
    """Bring the file into the page cache, so that no run pays for the disk."""
    with path.open("rb", buffering=0) as file:
        block = bytearray(1 << 20)
        while file.readinto(block):
            pass


def _made(name: str, kind: str, *arguments: object) -> Path:
    path = folder() / f"{name}-v{VERSION}.pth"
    if not path.exists():
        print(f"making {path}", flush=True)
        partial = path.with_suffix(".partial")
        # In a process of its own: this one stays small, and never imports torch.
        command = [sys.executable, __file__, kind, str(partial), *map(str, arguments)]
        subprocess.run(command, check=True)
        os.replace(partial, path)
    return path


def _save_many(path: str, count: int) -> None:
    import torch

    # Keys of six tensors a block, as a transformer has them.
    parts = ("attn.qkv.weight", "attn.proj.weight", "norm1.weight", "norm1.bias", "mlp.fc1.weight")
    parts += ("mlp.fc2.weight",)
    state = {}
    for index in range(count):
        block, part = divmod(index, len(parts))
        state[f"blocks.{block}.{parts[part]}"] = torch.full((4, 2 + part), float(index % 97))
    torch.save(state, path)


def _save_large(path: str, dtype: str = "bfloat16") -> None:
    import torch

    hidden, inner, vocabulary = 1472, 4032, 32_000
    if dtype == "float32":
        vocabulary //= 2
    torch.manual_seed(0)

    def weight(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=getattr(torch, dtype)).normal_(std=0.02)

    state = {"model.embed_tokens.weight": weight(vocabulary, hidden)}
    for layer in range(20 if dtype == "bfloat16" else 10):
        prefix = f"model.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            state[f"{prefix}.self_attn.{name}.weight"] = weight(hidden, hidden)
            state[f"{prefix}.self_attn.{name}.bias"] = weight(hidden)
        for name in ("q_norm", "k_norm"):
            state[f"{prefix}.self_attn.{name}.weight"] = weight(hidden)
        state[f"{prefix}.mlp.gate_proj.weight"] = weight(inner, hidden)
        state[f"{prefix}.mlp.up_proj.weight"] = weight(inner, hidden)
        state[f"{prefix}.mlp.down_proj.weight"] = weight(hidden, inner)
        state[f"{prefix}.input_layernorm.weight"] = weight(hidden)
        state[f"{prefix}.post_attention_layernorm.weight"] = weight(hidden)
    state["model.norm.weight"] = weight(hidden)
    state["lm_head.weight"] = weight(vocabulary, hidden)
    torch.save(state, path)


def _save_one(path: str) -> None:
    import torch

    torch.manual_seed(0)
    weight = torch.empty(16_384, 16_384, dtype=torch.bfloat16).normal_(std=0.02)
    torch.save({"bias": torch.zeros(16), "weight": weight}, path)


def _save_four(path: str) -> None:
    import torch

    torch.manual_seed(0)
    weight = torch.empty(4096, 4096).normal_(std=0.02)
    torch.save({f"layers.{number}.weight": weight + number for number in range(64)}, path)


def _save_few(path: str) -> None:
    import torch

    torch.manual_seed(0)
    single = torch.empty(200, 100).normal_(std=0.02)
    torch.save({"single": single, "half": single.bfloat16()}, path)


if __name__ == "__main__":
    if sys.argv[1] == "many":
        _save_many(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1] == "one":
        _save_one(sys.argv[2])
    elif sys.argv[1] == "four":
        _save_four(sys.argv[2])
    elif sys.argv[1] == "few":
        _save_few(sys.argv[2])
    else:
        _save_large(*sys.argv[2:])
