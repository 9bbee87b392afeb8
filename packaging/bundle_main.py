"""What the bundle runs: the same entry as the command that pip installs."""

import os
import sys

# The program's loader looks for libraries in the bundle; what is started from here, a file manager
# or a browser, has its own. (`worker.client` gives an interpreter back what was there.)
if "LD_LIBRARY_PATH" in os.environ:
    kept = os.environ.get("LD_LIBRARY_PATH_ORIG")
    if kept is None:
        del os.environ["LD_LIBRARY_PATH"]
    else:
        os.environ["LD_LIBRARY_PATH"] = kept

# numba keeps what it compiled beside its source where it may write there: a package manager would
# then leave folders behind, and a signed application be changed.
if "NUMBA_CACHE_DIR" not in os.environ:
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        caches = os.environ.get("LOCALAPPDATA", home)
    elif sys.platform == "darwin":
        caches = os.path.join(home, "Library", "Caches")
    else:
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    os.environ["NUMBA_CACHE_DIR"] = os.path.join(caches, "checkpoint-inspector", "kernels")

from inspector_app.__main__ import main

sys.exit(main())
