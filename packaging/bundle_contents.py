"""What goes into the bundle, and what does not. Read by `bundle.spec`; nothing here is built.

The bundle has no torch: it reads, compares, shows and saves by itself, and lets the user's own
Python export and quantize. So the worker's sources travel as plain files, which any interpreter
can read (`inspector_app.worker.client` starts them by their path).
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig

# The Windows program with a console, as it is called until it is given the ending .com.
CONSOLE = "checkpoint-inspector-console"

# Their versions are reported, and their licences lie beside them.
DISTRIBUTIONS = (
    "PySide6_Essentials", "shiboken6", "numpy", "numba", "llvmlite", "ml_dtypes", "pyqtgraph",
)  # fmt: skip

# Imported from C and by composed names (pyqtgraph.Qt.OpenGLHelpers), where PyInstaller does not
# look.
HIDDEN = ("numba._devicearray", "PySide6.QtOpenGL", "PySide6.QtOpenGLWidgets")

# Modules that something in the environment could bring along, and nothing in the window needs.
EXCLUDED = (
    # What models run with: the user's Python has it.
    "torch", "torchao", "torchvision", "torchaudio", "functorch", "torchgen", "transformers",
    "onnx", "onnx_ir", "onnxruntime", "onnxscript", "safetensors", "tensorflow", "jax",
    "huggingface_hub", "tokenizers", "sympy", "mpmath", "networkx", "fsspec",
    # What numpy, numba and pyqtgraph use where they find it.
    "scipy", "pandas", "matplotlib", "PIL", "cupy", "h5py", "numexpr", "pyarrow", "colorcet",
    "OpenGL", "IPython", "jupyter_rfb", "ipykernel", "jinja2", "pygments", "yaml", "tbb",
    "google", "cffi", "psutil", "rich", "regex", "requests", "httpx", "certifi", "cryptography",
    "numpy.f2py", "numpy.distutils", "numba.cuda", "numba.testing", "numba.tests",
    "llvmlite.tests", "pyqtgraph.examples", "pyqtgraph.opengl", "pyqtgraph.console",
    "pyqtgraph.flowchart", "pyqtgraph.jupyter",
    # Other bindings of Qt, and what of Qt is not used.
    "PyQt5", "PyQt6", "PySide2", "PySide6.QtQml", "PySide6.QtQuick", "PySide6.QtDesigner",
    "PySide6.QtTest", "PySide6.QtSql",
    "PySide6.QtUiTools", "PySide6.QtHelp", "PySide6.QtXml", "PySide6.scripts",
    # What programs are developed with.
    "tkinter", "_tkinter", "turtle", "idlelib", "lib2to3", "ensurepip", "venv", "pip",
    "setuptools", "pkg_resources", "_distutils_hack", "wheel", "distutils", "pytest", "_pytest",
    "hypothesis", "mypy", "readline", "curses", "_curses", "ssl", "_ssl",
    "coverage", "atheris", "PyInstaller", "doctest", "test",
)  # fmt: skip

# Files that PyInstaller's recipes collect with a package, by where they would lie.
_UNNEEDED = re.compile(
    "|".join(
        (
            # Qt: what only other programs need. PNG is built in; icons are SVG.
            r"PySide6/(Qt/)?(qml|resources|libexec|metatypes|translations)/.*",
            r"PySide6/(Qt/)?plugins/(tls|networkinformation|generic|egldeviceintegrations"
            r"|sqldrivers|qmltooling|position|sensors|vectorimageformats)/.*",
            r"PySide6/(Qt/)?plugins/imageformats/"
            r"(lib)?q(gif|jpeg|tga|tiff|wbmp|webp|pdf)\w*\..*",
            # The rest of the platforms draw without a window system, or on a frame buffer.
            r"PySide6/(Qt/)?plugins/platforms/(lib)?q(eglfs|linuxfb|minimal|minimalegl|vkkhrdisplay"
            r"|vnc|direct2d)\w*\..*",
            r"PySide6/(Qt/)?plugins/platforminputcontexts/(lib)?qtvirtualkeyboard\w*\..*",
            # It brings GTK itself, and all that GTK needs; the portal's theme does not.
            r"PySide6/(Qt/)?plugins/platformthemes/libqgtk3\.so",
            # Nothing is drawn by OpenGL; loading it takes longer than opening a file.
            r"PySide6/(Qt/)?plugins/(xcbglintegrations|wayland-graphics-integration-\w+)/.*",
            r"PySide6/(Qt/)?plugins/wayland-shell-integration/lib(ivi-|qt-|fullscreen-)\w.*",
            r"(PySide6/(Qt/)?lib/)?(lib)?Qt6?(Qml|Quick|Pdf|VirtualKeyboard|EglF[Ss]|Designer"
            r"|WaylandCompositor|Test|Sql|Labs)\w*[.\-].*",
            # A software OpenGL for Windows of 20 MB: nothing is drawn by OpenGL.
            r"(PySide6/)?opengl32sw\.dll|(PySide6/)?(d3dcompiler_\d+|libEGL|libGLESv2)\.dll",
            # Tests, headers and sources.
            r"(numpy|numba|llvmlite|pyqtgraph)/(.*/)?(tests?|examples?)/.*",
            r"numpy/(.*/)?[\w./-]*\.(h|hpp|a|lib|c|pyi|pxd|pyx|f90)",
            r"numba/.*\.(h|c|cpp|cu|cuh|hpp|pyi|ptx|bc|html|css|js|jinja2?)",
            r"pyqtgraph/(icons|colors)/.*\.(py|ipynb)",
            r"PySide6/(typesystems|glue|include|doc|support|scripts)/.*|.*\.pyi|.*/py\.typed",
            r"ml_dtypes/include/.*",
            # Loops over several threads are our own.
            r"numba/np/ufunc/(omppool|tbbpool)\..*",
        )
    )
)


def is_needed(destination: str) -> bool:
    """Whether a file belongs into the bundle; `destination` is its path there, either slash."""
    return _UNNEEDED.fullmatch(destination.replace("\\", "/")) is None


# Large, and a third of them symbols that only a debugger reads. Others are left as they are:
# what auditwheel has patched does not survive `strip`.
STRIPPED = ("libllvmlite.so", "libpython")


def is_stripped(destination: str) -> bool:
    """Whether the symbols of a library are taken out (Linux)."""
    return destination.replace("\\", "/").rpartition("/")[2].startswith(STRIPPED)


def is_run(script: str) -> bool:
    """Whether a script runs at each start (Linux): ours, and none of PyInstaller's own.

    Those prepare `inspect`, `pkgutil`, `multiprocessing` and Qt's folders, whatever is used of
    them; they take 0.15 s, Qt included, which `show` never needs, and leave variables behind
    that a file manager we start would obey. Qt finds its plugins beside its libraries.
    """
    return not script.startswith("pyi_rth_")


def licences(root: str) -> list[str]:
    """Files with the terms of what has no distribution of its own: ours, and Python's."""
    python = os.path.join(sysconfig.get_path("stdlib"), "LICENSE.txt")
    windows = os.path.join(sysconfig.get_config_var("installed_base") or "", "LICENSE.txt")
    found = [each for each in (python, windows) if os.path.exists(each)]
    return [os.path.join(root, "LICENSE"), *found[:1]]


def mac_icons(folder: str, platform: str = sys.platform) -> list[str]:
    """The names of the icons that a macOS application has of its own."""
    if platform != "darwin":
        return []
    return sorted(name for name in os.listdir(folder) if name.endswith(".icns"))
