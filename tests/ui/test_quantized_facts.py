"""What the window says of a quantized tensor."""

from __future__ import annotations

from pathlib import Path

import torch

from inspector_app.checkpoint import open_checkpoint
from inspector_app.ui.node_facts import facts
from tests.checkpoint import torch_files


def test_scales_and_effective_bits(tmp_path: Path) -> None:
    weight = torch.linspace(-1, 1, 8 * 4).reshape(8, 4)
    zeros = torch.zeros(8, dtype=torch.int64)
    with torch_files.prototypes():
        quantized = torch.quantize_per_channel(weight, torch.ones(8), zeros, 0, torch.qint8)
        torch.save({"quantized": quantized, "plain": weight}, tmp_path / "x.pth")
    one, other = (dict(facts(tensor, {})) for tensor in open_checkpoint(tmp_path / "x.pth").tensors)
    assert one["Scales"] == "8, each for 1 × 4 values"
    assert one["Effective bits"] == "40 a value, with scales and zero points"
    assert one["Quantizer"] == "per_channel_affine, axis 0"
    assert "Effective bits" not in other
