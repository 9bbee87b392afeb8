"""The globals of a file's pickles, judged against torch's allowlist."""

from __future__ import annotations

from collections.abc import Iterable

from inspector_app.checkpoint.allowed_globals import is_allowed
from inspector_app.checkpoint.model import GlobalUse
from inspector_app.checkpoint.pickle_nodes import GlobalRef


def global_uses(found: Iterable[GlobalRef]) -> list[GlobalUse]:
    """One entry for each name, sorted; several pickles may name the same."""
    uses: dict[str, set[str]] = {}
    allowed: dict[str, bool] = {}
    for reference in found:
        name = reference.full_name
        uses.setdefault(name, set()).update(reference.uses)
        allowed[name] = is_allowed(reference.module, reference.name)
    return [
        GlobalUse(name, tuple(sorted(uses[name])) or ("named",), allowed[name])
        for name in sorted(uses)
    ]
