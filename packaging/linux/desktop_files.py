"""What a Linux package puts below ``share``, from the one list of file types."""

from __future__ import annotations

import os

from inspector_app import __version__
from inspector_app.desktop import desktop_entry, file_manager_menus, mime_package
from inspector_app.desktop.file_types import (
    APP_COMMENT,
    APP_ID,
    APP_NAME,
    BUNDLE_ID,
    opened_by_default,
)
from inspector_app.resources_path import resource_path

_METADATA = """\
<?xml version="1.0" encoding="UTF-8"?>
<component type="desktop-application">
  <id>{bundle}</id>
  <metadata_license>CC0-1.0</metadata_license>
  <project_license>MIT</project_license>
  <name>{name}</name>
  <summary>{comment}</summary>
  <description>
    <p>
      Opens .pth, .pt, .ckpt, .safetensors and .onnx files as a tree, compares two of them, and
      turns one into something that can be deployed. It never runs what is in a file just to look
      at it.
    </p>
  </description>
  <launchable type="desktop-id">{app}.desktop</launchable>
  <icon type="stock">{app}</icon>
  <provides>
    <binary>{app}</binary>
{types}
  </provides>
  <content_rating type="oars-1.1"/>
  <releases>
    <release version="{version}" date="{date}"/>
  </releases>
</component>
"""


def app_metadata(date: str) -> str:
    """What software centres show (AppStream 1.0); `date` is the release's, ISO 8601."""
    types = [f"    <mediatype>{each.mime_type}</mediatype>" for each in opened_by_default()]
    return _METADATA.format(
        app=APP_ID,
        bundle=BUNDLE_ID,
        name=APP_NAME,
        comment=APP_COMMENT,
        version=__version__,
        date=date,
        types="\n".join(types),
    )


def shared_files(date: str) -> dict[str, bytes]:
    """Each file's path below ``share`` and its content."""
    texts = {
        f"applications/{desktop_entry.FILE_NAME}": desktop_entry.desktop_entry(),
        f"mime/packages/{mime_package.FILE_NAME}": mime_package.mime_package(),
        f"metainfo/{BUNDLE_ID}.metainfo.xml": app_metadata(date),
        f"kio/servicemenus/{file_manager_menus.SERVICE_MENU_NAME}": (
            file_manager_menus.service_menu()
        ),
    }
    return {path: text.encode() for path, text in texts.items()} | _icons()


def _icons() -> dict[str, bytes]:
    theme = resource_path("icons", "hicolor")
    found = {}
    for folder, _, names in os.walk(theme):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                found[f"icons/hicolor/{os.path.relpath(path, theme)}"] = file.read()
    return found
