"""The pane that tells about the selected node."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from inspector_app.checkpoint.model import Kind, Node, TensorInfo
from inspector_app.ui import node_facts
from inspector_app.ui.text_blocks import Facts, TextBlock
from inspector_app.ui.text_widgets import ElidedLabel, Heading, MutedLabel


class NodeView(QScrollArea):
    """Details of one node; without one it says how to get one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(self.tr("Details of the selection"))
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._sharing: dict[int, list[TensorInfo]] = {}
        self._node: Node | None = None

        self._title = ElidedLabel()
        font = self._title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.15)
        self._title.setFont(font)
        self._subtitle = MutedLabel()
        self._facts = Facts()
        self._value_title = Heading(self.tr("Value"))
        self._value = TextBlock(framed=True, fixed_pitch=True, max_lines=16)
        self._empty = MutedLabel(self.tr("Select an entry of the tree to see its details."))
        self._empty.setWordWrap(True)
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)

        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(16, 12, 16, 16)
        layout.setSpacing(8)
        head = QVBoxLayout()
        head.setSpacing(1)
        head.addWidget(self._title)
        head.addWidget(self._subtitle)
        layout.addLayout(head)
        layout.addWidget(self._empty, 1)
        layout.addWidget(self._facts)
        layout.addWidget(self._value_title)
        layout.addWidget(self._value)
        layout.addStretch()
        self.setWidget(content)
        self.show_node(None)

    def set_sharing(self, sharing: dict[int, list[TensorInfo]]) -> None:
        """Say which tensors view the same storages, once that is known."""
        self._sharing = sharing
        self.show_node(self._node)

    def show_node(self, node: Node | None) -> None:
        """Show `node`, or how to select one."""
        self._node = node
        for widget in (self._title, self._subtitle, self._facts):
            widget.setVisible(node is not None)
        self._empty.setVisible(node is None)
        text = self._text(node) if node is not None else None
        self._value_title.setVisible(text is not None)
        self._value.setVisible(text is not None)
        if node is None:
            return
        self._title.set_text(str(node.key) or self.tr("Whole file"))
        self._subtitle.setText(node_facts.kind_words(node))
        self._facts.set_rows(node_facts.facts(node, self._sharing))
        if text is not None:
            self._value_title.setText(self._heading(node))
            self._value.set_text(text)
            self._value.setAccessibleName(self._value_title.text())
        self.verticalScrollBar().setValue(0)

    def facts(self) -> dict[str, str]:
        """What is shown, by name."""
        return {} if self._facts.isHidden() else self._facts.rows()

    def value(self) -> str:
        """The longer text on show, or ""."""
        return "" if self._value.isHidden() else self._value.toPlainText()

    def _heading(self, node: Node) -> str:
        if node.kind == Kind.CODE:
            return self.tr("Source code (shown, never run)")
        if node.kind in (Kind.SCALAR, Kind.ARRAY):
            return self.tr("Value")
        if node.kind == Kind.REFERENCE:
            return self.tr("Refers to")
        return self.tr("Arguments")

    @staticmethod
    def _text(node: Node) -> str | None:
        if isinstance(node, TensorInfo):
            return None
        if node.kind == Kind.SCALAR:
            return node_facts.value_text(node.value)
        return node_facts.value_text(node.value) or None if node.value is not None else None
