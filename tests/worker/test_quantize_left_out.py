"""Leaving out a layer that a method passes over anyway."""

from __future__ import annotations

import pytest
from torch import nn

from inspector_app.worker.failures import Failure
from inspector_app.worker.quantize_layers import candidates
from inspector_app.worker.quantize_protocol import DynamicOptions, LeftInFloat


def test_a_layer_that_stays_in_float_anyway_may_be_left_out():
    model = nn.ModuleDict({"conv": nn.Conv2d(1, 2, 3), "last": nn.Linear(4, 4)})
    for left in (LeftInFloat(names=("conv",)), LeftInFloat(patterns=("con*",))):
        found = candidates(model, DynamicOptions(), left)
        assert [(each.name, each.reason) for each in found] == [("last", "")]
    with pytest.raises(Failure, match="No layer is called con,"):
        candidates(model, DynamicOptions(), LeftInFloat(names=("con",)))
