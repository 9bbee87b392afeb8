"""Models as people write them: exports are tried on them. Imports torch alone.

A test names one as a user does, ``tests/worker/models.py:Mlp``, with the arguments of its
signature. `EXAMPLES` says with which inputs each one runs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """Linear, activation, linear."""

    def __init__(self, features: int = 8, hidden: int = 16, classes: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Cnn(nn.Module):
    """Convolutions with BatchNorm, whose running statistics count in eval mode."""

    def __init__(self, channels: int = 3, width: int = 8, classes: int = 5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(2 * width, classes)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.dropout(self.features(image).flatten(1)))


class Block(nn.Module):
    """Two convolutions and a shortcut, as in ResNet-18."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """ResNet-18's layers, narrower by `width`/64."""

    def __init__(self, width: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(width, width), Block(width, width))
        self.layer2 = nn.Sequential(Block(width, 2 * width, 2), Block(2 * width, 2 * width))
        self.layer3 = nn.Sequential(Block(2 * width, 4 * width, 2), Block(4 * width, 4 * width))
        self.layer4 = nn.Sequential(Block(4 * width, 8 * width, 2), Block(8 * width, 8 * width))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(functional.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Lstm(nn.Module):
    """Token ids through an embedding and two layers of LSTM; a tuple of outputs."""

    def __init__(self, tokens: int = 50, width: int = 12, classes: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, 16, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, classes)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        states, (hidden, _) = self.lstm(self.embedding(ids))
        return self.head(states[:, -1]), hidden


class Encoder(nn.Module):
    """A Transformer encoder with a mask of the positions to ignore."""

    def __init__(self, width: int = 16, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.norm(self.encoder(x, src_key_padding_mask=mask))


class TwoInputs(nn.Module):
    """Two inputs, and a dictionary of outputs, one of them nested."""

    def __init__(self, image: int = 6, extra: int = 3) -> None:
        super().__init__()
        self.left = nn.Linear(image, 8)
        self.right = nn.Linear(extra, 8)
        self.score = nn.Linear(8, 1)

    def forward(self, image: Tensor, extra: Tensor) -> dict[str, Tensor]:
        joined = torch.tanh(self.left(image) + self.right(extra))
        return {"score": self.score(joined).squeeze(-1), "features": joined}


class UNet(nn.Module):
    """Down and up again, with concatenated shortcuts; sizes are multiples of 4."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.down1 = self._convolutions(1, width)
        self.down2 = self._convolutions(width, 2 * width)
        self.middle = self._convolutions(2 * width, 4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, 2)
        self.side2 = self._convolutions(4 * width, 2 * width)
        self.up1 = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.side1 = self._convolutions(3 * width, width)
        self.out = nn.Conv2d(width, 2, 1)

    @staticmethod
    def _convolutions(before: int, after: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(functional.max_pool2d(first, 2))
        x = self.middle(functional.max_pool2d(second, 2))
        x = self.side2(torch.cat([self.up2(x), second], 1))
        x = self.side1(torch.cat([self.up1(x), first], 1))
        return self.out(x)


class Branching(nn.Module):
    """Control flow that depends on values: a trace keeps one of both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return self.fc(x)
        return -2 * self.fc(x)


class NoOnnxForm(nn.Module):
    """Uses an operator that ONNX cannot express."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.airy_ai(self.fc(x))


class FixedBatch(nn.Module):
    """Works for a batch of 2 alone."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).reshape(2, 4)


def create(features: int = 8) -> nn.Module:
    """A factory, as many code bases have one."""
    return Mlp(features)
