"""The pane of the selected pair: histograms, difference, scatter, elements."""

from __future__ import annotations

import pytest
import torch
from pair_files import changed, layers, save

from inspector_app.ui.pair_pane import DETAILS, DIFFERENCE, ELEMENTS, HISTOGRAMS, SCATTER


@pytest.fixture
def shown(qtbot, compared, tmp_path):
    """Shows a page of a pair, by its key, and waits for it."""
    model = layers()
    other = changed(model)
    other["layers.0.weight"][2, 3] = float("nan")
    model["zero"], other["zero"] = torch.tensor([0.0, 1.0]), torch.tensor([-0.0, 1.0])
    a, b = save(tmp_path, "a.pth", model), save(tmp_path, "b.pth", other)
    tab = compared(a, b)
    pairs = {pair.key: pair for pair in tab.comparison.pairs}
    pane = tab.body.side.pair

    def show(key: str, number: int):
        tab.tree.select_pair(pairs[key])
        with qtbot.waitSignal(pane.settled, timeout=30_000):
            pane.tabs.setCurrentIndex(number)
        return pane.page(number)

    show.pane, show.tab, show.pairs = pane, tab, pairs
    return show


def test_histograms_have_common_edges(shown):
    page = shown("layers.4.weight", HISTOGRAMS)
    found = page._shown
    assert found.a.sum() == found.b.sum() == 48
    assert len(page._items) == 2
    assert page.words() == ""
    page = shown("layers.0.weight", HISTOGRAMS)
    assert page.words() == "B: 1 NaN or Inf"
    page._logarithmic.setChecked(True)


def test_the_difference_is_a_picture(shown):
    page = shown("layers.1.weight", DIFFERENCE)
    page.point_at(0, 0)
    assert page.readout() == "[0, 0]: 0.25"
    page.point_at(1, 1)
    assert page.readout() == "[1, 1]: 0"


def test_the_scatter_has_a_point_for_each_element(shown):
    page = shown("layers.4.weight", SCATTER)
    assert page.words() == "48 elements"
    assert page._shown.b == pytest.approx(3 * page._shown.a)
    page = shown("layers.0.weight", SCATTER)
    assert page.words() == "48 elements; 1 with NaN or Inf are not drawn"


def test_the_elements_that_differ_are_listed(shown):
    page = shown("layers.1.weight", ELEMENTS)
    ((place, a, b, apart),) = page.texts()
    assert place == "[0, 0]"
    assert float(apart) == pytest.approx(0.25)
    assert float(b) - float(a) == pytest.approx(0.25, abs=1e-3)
    assert page.words() == "The one element that differs"
    page = shown("layers.4.weight", ELEMENTS)
    assert len(page.texts()) == 48
    page = shown("zero", ELEMENTS)
    assert page.texts() == [("[0]", "0", "-0", "-0")]


def test_pages_are_offered_where_they_make_sense(shown):
    pane, tab = shown.pane, shown.tab
    tab.tree.select_pair(shown.pairs["head.weight"])
    assert [pane.tabs.isTabVisible(number) for number in (DIFFERENCE, SCATTER, ELEMENTS)] == [
        False
    ] * 3
    assert pane.tabs.isTabVisible(HISTOGRAMS)
    tab.tree.select_pair(shown.pairs["layers.3.bias"])
    assert not pane.tabs.isVisible()
    assert pane.current() == DETAILS


def test_other_shapes_have_histograms_too(shown):
    page = shown("head.weight", HISTOGRAMS)
    assert (page._shown.a.sum(), page._shown.b.sum()) == (32, 40)


def test_a_file_that_was_cut_is_told(qtbot, shown, tmp_path):
    path = tmp_path / "b.pth"
    data = path.read_bytes()
    shown.tab._watch.stop()
    path.write_bytes(data[: len(data) // 8])
    shown.tab.tree.select_pair(shown.pairs["layers.4.weight"])
    with qtbot.waitSignal(shown.pane.settled, timeout=30_000):
        shown.pane.tabs.setCurrentIndex(HISTOGRAMS)
    assert shown.pane.trouble()


def test_swapping_lets_go_of_the_files(qtbot, shown):
    from comparison_waiting import wait_for_comparison

    shown("layers.4.weight", HISTOGRAMS)
    shown.tab.swap_sides()
    wait_for_comparison(qtbot, shown.tab)
    assert shown.pane._readers is None
