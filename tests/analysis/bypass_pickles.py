"""Pickles that get past scanners with a denylist, by the trick that they use.

Each is written opcode by opcode, and says what a scan has to name: a global, or the code of
an anomaly. None of them is ever unpickled here.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from typing import NamedTuple

PROTOCOL_2 = b"\x80\x02"
PROTOCOL_4 = b"\x80\x04"
COMMAND = "touch /tmp/executed-by-a-checkpoint"


class Trick(NamedTuple):
    """One way past a scanner.

    Attributes:
        stream: a whole pickle.
        named: a global that has to be listed as outside the allowlist, or "".
        code: of the anomaly that has to be listed, or "".
    """

    stream: bytes
    named: str = ""
    code: str = ""


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def short(value: str) -> bytes:
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def data(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def whole(body: bytes, protocol: bytes = PROTOCOL_2) -> bytes:
    return protocol + body + b"."


SHELL = call(name("os", "system"), text(COMMAND))
INNER = whole(SHELL)
WEIGHTS = b"}" + text("epoch") + b"K\x05s"


def gadget(module: str, attribute: str, *arguments: bytes) -> Trick:
    """A function that does the work of ``os.system`` without its name."""
    return Trick(
        whole(call(name(module, attribute), *(arguments or (text(COMMAND),)))),
        f"{module}.{attribute}",
    )


def tricks() -> dict[str, Trick]:
    """Every class of trick with a pickle stream."""
    getattr_ = name("builtins", "getattr")
    many_frames = b"\x95\x10" + bytes(7)
    return {
        # Names
        "STACK_GLOBAL": Trick(
            whole(short("os") + short("system") + b"\x93" + text(COMMAND) + b"\x85R", PROTOCOL_4),
            "os.system",
        ),
        "STACK_GLOBAL of the memo": Trick(
            whole(
                short("system") + b"\x940" + short("os") + b"h\x00\x93" + text(COMMAND) + b"\x85R",
                PROTOCOL_4,
            ),
            "os.system",
        ),
        "STACK_GLOBAL behind POP and DUP": Trick(
            whole(short("os") + b"N0" + short("system") + b"20\x93)R", PROTOCOL_4), "os.system"
        ),
        "STACK_GLOBAL of a computed text": Trick(
            whole(
                short("os")
                + call(short("builtins") + short("str") + b"\x93", short("system"))
                + b"\x93)R",
                PROTOCOL_4,
            ),
            "builtins.str",
            "broken-pickle",
        ),
        "names in Latin-1": Trick(b"Vos\nVsystem\n\x93" + text(COMMAND) + b"\x85R.", "os.system"),
        "a dotted name": Trick(
            whole(name("torch", "serialization.os.system") + text(COMMAND) + b"\x85R"),
            "torch.serialization.os.system",
        ),
        "a module of torch that imports os": gadget("torch.utils.cpp_extension", "os.system"),
        "letters that look alike": gadget("tor\u0441h", "FloatStorage"),
        "upper case": gadget("Torch", "FloatStorage"),
        "a space": gadget("torch ", "FloatStorage"),
        "a carriage return": gadget("os\r", "system"),
        "a line feed in a name": Trick(
            whole(short("os\nx") + short("system") + b"\x93)R", PROTOCOL_4), "os\nx.system"
        ),
        "a direction mark": gadget("torch\u202e", "FloatStorage"),
        "Python 2's names": gadget("__builtin__", "eval"),
        "Python 2's modules": gadget("commands", "getoutput"),
        # Opcodes
        "INST": Trick(whole(b"(" + text(COMMAND) + b"ios\nsystem\n"), "os.system"),
        "OBJ": Trick(whole(b"(" + name("os", "system") + text(COMMAND) + b"o"), "os.system"),
        "NEWOBJ": Trick(
            whole(name("subprocess", "Popen") + text(COMMAND) + b"\x85\x81"), "subprocess.Popen"
        ),
        "NEWOBJ_EX": Trick(
            whole(name("subprocess", "Popen") + b")}" + text("args") + text(COMMAND) + b"s\x92"),
            "subprocess.Popen",
        ),
        "EXT1": Trick(whole(b"\x82\x01" + text(COMMAND) + b"\x85R"), code="odd-opcode"),
        "EXT2": Trick(whole(b"\x83\x01\x02" + b")R"), code="odd-opcode"),
        "EXT4": Trick(whole(b"\x84\x01\x02\x03\x04" + b")R"), code="odd-opcode"),
        "NEXT_BUFFER": Trick(whole(b"\x97", b"\x80\x05"), code="odd-opcode"),
        "BUILD of a global": Trick(
            whole(name("os", "environ") + b"}" + text("PATH") + text("") + b"sb"), "os.environ"
        ),
        "BUILD with __setstate__": Trick(
            whole(
                name("functools", "partial")
                + name("os", "system")
                + b"\x85R"
                + b"("
                + name("os", "system")
                + b"(tN}tb"
            ),
            "functools.partial",
        ),
        "BUILD of __class__": Trick(
            whole(
                name("argparse", "Namespace")
                + b")\x81}"
                + text("__class__")
                + name("subprocess", "Popen")
                + b"sb"
            ),
            "subprocess.Popen",
        ),
        "APPENDS to an object": Trick(
            whole(name("collections", "deque") + b")R(" + SHELL + b"e"), "collections.deque"
        ),
        "SETITEMS of a global": Trick(
            whole(name("os", "environ") + b"(" + text("PATH") + text("") + b"u"), "os.environ"
        ),
        "a persistent id with a class": Trick(
            whole(
                b"("
                + text("storage")
                + name("webbrowser", "open")
                + text("0")
                + text("cpu")
                + b"K\x01tQ"
            ),
            "webbrowser.open",
        ),
        "a persistent id with a call": Trick(whole(SHELL + b"Q"), "os.system"),
        "a persistent id as text": Trick(whole(b"Pos.system\n"), code="bad-tensor"),
        "a call as a key": Trick(whole(b"}" + SHELL + b"Ns"), "os.system"),
        "a call of a number": Trick(whole(b"K\x01)R"), code="odd-opcode"),
        "a class that is a text": Trick(whole(text("os.system") + b")\x81"), code="odd-opcode"),
        # The memo and the stack
        "a call that is popped": Trick(whole(WEIGHTS + SHELL + b"0"), "os.system"),
        "a call before a MARK that is popped": Trick(whole(b"(" + SHELL + b"1}"), "os.system"),
        "an entry of the memo that is set again": Trick(
            whole(WEIGHTS + b"q\x00" + name("builtins", "set") + b"q\x000h\x00"),
            code="odd-opcode",
        ),
        "a function behind an entry that is set again": Trick(
            whole(
                name("collections", "OrderedDict")
                + b"q\x000"
                + name("os", "system")
                + b"q\x000h\x00"
                + text(COMMAND)
                + b"\x85R"
            ),
            "os.system",
            "odd-opcode",
        ),
        "a huge entry of the memo": Trick(whole(WEIGHTS + b"r\xff\xff\xff\x7f"), code="odd-opcode"),
        "an entry of the memo that is not there": Trick(
            whole(SHELL + b"0h\x07"), "os.system", "broken-pickle"
        ),
        # Protocol and frames
        "PROTO in the middle": Trick(whole(WEIGHTS + b"\x80\x03"), code="odd-opcode"),
        "an unknown protocol": Trick(
            whole(SHELL + b"0\x80\x09" + WEIGHTS), "os.system", "broken-pickle"
        ),
        "opcodes of a later protocol": Trick(whole(short("epoch") + b"\x94"), code="odd-opcode"),
        "a FRAME beyond the end": Trick(
            whole(b"\x95" + struct.pack("<Q", 1 << 40) + WEIGHTS, PROTOCOL_4), code="odd-opcode"
        ),
        "a FRAME that cuts an opcode": Trick(
            whole(b"\x95\x02" + bytes(7) + short("epoch"), PROTOCOL_4), code="odd-opcode"
        ),
        "a FRAME in a FRAME": Trick(
            whole(many_frames * 3 + b"K\x01", PROTOCOL_4), code="odd-opcode"
        ),
        "STOP before the end of a FRAME": Trick(
            PROTOCOL_4 + b"\x95\x40" + bytes(7) + b"K\x01." + bytes(80), code="odd-opcode"
        ),
        # Where the stream ends
        "no STOP": Trick(PROTOCOL_2 + WEIGHTS + SHELL, "os.system", "broken-pickle"),
        "an opcode that there is not": Trick(
            PROTOCOL_2 + WEIGHTS + SHELL + b"\xff.", "os.system", "broken-pickle"
        ),
        "a length beyond the file behind the call": Trick(
            PROTOCOL_2 + SHELL + b"X\xff\xff\xff\xff", "os.system", "broken-pickle"
        ),
        "a second pickle": Trick(whole(WEIGHTS) + INNER, "os.system", "several-pickles"),
        "bytes behind STOP": Trick(whole(WEIGHTS) + bytes(40), code="several-pickles"),
        "protocol 0 behind a number": Trick(
            b"I1\n0cos\nsystem\n(S'" + COMMAND.encode() + b"'\ntR.", "os.system"
        ),
        "protocol 0 that breaks": Trick(
            b"cos\nsystem\n(S'" + COMMAND.encode() + b"'\ntR" + b"\xff", "os.system"
        ),
        "equal keys": Trick(
            whole(b"}(" + text("w") + SHELL + text("w") + b"K\x01u"), "os.system", "duplicate-key"
        ),
        # Pickles in pickles
        "pickle.loads of bytes": Trick(
            whole(call(name("pickle", "loads"), data(INNER))), "os.system"
        ),
        "_pickle.loads": Trick(whole(call(name("_pickle", "loads"), data(INNER))), "_pickle.loads"),
        "torch.load of bytes": Trick(
            whole(call(name("torch", "load"), call(name("io", "BytesIO"), data(INNER)))),
            "os.system",
        ),
        "_load_from_bytes": Trick(
            whole(call(name("torch.storage", "_load_from_bytes"), data(INNER))), "os.system"
        ),
        "a zip in bytes": Trick(
            whole(call(name("torch.storage", "_load_from_bytes"), data(in_zip(INNER)))),
            "os.system",
        ),
        "bytes written as text": Trick(
            whole(
                call(
                    name("torch.storage", "_load_from_bytes"),
                    call(name("_codecs", "encode"), text(INNER.decode("latin-1")), text("latin1")),
                )
            ),
            "os.system",
        ),
        "loads of text": Trick(
            whole(call(name("pickle", "loads"), text(f"cos\nsystem\n(S'{COMMAND}'\ntR."))),
            "os.system",
        ),
        "loads of protocol 0": Trick(
            whole(call(name("pickle", "loads"), data(b"cos\nsystem\n(S'ls'\ntR."))), "os.system"
        ),
        "three deep": Trick(
            whole(
                call(
                    name("pickle", "loads"),
                    data(whole(call(name("pickle", "loads"), data(INNER)))),
                )
            ),
            "os.system",
        ),
        # Gadgets
        "getattr of getattr": Trick(
            whole(
                call(
                    call(getattr_, call(getattr_, name("torch", "nn"), text("os")), text("system")),
                    text(COMMAND),
                )
            ),
            "builtins.getattr",
        ),
        "attrgetter": Trick(
            whole(
                call(
                    call(name("operator", "attrgetter"), text("os.system")),
                    name("torch", "serialization"),
                )
            ),
            "operator.attrgetter",
        ),
        "partial": Trick(
            whole(call(name("functools", "partial"), name("os", "system"), text(COMMAND))),
            "functools.partial",
        ),
        "rebuilt from a type": Trick(
            whole(
                call(
                    name("torch._tensor", "_rebuild_from_type_v2"),
                    name("os", "system"),
                    name("builtins", "str"),
                    text(COMMAND) + b"\x85",
                    b"}",
                )
            ),
            "os.system",
        ),
        "a function of bytes": Trick(
            whole(
                call(
                    call(
                        name("types", "FunctionType"),
                        call(name("marshal", "loads"), data(b"\xe3" + bytes(40))),
                        b"}",
                    )
                )
            ),
            "types.FunctionType",
        ),
        "types.CodeType": gadget("types", "CodeType"),
        "torch.hub.load": gadget("torch.hub", "load", text("a/b"), text("model")),
        "torch.hub": gadget("torch.hub", "load_state_dict_from_url"),
        "execWrapper": gadget("torch.jit.unsupported_tensor_ops", "execWrapper"),
        "runstring": gadget("numpy.testing._private.utils", "runstring"),
        "numpy's f2py": gadget("numpy.f2py.crackfortran", "myeval"),
        "pip.main": gadget("pip", "main", b"]" + text("install") + b"a"),
        "pip's other entry": gadget("pip._internal.cli.main", "main"),
        "timeit": gadget("timeit", "timeit"),
        "pydoc": gadget("pydoc", "pipepager", text(""), text(COMMAND)),
        "pydoc.locate": gadget("pydoc", "locate"),
        "idlelib": gadget("idlelib.pyshell", "ModifiedInterpreter.runcode"),
        "ensurepip": gadget("ensurepip", "_run_pip"),
        "code": gadget("code", "InteractiveInterpreter.runcode"),
        "bdb": gadget("bdb", "Bdb.run"),
        "cProfile": gadget("cProfile", "run"),
        "trace": gadget("trace", "Trace.run"),
        "doctest": gadget("doctest", "debug_script"),
        "asyncio": gadget("asyncio.unix_events", "_UnixSubprocessTransport._start"),
        "lib2to3": gadget("lib2to3.pgen2.grammar", "Grammar.loads"),
        "logging.config": gadget("logging.config", "listen"),
        "ctypes": gadget("ctypes", "CDLL", text("libc.so.6")),
        "importlib": gadget("importlib", "import_module"),
        "runpy": gadget("runpy", "run_path"),
        "sys.modules": Trick(whole(name("sys", "modules")), "sys.modules"),
        "a class of somebody's package": gadget("somebody.models", "Net"),
        "torch's own compiler": gadget("torch._inductor.codecache", "compile_file"),
        "torch's own shell": gadget("torch.utils.collect_env", "run"),
    }


def in_zip(stream: bytes, others: dict[str, bytes] | None = None) -> bytes:
    """The archive that torch writes, with `stream` for its pickle."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/version", b"3\n")
        for path, content in (others or {}).items():
            archive.writestr(path, content)
    return file.getvalue()


def legacy(stream: bytes, behind: bytes = b"", system: bytes = b"") -> bytes:
    """A file of torch before 1.6, with `stream` for its object."""
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    parts = [
        pickle.dumps(0x1950A86A20F9469CFC6C, 2),
        pickle.dumps(1001, 2),
        system or pickle.dumps(facts, 2),
        stream,
        pickle.dumps([], 2),
    ]
    return b"".join(parts) + behind


def files() -> dict[str, tuple[bytes, Trick]]:
    """Files by name: every trick in the form where it works, some in all forms."""
    made: dict[str, tuple[bytes, Trick]] = {}
    for index, (title, trick) in enumerate(tricks().items()):
        zipped = trick._replace(code="") if trick.named else trick
        stays = trick.code != "several-pickles"
        made[f"raw {title}"] = (trick.stream, trick)
        if index % 3 == 0 and stays:
            made[f"zip {title}"] = (in_zip(trick.stream), zipped)
        elif trick.stream.endswith(b".") and stays:
            made[f"legacy {title}"] = (legacy(trick.stream), zipped)
    clean = whole(WEIGHTS)
    named = Trick(INNER, "os.system")
    hidden = Trick(INNER, "os.system", "hidden-pickle")
    made |= {
        "zip another pickle": (in_zip(clean, {"archive/other.pkl": INNER}), hidden),
        "zip a pickle without an ending": (in_zip(clean, {"archive/notes": INNER}), hidden),
        "zip in capital letters": (in_zip(clean, {"archive/DATA.PKL": INNER}), hidden),
        "zip outside the root": (in_zip(clean, {"data.pkl": INNER}), hidden),
        "zip in a zip": (in_zip(clean, {"archive/weights.pt": in_zip(INNER)}), named),
        "zip behind a pickle": (INNER + in_zip(clean), Trick(INNER, "os.system")),
        "zip as a value": (in_zip(clean, {"archive/data/0": INNER}), hidden),
        "legacy bytes behind the end": (legacy(clean, behind=INNER), named),
        "legacy in the facts of the system": (legacy(clean, system=INNER), named),
    }
    return made
