"""The actions of the File menu, in its order."""

from __future__ import annotations

from PySide6.QtCore import QT_TRANSLATE_NOOP

from inspector_app.ui.action_spec import FILE, FILE_READ, TAB, ActionSpec, Role, Standard

FILE_ACTIONS = (
    ActionSpec(
        "open_dialog", QT_TRANSLATE_NOOP("Actions", "&Open…"), FILE, Standard.Open, part="dialogs"
    ),
    ActionSpec(
        "open_run",
        QT_TRANSLATE_NOOP("Actions", "Open &Run Folder…"),
        FILE,
        ("Ctrl+Shift+O",),
        part="dialogs",
    ),
    ActionSpec("open_sample", QT_TRANSLATE_NOOP("Actions", "Open the &Sample"), FILE),
    ActionSpec(
        "compare_with",
        QT_TRANSLATE_NOOP("Actions", "Compare &With…"),
        FILE,
        ("Ctrl+D",),
        part="dialogs",
    ),
    ActionSpec(
        "export",
        QT_TRANSLATE_NOOP("Actions", "&Export…"),
        FILE,
        ("Ctrl+E",),
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "quantize",
        QT_TRANSLATE_NOOP("Actions", "Q&uantize…"),
        FILE,
        ("Ctrl+Shift+Q",),
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "transfer",
        QT_TRANSLATE_NOOP("Actions", "Trans&fer Weights…"),
        FILE,
        ("Ctrl+Shift+T",),
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "save_as",
        QT_TRANSLATE_NOOP("Actions", "Save &As…"),
        FILE,
        ("Ctrl+Shift+S",),
        needs=FILE_READ,
        separator=True,
        part="dialogs",
    ),
    ActionSpec(
        "save_clean",
        QT_TRANSLATE_NOOP("Actions", "Sa&ve a Clean Copy…"),
        FILE,
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "save_best",
        QT_TRANSLATE_NOOP("Actions", "Save as &Best"),
        FILE,
        needs=FILE_READ,
        part="dialogs",
    ),
    ActionSpec(
        "print_tab",
        QT_TRANSLATE_NOOP("Actions", "&Print…"),
        FILE,
        Standard.Print,
        needs=TAB,
        separator=True,
        part="printing",
    ),
    ActionSpec(
        "save_pdf",
        QT_TRANSLATE_NOOP("Actions", "Save as P&DF…"),
        FILE,
        needs=TAB,
        part="printing",
    ),
    ActionSpec(
        "show_file",
        QT_TRANSLATE_NOOP("Actions", "Show in File &Manager"),
        FILE,
        ("Ctrl+Alt+O",),
        needs=TAB,
        separator=True,
        part="files",
    ),
    ActionSpec(
        "copy_file_path",
        QT_TRANSLATE_NOOP("Actions", "Cop&y Path of File"),
        FILE,
        ("Ctrl+Alt+P",),
        needs=TAB,
        part="files",
    ),
    ActionSpec(
        "reload",
        QT_TRANSLATE_NOOP("Actions", "Re&load"),
        FILE,
        Standard.Refresh,
        needs=TAB,
        separator=True,
    ),
    ActionSpec(
        "close_tab", QT_TRANSLATE_NOOP("Actions", "&Close Tab"), FILE, ("Ctrl+W",), needs=TAB
    ),
    ActionSpec(
        "reopen_tab",
        QT_TRANSLATE_NOOP("Actions", "Reope&n Closed Tab"),
        FILE,
        ("Ctrl+Shift+R",),
        part="files",
    ),
    ActionSpec(
        "quit",
        QT_TRANSLATE_NOOP("Actions", "&Quit"),
        FILE,
        ("Ctrl+Q",),
        Role.QuitRole,
        separator=True,
    ),
)
