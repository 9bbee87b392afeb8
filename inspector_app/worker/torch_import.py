"""Importing torch, and what else an environment may lack, each absence a sentence."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.interpreters import OLDEST_TORCH, pip_line, release
from inspector_app.worker.user_errors import one_line, user_traceback


def import_torch() -> Any:
    """The module torch.

    Raises:
        Failure: it is missing, too old or broken.
    """
    pip = pip_line(sys.executable, ["torch>=2.6"])
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise Failure("torch-missing", interpreter=sys.executable, pip=pip) from None
        raise _broken(error) from error
    except (ImportError, OSError) as error:
        raise _broken(error) from error
    if release(torch.__version__) < OLDEST_TORCH:
        raise Failure(
            "torch-too-old", interpreter=sys.executable, version=torch.__version__, pip=pip
        )
    return torch


def import_package(name: str, purpose: str) -> Any:
    """The package `name`, which `purpose` (such as ``ONNX export``) needs.

    Raises:
        Failure: it is missing or broken.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise Failure(
                "package-missing",
                interpreter=sys.executable,
                package=error.name,
                purpose=name,
                pip=pip_line(sys.executable, [str(error.name)]),
            ) from error
        raise Failure(
            "package-missing",
            interpreter=sys.executable,
            package=name,
            purpose=purpose,
            pip=pip_line(sys.executable, [name]),
        ) from None
    except (ImportError, OSError) as error:
        raise Failure(
            "package-broken", traceback=user_traceback(error), package=name, error=one_line(error)
        ) from error


def _broken(error: BaseException) -> Failure:
    return Failure(
        "torch-broken",
        traceback=user_traceback(error),
        interpreter=sys.executable,
        reason=one_line(error),
    )
