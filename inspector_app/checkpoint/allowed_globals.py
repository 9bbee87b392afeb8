"""The globals that ``torch.load(weights_only=True)`` accepts by default, as data.

Source: ``torch/_weights_only_unpickler.py`` of torch 2.13 (``_get_allowed_globals``,
``_read_global_instruction``) and the two tables of Python 2 names in ``torch/_utils.py``,
which are smaller than those of ``pickle``. What a program allows on top, by
``torch.serialization.add_safe_globals`` or by importing ``torch.distributed.tensor`` or
``torch._dynamo``, is not among them.
"""

from __future__ import annotations

from inspector_app.checkpoint.model import Checkpoint

_DTYPES = """
bfloat16 bool complex128 complex32 complex64 float16 float32 float4_e2m1fn_x2 float64
float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu
int1 int2 int3 int4 int5 int6 int7 int8 int16 int32 int64
uint1 uint2 uint3 uint4 uint5 uint6 uint7 uint8 uint16 uint32 uint64
bits16 bits1x8 bits2x4 bits4x2 bits8 qint32 qint8 quint2x4 quint4x2 quint8
"""

_QUANTIZATION_SCHEMES = """
per_channel_affine per_channel_affine_float_qparams per_channel_symmetric
per_tensor_affine per_tensor_symmetric
"""

_TENSOR_CLASSES = "BFloat16 Byte Char Double Float Half Int Long Short"
_STORAGE_CLASSES = f"{_TENSOR_CLASSES} Bool ComplexDouble ComplexFloat"
_QUANTIZED_STORAGE_CLASSES = "QInt32 QInt8 QUInt2x4 QUInt4x2 QUInt8"

_REBUILD_FUNCTIONS = """
_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy
_rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_parameter
_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_tensor
_rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_wrapper_subclass
"""

_OTHERS = """
_codecs.encode builtins.bytearray builtins.complex builtins.set
collections.Counter collections.OrderedDict
torch.Size torch.Tensor torch.device torch.nn.parameter.Parameter
torch._tensor._rebuild_from_type_v2 torch.serialization._get_layout
torch.storage.TypedStorage torch.storage.UntypedStorage
"""

ALLOWED: frozenset[str] = frozenset(
    prefix + name + suffix
    for prefixes, names, suffix in (
        (["torch."], _DTYPES, ""),
        (["torch."], _QUANTIZATION_SCHEMES, ""),
        (["torch.", "torch.cuda."], _STORAGE_CLASSES, "Storage"),
        (["torch."], _QUANTIZED_STORAGE_CLASSES, "Storage"),
        (["torch.", "torch.cuda."], f"{_TENSOR_CLASSES} Bool", "Tensor"),
        (["torch.sparse.", "torch.cuda.sparse."], _TENSOR_CLASSES, "Tensor"),
        (["torch._utils."], _REBUILD_FUNCTIONS, ""),
        ([""], _OTHERS, ""),
    )
    for prefix in prefixes
    for name in names.split()
)

# The classes of storages that a pickle names: torch puts a stand-in there.
STORAGES: frozenset[str] = frozenset(
    f"{prefix}{name}Storage"
    for prefixes, names in (
        (["torch.", "torch.cuda."], _STORAGE_CLASSES),
        (["torch."], _QUANTIZED_STORAGE_CLASSES),
    )
    for prefix in prefixes
    for name in names.split()
)

# Torch looks at whole names first, then at modules (torch/_utils.py: NAME_MAPPING and
# IMPORT_MAPPING).
_RENAMED_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "Queue": "queue",
    "repr": "reprlib",
    "_abcoll": "collections.abc",
    "UserDict": "collections",
    "UserList": "collections",
    "UserString": "collections",
    "whichdb": "dbm",
    "StringIO": "io",
    "cStringIO": "io",
}
_RENAMED = {
    ("__builtin__", "xrange"): ("builtins", "range"),
    ("__builtin__", "reduce"): ("functools", "reduce"),
    ("__builtin__", "intern"): ("sys", "intern"),
    ("__builtin__", "unichr"): ("builtins", "chr"),
    ("__builtin__", "unicode"): ("builtins", "str"),
    ("__builtin__", "long"): ("builtins", "int"),
    ("__builtin__", "basestring"): ("builtins", "str"),
    ("itertools", "izip"): ("builtins", "zip"),
    ("itertools", "imap"): ("builtins", "map"),
    ("itertools", "ifilter"): ("builtins", "filter"),
    ("itertools", "ifilterfalse"): ("itertools", "filterfalse"),
    ("itertools", "izip_longest"): ("itertools", "zip_longest"),
    ("UserDict", "IterableUserDict"): ("collections", "UserDict"),
    ("UserDict", "UserDict"): ("collections", "UserDict"),
    ("UserList", "UserList"): ("collections", "UserList"),
    ("UserString", "UserString"): ("collections", "UserString"),
    ("exceptions", "StandardError"): ("builtins", "Exception"),
}


def python3_name(module: str, name: str) -> tuple[str, str]:
    """Module and name as Python 3 has them, renamed exactly where torch renames."""
    renamed = _RENAMED.get((module, name))
    return renamed or (_RENAMED_MODULES.get(module, module), name)


def is_allowed(module: str, name: str) -> bool:
    """Whether ``torch.load(weights_only=True)`` accepts this global by default.

    `module` and `name` are as the pickle has them, Python 2 names included. Torch compares
    the two joined by a dot, wherever the file put the border between them.
    """
    return ".".join(python3_name(module, name)) in ALLOWED


def names_outside(checkpoint: Checkpoint) -> list[str]:
    """The globals that ``torch.load(weights_only=True)`` would refuse, sorted by name.

    If there are none, the load may still fail for another reason, such as an opcode.
    """
    return [each.name for each in checkpoint.globals if not each.allowed]
