"""A model's source and its checkpoint, as users have them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_workers import NET, save_state, write_source


@pytest.fixture
def own_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports in this process is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    main = dict(vars(sys.modules["__main__"]))
    yield
    for name in set(sys.modules) - before:
        # torch registers what it imports late and cannot do so twice.
        if not name.startswith(("torch", "transformers", "inspector_app", "onnx")):
            del sys.modules[name]
    for name in set(vars(sys.modules["__main__"])) - set(main):
        delattr(sys.modules["__main__"], name)


@pytest.fixture
def net(tmp_path: Path, own_imports: None) -> Path:
    """A Python file with models."""
    return write_source(tmp_path, NET)


@pytest.fixture
def checkpoint(net: Path) -> Path:
    """The state_dict of `Net`, whose source is `net`."""
    return save_state(net, "Net")
