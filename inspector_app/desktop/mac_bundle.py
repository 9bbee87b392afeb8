"""The macOS application bundle: what its ``Info.plist`` says about files.

Sources: "Core Foundation Keys" and "Uniform Type Identifiers" of Apple's documentation. Nobody
else declares types for these files, so we export them. Like Windows, macOS knows a file by what
follows the last dot: ``.pth.tar`` is offered as ``.tar``, and only as an alternative.
"""

from __future__ import annotations

from typing import Any

from inspector_app.desktop.file_types import (
    APP_ID,
    APP_NAME,
    BUNDLE_ID,
    FILE_TYPES,
    FileType,
    Offered,
    opened_by_default,
)
from inspector_app.desktop.windows_registry import last_endings

EXECUTABLE = APP_ID


def document_types() -> list[dict[str, Any]]:
    """``CFBundleDocumentTypes``."""
    found = []
    for kind in FILE_TYPES:
        default = kind.offered is Offered.DEFAULT
        if default:
            found.append(_document(kind, "Default", {"LSItemContentTypes": [kind.uti]}))
        others = [ending[1:] for ending, opened in last_endings(kind) if not opened]
        if others:
            found.append(_document(kind, "Alternate", {"CFBundleTypeExtensions": others}))
    return found


def _document(kind: FileType, rank: str, what: dict[str, Any]) -> dict[str, Any]:
    return {
        "CFBundleTypeName": kind.name,
        "CFBundleTypeRole": "Viewer",
        "CFBundleTypeIconFile": f"{kind.icon}.icns",
        "LSHandlerRank": rank,
        **what,
    }


def exported_types() -> list[dict[str, Any]]:
    """``UTExportedTypeDeclarations``."""
    parents = {kind.mime_type: kind.uti for kind in FILE_TYPES}
    return [
        {
            "UTTypeIdentifier": kind.uti,
            "UTTypeDescription": kind.name,
            "UTTypeConformsTo": [parents[each] for each in kind.parents] or ["public.data"],
            "UTTypeIconFile": f"{kind.icon}.icns",
            "UTTypeTagSpecification": {
                "public.filename-extension": [
                    ending[1:] for ending, opened in last_endings(kind) if opened
                ],
                "public.mime-type": [kind.mime_type],
            },
        }
        for kind in opened_by_default()
    ]


def info_plist(version: str) -> dict[str, Any]:
    """The whole ``Info.plist``, for `plistlib`."""
    return {
        "CFBundleName": APP_NAME,
        "CFBundleDisplayName": APP_NAME,
        "CFBundleIdentifier": BUNDLE_ID,
        "CFBundleExecutable": EXECUTABLE,
        "CFBundleIconFile": f"{APP_ID}.icns",
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundlePackageType": "APPL",
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        "LSApplicationCategoryType": "public.app-category.developer-tools",
        "LSMinimumSystemVersion": "12.0",
        "NSHighResolutionCapable": True,
        # Follow the system into dark mode.
        "NSRequiresAquaSystemAppearance": False,
        "CFBundleDocumentTypes": document_types(),
        "UTExportedTypeDeclarations": exported_types(),
    }
