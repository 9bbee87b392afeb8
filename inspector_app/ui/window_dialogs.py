"""What of the window opens a dialog: each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from inspector_app.checkpoint.model import TreePath
from inspector_app.ui import settings

if TYPE_CHECKING:
    from inspector_app.ui.checkpoint_tab import CheckpointTab
    from inspector_app.ui.main_window import MainWindow


class WindowDialogs:
    """The slots of the table's actions that show a dialog; none holds up the window.

    Args:
        window: their parent; what they are about is its tab in front.
    """

    def __init__(self, window: MainWindow) -> None:
        self._window = window

    # Choosing files

    def open_dialog(self) -> None:
        """Ask for files to open."""
        from inspector_app.ui import file_dialogs

        window = self._window
        file_dialogs.ask(window, _tr("Open Checkpoints"), self._folder(), window.open_paths)

    def open_run(self) -> None:
        """Ask for a folder of checkpoints."""
        from inspector_app.ui import file_dialogs

        opens = self._window.tabs.open_run
        file_dialogs.ask_folder(self._window, _tr("Open a Run's Folder"), self._folder(), opens)

    def compare_with(self) -> None:
        """Ask for what to compare the file in front with."""
        self.choose_other(self._window.file_tab())

    def compare_these(self, paths: Sequence[str]) -> None:
        """Compare two files; of fewer ask for what is missing."""
        if len(paths) == 2:
            self._window.compare(*paths)
        elif paths:
            self.choose_other(self._window.open_paths(list(paths))[0])
        else:
            self.compare_with()

    def choose_other(self, tab: CheckpointTab | None) -> None:
        """Ask for what to compare a tab's file with; without one for both files."""
        from inspector_app.ui import file_dialogs

        window = self._window
        window.tabs.expect_comparison()
        file_dialogs.ask_other(window, tab, self._folder(), window.compare)

    # Making other files of the one in front

    def export(self, part: TreePath | None = None) -> None:
        """The export wizard, of the model at a path or of any."""
        if (tab := self._window.file_tab()) is not None and tab.checkpoint is not None:
            from inspector_app.ui.export_wizard import show_wizard

            show_wizard(self._window, tab.checkpoint, part)

    def quantize(self) -> None:
        """The quantization dialog."""
        if (tab := self._window.file_tab()) is not None and tab.checkpoint is not None:
            from inspector_app.ui.quantize_dialog import show_quantize

            show_quantize(self._window, tab.checkpoint)

    def save_as(self) -> None:
        """Another form of the file."""
        if (tab := self._window.file_tab()) is not None and tab.checkpoint is not None:
            from inspector_app.ui.save_dialog import show_save_dialog

            show_save_dialog(self._window, tab.path)

    def save_clean(self) -> None:
        """A copy of its tensors and plain data alone."""
        if (tab := self._window.file_tab()) is not None and tab.checkpoint is not None:
            from inspector_app.ui.save_dialog import show_save_dialog

            show_save_dialog(self._window, tab.path, clean=True)

    def save_best(self) -> None:
        """A copy of the file under the name of the best."""
        if (tab := self._window.file_tab()) is not None and tab.checkpoint is not None:
            from inspector_app.ui.save_best import save_best

            save_best(self._window, tab.path, len(tab.checkpoint.files))

    def transfer(self) -> None:
        """The file's weights into another."""
        if (tab := self._window.file_tab()) is not None and tab.checkpoint is not None:
            from inspector_app.ui.transfer_dialog import show_transfer_dialog

            show_transfer_dialog(self._window, tab.path)

    def transfer_compared(self) -> None:
        """B's weights into A, with the keys mapped as the comparison in front maps them."""
        if (tab := self._window.comparison_tab()) is not None:
            from inspector_app.ui.transfer_dialog import show_transfer_dialog

            show_transfer_dialog(self._window, tab.path_b, tab.path, tab.mapping)

    # Help

    def shortcuts(self) -> None:
        """Every key."""
        from inspector_app.ui.shortcuts_dialog import ShortcutsDialog

        ShortcutsDialog(self._window).show()

    def about(self) -> None:
        """The program and what it runs on."""
        from inspector_app.ui.about_dialog import AboutDialog

        AboutDialog(self._window).show()

    def documentation(self) -> None:
        """The README."""
        from inspector_app.ui.manual_dialog import ManualDialog

        ManualDialog(self._window).show()

    def report_problem(self) -> None:
        """What to say of a problem."""
        from inspector_app.ui.about_dialog import ProblemDialog

        ProblemDialog(self._window).show()

    def _folder(self) -> str:
        return self._window.settings.read(settings.LAST_FOLDER)


def _tr(text: str) -> str:
    return QCoreApplication.translate("WindowDialogs", text)
