"""Copying what is selected, in every kind of view."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QApplication, QTableView, QTreeView, QWidget

from inspector_app.ui.bar_chart import Bar, BarChart
from inspector_app.ui.copying import offer_copy
from inspector_app.ui.line_chart import Line, LineChart
from inspector_app.ui.plot_values import plotted_text
from inspector_app.ui.side_pages import OVERVIEW
from inspector_app.ui.tensor_pane import PICTURE, VALUES
from inspector_app.ui.text_table import TextTable
from inspector_app.ui.text_widgets import ElidedLabel

CONTROL = Qt.KeyboardModifier.ControlModifier
WEIGHT = ("model_state_dict", "features.0.weight")


def copied() -> str:
    return QApplication.clipboard().text()


@pytest.fixture(autouse=True)
def _empty_clipboard(qapp):
    QApplication.clipboard().clear()


def press_copy(qtbot, widget: QWidget) -> None:
    QApplication.clipboard().clear()
    qtbot.keyClick(widget, Qt.Key.Key_C, CONTROL)
    qtbot.waitUntil(lambda: copied() != "")  # a slow machine does it in slices


@pytest.fixture
def table(qtbot) -> QTableView:
    model = QStandardItemModel(3, 3)
    model.setHorizontalHeaderLabels(["name", "dtype", "size"])
    for row in range(3):
        for column, text in enumerate((f"key {row}", "float32", f"{row} kB")):
            model.setItem(row, column, QStandardItem(text))
    view = QTableView()
    model.setParent(view)
    view.setModel(model)
    view.setSelectionBehavior(QTableView.SelectionBehavior.SelectRows)
    offer_copy(view)
    qtbot.addWidget(view)
    view.show()
    yield view
    view.close()


def test_selected_rows_are_copied_with_tabs(qtbot, table):
    table.selectRow(0)
    table.selectionModel().select(
        table.model().index(2, 0),
        QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
    )
    press_copy(qtbot, table)
    assert copied() == "key 0\tfloat32\t0 kB\nkey 2\tfloat32\t2 kB"


def test_columns_are_copied_as_they_are_shown(qtbot, table):
    table.horizontalHeader().moveSection(2, 0)
    table.setColumnHidden(1, True)
    table.selectRow(1)
    press_copy(qtbot, table)
    assert copied() == "1 kB\tkey 1"


def test_cells_that_would_break_the_table_are_escaped(qtbot, table):
    table.model().item(0, 0).setText("a\tb\nc\u202e")
    table.selectRow(0)
    press_copy(qtbot, table)
    assert copied() == "a\\x09b\\x0ac\\u202e\tfloat32\t0 kB"


def test_the_menu_copies_with_headings(qtbot, table):
    copying = offer_copy(table)
    table.selectAll()
    menu = copying.menu()
    next(action for action in menu.actions() if "Headings" in action.text()).trigger()
    qtbot.waitUntil(lambda: copied() != "")
    assert copied().splitlines()[:2] == ["name\tdtype\tsize", "key 0\tfloat32\t0 kB"]
    table.clearSelection()
    again = copying.menu()
    assert not again.actions()[0].isEnabled()
    for each in (menu, again):
        each.deleteLater()


def test_many_cells_are_copied_in_slices(qtbot):
    model = QStandardItemModel(30_000, 2)
    model.setItem(29_999, 1, QStandardItem("last"))
    view = QTableView()
    view.setModel(model)
    qtbot.addWidget(view)
    copying = offer_copy(view)
    view.selectAll()
    copying.copy()
    qtbot.waitUntil(lambda: copied().endswith("last"), timeout=10_000)
    assert copied().count("\n") == 29_999
    view.setModel(None)


def test_rows_of_a_tree_are_copied_from_top_to_bottom(qtbot):
    model = QStandardItemModel()
    for name in ("encoder", "decoder"):
        item = QStandardItem(name)
        item.appendRow(QStandardItem(f"{name}.weight"))
        model.appendRow(item)
    view = QTreeView()
    model.setParent(view)
    view.setModel(model)
    view.setSelectionMode(QTreeView.SelectionMode.ExtendedSelection)
    qtbot.addWidget(view)
    offer_copy(view)
    view.expandAll()
    view.selectAll()
    press_copy(qtbot, view)
    assert copied().split("\n") == ["encoder", "encoder.weight", "decoder", "decoder.weight"]


def test_a_text_table_copies_rows(qtbot):
    table = TextTable("Parts", ("name", "value"))
    qtbot.addWidget(table)
    table.show_rows([("a", "1"), ("b", "2")])
    table.view.selectRow(1)
    press_copy(qtbot, table.view)
    assert copied() == "b\t2"


def test_a_chart_is_copied_as_values_and_as_a_picture(qtbot):
    chart = BarChart("Sizes")
    qtbot.addWidget(chart)
    chart.resize(300, 80)
    chart.set_bars([Bar("weight", 3.0, "3 MB"), Bar("bias", 1.0, "1 MB")])
    press_copy(qtbot, chart)
    data = QApplication.clipboard().mimeData()
    assert data.hasImage()
    assert len(data.text().splitlines()) == 2
    assert "weight" in data.text()


def test_a_plot_is_copied_as_values(qtbot):
    chart = LineChart("Loss", logarithmic=True)
    qtbot.addWidget(chart)
    chart.show_lines([Line("loss", [1, 2, 3], [0.5, 0.25, 0.125])])
    assert plotted_text(chart.frame.plot) == "1\t0.5\n2\t0.25\n3\t0.125"
    press_copy(qtbot, chart.frame.plot)
    assert copied() == "1\t0.5\n2\t0.25\n3\t0.125"
    assert QApplication.clipboard().mimeData().hasImage()


def test_a_shortened_label_copies_the_whole(qtbot):
    label = ElidedLabel("a rather long path/" * 9)
    qtbot.addWidget(label)
    from inspector_app.ui.copying import copy_menu

    menu = copy_menu(label, label.text())
    menu.actions()[0].trigger()
    assert copied() == label.text()
    menu.deleteLater()


@pytest.fixture
def tab(qtbot, window, opened, sample):
    window.activateWindow()
    made = opened(sample)
    made.tree.select_path(WEIGHT)
    qtbot.waitUntil(lambda: made.node is not None)
    return made


def test_control_c_means_what_has_the_focus(qtbot, window, tab):
    """The window's own Ctrl+C copies the name of the tree's row."""
    tab.tree.view.setFocus()
    press_copy(qtbot, tab.tree.view)
    assert copied() == "model_state_dict/features.0.weight"
    pane = tab.side.tensor
    pane.tabs.setCurrentIndex(VALUES)
    grid = pane.page(VALUES)
    qtbot.waitUntil(lambda: grid.values.rowCount() > 0)
    qtbot.waitUntil(lambda: grid.values.index(0, 0).data() not in (None, "", "…"))
    grid.setFocus()
    grid.setCurrentIndex(grid.values.index(0, 0))
    press_copy(qtbot, grid)
    assert float(copied()) == pytest.approx(float(grid.values.index(0, 0).data()), rel=1e-3)


def test_the_cell_below_the_pointer_is_copied(qtbot, tab):
    pane = tab.side.tensor
    view = pane.page(PICTURE)
    with qtbot.waitSignal(view.finished):
        pane.tabs.setCurrentIndex(PICTURE)
    view.point_at(0, 0)
    press_copy(qtbot, view.frame.plot)
    assert copied() == view.readout() != ""


def test_lists_of_the_overview_are_copied(qtbot, tab):
    tab.side.pages.bar.setCurrentIndex(OVERVIEW)
    page = tab.side.pages.overview
    charts = [chart for chart in page.findChildren(BarChart) if chart._count()]
    assert charts
    for chart in charts:
        press_copy(qtbot, chart)
        assert len(copied().splitlines()) == chart._count()
