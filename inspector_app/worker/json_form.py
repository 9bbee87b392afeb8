"""Frozen dataclasses as JSON values and back, checked against their annotations.

A dataclass becomes an object; one that has a class variable ``kind`` says it first, by
which a union of such classes is told apart. Tuples become arrays, mappings have string
keys. What comes back has exactly the declared types, or `BadMessage` says where it has not.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


class BadMessage(ValueError):
    """A message that is none of the protocol's; its text says what is wrong and where."""


def to_json(value: object) -> object:
    """What `json.dumps` writes for a dataclass, or for what one is made of."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = getattr(type(value), "kind", None)
        said = {"kind": kind} if kind is not None else {}
        return said | {each.name: to_json(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(each) for each in value]
    return value


def from_json(wanted: type[T], value: object, where: str = "") -> T:
    """`value` as an instance of the dataclass `wanted`.

    Raises:
        BadMessage: a field is missing, unknown or of another type.
    """
    return cast(T, _decoded(wanted, value, where or wanted.__name__))


@cache
def _hints(owner: Any) -> dict[str, Any]:
    return get_type_hints(owner)


def _decoded(wanted: Any, value: object, where: str) -> object:
    if wanted is Any or wanted is object:
        return value
    origin = get_origin(wanted)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(wanted), value, where)
    if origin is tuple:
        return _sequence(get_args(wanted), value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise BadMessage(f"{where}: {_kind_of(value)} is no object")
        each_type = get_args(wanted)[1]
        return {key: _decoded(each_type, each, f"{where}.{key}") for key, each in value.items()}
    if is_dataclass(wanted):
        return _record(wanted, value, where)
    if wanted is None or wanted is type(None):
        if value is not None:
            raise BadMessage(f"{where}: {_kind_of(value)} is not null")
        return None
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise BadMessage(f"{where}: {_kind_of(value)} is no {wanted.__name__}")
    return value


def _one_of(choices: tuple[Any, ...], value: object, where: str) -> object:
    if value is None and type(None) in choices:
        return None
    if isinstance(value, dict):
        for each in choices:
            if is_dataclass(each) and getattr(each, "kind", None) == value.get("kind"):
                return _decoded(each, value, where)
    exact = [each for each in choices if each is type(value)]
    if exact:
        return value
    for each in choices:
        if each is not type(None):
            try:
                return _decoded(each, value, where)
            except BadMessage:
                continue
    raise BadMessage(f"{where}: {_kind_of(value)} is none of what may stand here")


def _sequence(parts: tuple[Any, ...], value: object, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise BadMessage(f"{where}: {_kind_of(value)} is no array")
    if len(parts) == 2 and parts[1] is Ellipsis:
        wanted = [parts[0]] * len(value)
    else:
        wanted = list(parts)
    if len(wanted) != len(value):
        raise BadMessage(f"{where}: {len(value)} elements instead of {len(wanted)}")
    return tuple(
        _decoded(each_type, each, f"{where}[{index}]")
        for index, (each_type, each) in enumerate(zip(wanted, value, strict=True))
    )


def _record(wanted: Any, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise BadMessage(f"{where}: {_kind_of(value)} is no object")
    declared: dict[str, Field[Any]] = {each.name: each for each in fields(wanted)}
    kind = getattr(wanted, "kind", None)
    if kind is not None and value.get("kind") != kind:
        raise BadMessage(f"{where}: the kind is {value.get('kind')!r} instead of {kind!r}")
    unknown = value.keys() - declared.keys() - ({"kind"} if kind is not None else set())
    if unknown:
        raise BadMessage(f"{where}: unknown: {', '.join(sorted(map(str, unknown)))}")
    hints = _hints(wanted)
    found = {}
    for name, each in declared.items():
        if name in value:
            found[name] = _decoded(hints[name], value[name], f"{where}.{name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise BadMessage(f"{where}: {name} is missing")
    return wanted(**found)


def _kind_of(value: object) -> str:
    return f"{type(value).__name__} {value!r}"[:80]
