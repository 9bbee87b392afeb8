"""The plain data that an object of a class stands for, where the file says enough to tell.

``torch.load(weights_only=True)`` refuses an instance of a class it does not know. Much of it
is plain data under a name: an enum's member is its value, a named tuple its items, a dataclass
with slots its list of values. What a *function* would return is not in the file: a call of one
has no plain form, whatever its arguments are.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING
from typing import Any, NamedTuple

from inspector_app.analysis.needed_globals import leads_to_standard
from inspector_app.checkpoint.model import Kind, Node
from inspector_app.checkpoint.pickle_nodes import Call, GlobalRef
from inspector_app.checkpoint.pickle_tree import ARGUMENTS

FUNCTION, KEYWORDS, STATE = "(function)", "(keywords)", "(state)"
_INNER = frozenset((ARGUMENTS, FUNCTION, KEYWORDS, STATE))
# Of the standard library only these: its other classes act when they are made.
_STANDARD = frozenset(
    (
        "builtins.slice",
        "builtins.range",
        "builtins.xrange",
        "__builtin__.slice",
        "__builtin__.xrange",
        "datetime.timezone",
        "builtins.frozenset",
    )
)
_OWN = frozenset(("__main__", "__mp_main__"))


class PlainForm(NamedTuple):
    """What is written for an object.

    Attributes:
        what: of `save_notes.Changed`.
        node: whose plain form it is, if it is that of one node.
        children: the entries of a mapping, or the items of a list.
        lost: more that the object has and the plain form has not: its arguments.
    """

    what: str
    node: Node | None = None
    children: tuple[Node, ...] = ()
    lost: bool = False


def plain_form(node: Node) -> PlainForm | None:
    """The plain form of a `Kind.OBJECT`, or None if it has none."""
    inner = {str(child.key): child for child in node.children if child.key in _INNER}
    own = tuple(child for child in node.children if child.key not in _INNER)
    arguments = inner.get(ARGUMENTS)
    if own:
        items = [child for child in own if type(child.key) is int]
        if len(items) == len(own) and [child.key for child in own] == list(range(len(own))):
            return PlainForm("to-list", children=own, lost=bool(inner))
        return PlainForm("object-to-dict", children=own, lost=bool(inner))
    if _is_member_by_name(node, arguments):
        assert arguments is not None
        return PlainForm("object-to-value", node=arguments.children[1])
    if FUNCTION in inner or KEYWORDS in inner or not is_data_class(node.type_name):
        return None
    state = inner.get(STATE)
    if state is not None:
        if state.kind not in (Kind.MAPPING, Kind.SEQUENCE):
            return None
        return PlainForm("object-to-state", node=state, lost=arguments is not None)
    if arguments is None:
        return PlainForm("object-to-dict")
    if arguments.kind != Kind.SEQUENCE:
        return None
    if len(arguments.children) == 1:
        return PlainForm("object-to-value", node=arguments.children[0])
    return PlainForm("object-to-tuple", node=arguments)


def without_inner(node: Node) -> tuple[Node, ...]:
    """The entries of a mapping that is written as a plain one, without what made it."""
    return tuple(child for child in node.children if child.key not in _INNER)


def is_data_class(name: str) -> bool:
    """Whether a dotted name is one that people give to a class that holds data.

    It begins with a capital, as PEP 8 has it, and is none of the standard library's, whose
    classes open files and start processes when they are made.
    """
    if name in _STANDARD:
        return True
    module, _, last = name.rpartition(".")
    package = module.partition(".")[0]
    if package not in _OWN and (
        # Python 2's names too: ``commands.Popen`` is how protocol 2 writes ``subprocess.Popen``.
        leads_to_standard(module) or package in IMPORT_MAPPING
    ):
        return False
    return last.lstrip("_")[:1].isupper()


def plain_key(key: Any) -> tuple[Any] | None:
    """The value of an inert call that is a mapping's key, as an enum's member is one."""
    if type(key) is not Call or type(key.function) is not GlobalRef or key.state or key.pairs:
        return None
    if not is_data_class(key.function.full_name) or type(key.args) is not tuple:
        return None
    if len(key.args) != 1 or not isinstance(key.args[0], (str, int, float)):
        return None
    return (key.args[0],)


def _is_member_by_name(node: Node, arguments: Node | None) -> bool:
    """``getattr(Colour, "RED")``: how CPython 3.11 writes the member of an enum."""
    if node.type_name not in ("builtins.getattr", "__builtin__.getattr") or arguments is None:
        return False
    if len(arguments.children) != 2:
        return False
    of, name = arguments.children
    return (
        of.kind == Kind.GLOBAL
        and is_data_class(str(of.value))
        and name.kind == Kind.SCALAR
        and isinstance(name.value, str)
        and not name.value.startswith("_")
    )
