"""How far the outputs of two models lie apart, summed over batches.

SQNR is 10·log10(Σ float² / Σ (float − quantized)²), in float64 over all elements of all samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from inspector_app.worker.quantize_protocol import OutputDamage

_MOST_CLASSES = 1_000_000
_SCORES = ("logits", "scores", "probabilities")


@dataclass(slots=True)
class Distance:
    """Sums over pairs of tensors."""

    signal: float = 0.0
    noise: float = 0.0
    quantized: float = 0.0
    product: float = 0.0
    absolute: float = 0.0
    most: float = 0.0
    count: int = 0
    broken: int = 0  # elements that are finite in float alone

    def add(self, wanted: Any, found: Any) -> None:
        """Add a pair of one shape."""
        wanted, found = wanted.detach().double().cpu(), found.detach().double().cpu()
        both = wanted.isfinite() & found.isfinite()
        self.broken += int((wanted.isfinite() & ~found.isfinite()).sum())
        if not bool(both.all()):
            # -inf where a mask is: equal on both sides, or counted as broken.
            wanted, found = wanted[both], found[both]
        if not wanted.numel():
            return
        apart = wanted - found
        self.signal += float((wanted * wanted).sum())
        self.noise += float((apart * apart).sum())
        self.quantized += float((found * found).sum())
        self.product += float((wanted * found).sum())
        self.absolute += float(apart.abs().sum())
        self.most = max(self.most, float(apart.abs().max()))
        self.count += wanted.numel()

    @property
    def sqnr_db(self) -> float:
        if self.broken:
            return -math.inf
        if not self.noise:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf

    @property
    def relative(self) -> float:
        """Noise for a unit of signal."""
        if self.broken or (self.noise and not self.signal):
            return math.inf
        return self.noise / self.signal if self.noise else 0.0

    @property
    def cosine(self) -> float:
        length = math.sqrt(self.signal * self.quantized)
        return self.product / length if length else 1.0


@dataclass(slots=True)
class OutputSums:
    """One output: its distance, and how often the arg-max is the same and right."""

    name: str
    distance: Distance = field(default_factory=Distance)
    scores: bool = True
    same: int = 0
    rows: int = 0
    right: list[int] = field(default_factory=lambda: [0, 0])
    labelled: int = 0

    def add(self, wanted: Any, found: Any, labels: Any, samples: int) -> None:
        """Add one batch of `samples`; labels are their classes, or None."""
        self.distance.add(wanted, found)
        self.scores = self.scores and looks_like_scores(self.name, wanted, samples)
        if not self.scores:
            return
        best, other = wanted.argmax(-1).reshape(-1).cpu(), found.argmax(-1).reshape(-1).cpu()
        self.same += int((best == other).sum())
        self.rows += best.numel()
        if labels is not None and wanted.ndim == 2 and int(labels.max()) < wanted.shape[1]:
            self.right[0] += int((best == labels).sum())
            self.right[1] += int((other == labels).sum())
            self.labelled += samples

    def damage(self) -> OutputDamage:
        """What is said of it."""
        agreement = self.same / self.rows if self.scores and self.rows else None
        count = max(self.distance.count, 1)
        return OutputDamage(
            self.name,
            self.distance.sqnr_db,
            self.distance.most,
            self.distance.absolute / count,
            self.distance.cosine,
            agreement,
        )


def looks_like_scores(name: str, output: Any, samples: int) -> bool:
    """Samples × classes; or one that is called so, with classes last."""
    if not output.is_floating_point() or output.ndim < 2:
        return False
    classes = 2 <= output.shape[-1] <= _MOST_CLASSES
    named = name.rpartition(".")[2] in _SCORES
    return classes and output.shape[0] == samples and (output.ndim == 2 or named)
