"""The overview: its charts, its list, and where clicks in them lead."""

from __future__ import annotations

import gc
import math

import pytest
import torch
from PySide6.QtCore import QPoint, Qt

from inspector_app.analysis.figures import Figures
from inspector_app.analysis.module_sizes import Layer
from inspector_app.analysis.suspicious import Reason, Suspicion
from inspector_app.checkpoint.model import Node, TensorInfo
from inspector_app.ui.bar_chart import Bar, BarChart
from inspector_app.ui.depth_chart import DepthChart, Point
from inspector_app.ui.layer_norms import MOST_POINTS, LayerNorms
from inspector_app.ui.overview_page import BYTES, MOST_BARS
from inspector_app.ui.side_pages import OVERVIEW
from inspector_app.ui.suspicious_list import MOST_LISTED, SuspiciousList

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def model_file(tmp_path):
    """A model of three layers with a NaN, a constant, a copy by checksum; an optimizer."""
    torch.manual_seed(0)
    state = {"embed.weight": torch.randn(64, 32).bfloat16()}
    for layer in range(3):
        state[f"layers.{layer}.up.weight"] = torch.randn(64, 32) * 10**layer
        state[f"layers.{layer}.norm.weight"] = torch.rand(32)
    state["layers.1.up.weight"][2, 3] = math.nan
    state["layers.0.norm.weight"][:] = 2.5
    state["layers.2.norm.weight"][:] = 1
    state["copy.weight"] = state["layers.0.up.weight"].clone()
    moments = {0: {"exp_avg": torch.full((64, 32), 5e4)}}
    checkpoint = {"model": state, "optimizer": {"state": moments, "param_groups": []}}
    torch.save(checkpoint, tmp_path / "model.pth")
    return tmp_path / "model.pth"


def overview(qtbot, tab):
    tab.side.pages.bar.setCurrentIndex(OVERVIEW)
    page = tab.side.pages.overview
    qtbot.waitUntil(page.is_settled)
    return page


def selected(qtbot, tab, name: str) -> None:
    qtbot.waitUntil(lambda: name_of(tab) == name)


def name_of(tab) -> str:
    row = tab.tree.view.current_row()
    return tab.tree._model.rows.name(row) if row >= 0 else ""


def compute(qtbot, tab) -> None:
    tab.compute_statistics()
    qtbot.waitUntil(lambda: tab.statistics.is_complete and not tab.statistics.is_running)


def test_sizes_need_no_statistics(qtbot, opened, model_file):
    page = overview(qtbot, opened(model_file))
    bars = {bar.name: bar.figure.split()[0] for bar in page.modules.bars() if not bar.level}
    assert bars == {
        "layers": "6,240",
        "embed": "2,048",
        "copy": "2,048",
        "optimizer": "2,048",
    }
    assert [bar.name for bar in page.dtypes.bars()] == ["float32", "bfloat16"]
    page.measure.setCurrentIndex(BYTES)
    assert page.modules.bars()[0].figure.startswith("25.0 kB")
    assert page.dtypes.bars()[1].figure.startswith("4.10 kB")
    assert not page.depth.isVisible()
    assert page.compute_button.isVisible()


def test_duplicates_are_listed_by_checksum_before_anything_is_read(qtbot, opened, model_file):
    page = overview(qtbot, opened(model_file))
    assert page.suspicious.texts() == [
        "model/layers.0.up.weight: same bytes as model/copy.weight (by checksum)"
    ]


def test_statistics_bring_norms_and_suspicions(qtbot, opened, model_file):
    tab = opened(model_file)
    page = overview(qtbot, tab)
    page.compute_button.click()
    qtbot.waitUntil(lambda: tab.statistics.is_complete and not tab.statistics.is_running)
    qtbot.waitUntil(lambda: len(page.suspicious) == 3)
    texts = page.suspicious.texts()
    assert texts[0] == "model/layers.1.up.weight: 1 NaN"
    assert texts[1] == "model/layers.0.norm.weight: every value is 2.5"
    assert texts[2].endswith("same bytes as model/copy.weight (by checksum)")
    # A norm's scale begins as 1, and an optimizer's constant says nothing about the model.
    assert page._fresh.isVisible()
    assert page._fresh.text().startswith("Not listed: 1 with initial values")
    qtbot.waitUntil(page.depth.isVisible)
    points = {point.name: point for point in page.depth.points()}
    assert list(points) == ["embed", "layers.0", "layers.1", "layers.2", "copy"]
    state = torch.load(model_file)["model"]
    parts = [state["layers.2.up.weight"], state["layers.2.norm.weight"]]
    norm = torch.cat([part.double().flatten() for part in parts]).norm().item()
    assert points["layers.2"].value == pytest.approx(norm)
    assert points["layers.1"].broken
    assert not page.compute_button.isVisible()
    page.grab()  # paints it all


def test_an_overview_that_comes_late_shows_what_is_known(qtbot, opened, model_file):
    tab = opened(model_file)
    compute(qtbot, tab)
    page = overview(qtbot, tab)
    qtbot.waitUntil(lambda: len(page.suspicious) == 3)
    qtbot.waitUntil(page.depth.isVisible)
    assert all(point.value is not None for point in page.depth.points())


def test_a_reload_forgets_what_was_found(qtbot, opened, model_file):
    tab = opened(model_file)
    page = overview(qtbot, tab)
    compute(qtbot, tab)
    qtbot.waitUntil(lambda: len(page.suspicious) == 3)
    tab.read()
    qtbot.waitUntil(tab.is_settled)
    qtbot.waitUntil(page.is_settled)
    qtbot.waitUntil(lambda: len(page.suspicious) == 1)
    qtbot.waitUntil(lambda: not page.depth.isVisible())
    assert all(point.value is None for point in page.depth.points())


def test_a_file_without_trouble_says_so(qtbot, opened, tmp_path):
    torch.save({"w": torch.randn(8, 8)}, tmp_path / "x.pth")
    tab = opened(tmp_path / "x.pth")
    page = overview(qtbot, tab)
    compute(qtbot, tab)
    qtbot.waitUntil(lambda: page._nothing.text().startswith("✓"))
    assert not page.suspicious.isVisible()


def test_a_click_on_a_bar_selects_the_group(qtbot, opened, model_file):
    tab = opened(model_file)
    page = overview(qtbot, tab)
    names = [bar.name for bar in page.modules.bars()]
    where = page.modules.row_rect(names.index("embed")).center()
    qtbot.mouseClick(page.modules, LEFT, pos=where)
    selected(qtbot, tab, "model/embed.weight")
    where = page.modules.row_rect(names.index("optimizer")).center()
    qtbot.mouseClick(page.modules, LEFT, pos=where)
    # The innermost row that has them all: here the optimizer has one tensor.
    selected(qtbot, tab, "optimizer/state/0/exp_avg")
    where = page.modules.row_rect(names.index("layers")).center()
    qtbot.mouseClick(page.modules, LEFT, pos=where)
    qtbot.waitUntil(lambda: "layers" in name_of(tab))
    rows = tab.tree._model.rows
    assert rows.totals[tab.tree.view.current_row()].tensors == 6


def test_layers_show_what_they_are_made_of(qtbot, opened, tmp_path):
    state = {"embed.weight": torch.ones(10, 4)}
    for layer in range(3):
        state[f"layers.{layer}.attn.q.weight"] = torch.ones(8, 4)
        state[f"layers.{layer}.mlp.up.weight"] = torch.ones(16, 4)
        state[f"layers.{layer}.norm.weight"] = torch.ones(4)
    torch.save(state, tmp_path / "x.pth")
    tab = opened(tmp_path / "x.pth")
    page = overview(qtbot, tab)
    bars = [(bar.name, bar.figure, bar.level) for bar in page.modules.bars()]
    assert bars == [
        ("layers", "300", 0),
        ("mlp", "192", 1),
        ("attn", "96", 1),
        ("norm", "12", 1),
        ("embed", "40", 0),
    ]
    page.grab()
    qtbot.mouseClick(page.modules, LEFT, pos=page.modules.row_rect(2).center())
    assert tab.tree.search_field.text() == "layers.*.attn.*"
    qtbot.mouseClick(page.modules, LEFT, pos=page.modules.row_rect(4).center())
    selected(qtbot, tab, "embed.weight")


def test_a_click_on_a_dtype_searches_for_it(qtbot, opened, model_file):
    tab = opened(model_file)
    page = overview(qtbot, tab)
    qtbot.mouseClick(page.dtypes, LEFT, pos=page.dtypes.row_rect(1).center())
    assert tab.tree.search_field.text() == "dtype:bfloat16"


def test_layers_and_suspicions_lead_to_their_rows(qtbot, opened, model_file):
    tab = opened(model_file)
    page = overview(qtbot, tab)
    compute(qtbot, tab)
    qtbot.waitUntil(lambda: len(page.suspicious) == 3)
    qtbot.waitUntil(page.depth.isVisible)
    page.ensureWidgetVisible(page.depth)
    qtbot.mouseClick(page.depth, LEFT, pos=page.depth.place_of(4).toPoint())
    selected(qtbot, tab, "model/copy.weight")
    first = page.suspicious.model().index(0, 0)
    qtbot.mouseClick(
        page.suspicious.viewport(), LEFT, pos=page.suspicious.visualRect(first).center()
    )
    selected(qtbot, tab, "model/layers.1.up.weight")


def test_the_keyboard_does_what_the_mouse_does(qtbot):
    chart = BarChart("Sizes")
    qtbot.addWidget(chart)
    chart.set_bars([Bar("a", 1.0, "10"), Bar("b", 0.5, "5", "five")])
    chosen = []
    chart.chosen.connect(chosen.append)
    chart.setFocus()
    for key in (Qt.Key.Key_End, Qt.Key.Key_Return, Qt.Key.Key_Up, Qt.Key.Key_Space):
        qtbot.keyClick(chart, key)
    assert chosen == [1, 0]
    qtbot.keyClick(chart, Qt.Key.Key_Down)
    assert chart.accessibleDescription() == "b: five"
    points = DepthChart("Norms")
    qtbot.addWidget(points)
    points.set_points([Point("x", 1.0), Point("y", None), Point("z", 3.0, True)])
    points.chosen.connect(chosen.append)
    for key in (Qt.Key.Key_Right, Qt.Key.Key_End, Qt.Key.Key_Left, Qt.Key.Key_Return):
        qtbot.keyClick(points, key)
    assert chosen[-1] == 1
    assert points.accessibleDescription() == "y: not known yet"


def test_charts_of_nothing_and_of_extremes_are_painted(qtbot):
    chart = BarChart("Sizes")
    qtbot.addWidget(chart)
    chart.grab()
    qtbot.mouseClick(chart, LEFT, pos=QPoint(5, 5))
    chart.set_bars([Bar("\u202e<b>x", 0.0, "0"), Bar("y" * 5_000, 1e300, "9")])
    chart.grab()
    assert "\u202e" not in chart.accessibleDescription()
    points = DepthChart("Norms")
    qtbot.addWidget(points)
    points.grab()
    values = [0.0, math.inf, math.nan, None, 1e-300, 1e300, 5.0]
    points.set_points([Point(str(value), value) for value in values])
    points.grab()
    points.set_points([Point("one", 5.0)])
    points.grab()


def test_a_depth_chart_of_other_figures(qtbot):
    points = DepthChart("Relative change", figure=lambda value: f"{value:.1%}")
    qtbot.addWidget(points)
    points.set_points(
        [Point("a", 0.0), Point("b", 0.002), Point("c", 0.2, True, "20 %, and its shape differs")]
    )
    # What did not change stands on the axis, and the least change visibly above it.
    unchanged, least, most = (points.place_of(place).y() for place in range(3))
    assert unchanged > least + 8
    assert least > most
    qtbot.keyClick(points, Qt.Key.Key_Home)
    qtbot.keyClick(points, Qt.Key.Key_Right)
    assert points.accessibleDescription() == "b: 0.2%"
    qtbot.keyClick(points, Qt.Key.Key_End)
    assert points.accessibleDescription() == "c: 20 %, and its shape differs"
    points.grab()


def tensors(count: int) -> list[TensorInfo]:
    return [TensorInfo(f"l{n}.w", "float32", (2,), (1,), None, 0) for n in range(count)]


def figures(l2: float, nans: int = 0) -> Figures:
    return Figures(2, nans, 0, 0, 0.0, 1.0, 0.5, 0.5, l2)


def test_of_more_layers_than_fit_the_worst_are_shown():
    made = tensors(3 * MOST_POINTS)
    norms = LayerNorms([Layer(tensor.key, [tensor]) for tensor in made])
    for number, tensor in enumerate(made):
        norms.add(tensor, figures(float(number), nans=int(number == 4)))
    points, numbers = norms.points()
    assert len(points) == MOST_POINTS
    assert numbers[:3] == [2, 4, 8]
    assert points[1].broken
    assert norms.span(4) == (made[4], made[4])


def test_a_layer_is_known_when_all_its_tensors_are():
    made = tensors(2)
    norms = LayerNorms([Layer("l", made)])
    norms.add(made[0], figures(3.0))
    assert norms.points()[0][0].value is None
    for _ in range(2):
        norms.add(made[1], figures(4.0))
    assert norms.points()[0][0].value == 5.0


def test_many_modules_are_one_bar_in_the_end(qtbot, opened, tmp_path):
    torch.save({f"m{n}.w": torch.ones(n + 1) for n in range(40)}, tmp_path / "x.pth")
    page = overview(qtbot, opened(tmp_path / "x.pth"))
    bars = page.modules.bars()
    assert len(bars) == MOST_BARS + 1
    assert bars[0].name == "m39"
    assert bars[-1].name == "24 others"


def nodes_alive() -> int:
    return sum(type(thing) in {Node, TensorInfo} for thing in gc.get_objects())


def test_closing_frees_a_file_with_statistics(qtbot, window, opened, model_file):
    gc.collect()
    before = nodes_alive()
    tab = opened(model_file)
    overview(qtbot, tab)
    compute(qtbot, tab)
    assert nodes_alive() > before
    gc.disable()
    try:
        window.close_tab()
        del tab
        qtbot.waitUntil(lambda: nodes_alive() <= before)
    finally:
        gc.enable()


def test_of_many_suspicions_the_first_of_each_reason_are_listed(qtbot):
    made = tensors(3 * MOST_LISTED)
    shown = SuspiciousList()
    qtbot.addWidget(shown)
    shown.add([Suspicion(Reason.CONSTANT, tensor, 1.0) for tensor in made])
    shown.add([Suspicion(Reason.NAN, made[-1], 7)])
    assert len(shown) == MOST_LISTED + 1
    assert shown.total() == 3 * MOST_LISTED + 1
    assert shown.texts()[0].endswith("7 NaN")
    shown.replace([])
    assert (len(shown), shown.total()) == (0, 0)
