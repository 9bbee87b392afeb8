from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import Qt

from inspector_app.analysis.quantities import count_text, short_count, size_text
from inspector_app.checkpoint import errors
from inspector_app.checkpoint.errors import (
    MESSAGES,
    BrokenFile,
    CheckpointError,
    LimitExceeded,
    Problem,
    RefusedFile,
    UnreadableFile,
    UnrecognisedFormat,
)
from inspector_app.ui.banner import ERROR, Banner
from inspector_app.ui.problem_text import error_cause, error_title, next_step, problem_text
from inspector_app.ui.text_blocks import (
    LINE_CHARACTERS,
    SHOWN_CHARACTERS,
    Facts,
    TextBlock,
    plain_lines,
)
from inspector_app.ui.text_widgets import ElidedLabel, tooltip

HOSTILE = "a<b>bold</b>\u202egpj.exe\x1b[31m\u200bend"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.00 kB"),
        (46_830_571, "46.8 MB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1_260_000_000, "1.26 GB"),
        (10**15, "1.00 PB"),
    ],
)
def test_sizes(number, text):
    assert size_text(number) == text


def test_counts():
    assert count_text(11_689_512) == "11,689,512"
    assert short_count(9_999) == "9,999"
    assert short_count(11_689_512) == "11.7 M"


def test_numbers_that_no_file_has():
    assert count_text(10**6000).startswith("> 2^")
    assert size_text(10**5000) == "> 2^16609 B"


@given(st.text(max_size=300))
def test_text_of_a_file_is_plain_whatever_it_is(text):
    shown = plain_lines(text)
    assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in shown if char != "\n")
    assert not set(shown) & set("\u202e\u200b\u2028\ufeff")


def test_lines_are_kept_and_cut():
    assert plain_lines("a\r\n\tb\x07") == "a\n    b\\x07"
    assert len(plain_lines("x" * 10_000_000)) <= 2 * LINE_CHARACTERS + 10
    assert len(plain_lines("line\n" * 1_000_000)) <= SHOWN_CHARACTERS + 10


def test_a_tooltip_shows_markup_as_it_is():
    assert Qt.mightBeRichText(tooltip(HOSTILE))
    assert "&lt;b&gt;bold" in tooltip(HOSTILE)
    assert "\u202e" not in tooltip(HOSTILE)
    assert tooltip("") == ""


def test_facts_are_plain_text_and_reused(qtbot):
    facts = Facts()
    qtbot.addWidget(facts)
    facts.set_rows([("Name", HOSTILE), ("Empty", ""), ("Shape", "3 × 4")])
    assert facts.rows() == {
        "Name": "a<b>bold</b>\\u202egpj.exe\\x1b[31m\\u200bend",
        "Shape": "3 × 4",
    }
    facts.set_rows([("Kind", "Tensor")])
    assert facts.rows() == {"Kind": "Tensor"}


def test_a_block_is_as_tall_as_its_text(qtbot):
    block = TextBlock(max_lines=5)
    qtbot.addWidget(block)
    block.resize(300, 100)
    block.show()
    block.set_text("one line")
    one = block.height()
    block.set_text("one\ntwo\nthree")
    three = block.height()
    assert three - one == 2 * block.fontMetrics().lineSpacing()
    block.set_text("\n".join("m" * 50))
    assert block.height() == one + 4 * block.fontMetrics().lineSpacing()
    block.set_text("unbroken" * 60)
    assert block.height() > three
    assert block.horizontalScrollBar().maximum() == 0
    block.hide()


def test_an_elided_label_never_widens_its_pane(qtbot):
    label = ElidedLabel("x" * 500)
    qtbot.addWidget(label)
    assert label.minimumSizeHint().width() < 200
    assert label.accessibleName() == "x" * 500


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_every_code_has_a_sentence(qtbot, code):
    template = MESSAGES[code]
    details = dict.fromkeys(_fields(template), HOSTILE)
    text = problem_text(Problem(code, "place", details))
    assert text
    assert "\u202e" not in text
    cause = error_cause(CheckpointError(code, "/x.pth", "place", **details))
    assert cause[0] == cause[0].upper()
    assert "\u202e" not in cause


def _fields(template: str) -> list[str]:
    return [field for _, field, _, _ in string.Formatter().parse(template) if field]


@pytest.mark.parametrize("size", [8.0, 9.0, 10.0, 10.5, 11.0, 12.0, 13.0])
@pytest.mark.parametrize("text", ["one", "one\ntwo\nthree"])
def test_no_size_of_the_font_makes_a_text_scroll(qtbot, size, text):
    block = TextBlock()
    qtbot.addWidget(block)
    font = block.font()
    font.setPointSizeF(size)
    block.setFont(font)
    block.set_text(text)
    block.resize(300, 40)
    block.show()
    qtbot.wait(1)
    assert block.verticalScrollBar().maximum() == 0


def test_each_kind_of_error_says_what_to_do(qtbot):
    kinds: list[Exception] = [
        UnreadableFile("not-found"),
        UnreadableFile("web-address"),
        UnreadableFile("is-directory"),
        UnreadableFile("permission"),
        UnreadableFile("os-error", reason="it broke"),
        UnrecognisedFormat("empty"),
        RefusedFile("python-path-file"),
        RefusedFile("git-lfs-pointer"),
        BrokenFile("broken", reason="no"),
        LimitExceeded("limit", what="depth", limit=200),
        ValueError("a bug"),
    ]
    for error in kinds:
        assert error_title(error)
        assert error_cause(error)
        assert next_step(error).endswith(".")
    assert "ValueError: a bug" in error_cause(kinds[-1])
    assert errors.CheckpointError in type(kinds[0]).__mro__


def test_a_banner_offers_its_buttons(qtbot):
    pressed = []
    banner = Banner()
    qtbot.addWidget(banner)
    banner.show_message(
        ERROR, "Title", HOSTILE, "Do this.", [("Try again", lambda: pressed.append(1))]
    )
    assert banner.cause() == "a<b>bold</b>\\u202egpj.exe\\x1b[31m\\u200bend"
    assert banner.accessibleName() == "Title"
    (button,) = banner.buttons()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert pressed == [1]
    banner.show_message(ERROR, "Other")
    assert banner.buttons() == []
    banner.hide()
