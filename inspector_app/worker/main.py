"""What a worker process runs: one request on stdin, events on stdout.

It is started by its path, under an interpreter that may have nothing of ours installed. So
it reads its package from the folder it lies in, and puts nothing on ``sys.path``: beside
the package may be packages of another Python. Until the version has been checked it keeps
to the syntax of old ones.
"""

import os
import sys

_OLDEST = (3, 10)


def _private_descriptors():
    """Descriptors of the requests and the events, which nobody else reads or writes.

    From here on what libraries print goes to stderr, and who reads stdin finds it empty.
    """
    requests, events = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return requests, events


def _forget_own_folder():
    """Python puts a script's folder first; its modules are not for everybody to import."""
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.path and os.path.abspath(sys.path[0]) == here:
        del sys.path[0]


def _load_package():
    """Make ``inspector_app`` importable from this file's own folder, and from no other."""
    from importlib.util import module_from_spec, spec_from_file_location

    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    spec = spec_from_file_location(
        "inspector_app", os.path.join(root, "__init__.py"), submodule_search_locations=[root]
    )
    package = module_from_spec(spec)
    sys.modules["inspector_app"] = package
    spec.loader.exec_module(package)


def _refuse(events):
    import json

    details = {"interpreter": sys.executable, "version": sys.version.split()[0]}
    failed = {"kind": "failed", "code": "interpreter-too-old", "details": details}
    os.write(events, (json.dumps({"event": failed}) + "\n").encode())


def main():
    requests, events = _private_descriptors()
    _forget_own_folder()
    if sys.version_info < _OLDEST:
        _refuse(events)
        return
    for stream in (sys.stdout, sys.stderr):
        # What the model prints is seen at once, and never fails for its characters.
        stream.reconfigure(errors="backslashreplace", line_buffering=True)
    _load_package()
    from inspector_app.worker.serving import serve

    serve(requests, events)


if __name__ == "__main__":
    main()
