from __future__ import annotations

import gc

import pytest

from inspector_app.checkpoint.model import Checkpoint, Kind, Node
from inspector_app.ui import collector
from inspector_app.ui.collector import Collector, taking_apart


@pytest.fixture
def quiet(qtbot):
    """The collector of the window; automatic collection comes back afterwards."""
    made = Collector()
    yield made
    made.deleteLater()
    gc.unfreeze()
    gc.enable()


class Marked(Node):
    """Can be told apart from other tests' nodes."""

    __slots__ = ("__weakref__",)


def tree(count: int) -> Checkpoint:
    root = Marked("", Kind.MAPPING)
    root.children = [Marked(str(number), Kind.MAPPING, parent=root) for number in range(count)]
    for child in root.children:
        child.children = [Marked("leaf", Kind.SCALAR, parent=child)]
    return Checkpoint("x", "pickle", 0, root)


def alive() -> int:
    return sum(type(thing) is Marked for thing in gc.get_objects())


def test_taking_apart_frees_every_node_without_the_collector(quiet):
    checkpoint = tree(1_000)
    assert alive() == 2_001
    steps = list(taking_apart(checkpoint))
    assert len(steps) > 5
    del checkpoint
    assert alive() == 0


def test_a_loaded_file_is_set_aside(quiet):
    checkpoint = tree(1_000)
    before = gc.get_freeze_count()
    quiet.settle()
    assert gc.get_freeze_count() > before + 2_000
    assert not gc.isenabled()
    list(taking_apart(checkpoint))


def test_idle_collection_finds_cycles(quiet, monkeypatch):
    monkeypatch.setattr(collector, "WORTH_COLLECTING", 10)
    gc.collect()
    for _ in range(200):
        cycle = Marked("cycle", Kind.MAPPING)
        cycle.children = [Marked("inner", Kind.MAPPING, parent=cycle)]
    del cycle
    assert alive() == 400
    quiet._collect()
    assert alive() == 0


def test_too_many_objects_are_set_aside_rather_than_walked(quiet, monkeypatch):
    monkeypatch.setattr(collector, "TOO_MANY_TO_WALK", 3_000)
    checkpoint = tree(5_000)
    before = gc.get_freeze_count()
    quiet._collect()
    assert gc.get_freeze_count() > before + 10_000
    list(taking_apart(checkpoint))
