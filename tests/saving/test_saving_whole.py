"""Whatever happens while a file is written: the old file or the whole new one."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from written import differences, load, run_steps, save

from inspector_app.analysis.save_options import SaveOptions
from inspector_app.analysis.save_plan import plan
from inspector_app.checkpoint import open_checkpoint
from inspector_app.checkpoint.errors import CannotSave, UnreadableFile
from inspector_app.saving import partial_file, read_ahead
from inspector_app.saving.save import best_name, saving
from tests.checkpoint.torch_files import write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    return write({f"{n}.weight": torch.rand(700, 1000) for n in range(6)}, tmp_path / "a.pth")


def partials(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".partial")]


def steps_of(source: Path, target: Path, options: SaveOptions = SaveOptions(), force: bool = False):  # noqa: B008
    return saving(plan([open_checkpoint(source)], target, options), force)


def test_a_closed_generator_leaves_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.pth"
    target.write_bytes(b"old")
    for count in (1, 2, 4):
        steps = steps_of(source, target, force=True)
        for _ in range(count):
            next(steps)
        assert partials(tmp_path)
        steps.close()
        assert not partials(tmp_path)
        assert target.read_bytes() == b"old"


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_kill_at_any_moment_leaves_the_old_or_the_whole_new(
    source: Path, tmp_path: Path, ending: str
) -> None:
    """A real process, killed at random times while it converts again and again."""
    target = tmp_path / f"b{ending}"
    other = write({f"{n}.weight": torch.rand(700, 1000) for n in range(6)}, tmp_path / "c.pth")
    wholes = set()
    for path in (source, other):
        save(path, target, force=True)
        wholes.add(target.read_bytes())
    script = (
        "import sys; from inspector_app.saving.save import saving\n"
        "from inspector_app.analysis.save_plan import plan\n"
        "from inspector_app.analysis.save_options import SaveOptions\n"
        "from inspector_app.checkpoint import open_checkpoint\n"
        "target, sources = sys.argv[1], sys.argv[2:]\n"
        "def write(path):\n"
        "    options = SaveOptions()\n"
        "    for _ in saving(plan([open_checkpoint(path)], target, options), True): pass\n"
        "for path in sources: write(path)\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for path in sources: write(path)\n"
    )
    generator = random.Random(7)
    seen = set()
    killed_within = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(target), str(source), str(other)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(generator.uniform(0, 0.08))
            process.kill()
        assert process.wait() == -signal.SIGKILL
        found = target.read_bytes()
        assert found in wholes
        seen.add(found)
        killed_within += bool(partials(tmp_path))
    assert killed_within
    # The next one for the same place clears up.
    save(source, target, force=True)
    assert not partials(tmp_path)


SHARDING = """
import sys
from inspector_app.saving.save import saving
from inspector_app.analysis.save_plan import plan
from inspector_app.analysis.save_options import SaveOptions
from inspector_app.checkpoint import open_checkpoint
target, sources = sys.argv[1], sys.argv[2:]
def write(path):
    options = SaveOptions(max_shard_bytes=700_000)
    for _ in saving(plan([open_checkpoint(path)], target, options), True): pass
write(sources[0])
print("ready", flush=True)
while True:
    for path in sources: write(path)
"""


def test_killed_shards_are_one_whole_set(tmp_path: Path) -> None:
    sources = [
        write({f"{k}.weight": torch.full((300, 500), 10.0 * n + k) for k in range(6)}, path)
        for n, path in enumerate((tmp_path / "a.pth", tmp_path / "b.pth"))
    ]
    wanted = [load(path) for path in sources]
    target = tmp_path / "m.safetensors"
    index = tmp_path / "m.safetensors.index.json"
    generator = random.Random(3)
    for number in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", SHARDING, str(target), *map(str, sources)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(generator.uniform(0, 0.15))
            process.kill()
        assert process.wait() == -signal.SIGKILL
        whole = open_checkpoint(index)
        assert whole.problems == []
        save(index, tmp_path / f"{number}.pth")
        after = load(tmp_path / f"{number}.pth")
        assert any(differences(each, after) == [] for each in wanted)
    save(sources[0], target, SaveOptions(max_shard_bytes=700_000), force=True)
    assert not partials(tmp_path)


def test_an_existing_file_is_replaced_only_by_force(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "b.pth"
    target.write_bytes(b"old")
    with pytest.raises(CannotSave, match="there is such a file already"):
        save(source, target)
    assert target.read_bytes() == b"old"
    # One that appears while the new one is written stays, too.
    target.unlink()
    steps = steps_of(source, target)
    next(steps)
    target.write_bytes(b"mine")
    with pytest.raises(CannotSave, match="there is such a file already"):
        run_steps(steps)
    assert target.read_bytes() == b"mine"
    assert not partials(tmp_path)


def test_the_source_itself_may_be_replaced(source: Path) -> None:
    before = load(source)
    with pytest.raises(CannotSave, match="there is such a file already"):
        save(source, source)
    save(source, source, SaveOptions(add_prefix="m."), force=True)
    assert differences({f"m.{key}": value for key, value in before.items()}, load(source)) == []


def test_a_link_stays_a_link_and_the_mode_stays(source: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.pth"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link = tmp_path / "link.pth"
    link.symlink_to(real)
    save(source, link, force=True)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert differences(load(source), load(real)) == []
    old = os.umask(0o027)
    try:
        save(source, tmp_path / "new.pth")
    finally:
        os.umask(old)
    assert (tmp_path / "new.pth").stat().st_mode & 0o777 == 0o640


def test_a_source_that_changes_is_noticed(source: Path, tmp_path: Path) -> None:
    made = plan([open_checkpoint(source)], tmp_path / "b.pth", SaveOptions())
    os.utime(source, ns=(1, 1))
    with pytest.raises(UnreadableFile, match="changed after it was opened"):
        run_steps(saving(made))
    steps = steps_of(source, tmp_path / "b.pth")
    next(steps)
    os.utime(source, ns=(2, 2))
    with pytest.raises(UnreadableFile, match="changed after it was opened"):
        run_steps(steps)
    assert sorted(os.listdir(tmp_path)) == ["a.pth"]


def test_a_cut_source_is_a_sentence(source: Path, tmp_path: Path) -> None:
    made = plan([open_checkpoint(source)], tmp_path / "b.pth", SaveOptions())
    steps = saving(made)
    os.truncate(source, source.stat().st_size // 2)
    with pytest.raises(UnreadableFile):
        run_steps(steps)
    assert not (tmp_path / "b.pth").exists()
    assert not partials(tmp_path)


def test_a_full_disk_is_a_sentence(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: usage(10, 9, 1_000_000))
        with pytest.raises(CannotSave, match=r"16\.8 MB are needed, 1\.00 MB are free"):
            save(source, tmp_path / "b.pth")
    # Somebody else fills it meanwhile.
    real = partial_file.PartialFile.write

    def full(self: partial_file.PartialFile, data: bytes) -> None:
        if self.nbytes > 4_000_000:
            error = OSError(errno.ENOSPC, "No space left on device")
            raise self._failure(error)
        real(self, data)

    monkeypatch.setattr(partial_file.PartialFile, "write", full)
    with pytest.raises(CannotSave, match="not enough room on the disk"):
        save(source, tmp_path / "b.pth")
    assert sorted(os.listdir(tmp_path)) == ["a.pth"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_what_cannot_be_written_is_a_sentence(source: Path, tmp_path: Path) -> None:
    for target, sentence in (
        (tmp_path / "nowhere" / "b.pth", "cannot be written: No such file or directory"),
        (tmp_path, "its ending says no form"),
    ):
        with pytest.raises(CannotSave, match=sentence):
            save(source, target)
    folder = tmp_path / "folder.pth"
    folder.mkdir()
    with pytest.raises(CannotSave, match="there is a folder of this name"):
        save(source, folder, force=True)


def test_a_partial_file_of_a_running_process_stays(source: Path, tmp_path: Path) -> None:
    mine = steps_of(source, tmp_path / "b.pth")
    next(mine)
    assert len(partials(tmp_path)) == 1
    save_again = steps_of(source, tmp_path / "b.pth", force=True)
    next(save_again)
    assert len(partials(tmp_path)) == 2
    run_steps(save_again)
    mine.close()
    assert differences(load(source), load(tmp_path / "b.pth")) == []


def test_the_best_lies_beside() -> None:
    assert best_name("/runs/epoch_3.pth") == "/runs/epoch_3_best.pth"


@pytest.mark.parametrize("obstacle", ["no such call", "other file systems"])
def test_where_the_kernel_copies_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, obstacle: str
) -> None:
    save(source, tmp_path / "b.pth")

    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    if obstacle == "no such call":
        monkeypatch.setattr(read_ahead, "CAN_COPY", False)
    else:
        monkeypatch.setattr(os, "copy_file_range", refuse)
    save(source, tmp_path / "c.pth")
    assert (tmp_path / "c.pth").read_bytes() == (tmp_path / "b.pth").read_bytes()
