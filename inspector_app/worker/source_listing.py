"""What a Python file offers as a model, read from its source without importing it.

Classes derived from ``nn.Module`` and functions, each with its parameters, for a list to
choose from and a form to fill in. Standard library only.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from inspector_app.checkpoint.model import Checkpoint, Kind, Node, SectionKind
from inspector_app.worker.failures import Failed, Failure

_LONGEST = 8 << 20  # bytes of a source file
_MODULE_NAMES = frozenset(
    {"Module", "Sequential", "ModuleList", "LightningModule", "PreTrainedModel", "ScriptModule"}
)
_MODULE_LIKE = re.compile(r"(Module|PreTrainedModel|Model|Net)$")
_FACTORY = re.compile(r"^(build|create|make|get|load)_?|net|model|resnet|vit", re.IGNORECASE)
# Where checkpoints keep what the model was built with.
_CONFIG_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter of a class or factory.

    Attributes:
        name: of the parameter.
        annotation: as source text, or "".
        default: as source text, or "" where it is required.
        value: the default as a JSON value, where it is a literal; else None.
        required: it has no default.
        suggested: what the checkpoint's own config has under that name, where it has.
        has_suggestion: whether `suggested` is one (it may be None itself).
    """

    name: str
    annotation: str = ""
    default: str = ""
    value: object = None
    required: bool = True
    suggested: object = None
    has_suggestion: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """A class or function that may build the model.

    Attributes:
        name: as ``FILE.py:NAME`` names it.
        is_class: a class derived from ``nn.Module``, as far as the source tells.
        line: where it stands, from 1.
        arguments: its parameters, without self; only those that are passed by name.
        any_keyword: it takes others too.
        summary: the first line of its docstring.
    """

    name: str
    is_class: bool
    line: int
    arguments: tuple[Argument, ...]
    any_keyword: bool = False
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """
    Attributes:
        offers: classes first, those that no other class of the file uses before the others;
            then functions that sound like factories, then other functions.
        runs: lines of code that run on import besides definitions, such as a training loop
            without ``if __name__ == "__main__"``.
    """

    offers: tuple[Offer, ...]
    runs: tuple[int, ...] = ()


def listing(path: str, config: Mapping[str, object] | None = None) -> Listing:
    """Read the Python file at `path`.

    Args:
        path: of the source.
        config: what the checkpoint says that its model was built with; see `config_of`.

    Raises:
        Failure: it cannot be read, or is no Python.
    """
    tree = _parsed(path)
    known = dict(config or {})
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    modules = _module_classes(classes)
    used = _used_by_others(classes, modules)
    found: list[tuple[int, Offer]] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in modules:
            found.append((1 if node.name in used else 0, _class_offer(node, classes, known)))
        elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            rank = 2 if _FACTORY.search(node.name) or _returns_module(node, modules) else 3
            found.append((rank, _offer(node, node.name, node.args, False, known, 0)))
    found.sort(key=lambda each: each[0])
    return Listing(tuple(offer for _, offer in found), tuple(_running(tree)))


def listing_apart(
    path: str, config: Mapping[str, object]
) -> Generator[None, None, Listing | Failed]:
    """`listing`, to be run by another process: what it raises is returned."""
    yield None
    try:
        return listing(path, config)
    except Failure as failure:
        return failure.failed


def config_of(checkpoint: Checkpoint) -> dict[str, object]:
    """What a checkpoint says that its model was built with: hyper-parameters by name, from
    the sections for them and from other short plain entries; the outermost wins."""
    nodes: list[Node] = []
    for section in checkpoint.sections:
        if section.kind == SectionKind.HYPER_PARAMETERS:
            node = checkpoint.find(section.path)
            if node is not None:
                nodes.append(node)
    known: dict[str, object] = {}
    for node in [*nodes, checkpoint.root]:
        _plain_entries(node, known, _CONFIG_DEPTH if node is not checkpoint.root else 1)
    return known


def _plain_entries(node: Node, known: dict[str, object], depth: int) -> None:
    deeper = []
    for child in node.children[:1_000]:
        if not isinstance(child.key, str):
            continue
        if child.kind == Kind.SCALAR and isinstance(
            child.value, (bool, int, float, str, type(None))
        ):
            known.setdefault(child.key, child.value)
        elif child.kind == Kind.SEQUENCE and len(child.children) <= 64:
            values = [each.value for each in child.children if each.kind == Kind.SCALAR]
            if len(values) == len(child.children):
                known.setdefault(child.key, values)
        elif child.kind in (Kind.MAPPING, Kind.OBJECT):
            deeper.append(child)
    if depth > 1:
        for child in deeper:
            _plain_entries(child, known, depth - 1)


def _parsed(path: str) -> ast.Module:
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise Failure("source-not-found", file=path) from None
        raise Failure("source-fails", source=path, error=str(error.strerror)) from None
    if len(data) > _LONGEST:
        raise Failure("source-fails", source=path, error="it is too long for a source file")
    try:
        return ast.parse(data, path)
    except SyntaxError as error:
        where = f"line {error.lineno}: " if error.lineno else ""
        raise Failure("source-fails", source=path, error=f"{where}{error.msg}") from None
    except (ValueError, RecursionError, MemoryError, tokenize.TokenError) as error:
        raise Failure("source-fails", source=path, error=f"it is no Python: {error}") from None


def _module_classes(classes: Mapping[str, ast.ClassDef]) -> set[str]:
    """Names of the classes that derive from nn.Module: directly, through each other, or
    through an imported class that is called like one."""
    found: set[str] = set()
    while True:
        more = {
            name
            for name, node in classes.items()
            if name not in found and any(_is_module(base, classes, found) for base in node.bases)
        }
        if not more:
            return found
        found |= more


def _is_module(base: ast.expr, classes: Mapping[str, ast.ClassDef], found: set[str]) -> bool:
    if isinstance(base, ast.Subscript):  # Generic[T] and the like
        base = base.value
    if isinstance(base, ast.Name) and base.id in classes:
        return base.id in found
    name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    return name in _MODULE_NAMES or bool(_MODULE_LIKE.search(name))


def _used_by_others(classes: Mapping[str, ast.ClassDef], modules: set[str]) -> set[str]:
    """Module classes that another one's code names: its blocks."""
    used = set()
    for name in modules:
        for part in classes[name].body:
            for node in ast.walk(part):
                if isinstance(node, ast.Name) and node.id in modules and node.id != name:
                    used.add(node.id)
    return used


def _class_offer(
    node: ast.ClassDef, classes: Mapping[str, ast.ClassDef], known: Mapping[str, object]
) -> Offer:
    """With the parameters of its __init__, or of that of the class it derives from."""
    at: ast.ClassDef | None = node
    seen: set[str] = set()
    while at is not None and at.name not in seen:
        seen.add(at.name)
        for each in at.body:
            if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                return _offer(node, node.name, each.args, True, known, 1)
        if _is_dataclass(at):
            return _fields_offer(node, at, known)
        names = [base.id for base in at.bases if isinstance(base, ast.Name)]
        at = next((classes[name] for name in names if name in classes), None)
    empty = ast.parse("lambda: 0", mode="eval").body
    assert isinstance(empty, ast.Lambda)
    return _offer(node, node.name, empty.args, True, known, 0)


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(each) for each in node.decorator_list)


def _fields_offer(node: ast.ClassDef, at: ast.ClassDef, known: Mapping[str, object]) -> Offer:
    arguments = [
        _argument(each.target.id, each.annotation, each.value, known)
        for each in at.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    ]
    return Offer(node.name, True, node.lineno, tuple(arguments), False, _summary(node))


def _offer(
    node: ast.ClassDef | ast.FunctionDef,
    name: str,
    parameters: ast.arguments,
    is_class: bool,
    known: Mapping[str, object],
    skipped: int,
) -> Offer:
    positional = [*parameters.posonlyargs, *parameters.args]
    defaults: Sequence[ast.expr | None] = [
        *[None] * (len(positional) - len(parameters.defaults)),
        *parameters.defaults,
    ]
    pairs = list(zip(positional, defaults, strict=True))[skipped:]
    pairs += list(zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True))
    arguments = tuple(
        _argument(each.arg, each.annotation, default, known)
        for each, default in pairs
        if each not in parameters.posonlyargs
    )
    any_keyword = parameters.kwarg is not None
    return Offer(name, is_class, node.lineno, arguments, any_keyword, _summary(node))


def _argument(
    name: str, annotation: ast.expr | None, default: ast.expr | None, known: Mapping[str, object]
) -> Argument:
    value: object = None
    if default is not None:
        try:
            value = _as_json(ast.literal_eval(default))
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = None
    return Argument(
        name=name,
        annotation="" if annotation is None else ast.unparse(annotation),
        default="" if default is None else ast.unparse(default),
        value=value,
        required=default is None,
        suggested=known.get(name),
        has_suggestion=name in known,
    )


def _as_json(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _as_json(each) for key, each in value.items()}
    if isinstance(value, (bool, int, float, str, type(None))):
        return value
    raise ValueError("no JSON")


def _summary(node: ast.ClassDef | ast.FunctionDef) -> str:
    text = ast.get_docstring(node) or ""
    return text.strip().partition("\n")[0]


def _returns_module(node: ast.FunctionDef, modules: set[str]) -> bool:
    named = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return bool(named & modules)


def _running(tree: ast.Module) -> Iterator[int]:
    """Lines of statements that do something on import: loops, calls, with."""
    for node in tree.body:
        loops = isinstance(node, (ast.For, ast.While, ast.With))
        calls = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        if loops or calls:
            yield node.lineno
