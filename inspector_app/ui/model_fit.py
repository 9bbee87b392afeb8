"""How a checkpoint's weights fit a model, before anything is exported."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from inspector_app.analysis.quantities import count_text, short_count
from inspector_app.checkpoint.text import plain
from inspector_app.ui.banner import GOOD, WARNING, Banner
from inspector_app.ui.text_blocks import Facts, TextBlock
from inspector_app.ui.worker_words import shape_text
from inspector_app.worker.protocol import Described, LoadReport

_MOST = 200


class FitView(QWidget):
    """The model that was built, and what does not fit. Hidden until `show_model`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts = Facts()
        self.banner = Banner()
        self._keys = TextBlock(framed=True, fixed_pitch=True, max_lines=14)
        self._keys.setAccessibleName(self.tr("Keys that do not fit"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.banner)
        layout.addWidget(self._keys)
        layout.addWidget(self._facts)
        self.hide()

    def show_model(self, described: Described, own_weights: bool, strict: bool) -> None:
        """Show what a worker has built.

        Args:
            own_weights: the model came with its weights.
            strict: what does not fit holds the export up.
        """
        report = described.report
        title, advice = self._verdict(report, own_weights, strict)
        good = own_weights or report.fits
        self.banner.show_message(GOOD if good else WARNING, title, "", advice)
        self._keys.set_text("\n".join(_lines(report)))
        self._keys.setVisible(not good)
        forward = ", ".join(
            each.name + (f"={each.default}" if each.default else "") for each in described.forward
        )
        self._facts.set_rows(
            [
                (self.tr("Model"), plain(described.model_class)),
                (self.tr("Parameters"), short_count(described.parameters)),
                (self.tr("forward"), plain(f"({forward})", 400) if described.forward else ""),
                (self.tr("Notes"), "\n".join(plain(note, 400) for note in described.notes)),
            ]
        )
        self.show()

    def listed(self) -> str:
        """The keys that are listed."""
        return "" if self._keys.isHidden() else self._keys.toPlainText()

    def _verdict(self, report: LoadReport, own_weights: bool, strict: bool) -> tuple[str, str]:
        if own_weights:
            return self.tr("The model was loaded with its weights"), ""
        count = count_text(report.loaded)
        if report.fits:
            said = [self.tr("All {n} keys fit").format(n=count)]
            if report.stripped:
                text = self.tr("the prefix {p} was dropped")
                said.append(text.format(p=plain(report.stripped, 60)))
            if report.added:
                said.append(self.tr("the prefix {p} was added").format(p=plain(report.added, 60)))
            return ", ".join(said), ""
        title = self.tr(
            "{missing} missing, {unexpected} unexpected, {mismatched} mismatched"
        ).format(
            missing=count_text(len(report.missing)),
            unexpected=count_text(len(report.unexpected)),
            mismatched=count_text(len(report.mismatched)),
        )
        if strict:
            return title, self.tr(
                "Check the arguments, the section, the prefixes and renames, or turn strict off."
            )
        text = self.tr("{n} keys are loaded; what is missing keeps what the class gave it.")
        return title, text.format(n=count)


def fit_summary(report: LoadReport) -> str:
    """Why the export is held up."""
    text = QCoreApplication.translate(
        "FitView", "The weights do not fit: {a} missing, {b} unexpected, {c} mismatched."
    )
    return text.format(
        a=count_text(len(report.missing)),
        b=count_text(len(report.unexpected)),
        c=count_text(len(report.mismatched)),
    )


def _lines(report: LoadReport) -> list[str]:
    lines = [
        f"mismatched  {plain(each.key)}  {shape_text(each.checkpoint)} in the file, "
        f"{shape_text(each.model)} in the model"
        for each in report.mismatched[:_MOST]
    ]
    lines += [f"missing     {plain(key)}" for key in report.missing[:_MOST]]
    lines += [f"unexpected  {plain(key)}" for key in report.unexpected[:_MOST]]
    total = len(report.mismatched) + len(report.missing) + len(report.unexpected)
    if total > len(lines):
        lines.append(f"… {total - len(lines):,} more")
    return lines
