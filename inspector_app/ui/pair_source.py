"""Which pair the pages of the pair pane show."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from inspector_app.analysis.comparison import KeyPair

if TYPE_CHECKING:
    from inspector_app.checkpoint.model import TensorInfo
    from inspector_app.checkpoint.values import ValueReader


class PairSource(NamedTuple):
    """A pair with both tensors, and where their values are read."""

    pair: KeyPair
    readers: tuple[ValueReader, ValueReader]
    a: TensorInfo
    b: TensorInfo
