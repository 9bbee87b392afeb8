"""A checkpoint whose every string has what would move the cursor, reorder or hide text."""

from __future__ import annotations

import argparse
import collections
import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

# An escape sequence, a bell, a line break, a right-to-left override, an isolate, a zero-width
# space, a soft hyphen, a line separator, a C1 control, and what HTML would take for a tag.
EVIL = "\x1b[31m\x07\r\n\u202egnp\u2066\u200b\u00ad\u2028\x9b<b>x</b>&amp;"
# What no text on show may have; \n and \t are for the lines that we write ourselves.
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


def evil_value(seed: int = 0) -> dict[str, object]:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    weights = collections.OrderedDict(
        (f"{key}{EVIL}", value) for key, value in model.state_dict().items()
    )
    tied = torch.ones(3)
    return {
        f"{EVIL}model": {**weights, f"a{EVIL}": tied, f"b{EVIL}": tied},
        "state_dict": weights,
        "optimizer": {**optimizer.state_dict(), EVIL: EVIL},
        "epoch": 3,
        f"loss{EVIL}": 0.5,
        "args": argparse.Namespace(**{"lr": 0.1, f"name{EVIL}": EVIL}),
        EVIL: [EVIL, EVIL.encode(), {EVIL: EVIL}, np.float32(1), (EVIL,)],
        EVIL.encode(): 1,
        (EVIL, 1): 2,
    }


def evil_file(folder: Path, seed: int = 0) -> Path:
    """A torch file of this name, which is evil too."""
    path = folder / f"e{seed}{EVIL.replace('/', '')}.pth"
    torch.save(evil_value(seed), path)
    return path


def evil_pickle(folder: Path) -> Path:
    """Names of classes and functions, as no pickler writes them; and it breaks."""
    name = EVIL.encode("utf-8", "surrogatepass")

    def text(data: bytes) -> bytes:
        return b"X" + len(data).to_bytes(4, "little") + data

    stream = b"\x80\x04}" + text(name) + text(b"os" + name) + text(b"sys" + name) + b"\x93"
    stream += text(name) + b"\x85Rs" + text(b"k" + name) + b"U\x02\xff\xfesX\xff\xff\x00\x00"
    path = folder / f"p{EVIL.replace('/', '')}.pkl"
    path.write_bytes(stream)
    return path


def evil_safetensors(folder: Path) -> Path:
    path = folder / "evil.safetensors"
    save_file({f"w{EVIL}": torch.ones(2)}, path, metadata={EVIL: EVIL})
    return path


def evil_script(folder: Path) -> Path:
    """A zip with entries of odd names, and code."""
    path = folder / "script.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"script/code/{EVIL}.py", EVIL)
        archive.writestr(f"../{EVIL}", EVIL)
    return path


def all_files(folder: Path) -> list[Path]:
    return [
        evil_file(folder),
        evil_pickle(folder),
        evil_safetensors(folder),
        evil_script(folder),
    ]
