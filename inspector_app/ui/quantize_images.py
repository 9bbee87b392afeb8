"""How images become samples: their size, and what is subtracted and divided by."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QLineEdit, QPushButton, QWidget

from inspector_app.ui.wizard_widgets import Box, field_label, label_width, row_of
from inspector_app.worker.quantize_protocol import CalibrationData

# Of torchvision's models: https://docs.pytorch.org/vision/stable/models.html
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LARGEST = 16_384  # pixels


class ImagesForm(QWidget):
    """Resize and normalise.

    Signals:
        changed: something was typed.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.size = QLineEdit()
        self.size.setPlaceholderText(self.tr("224, 224: height and width; empty keeps them"))
        self.mean, self.std = QLineEdit(), QLineEdit()
        self.mean.setPlaceholderText(self.tr("none"))
        self.std.setPlaceholderText(self.tr("none"))
        self.grey = Box(self.tr("One channel, &grey"))
        self.imagenet = QPushButton(self.tr("ImageNet's"))
        self.imagenet.setToolTip(self.tr("224 × 224, with the mean and std of ImageNet"))
        self.imagenet.clicked.connect(self._take_imagenet)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnMinimumWidth(0, label_width(self))
        grid.setColumnStretch(1, 1)
        grid.addWidget(field_label(self.tr("&Resize to"), self.size), 0, 0)
        grid.addWidget(row_of(self.size, self.imagenet), 0, 1)
        grid.addWidget(field_label(self.tr("&Mean per channel"), self.mean), 1, 0)
        grid.addWidget(self.mean, 1, 1)
        grid.addWidget(field_label(self.tr("St&d per channel"), self.std), 2, 0)
        grid.addWidget(self.std, 2, 1)
        grid.addWidget(self.grey, 3, 1)
        for field in (self.size, self.mean, self.std):
            field.textChanged.connect(self.changed)
        self.grey.toggled.connect(self.changed)

    def filled(self, data: CalibrationData) -> CalibrationData:
        """`data` with what is typed here, once there is no `problem`."""
        return replace(
            data,
            resize=tuple(round(each) for each in _numbers(self.size.text()) or ()),
            mean=_numbers(self.mean.text()) or (),
            std=_numbers(self.std.text()) or (),
            grey=self.grey.isChecked(),
        )

    def restore(self, data: CalibrationData) -> None:
        """Show what was chosen before."""
        for field, values in (
            (self.size, data.resize),
            (self.mean, data.mean),
            (self.std, data.std),
        ):
            field.setText(", ".join(f"{each:g}" for each in values))
        self.grey.setChecked(data.grey)

    def problem(self) -> str:
        """What is wrong, or ""."""
        size = _numbers(self.size.text())
        if size is None or len(size) not in (0, 2):
            return self.tr("The size is no height and width such as 224, 224.")
        if any(each != round(each) or not 0 < each <= _LARGEST for each in size):
            return self.tr("The size is no height and width such as 224, 224.")
        mean, std = _numbers(self.mean.text()), _numbers(self.std.text())
        channels = 1 if self.grey.isChecked() else 3
        for values in (mean, std):
            if values is None or len(values) not in (0, 1, channels):
                return self.tr("Mean and std are {n} numbers, one per channel.").format(n=channels)
        if any(each <= 0 for each in std or ()):
            return self.tr("What is divided by has to be greater than 0.")
        return ""

    def _take_imagenet(self) -> None:
        self.size.setText("224, 224")
        self.mean.setText(", ".join(map(str, IMAGENET_MEAN)))
        self.std.setText(", ".join(map(str, IMAGENET_STD)))
        self.grey.setChecked(False)


def _numbers(text: str) -> tuple[float, ...] | None:
    """Numbers separated by commas or blanks; None where there is anything else."""
    try:
        found = tuple(float(each) for each in text.replace(",", " ").replace("×", " ").split())
    except ValueError:
        return None
    return found if all(abs(each) < 1e9 for each in found) else None
