"""When a comparison is shown whole."""

from __future__ import annotations

from typing import Any


def wait_for_comparison(qtbot: Any, tab: Any) -> None:
    """Wait until a comparison and what stands beside it are shown whole, or its error is."""

    def is_over() -> bool:
        shown = tab.error is not None or tab.body.side is not None
        return shown and tab.is_settled()

    qtbot.waitUntil(is_over, timeout=30_000)
