"""What goes into the bundle: nothing that the window imports is left out of it."""

from __future__ import annotations

import ast
import re
from itertools import accumulate
from pathlib import Path

import bundle_contents as contents
import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "inspector_app"
# These run under the user's Python.
CLIENT = ("client", "protocol", "failures", "interpreters", "consent", "process_tree")


_IMPORT = re.compile(
    r"^[ \t]*(?:from ([\w.]+) import (\([^)]*\)|[^\n]*)|import ([^\n]*))", re.MULTILINE
)


def imported(path: Path) -> set[str]:
    """The dotted names of all modules that a file imports, at any depth."""
    names = set()
    for module, parts, modules in _IMPORT.findall(path.read_text(encoding="utf-8")):
        if module:
            names.update(f"{module}.{name}" for name in re.findall(r"\w+", parts))
        names.update(re.findall(r"[\w.]+", modules))
    return names


def ours() -> list[Path]:
    found = [
        path
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "worker" or path.stem in CLIENT
    ]
    assert len(found) > 100
    return found


def test_nothing_that_the_window_imports_is_excluded() -> None:
    excluded = set(contents.EXCLUDED)
    missing = {
        (path.name, name)
        for path in ours()
        for name in imported(path)
        if not excluded.isdisjoint(accumulate(name.split("."), "{}.{}".format))
    }
    # Read without it; imported where somebody has it.
    assert {name.partition(".")[0] for _, name in missing} <= {"onnx"}, missing


@pytest.mark.parametrize("name", ["torch", "onnx", "onnxruntime", "onnxscript", "sympy", "scipy"])
def test_what_models_run_with_is_excluded(name: str) -> None:
    assert name in contents.EXCLUDED


@pytest.mark.parametrize(
    "path",
    [
        "PySide6/Qt/plugins/platforms/libqxcb.so",
        "PySide6/Qt/plugins/platforms/libqwayland.so",
        "PySide6/Qt/plugins/platforms/libqoffscreen.so",
        "PySide6/Qt/plugins/printsupport/libcupsprintersupport.so",
        "PySide6/Qt/plugins/wayland-shell-integration/libxdg-shell.so",
        "PySide6/Qt/plugins/imageformats/libqsvg.so",
        "PySide6/Qt/plugins/platforminputcontexts/libibusplatforminputcontextplugin.so",
        "PySide6\\plugins\\platforms\\qwindows.dll",
        "PySide6\\plugins\\styles\\qmodernwindowsstyle.dll",
        "PySide6/Qt/plugins/platforms/libqcocoa.dylib",
        "PySide6/Qt/lib/libQt6PrintSupport.so.6",
        "PySide6/Qt/lib/libQt6OpenGL.so.6",
        "PySide6/Qt/lib/libQt6OpenGLWidgets.so.6",
        "PySide6/Qt6Widgets.dll",
        "numpy/linalg/_umath_linalg.cpython-311-x86_64-linux-gnu.so",
        "inspector_app/worker/main.py",
        "resources/icons/hicolor/16x16/apps/checkpoint-inspector.png",
        "pyqtgraph/colors/maps/viridis.csv",
    ],
)
def test_what_is_used_stays(path: str) -> None:
    assert contents.is_needed(path)


@pytest.mark.parametrize(
    "path",
    [
        "PySide6/Qt/plugins/platformthemes/libqgtk3.so",
        "PySide6/Qt/plugins/xcbglintegrations/libqxcb-glx-integration.so",
        "PySide6/Qt/plugins/platforms/libqeglfs.so",
        "PySide6\\plugins\\platforms\\qdirect2d.dll",
        "PySide6/Qt/plugins/imageformats/libqtiff.so",
        "PySide6/Qt/translations/qtbase_de.qm",
        "PySide6/Qt/lib/libQt6Qml.so.6",
        "PySide6/opengl32sw.dll",
        "numpy/_core/include/numpy/arrayobject.h",
        "numba/np/ufunc/tbbpool.cpython-311-x86_64-linux-gnu.so",
        "numpy/testing/tests/test_utils.py",
    ],
)
def test_what_nobody_uses_goes(path: str) -> None:
    assert not contents.is_needed(path)


def test_the_spec_is_python_and_names_files_that_exist() -> None:
    text = (ROOT / "packaging" / "bundle.spec").read_text(encoding="utf-8")
    ast.parse(text)
    assert '"inspector_app": "py"' in text  # the worker's sources are plain files
    for script in re.findall(r'SPECPATH, "([\w.]+)"', text):
        assert (ROOT / "packaging" / script).exists()


def test_only_our_script_runs_at_a_start() -> None:
    assert contents.is_run("bundle_main")
    assert not contents.is_run("pyi_rth_multiprocessing")


def test_licences_lie_beside_what_they_are_about() -> None:
    found = contents.licences(str(ROOT))
    assert str(ROOT / "LICENSE") in found
    assert all(Path(path).exists() for path in found)


def test_documents_have_their_icons_on_macos() -> None:
    from inspector_app.desktop.mac_bundle import info_plist

    plist = info_plist("1.2.3")
    wanted = {plist["CFBundleIconFile"]}
    wanted |= {each["CFBundleTypeIconFile"] for each in plist["CFBundleDocumentTypes"]}
    wanted |= {each["UTTypeIconFile"] for each in plist["UTExportedTypeDeclarations"]}
    assert wanted <= set(contents.mac_icons(str(ROOT / "resources" / "icons"), "darwin"))
    assert contents.mac_icons(str(ROOT), "linux") == []
