"""A model's source and its checkpoint, as users have them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_workers import NET, save_state, write_source


@pytest.fixture
def own_imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where this process imports from, and what its main module has, is as before after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    main = dict(vars(sys.modules["__main__"]))
    yield
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
