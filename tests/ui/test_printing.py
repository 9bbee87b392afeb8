"""Reports on paper: what becomes of our pages, and the PDF files."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QTextDocument
from PySide6.QtPrintSupport import QPrintDialog, QPrinterInfo
from PySide6.QtWidgets import QFileDialog, QLineEdit, QWidget

from inspector_app.analysis.report_page import foot, head
from inspector_app.ui.print_markup import PICTURE, PageReader
from inspector_app.ui.printing import MOST_CHARACTERS, documenting, table_page, write_pdf
from inspector_app.ui.report_saving import ReportSaving


def read(html: str):
    reader = PageReader()
    reader.feed(html)
    reader.close()
    return reader.page()


def laid_out(parts) -> tuple[QTextDocument, bool]:
    steps = documenting(parts)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_the_frame_of_a_page_is_left_out():
    page = read(head("a < b") + "<h1>Title</h1>" + foot())
    assert page.html.strip() == "<h1>Title</h1>"


def test_text_stays_text(qapp):
    document, _ = laid_out(["<p>a &lt;b&gt; &amp;amp; <code>x&lt;y</code></p>"])
    assert document.toPlainText() == "a <b> &amp; x<y"


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60))
def test_whatever_is_escaped_comes_out_as_it_was(text):
    from html import escape, unescape

    page = read(f"<p><code>{escape(text)}</code></p>")
    assert unescape(page.html) == f"<p><code>{text}</code></p>"


@pytest.mark.parametrize(
    "broken", ["<p>a", "</p></p>b", "<svg><rect>", "<table><tr><td>", "<dl><dd>", "<", "<fieldset>"]
)
def test_a_page_that_is_not_whole_is_laid_out(qapp, broken):
    document, _ = laid_out([broken, "c"])
    assert isinstance(document.toPlainText(), str)


def test_badges_keep_letter_and_colour():
    page = read('<p><b class="badge missing" aria-hidden="true">M</b>2 missing</p>')
    assert page.html == '<p><span style="color:#9c1f1f"><b>M</b></span> 2 missing</p>'


def test_drawings_become_pictures_in_the_colours_of_paper():
    svg = (
        '<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none">'
        '<rect class="fill" width="40" height="8"/></svg>'
    )
    page = read(f"<td>{svg}</td>")
    assert f'src="{PICTURE}0"' in page.html
    (drawing,) = page.drawings
    assert 'viewBox="0 0 100 8"' in drawing
    assert 'fill="#2f5fc4"' in drawing
    assert "var(" not in drawing


def test_wide_tables_lie_on_their_side():
    cells = "<td>x</td>"
    assert not read(f"<table><tr>{cells * 7}</tr></table>").wide
    assert read(f"<table><tr>{cells * 8}</tr></table>").wide


def test_a_page_too_long_ends_with_a_sentence(qapp):
    document, _ = laid_out("<p>" + "word " * 20_000 + "</p>" for _ in range(100))
    assert "too long to be printed" in document.toPlainText()
    assert len(document.toPlainText()) < MOST_CHARACTERS


@pytest.fixture
def written(qtbot, window, tmp_path):
    """Writes the tab in front to a PDF file and gives its text."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not here")

    def write() -> str:
        said: list[str] = []
        path = tmp_path / "page.pdf"
        job = window.printing.job()
        write_pdf(window, job.title, str(path), job.make, said.append)
        qtbot.waitUntil(lambda: bool(said), timeout=20_000)
        assert said == ["page.pdf was saved."]
        assert path.read_bytes().startswith(b"%PDF-")
        done = subprocess.run(
            ["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True
        )
        return done.stdout

    return write


def test_a_file_is_printed_with_its_training(opened, sample, written):
    opened(sample)
    text = written()
    assert "epoch_4.pth" in text
    assert "AdamW, CosineAnnealingLR" in text
    assert "It can be resumed." in text
    assert re.search(r"model_state_dict/features\.0\.weight +12 × 1 × 3 × 3 +float32 +432 B", text)
    assert re.search(r"epoch_4\.pth +1/\d", text)


def test_a_comparison_is_printed(compared, sample, samples, written):
    compared(samples / "digits_cnn_epoch_2.pth", sample)
    text = written()
    assert "Checkpoint comparison" in text
    assert "Keys that differ" in text
    assert "features.0.weight" in text
    assert "Filter by key" not in text


def test_a_run_is_printed(qtbot, window, samples, written, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("digits_cnn_epoch_2.pth", "digits_cnn_epoch_4.pth"):
        shutil.copy(samples / name, folder)
    (tab,) = window.open_paths([str(folder)])
    qtbot.waitUntil(tab.is_settled, timeout=20_000)
    text = written()
    assert "digits_cnn_epoch_2.pth" in text
    assert "Checkpoint" in text


def test_a_hostile_name_is_printed_as_text(opened, samples, tmp_path, written):
    path = tmp_path / "<b>x<img src=http:&.pth"
    shutil.copy(samples / "digits_cnn_epoch_2.pth", path)
    opened(path)
    assert "<b>x<img src=http:&.pth" in written()


def test_a_pdf_that_cannot_be_written_is_said(qtbot, window, tmp_path):
    said: list[str] = []
    there = tmp_path / "missing" / "x.pdf"
    write_pdf(window, "t", str(there), lambda: ["<p>x</p>"], said.append)
    assert len(said) == 1
    assert said[0].startswith("It was not saved: ")


def test_the_menu_asks_for_a_printer_and_for_a_file(qtbot, window, opened, sample):
    for name, kind in (("print_tab", QPrintDialog), ("save_pdf", QFileDialog)):
        window.actions_by_id[name].trigger()
        assert not window.findChildren(kind), "there is no tab yet"
    opened(sample)
    window.actions_by_id["print_tab"].trigger()
    (dialog,) = window.findChildren(QPrintDialog)
    assert dialog.isVisible()
    dialog.reject()
    window.actions_by_id["save_pdf"].trigger()
    (dialog,) = window.findChildren(QFileDialog)
    assert dialog.selectedFiles() == [f"{sample}.pdf"]
    dialog.reject()


def test_a_printer_that_is_a_file_gets_the_pages(qtbot, window, opened, sample, tmp_path):
    """What is sent to a printer is painted by the same code; here the printer is a PDF file."""
    if QPrinterInfo.availablePrinterNames():
        pytest.skip("there is a printer here, and nothing is to be printed on it")
    opened(sample)
    window.actions_by_id["print_tab"].trigger()
    (dialog,) = window.findChildren(QPrintDialog)
    out = tmp_path / "printed.pdf"
    dialog.findChild(QLineEdit, "filename").setText(str(out))
    dialog.accept()
    qtbot.waitUntil(lambda: window.statusBar().currentMessage() == "Sent to the printer")
    assert out.read_bytes().startswith(b"%PDF-")


def test_nothing_to_print_is_said(window, tmp_path, opened):
    broken = Path(tmp_path, "broken.pth")
    broken.write_bytes(b"no checkpoint")
    opened(broken)
    window.actions_by_id["print_tab"].trigger()
    assert window.statusBar().currentMessage() == "There is nothing to print yet"


def test_a_table_of_names_and_values(qapp):
    document, wide = laid_out(table_page("Keys", [("File", [("Open", "Ctrl+O")])]))
    assert document.toPlainText().split() == ["Keys", "File", "Open", "Ctrl+O"]
    assert not wide


@pytest.mark.parametrize("ending", [".html", ".txt"])
def test_a_report_is_saved_as_pdf(qtbot, tmp_path, ending):
    parent = QWidget()
    qtbot.addWidget(parent)
    saving = ReportSaving(parent)
    saving.ending = ending
    said: list[str] = []
    saving.message.connect(said.append)
    kept = tmp_path / "model.pdf"
    kept.write_bytes(b"what it is about")
    saving.write(str(kept), iter(["<p>a &lt; b</p>"]), [str(kept)])
    assert kept.read_bytes() == b"what it is about"
    assert said.pop().startswith("The report was not saved")
    out = tmp_path / "report.pdf"
    saving.write(str(out), iter(["<p>a &lt; b</p>"]), [str(kept)])
    qtbot.waitUntil(lambda: bool(said))
    assert said == ["report.pdf was saved."]
    assert out.read_bytes().startswith(b"%PDF-")
    dialog = saving.ask_where(str(tmp_path / "x.onnx"), lambda path: None)
    assert "PDF document (*.pdf)" in dialog.nameFilters()
    dialog.reject()


def test_a_comparison_is_saved_as_pdf(qtbot, compared, sample, samples, tmp_path, window):
    tab = compared(samples / "digits_cnn_epoch_2.pth", sample)
    out = tmp_path / "comparison.pdf"
    tab.body.reports.save(str(out))
    qtbot.waitUntil(lambda: window.statusBar().currentMessage() == "comparison.pdf was saved.")
    assert out.read_bytes().startswith(b"%PDF-")
