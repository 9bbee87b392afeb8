"""Reports on paper and as PDF: laid out in one go, painted page by page.

What is printed is a page of ours (`analysis.report_page`), which is shown to people in a
browser otherwise. A PDF file appears whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from PySide6.QtCore import (
    QByteArray,
    QCoreApplication,
    QIODevice,
    QMarginsF,
    QPointF,
    QRectF,
    QSaveFile,
    QSizeF,
    Qt,
    QUrl,
)
from PySide6.QtGui import (
    QAbstractTextDocumentLayout,
    QColor,
    QFont,
    QImage,
    QPagedPaintDevice,
    QPageLayout,
    QPageSize,
    QPainter,
    QPalette,
    QPdfWriter,
    QTextDocument,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QFileDialog, QWidget

from inspector_app.checkpoint.text import plain
from inspector_app.ui.print_markup import PICTURE, STYLE, PageReader, drawing_size
from inspector_app.ui.tasks import Steps

MOST_CHARACTERS = 3_000_000  # of a page's source: laying it out holds the window
MOST_KEYS = 1_000  # of a comparison on paper; the saved report has more
MARGIN_MM = 15.0
DPI = 96  # what sizes in pixels mean; the device's own are scaled to
_FOOT = 26.0
_SHARPNESS = 3

Make = Callable[[], Iterable[str]]


class Paper(NamedTuple):
    """What is painted on, and what ends it."""

    device: QPagedPaintDevice
    end: Callable[[], str]


class Printing:
    """One job: it is made in slices, and says one sentence when it has ended."""

    def __init__(self, parent: QWidget, title: str, make: Make, said: Callable[[str], object]):
        self._parent, self._title, self._make, self._said = parent, title, make, said

    def start(self, paper: Paper) -> None:
        """Print on `paper`."""
        steps = Steps(_printing(self._title, self._make(), paper), self._parent)
        steps.finished.connect(self._said)
        steps.finished.connect(steps.deleteLater)
        steps.failed.connect(self._failed)
        steps.failed.connect(steps.deleteLater)
        steps.start()

    def _failed(self, error: Exception) -> None:
        raise error


def ask_printer(
    parent: QWidget, title: str, make: Make, said: Callable[[str], object] = lambda _: None
) -> QWidget:
    """Ask for a printer, and print the page that `make` gives."""
    from PySide6.QtPrintSupport import QPrintDialog, QPrinter

    printer = QPrinter(QPrinter.PrinterMode.HighResolution)
    printer.setDocName(plain(title))
    _lay_out(printer)
    dialog = QPrintDialog(printer, parent)
    dialog.setWindowTitle(_tr("Print {title}").format(title=plain(title, 80)))

    def end() -> str:
        failed = printer.printerState() == QPrinter.PrinterState.Error
        return _tr("The printer did not take it") if failed else _tr("Sent to the printer")

    job = Printing(parent, title, make, said)
    dialog.accepted.connect(lambda: job.start(Paper(printer, end)))
    dialog.finished.connect(dialog.deleteLater)
    # Its own open() takes a receiver that PySide does not know.
    dialog.setWindowModality(Qt.WindowModality.WindowModal)
    dialog.show()
    return dialog


def ask_pdf(
    parent: QWidget,
    title: str,
    suggested: str,
    make: Make,
    said: Callable[[str], object] = lambda _: None,
) -> QFileDialog:
    """Ask for a file, and write the page that `make` gives there.

    Args:
        suggested: the path at first, without ending.
    """
    dialog = QFileDialog(parent, _tr("Save as PDF"))
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setNameFilters([_tr("PDF document") + " (*.pdf)"])
    dialog.setDefaultSuffix("pdf")
    dialog.setDirectory(os.path.dirname(suggested))
    dialog.selectFile(f"{os.path.basename(suggested)}.pdf")
    dialog.fileSelected.connect(lambda path: write_pdf(parent, title, path, make, said))
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()
    return dialog


def write_pdf(
    parent: QWidget, title: str, path: str, make: Make, said: Callable[[str], object]
) -> None:
    """Write the page that `make` gives to a PDF file; `said` gets how that ended."""
    file = QSaveFile(path)
    name = plain(os.path.basename(path), 120)
    if not file.open(QIODevice.OpenModeFlag.WriteOnly):
        said(_tr("It was not saved: {reason}.").format(reason=plain(file.errorString())))
        return
    writer = QPdfWriter(file)
    writer.setTitle(plain(title))
    writer.setCreator("Checkpoint Inspector")
    _lay_out(writer)

    def end() -> str:
        if not file.commit():
            return _tr("It was not saved: {reason}.").format(reason=plain(file.errorString()))
        return _tr("{name} was saved.").format(name=name)

    Printing(parent, title, make, said).start(Paper(writer, end))


def table_page(
    title: str, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]
) -> Iterator[str]:
    """A page of names and values in groups, each with a title."""
    yield f"<h1>{escape(title)}</h1>"
    for heading, rows in groups:
        yield f"<h2>{escape(heading)}</h2><table><tbody>"
        for name, value in rows:
            yield f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td></tr>'
        yield "</tbody></table>"


def documenting(parts: Iterable[str]) -> Generator[None, None, tuple[QTextDocument, bool]]:
    """Lay a page out; the last step is the longest. Also whether it is to lie on its side."""
    reader = PageReader()
    taken = 0
    for part in parts:
        taken += len(part)
        if taken > MOST_CHARACTERS:
            break
        reader.feed(part)
        yield
    reader.close()
    html, drawings, wide = reader.page()
    if taken > MOST_CHARACTERS:
        html += (
            f"<p>{escape(_tr('The rest is too long to be printed: save the report instead.'))}</p>"
        )
    document = QTextDocument()
    font = QFont("sans-serif", 9)
    # Joined letters are found by no search in a PDF file.
    font.setFeature(QFont.Tag("liga"), 0)
    document.setDefaultFont(font)
    document.setUseDesignMetrics(True)
    document.setDocumentMargin(0)
    document.setDefaultStyleSheet(STYLE.format(size=7.5 if wide else 8.5))
    for number, drawing in enumerate(drawings):
        kind = QTextDocument.ResourceType.ImageResource
        document.addResource(kind.value, QUrl(f"{PICTURE}{number}"), _painted(drawing))
        yield
    document.setHtml(f"<body>{html}</body>")
    return document, wide


def _printing(title: str, parts: Iterable[str], paper: Paper) -> Generator[None, None, str]:
    """Paint page after page; returns what is to be said of it."""
    document, wide = yield from documenting(parts)
    device = paper.device
    if wide:
        device.setPageOrientation(QPageLayout.Orientation.Landscape)
    scale = device.logicalDpiX() / DPI
    width, height = device.width() / scale, device.height() / scale - _FOOT
    document.setPageSize(QSizeF(width, height))
    pages = document.pageCount()
    yield
    painter = QPainter(device)
    try:
        for page in range(pages):
            if page:
                device.newPage()
            painter.save()
            painter.scale(scale, scale)
            _paint(painter, document, page, QSizeF(width, height))
            _paint_foot(painter, f"{plain(title, 90)}   {page + 1}/{pages}", width, height)
            painter.restore()
            yield
    finally:
        painter.end()
    return paper.end()


def _paint(painter: QPainter, document: QTextDocument, page: int, size: QSizeF) -> None:
    painter.save()
    top = page * size.height()
    painter.translate(QPointF(0, -top))
    shown = QRectF(QPointF(0, top), size)
    painter.setClipRect(shown)
    context = QAbstractTextDocumentLayout.PaintContext()
    context.clip = shown
    # Paper is white, whatever the window's colours are.
    palette = QPalette(Qt.GlobalColor.white)
    palette.setColor(QPalette.ColorRole.Text, QColor("#1c2128"))
    context.palette = palette
    document.documentLayout().draw(painter, context)
    painter.restore()


def _paint_foot(painter: QPainter, text: str, width: float, height: float) -> None:
    font = QFont("sans-serif")
    font.setPixelSize(10)
    painter.setFont(font)
    painter.setPen(QColor("#5b6472"))
    place = QRectF(0, height + 8, width, _FOOT - 8)
    painter.drawText(place, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, text)


def _painted(drawing: str) -> QImage:
    width, height = drawing_size(drawing)
    image = QImage(
        width * _SHARPNESS, height * _SHARPNESS, QImage.Format.Format_ARGB32_Premultiplied
    )
    image.fill(Qt.GlobalColor.transparent)
    renderer = QSvgRenderer(QByteArray(drawing.encode()))
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    return image


def _lay_out(device: QPagedPaintDevice) -> None:
    size = QPageSize(QPageSize.PageSizeId.A4)
    if not isinstance(device, QPdfWriter):
        size = device.pageLayout().pageSize()
    margins = QMarginsF(MARGIN_MM, MARGIN_MM, MARGIN_MM, MARGIN_MM)
    layout = QPageLayout(
        size, QPageLayout.Orientation.Portrait, margins, QPageLayout.Unit.Millimeter
    )
    device.setPageLayout(layout)


def _tr(text: str) -> str:
    return QCoreApplication.translate("Printing", text)
