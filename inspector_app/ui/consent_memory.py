"""Which files may run the code that is in them: those whose user has agreed to it."""

from __future__ import annotations

import hashlib

from inspector_app.ui.model_subject import Subject
from inspector_app.ui.settings import Setting, Settings

# A digest of path, length, time and what is imported.
TRUSTED: Setting[list[str]] = Setting("export/trusted", list, [])
_MOST_TRUSTED = 500


def is_trusted(settings: Settings, subject: Subject) -> bool:
    """The user has agreed to run the code of this file, as it is now."""
    return _digest(subject) in settings.read(TRUSTED)


def trust(settings: Settings, subject: Subject) -> None:
    """The user agrees."""
    digest = _digest(subject)
    others = [each for each in settings.read(TRUSTED) if each != digest]
    settings.write(TRUSTED, [digest, *others][:_MOST_TRUSTED])


def _digest(subject: Subject) -> str:
    text = "\n".join([subject.path, subject.stamp, *(name for name, _ in subject.globals)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
