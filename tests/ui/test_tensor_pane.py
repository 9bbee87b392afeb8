"""The tensor pane: values, picture, kernels, histogram and channels of files by torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from inspector_app.checkpoint import open_checkpoint
from inspector_app.ui import theme
from inspector_app.ui.kernel_grid import Mosaic, has_kernels
from inspector_app.ui.tensor_pane import (
    CHANNELS,
    DETAILS,
    HISTOGRAM,
    KERNELS,
    PICTURE,
    VALUES,
    TensorPane,
)
from inspector_app.ui.value_window import KEPT_BLOCKS

MATRIX = torch.arange(300 * 200).reshape(300, 200).float() - 30_000
CONV = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(4))
CONV[3] = 0


@pytest.fixture
def shown(qtbot, tmp_path):
    """Shows one tensor in a pane, on one of its pages."""
    panes = []

    def show(tensor: torch.Tensor, page: int) -> TensorPane:
        path = tmp_path / f"{len(panes)}.pth"
        torch.save({"t": tensor}, path)
        checkpoint = open_checkpoint(str(path))
        pane = TensorPane()
        panes.append(pane)
        qtbot.addWidget(pane)
        pane.resize(520, 460)
        pane.set_checkpoint(checkpoint)
        pane.tabs.setCurrentIndex(page)
        pane.show()
        with qtbot.waitSignal(pane.settled, timeout=20_000):
            pane.show_node(checkpoint.tensors[0])
        return pane

    yield show
    for pane in panes:
        pane.stop()
        pane.close()


def cell(qtbot, pane: TensorPane, row: int, column: int) -> str:
    """The text of a cell, once it was read."""
    model = pane.page(VALUES).values
    index = model.index(row, column)
    qtbot.waitUntil(lambda: model.data(index) != "…", timeout=10_000)
    return model.data(index)


def choose(qtbot, pane: TensorPane, text: str) -> None:
    field = pane.slice_field._field
    field.clear()
    QTest.keyClicks(field, text)
    if not pane.slice_field.error():
        expected = pane.slice_field.plane
        qtbot.waitUntil(lambda: pane.page(VALUES).values.source.plane == expected)


def test_values_are_those_of_the_tensor(qtbot, shown):
    pane = shown(MATRIX, VALUES)
    model = pane.page(VALUES).values
    assert (model.rowCount(), model.columnCount()) == (300, 200)
    assert float(cell(qtbot, pane, 0, 0)) == -30_000
    assert float(cell(qtbot, pane, 299, 199)) == 29_999
    assert model.headerData(299, Qt.Orientation.Vertical) == "299"
    assert model.place_text(299, 199) == "[299, 199]"


def test_a_slice_shows_its_part(qtbot, shown):
    pane = shown(CONV, VALUES)
    choose(qtbot, pane, "[1, :, 4, ::-2]")
    model = pane.page(VALUES).values
    assert (model.rowCount(), model.columnCount()) == (3, 3)
    assert cell(qtbot, pane, 2, 1) == f"{CONV[1, 2, 4, 2].item():.5g}"
    assert model.headerData(0, Qt.Orientation.Horizontal) == "4"
    assert model.place_text(2, 1) == "[1, 2, 4, 2]"


def test_a_wrong_slice_is_told_and_changes_nothing(qtbot, shown):
    pane = shown(CONV, VALUES)
    before = pane.page(VALUES).values.source
    choose(qtbot, pane, "[9, :]")
    assert pane.slice_field.error() == (
        "Index 9 is out of range for dimension 0, which has 8 entries."
    )
    assert pane.page(VALUES).values.source is before
    choose(qtbot, pane, "[7]")
    assert pane.slice_field.error() == ""


def test_sliders_choose_outer_dimensions(qtbot, shown):
    pane = shown(CONV, VALUES)
    spins = [spin for _, spin, _ in pane.slice_field._sliders if not spin.isHidden()]
    assert [spin.maximum() for spin in spins] == [7, 2]
    spins[0].setValue(6)
    spins[1].setValue(1)
    qtbot.waitUntil(lambda: pane.page(VALUES).values.place_text(2, 3) == "[6, 1, 2, 3]")
    assert cell(qtbot, pane, 2, 3) == f"{CONV[6, 1, 2, 3].item():.5g}"


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (torch.tensor(2.5), "2.5"),
        (torch.tensor([7, -3]), "7"),
        (torch.tensor([True]), "True"),
        (torch.tensor([torch.nan]), "nan"),
        (torch.tensor([1.5]).to(torch.bfloat16), "1.5"),
        (torch.tensor([0.5]).to(torch.float8_e4m3fn), "0.5"),
        (torch.tensor([1 + 2j]), "1+2j"),
        (torch.tensor([2**62 + 1]), str(2**62 + 1)),
    ],
    ids=str,
)
def test_any_dtype_and_rank(qtbot, shown, tensor, text):
    assert cell(qtbot, shown(tensor, VALUES), 0, 0) == text


def test_only_blocks_in_sight_are_kept(qtbot, shown):
    pane = shown(torch.zeros(40_000, 64), VALUES)
    window = pane.page(VALUES).values.window
    for row in range(0, 40_000, 1000):
        cell(qtbot, pane, row, 0)
    assert len(window._blocks) <= KEPT_BLOCKS
    assert sum(len(block) * len(block[0]) for block in window._blocks.values()) < 100_000


def test_a_huge_matrix_scrolls_without_being_read(qtbot, tmp_path, shown):
    # 100,000 × 50,000 of one storage's values, which torch keeps as an expanded view.
    pane = shown(torch.arange(50_000.0).expand(100_000, 50_000), VALUES)
    grid = pane.page(VALUES)
    assert (grid.model().rowCount(), grid.model().columnCount()) == (100_000, 50_000)
    grid.scrollTo(grid.model().index(99_999, 49_999))
    assert cell(qtbot, pane, 99_999, 49_999) == "49999"


def test_copying_what_is_selected(qtbot, shown):
    pane = shown(MATRIX / 3, VALUES)
    grid = pane.page(VALUES)
    model = grid.model()
    grid.selectionModel().select(
        QItemSelection(model.index(1, 2), model.index(2, 3)),
        QItemSelectionModel.SelectionFlag.ClearAndSelect,
    )
    QGuiApplication.clipboard().clear()
    with qtbot.waitSignal(pane.message) as said:
        QTest.keyClick(grid, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert said.args == ["4 values copied"]
    copied = [line.split("\t") for line in QGuiApplication.clipboard().text().split("\n")]
    np.testing.assert_array_equal(np.array(copied, np.float32), (MATRIX / 3)[1:3, 2:4].numpy())


def test_too_much_is_not_copied(qtbot, shown):
    pane = shown(torch.zeros(1).expand(2000, 2000), VALUES)
    grid = pane.page(VALUES)
    grid.selectAll()
    with qtbot.waitSignal(pane.message) as said:
        grid.copy()
    assert "too many" in said.args[0]


def test_quantized_values_and_their_integers(qtbot, shown, recwarn):
    values = torch.quantize_per_tensor(torch.tensor([0.5, -1.0]), 0.25, 3, torch.qint8)
    pane = shown(values, VALUES)
    recwarn.clear()  # torch deprecates what files still have
    assert not pane.raw.isHidden()
    assert [cell(qtbot, pane, row, 0) for row in (0, 1)] == ["0.5", "-1"]
    pane.raw.click()
    qtbot.waitUntil(lambda: pane.page(VALUES).values.source.raw)
    assert [cell(qtbot, pane, row, 0) for row in (0, 1)] == ["5", "-1"]


def test_the_picture_tells_values_and_places(qtbot, shown):
    pane = shown(MATRIX, PICTURE)
    view = pane.page(PICTURE)
    assert view._whole.done == 1
    np.testing.assert_array_equal(view._whole.values, MATRIX.numpy())
    view.point_at(17.5, 3.2)
    assert view.readout() == "[17, 3]: -26597"
    QTest.keyClick(view.frame.plot, Qt.Key.Key_Down)
    assert view.readout() == "[18, 3]: -26397"


def test_a_large_picture_is_made_of_cells_and_refined_by_zooming(qtbot, shown):
    tensor = torch.zeros(2000, 3000)
    tensor[1234, 2345] = -7
    pane = shown(tensor, PICTURE)
    view = pane.page(PICTURE)
    view.point_at(1234, 2345)
    assert view.readout() == "[1230…1234, 2345…2349]: greatest magnitude -7"
    view.frame.plot.getViewBox().setRange(xRange=(2300, 2400), yRange=(1200, 1300), padding=0)
    qtbot.waitUntil(lambda: view._detail is not None, timeout=10_000)
    assert view.readout() == "[1234, 2345]: -7"


def test_one_dimension_is_a_line(qtbot, shown):
    pane = shown(torch.linspace(-1, 1, 50_000), PICTURE)
    view = pane.page(PICTURE)
    least, most = view._whole.least[0], view._whole.most[0]
    low, high = view.frame.plot.getViewBox().viewRange()[1]
    assert -1.2 < low < -1
    assert 1 < high < 1.2
    assert least[0] == -1
    assert most[-1] == 1
    assert (least <= most).all()
    view.point_at(0, 0)
    assert view.readout().startswith("[0…32]: from -1 to ")


def test_nan_has_a_colour_of_its_own(qtbot, shown):
    tensor = torch.ones(4, 4)
    tensor[2, 1] = torch.nan
    pane = shown(tensor, PICTURE)
    view = pane.page(PICTURE)
    image = view._items["whole"].image
    others = {tuple(image[i, j]) for i in range(4) for j in range(4) if (i, j) != (2, 1)}
    assert tuple(image[2, 1]) not in others
    assert "pink NaN or Inf (1)" in view._scale.text()


@pytest.mark.parametrize("shape", [(0, 4), (4, 0, 3), (0,)])
@pytest.mark.parametrize("page", [VALUES, PICTURE, HISTOGRAM, CHANNELS])
def test_empty_tensors(qtbot, tmp_path, shape, page):
    path = tmp_path / "empty.pth"
    torch.save({"t": torch.zeros(shape)}, path)
    pane = TensorPane()
    qtbot.addWidget(pane)
    checkpoint = open_checkpoint(str(path))
    pane.set_checkpoint(checkpoint)
    pane.tabs.setCurrentIndex(page)
    pane.show_node(checkpoint.tensors[0])
    qtbot.waitUntil(lambda: pane._presented is not None)
    qtbot.wait(100)
    assert pane.status() == ""
    pane.stop()


def test_kernels_lie_side_by_side(qtbot, shown):
    pane = shown(CONV, KERNELS)
    grid = pane.page(KERNELS)
    height, width = grid._mosaic().size
    places = [grid._mosaic().place(row, column) for row in range(height) for column in range(width)]
    assert sorted(place for place in places if place) == sorted(np.ndindex(*CONV.shape))
    row, column = divmod(places.index((2, 1, 4, 3)), width)
    grid.point_at(row + 0.5, column + 0.5)
    assert grid.readout() == f"[2, 1, 4, 3]: {CONV[2, 1, 4, 3].item():.7g}"
    grid._rgb.click()
    places = {grid._mosaic().place(row, column) for row in range(50) for column in range(50)}
    assert len(places - {None}) == 8 * 5 * 5
    assert grid._image.image.shape[:2] == grid._mosaic().size


def test_the_gaps_of_a_mosaic_are_no_values():
    mosaic = Mosaic(np.ones((5, 1, 2, 2)))
    assert mosaic.size == (5, 8)
    assert mosaic.place(2, 0) is None
    assert mosaic.place(3, 3) == (4, 0, 0, 0)
    assert mosaic.place(4, 7) is None
    assert mosaic.picture(1.0).shape == (5, 8, 4)
    assert not mosaic.picture(1.0)[2].any()


@pytest.mark.parametrize(
    ("shape", "kernels"),
    [((8, 3, 3, 3), True), ((8, 3, 1, 1), False), ((8, 3), False), ((2, 2, 100, 100), False)],
)
def test_which_tensors_have_kernels(shape, kernels):
    assert has_kernels(shape) is kernels


def test_the_histogram_and_its_figures(qtbot, shown):
    tensor = torch.cat([torch.zeros(25), torch.full((74,), 2.0), torch.tensor([torch.nan])])
    pane = shown(tensor, HISTOGRAM)
    view = pane.page(HISTOGRAM)
    figures = view.figures()
    assert figures["Maximum"] == "2"
    assert figures["Zeros"] == "25 (25.00%)"
    assert figures["NaN"] == "1 (1.00%)"
    assert figures["Median"] == "2"
    assert view.words() == "Zeros: 25.00% · NaN: 1"
    view._logarithmic.click()
    view._quantiles.click()
    # The bars, the zeros' part of one, and the line at 0.
    assert len(view._items) == 3
    assert not view._swatch.isHidden()


@pytest.mark.parametrize(
    "tensor",
    [torch.full((9,), 3.0), torch.full((9,), torch.nan), torch.tensor([-3e38, 3e38]),
     torch.tensor([-1.7e308, 1.7e308], dtype=torch.float64), torch.tensor([1e-45, 2e-45])],
)  # fmt: skip
def test_odd_distributions(qtbot, shown, tensor):
    pane = shown(tensor, HISTOGRAM)
    assert pane.page(HISTOGRAM).figures()["Finite"] == str(int(tensor.isfinite().sum()))
    pane.grab()


def test_dead_channels_are_marked(qtbot, shown):
    pane = shown(CONV, CHANNELS)
    view = pane.page(CHANNELS)
    assert view.norms.dead.tolist() == [3]
    assert "1 dead" in view.words()
    assert view._items["dead"].getData()[0].tolist() == [3]
    with qtbot.waitSignal(pane.settled):
        view._axis.setCurrentIndex(1)
    assert len(view.norms.norms) == 3


def test_saving_the_tensor(qtbot, shown, tmp_path):
    pane = shown(CONV, VALUES)
    path = tmp_path / "out.npy"
    with qtbot.waitSignal(pane.message, timeout=10_000):
        pane.save_npy(str(path))
    np.testing.assert_array_equal(np.load(path), CONV.numpy())
    pane.save_npy(str(tmp_path / "none" / "out.npy"))
    qtbot.waitUntil(lambda: "not saved" in pane.status(), timeout=10_000)


@pytest.mark.parametrize("page", [PICTURE, KERNELS, HISTOGRAM, CHANNELS])
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_saving_a_picture(qtbot, shown, tmp_path, page, ending):
    pane = shown(CONV, page)
    folder = tmp_path / "pictures"
    folder.mkdir()
    path = folder / f"picture.{ending}"
    pane.save_picture(str(path))
    head = path.read_bytes()[:200]
    assert head.startswith(b"\x89PNG") if ending == "png" else b"<svg" in path.read_bytes()
    assert [each.name for each in folder.iterdir()] == [path.name]
    pane.save_picture(str(tmp_path / "none" / f"picture.{ending}"))
    assert "not saved" in pane.status()


def test_what_has_no_values_says_why(qtbot, shown):
    pane = shown(torch.zeros(3, device="meta"), VALUES)
    assert "meta device" in pane.status()
    pane.tabs.setCurrentIndex(DETAILS)
    assert pane.details.facts()["Device"] == "meta"


def test_a_file_that_is_cut_meanwhile_is_told(qtbot, shown, tmp_path):
    pane = shown(MATRIX, VALUES)
    cell(qtbot, pane, 0, 0)
    path = Path(pane._checkpoint.path)
    with path.open("r+b") as file:
        file.truncate(2_000)
    pane.page(VALUES).values.window.value(299, 199)
    qtbot.waitUntil(lambda: pane.status() != "", timeout=10_000)
    assert "changed" in pane.status()


def test_tabs_are_there_for_tensors_only(qtbot, sample, opened):
    tab = opened(sample)
    pane = tab.side.tensor
    tab.tree.select_path(("epoch",))
    assert not pane.tabs.isVisible()
    tab.tree.select_path(("model_state_dict", "features.4.weight"))
    assert pane.tabs.isVisible()
    assert pane.tabs.isTabVisible(KERNELS)
    with qtbot.waitSignal(pane.settled, timeout=20_000):
        pane.tabs.setCurrentIndex(PICTURE)
    tab.tree.select_path(("epoch",))
    assert pane.current() == DETAILS
    with qtbot.waitSignal(pane.settled, timeout=20_000):
        tab.tree.select_path(("model_state_dict", "classifier.1.weight"))
    assert pane.current() == PICTURE
    assert not pane.tabs.isTabVisible(KERNELS)
    tab.read()
    qtbot.waitUntil(tab.is_settled, timeout=10_000)


@pytest.mark.parametrize("page", [VALUES, PICTURE, KERNELS, HISTOGRAM, CHANNELS])
def test_every_page_follows_the_appearance(qtbot, shown, page):
    pane = shown(CONV, page)
    try:
        pictures = []
        for appearance in (theme.LIGHT, theme.DARK):
            theme.apply(appearance)
            qtbot.wait(20)
            image = pane.grab().toImage()
            pictures.append(image.pixelColor(image.width() // 2, image.height() - 5).lightness())
        assert pictures[0] > 150
        assert pictures[1] < 100
    finally:
        theme.apply(theme.SYSTEM)


def test_opening_a_file_imports_nothing_for_its_values(tmp_path):
    path = tmp_path / "state_dict.pth"
    torch.save({"weight": MATRIX}, path)
    script = """
import sys
from PySide6.QtTest import QTest
from inspector_app.ui import windows
from inspector_app.ui.settings import Settings
application = windows.application()
window = windows.MainWindow(Settings(remember=False))
(tab,) = window.open_paths(sys.argv[1:])
window.show()
while not tab.is_settled() or tab.node is None:
    QTest.qWait(10)
QTest.qWait(200)
assert tab.node.key == "weight"
assert not {"numpy", "pyqtgraph", "numba"} & set(sys.modules)
window.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
