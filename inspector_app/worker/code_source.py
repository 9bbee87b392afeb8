"""A model's class or factory: ``path/to/model.py:Net`` or ``package.module:create``."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from inspector_app.worker.failures import Failure
from inspector_app.worker.user_errors import failure_of

_KNOWN = 8


def build(spec: str, arguments: Mapping[str, object]) -> Any:
    """What the class or factory that `spec` names gives for the keyword arguments.

    Raises:
        Failure: it is not found, cannot be imported, or does not take the arguments.
    """
    source, name = split_spec(spec)
    with _first(_folder_of(source)):
        target = _attribute(load_source(source), source, name)
        return _called(target, name, arguments) if callable(target) else target


def _called(target: Any, name: str, arguments: Mapping[str, object]) -> Any:
    signature = _signature(target)
    if signature is not None:
        try:
            signature.bind(**arguments)
        except TypeError as error:
            details = {"signature": signature, "lacking": _lacking_arguments(signature, arguments)}
            raise Failure("constructor", name=name, error=str(error), **details) from None
    try:
        return target(**arguments)
    except Exception as error:
        raise failure_of(
            "constructor", error, name=name, signature=signature or "unknown"
        ) from error


def _lacking_arguments(signature: inspect.Signature, given: Mapping[str, object]) -> str:
    """Names of the arguments that have no default and are not given."""
    empty, named = (
        inspect.Parameter.empty,
        (
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            inspect.Parameter.KEYWORD_ONLY,
        ),
    )
    return ", ".join(
        each.name
        for each in signature.parameters.values()
        if each.default is empty and each.kind in named and each.name not in given
    )


def split_spec(spec: str) -> tuple[str, str]:
    """Source and name. A drive's colon, as in ``C:\\model.py:Net``, belongs to the source."""
    source, colon, name = spec.rpartition(":")
    if not colon or not source or not name:
        raise Failure("spec", spec=spec, reason=_lacking(source, colon))
    if not all(part.isidentifier() for part in name.split(".")):
        raise Failure("spec", spec=spec, reason=f"{name} is no Python name")
    return source, name


def _lacking(source: str, colon: str) -> str:
    if not colon:
        return "there is no colon with a name after it"
    return "there is no name after the colon" if source else "there is nothing before the colon"


def load_source(source: str) -> ModuleType:
    """Import a Python file, or a module by its dotted name.

    Raises:
        Failure: there is none, or importing it fails.
    """
    with _first(_folder_of(source)):
        if _is_file(source):
            return _load_file(source)
        if not all(part.isidentifier() for part in source.split(".")):
            reason = "it is neither a Python file nor a module's name"
            raise Failure("spec", spec=source, reason=reason)
        return _imported(source, source)


def _is_file(source: str) -> bool:
    return source.endswith(".py") or os.sep in source or os.path.isfile(source)


def _folder_of(source: str) -> str:
    """From where it is imported."""
    return str(package_of(Path(source).absolute())[0]) if _is_file(source) else os.getcwd()


@contextmanager
def _first(folder: str) -> Iterator[None]:
    """Import from `folder` before all others, as a script does, and afterwards after them: what
    torch imports late, such as ``queue``, is not a file that happens to lie there."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


def _load_file(source: str) -> ModuleType:
    path = Path(source).absolute()
    # Not `Path.is_file`, which raises for a name that is too long.
    if not os.path.isfile(path):
        raise Failure("source-not-found", file=source)
    name = package_of(path)[1]
    if "." in name:
        return _imported(name, source)
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path):
        return loaded
    if loaded is not None or not name.isidentifier():
        name = f"model_source_{abs(hash(str(path)))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Failure("source-not-found", file=source)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise _import_failure(source, error) from error
    return module


def package_of(path: Path) -> tuple[Path, str]:
    """The folder from which it is imported, and its dotted name: a file within a package may
    import its neighbours relatively."""
    parts = [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__" and len(parts) > 1:
        del parts[-1]
    return folder, ".".join(parts)


def _imported(name: str, source: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _import_failure(source, error) from error


def _import_failure(source: str, error: Exception) -> Failure:
    if isinstance(error, ModuleNotFoundError) and error.name:
        if source == error.name or source.startswith(f"{error.name}."):
            return Failure(
                "source-module-not-found",
                module=error.name,
                folder=os.getcwd(),
                interpreter=sys.executable,
            )
        return failure_of("module-not-found", error, source=source, module=error.name)
    return failure_of("source-fails", error, source=source)


def _attribute(module: ModuleType, source: str, name: str) -> Any:
    target: Any = module
    for part in name.split("."):
        try:
            target = getattr(target, part)
        except AttributeError:
            known = _models_of(module)
            near = difflib.get_close_matches(name, known, 1, 0.5)
            names = near + [each for each in known if each not in near]
            shown = ", ".join(names[:_KNOWN]) or "no class derived from nn.Module"
            raise Failure("class-not-found", source=source, name=name, known=shown) from None
    return target


def _models_of(module: ModuleType) -> list[str]:
    """Names of what could be meant: module classes, and functions that it defines."""
    import torch

    own, functions = [], []
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, type) and issubclass(value, torch.nn.Module):
            own.append(name)
        elif inspect.isfunction(value):
            functions.append(name)
    return own + functions


def _signature(target: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(target)
    except (TypeError, ValueError):
        return None
