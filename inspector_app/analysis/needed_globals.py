"""What ``torch.load(weights_only=True)`` has to be told to load a file.

Torch refuses every class and function outside its default list, and takes more through
``torch.serialization.safe_globals``. Which of a file's names belong there is decided
here: data types of the standard library and numpy do; classes of other packages do, for
whoever has them; functions never, because allowing one lets the file call it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from inspector_app.analysis.python_text import is_identifier
from inspector_app.checkpoint.allowed_globals import names_outside, python3_name
from inspector_app.checkpoint.model import ArrayInfo, Checkpoint, Kind, Node
from inspector_app.checkpoint.sections import sample


@dataclass(frozen=True, slots=True)
class NeededGlobals:
    """How to get at the globals of one file.

    Attributes:
        imports: modules, or whole lines that begin with ``from``.
        entries: expressions for the list of ``safe_globals``.
        foreign: names of classes of other packages among the entries.
        functions: names of other packages that torch cannot be told to allow safely.
        unfillable: types of containers that torch refuses to fill, such as ``defaultdict``.
        refused: names of the standard library that no plain data needs, such as
            ``os.system``, and names that are no Python names.
    """

    imports: tuple[str, ...]
    entries: tuple[str, ...]
    foreign: tuple[str, ...]
    functions: tuple[str, ...]
    unfillable: tuple[str, ...]
    refused: tuple[str, ...]


# Importing these registers their classes with torch.
_REGISTERED = (
    ("torch.nested.", "torch._dynamo"),
    ("torch._dynamo.", "torch._dynamo"),
    ("torch.distributed.tensor.", "torch.distributed.tensor"),
    ("torch.distributed.device_mesh.", "torch.distributed.tensor"),
    ("torch.distributed._mesh_layout.", "torch.distributed.tensor"),
)
_PLAIN_DATA = frozenset(
    {
        "argparse.Namespace",
        "types.SimpleNamespace",
        "collections.defaultdict",
        "collections.deque",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "decimal.Decimal",
        "fractions.Fraction",
        "typing.Any",
        "uuid.UUID",
        "numpy.dtype",
        "numpy.ndarray",
        "torch._tensor._rebuild_from_type",
    }
)
_PLAIN_BUILTINS = frozenset(
    {
        "bool",
        "dict",
        "float",
        "frozenset",
        "int",
        "list",
        "object",
        "range",
        "slice",
        "str",
        "tuple",
    }
)
_NUMPY_FUNCTION = re.compile(
    r"numpy\._?core\.(multiarray\.(?:scalar|_reconstruct)|numeric\._frombuffer)"
)
_PATH = re.compile(r"pathlib\.(?:_local\.)?((?:Pure)?(?:Posix|Windows)Path|Path|PurePath)")
# Modules of Python 2, of other systems, and those that were removed since Python 3.10: this
# Python may not list them. Source: the indices of modules of Python 2.6 to 3.14.
_GONE_MODULES = frozenset(
    """
    AL BaseHTTPServer Bastion CGIHTTPServer Canvas Carbon ColorPicker ConfigParser Cookie DEVICE
    Dialog DocXMLRPCServer EasyDialogs FL FileDialog FixTk FrameWork GL HTMLParser MacOS MimeWriter
    MiniAEFrame Nav PixMapWrapper Queue SUNAUDIODEV ScrolledText SimpleDialog SimpleHTTPServer
    SimpleXMLRPCServer SocketServer StringIO Tix Tkconstants Tkdnd Tkinter UserDict UserList
    UserString _LWPCookieJar _MozillaCookieJar __builtin__ _abcoll _bootlocale _bsddb
    _dummy_thread _dummy_threading _hotshot _winreg aepack aetools aetypes aifc al anydbm
    applesingle asynchat asyncore audiodev audioop autoGIL binhex bsddb buildtools cPickle cStringIO
    cd cfmfile cgi cgitb chunk commands compiler cookielib copy_reg crypt dbhash dircache distutils
    dl dumbdbm dummy_thread dummy_threading exceptions findertools fl flp fm formatter fpectl
    fpformat future_builtins gdbm gensuitemodule gl hotshot htmlentitydefs htmllib httplib ic icopen
    ihooks imageop imghdr imgfile imp imputil jpeg lib2to3 linuxaudiodev macerrors macostools
    macpath macresource macurl2path mailcap markupbase md5 mhlib mimetools mimify msilib multifile
    mutex new nis nntplib nt nturl2path os2 os2emxpath ossaudiodev parser pipes popen2 posix
    posixfile repr rexec rfc822 riscos robotparser sets sgmllib sha smtpd sndhdr spwd sre statvfs
    stringold strop sunau sunaudio sunaudiodev symbol telnetlib thread tkColorChooser
    tkCommonDialog tkFileDialog tkFont tkMessageBox tkSimpleDialog toaiff ttk urllib2 urlparse user
    uu videoreader whichdb xdrlib xmllib xmlrpclib
    """.split()
)
_POWERFUL_MODULES = frozenset(
    {
        "builtins",
        "ctypes",
        "importlib",
        "nt",
        "os",
        "posix",
        "pty",
        "runpy",
        "shutil",
        "socket",
        "subprocess",
        "sys",
    }
)
_FILLABLE = ("dict", "collections.OrderedDict", "collections.Counter")
_DTYPE_CLASSES = {
    "b1": "BoolDType",
    "i1": "Int8DType",
    "i2": "Int16DType",
    "i4": "Int32DType",
    "i8": "Int64DType",
    "u1": "UInt8DType",
    "u2": "UInt16DType",
    "u4": "UInt32DType",
    "u8": "UInt64DType",
    "f2": "Float16DType",
    "f4": "Float32DType",
    "f8": "Float64DType",
    "c8": "Complex64DType",
    "c16": "Complex128DType",
    "M8": "DateTime64DType",
    "m8": "TimeDelta64DType",
    "O8": "ObjectDType",
}
_LOOKED_AT = 100_000
_WIDE = 2_000
_SIZED_DTYPE_CLASSES = {"U": "StrDType", "S": "BytesDType", "V": "VoidDType"}


def needed_globals(checkpoint: Checkpoint) -> NeededGlobals:
    """What to import and to allow for each global outside torch's default list."""
    imports: set[str] = set()
    entries: list[str] = []
    foreign: list[str] = []
    functions: list[str] = []
    refused: list[str] = []
    taken: set[str] = set()
    for name in names_outside(checkpoint):
        registered = [module for prefix, module in _REGISTERED if name.startswith(prefix)]
        if registered:
            imports.update(registered)
            continue
        known = _known(name)
        if known is not None:
            imports.update(known[0])
            entries.append(known[1])
            continue
        module, qualified_name = split_global(name)
        if not all(map(is_identifier, name.split("."))) or leads_to_standard(module):
            refused.append(name)
        elif not qualified_name.split(".")[-1].lstrip("_")[:1].isupper():
            functions.append(name)
        else:
            foreign.append(name)
            if module == "__main__":
                # It has to be defined where the lines run, maybe in a module of its own.
                entries.append(f'({qualified_name}, "{name}")')
            else:
                outer, _, inner = qualified_name.partition(".")
                # Not the full name: torch.optim deletes its modules' names, for one.
                local = outer if outer not in taken else f"{outer}_{len(taken)}"
                taken.add(local)
                renamed = "" if local == outer else f" as {local}"
                imports.add(f"from {module} import {outer}{renamed}")
                entries.append(f"{local}.{inner}" if inner else local)
    looked_at = list(_untensored(checkpoint.root)) if entries else []
    if "numpy.dtype" in entries:
        imports.add("numpy.dtypes")
        entries += [f"numpy.dtypes.{name}" for name in _dtype_classes(looked_at)]
    return NeededGlobals(
        tuple(sorted(imports)),
        tuple(entries),
        tuple(foreign),
        tuple(functions),
        tuple(sorted({node.type_name for node in looked_at if _is_unfillable(node)})),
        tuple(refused),
    )


def _untensored(root: Node) -> Iterator[Node]:
    """The nodes of the tree that are no tensors.

    A mapping of thousands of tensors is passed over: these lines are shown as soon as the
    file is open, also for a million tensors.
    """
    stack = [root]
    budget = _LOOKED_AT
    while stack and budget > 0:
        node = stack.pop()
        yield node
        children = node.children
        if len(children) > _WIDE:
            some_children = sample(children)
            if all(child.kind == Kind.TENSOR for child in some_children[1:-1]):
                children = some_children
        budget -= len(children) + 1
        stack.extend(child for child in children if child.kind != Kind.TENSOR)


def _is_unfillable(node: Node) -> bool:
    """A container that the pickle fills by itself, which torch allows three types to be:
    ``_check_set_item_target`` and APPENDS in torch/_weights_only_unpickler.py."""
    if not node.children:
        return False
    if node.kind == Kind.MAPPING:
        return node.type_name not in _FILLABLE
    if node.kind == Kind.OBJECT:
        # Entries of a list; attributes have names.
        return type(node.children[-1].key) is int
    return node.kind == Kind.SEQUENCE and node.type_name.endswith("deque")


def split_global(name: str) -> tuple[str, str]:
    """Module and qualified name of a full name: modules are lower case, nested classes not."""
    parts = name.split(".")
    border = len(parts) - 1
    while border > 1 and parts[border - 1].lstrip("_")[:1].isupper():
        border -= 1
    return ".".join(parts[:border]), ".".join(parts[border:])


def _known(name: str) -> tuple[tuple[str, ...], str] | None:
    """Imports and the expression for plain data of the standard library or numpy."""
    module, _, rest = name.partition(".")
    module, rest = python3_name(module, rest)
    renamed = f"{module}.{rest}"
    if renamed in _PLAIN_DATA:
        return (() if module == "torch" else (split_global(renamed)[0],)), renamed
    if module == "builtins" and rest in _PLAIN_BUILTINS:
        return (), rest
    if renamed == "copyreg._reconstructor":
        return ("copyreg",), renamed
    path = _PATH.fullmatch(name)
    if path:
        # Torch compares names, and those of Python 3.13 (pathlib._local) differ; a
        # WindowsPath can only be made on Windows.
        kind = path[1].replace("Windows", "PureWindows").replace("PurePure", "Pure")
        return ("pathlib",), f'(pathlib.{kind}, "{name}")'
    function = _NUMPY_FUNCTION.fullmatch(name)
    if function:
        # numpy 2 renamed numpy.core; 1.26 knows both names.
        where = f"numpy._core.{function[1]}"
        return (where.rpartition(".")[0],), f'({where}, "{name}")'
    return None


def is_plain_data(name: str) -> bool:
    """Whether it is a data type of the standard library or of numpy."""
    return _known(name) is not None


def leads_to_standard(module: str) -> bool:
    """A module of the standard library, also by way of one that imports it
    (``torch.serialization.os``)."""
    first, *others = module.split(".")
    root = python3_name(first, "")[0].split(".")[0]
    standard = root in sys.stdlib_module_names or root in _GONE_MODULES
    return standard or not _POWERFUL_MODULES.isdisjoint(others)


def _dtype_classes(nodes: Iterable[Node]) -> list[str]:
    """The classes of the numpy dtypes in a tree, which torch wants allowed one by one."""
    codes: set[str] = set()
    for node in nodes:
        if node.kind == Kind.ARRAY and isinstance(node.value, ArrayInfo):
            codes.add(node.value.dtype)
        elif node.type_name == "numpy.dtype" and isinstance(node.value, str):
            codes.add(node.value)
        elif node.kind == Kind.SCALAR and node.type_name.startswith("numpy."):
            codes.add(node.type_name.removeprefix("numpy."))
    names = set()
    for code in codes:
        code = code.lstrip("<>|=")
        name = _DTYPE_CLASSES.get(code) or _SIZED_DTYPE_CLASSES.get(code[:1])
        if name:
            names.add(name)
    return sorted(names or {"Float64DType", "Int64DType"})
