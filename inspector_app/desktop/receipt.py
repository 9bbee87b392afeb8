"""What was there before an installation, so that nothing is left when it goes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from inspector_app.desktop.placed_files import content_of

RECEIPT = "desktop.json"


@dataclass
class Receipt:
    """What was there before us and what was not.

    Attributes:
        command: what a double click starts.
        folders: those that were made.
        caches: files that a desktop's tools made.
        neighbours: entries and packages of others, as they were.
        made_list: there was no list of default applications.
    """

    command: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    caches: list[str] = field(default_factory=list)
    neighbours: list[str] = field(default_factory=list)
    made_list: bool = False

    @classmethod
    def read(cls, path: str) -> Receipt:
        """The receipt at `path`; an empty one where there is none that makes sense."""
        try:
            said = json.loads(content_of(path) or b"{}")
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(said, dict):
            return cls()

        def texts(name: str) -> list[str]:
            found = said.get(name)
            return [each for each in found if _is_path(each)] if isinstance(found, list) else []

        return cls(
            texts("command"),
            texts("folders"),
            texts("caches"),
            texts("neighbours"),
            said.get("made_list") is True,
        )

    def content(self) -> bytes:
        return json.dumps(vars(self), indent=1).encode()


def _is_path(text: object) -> bool:
    return isinstance(text, str) and "\0" not in text
