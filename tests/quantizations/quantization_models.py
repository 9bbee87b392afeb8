"""Models that are really trained and then quantized. Imports torch alone.

A test names one as a user does, ``tests/quantizations/quantization_models.py:Cnn``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.ao.quantization import DeQuantStub, QuantStub
from torch.nn import functional


class Cnn(nn.Module):
    """1.04 million parameters: convolutions with and without BatchNorm, and two Linear."""

    def __init__(self, width: int = 32, hidden: int = 960, classes: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
        )
        self.hidden = nn.Linear(32 * width, hidden)
        self.head = nn.Linear(hidden, classes)

    def forward(self, image: Tensor) -> Tensor:
        hidden = functional.relu(self.hidden(self.features(image).flatten(1)))
        return self.head(hidden)


class Stubbed(nn.Module):
    """Marks where int8 begins and ends, for eager mode."""

    def __init__(self, width: int = 16, classes: int = 4) -> None:
        super().__init__()
        self.quant = QuantStub()
        self.conv = nn.Conv2d(1, width, 3, 2, 1)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.hidden = nn.Linear(64 * width, 64)
        self.relu2 = nn.ReLU()
        self.head = nn.Linear(64, classes)
        self.dequant = DeQuantStub()

    def forward(self, image: Tensor) -> Tensor:
        x = self.relu(self.bn(self.conv(self.quant(image))))
        return self.dequant(self.head(self.relu2(self.hidden(x.flatten(1)))))


class Lstm(nn.Module):
    """Token ids, two layers of LSTM in both directions, a GRU, two Linear."""

    def __init__(self, tokens: int = 48, width: int = 32, classes: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.lstm = nn.LSTM(width, 32, num_layers=2, batch_first=True, bidirectional=True)
        self.gru = nn.GRU(64, 64, batch_first=True)
        self.hidden = nn.Linear(64, 64)
        self.head = nn.Linear(64, classes)

    def forward(self, ids: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(ids))
        states, _ = self.gru(states)
        return self.head(functional.relu(self.hidden(states.mean(1))))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).chunk(3, -1)
        mixed = functional.scaled_dot_product_attention(
            self.split(query), self.split(key), self.split(value)
        )
        return self.out(mixed.transpose(1, 2).flatten(2))

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Transformer(nn.Module):
    """Two layers, as small language models are written."""

    def __init__(self, tokens: int = 48, width: int = 64, classes: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.layers = nn.Sequential(Layer(width, 4), Layer(width, 4))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.norm(self.layers(self.embedding(ids))).mean(1))


class Encoder(nn.Module):
    """torch's own layers, whose fused operator reads the weights of Linear by itself."""

    def __init__(self, tokens: int = 48, width: int = 32, classes: int = 4) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        layer = nn.TransformerEncoderLayer(width, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, classes)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(ids)).mean(1))


class Outlier(nn.Module):
    """Three Linear, of which `with_outlier` gives the second a weight that ruins its scale."""

    def __init__(self, features: int = 16, hidden: int = 64, classes: int = 4) -> None:
        super().__init__()
        self.first = nn.Linear(features, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.first(x))
        return self.last(functional.relu(self.second(x)))


def with_outlier(model: Outlier, size: float = 1000.0) -> None:
    """Build an outlier into the second layer, in place: one weight of a channel that is never
    active. With one scale for the tensor the other weights get no steps."""
    with torch.no_grad():
        model.first.bias[5] = -100.0  # before a ReLU
        model.second.weight[0, 5] = size
