"""Our report pages in the part of HTML that `QTextDocument` lays out.

It knows neither grids nor style variables nor drawings in the page ("Supported HTML Subset",
Qt's documentation): charts become pictures, lists of terms and cards become tables. What is
not known here is left out and its text kept.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape
from html.parser import HTMLParser
from typing import NamedTuple

UPRIGHT_COLUMNS = 7
WIDEST_BAR = 120  # pixels of a drawing that stands within a line
PICTURE = "picture:"  # before a drawing's number, where the page shows it
_SKIPPED = frozenset({"script", "style", "fieldset", "title"})
_KEPT = frozenset(
    {"h1", "h2", "h3", "p", "ul", "li", "table", "thead", "tbody", "tr", "pre", "code", "b", "i",
     "em", "strong", "caption"}
)  # fmt: skip
_LONE = frozenset({"br", "meta", "input", "hr", "img"})
_FILLS = {
    "mismatched": "#6f2c86",
    "missing": "#9c1f1f",
    "unexpected": "#1c6132",
    "changed": "#744a00",
    "uncompared": "#4d5663",
    "value": "#234a96",
    "identical": "#5b6472",
}
# The size of the text in tables is filled in.
STYLE = """
body {{ font-size: 9pt; color: #1c2128; }}
h1 {{ font-size: 17pt; margin: 0 0 8px 0; }}
h2 {{ font-size: 12pt; margin: 16px 0 5px 0; }}
p {{ margin: 0 0 6px 0; }}
ul {{ margin: 0 0 8px 0; }}
code, pre {{ font-family: monospace; font-size: {size}pt; }}
pre {{ background-color: #f3f4f6; white-space: pre-wrap; }}
table {{ margin: 2px 0 10px 0; }}
td, th {{ padding: 3px 8px 3px 2px; font-size: {size}pt; }}
th {{ text-align: left; }}
.muted {{ color: #5b6472; }}
.head {{ color: #5b6472; font-weight: bold; }}
"""


class Page(NamedTuple):
    """A page to lay out.

    Attributes:
        html: what `QTextDocument.setHtml` takes.
        drawings: as SVG, by the number after `PICTURE`.
        wide: a table has more columns than a page is wide when it stands upright.
    """

    html: str
    drawings: list[str]
    wide: bool = False


class PageReader(HTMLParser):
    """Reads one of our pages, piece by piece; `page` is what it came to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._drawings: list[str] = []
        self._svg: list[str] | None = None
        self._svg_class = ""
        self._open: list[str] = []  # what ends each element that is open
        self._skipping = 0
        self._columns = 0
        self._most_columns = 0

    def page(self) -> Page:
        """What has been read."""
        wide = self._most_columns > UPRIGHT_COLUMNS
        return Page("".join(self._out), self._drawings, wide)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._svg is not None:
            self._svg.append(_element(tag, attrs, self._svg_class))
            return
        if tag in _LONE:
            self._out.append("<br>" if tag == "br" and not self._skipping else "")
            return
        if self._skipping or tag in _SKIPPED or "live" in _classes(attrs):
            self._skipping += 1
            self._open.append("")
            return
        if tag == "svg":
            self._svg_class = " ".join(_classes(attrs))
            self._svg = [_element(tag, attrs)]
            self._open.append("")
            return
        begins, ends = self._translated(tag, _classes(attrs))
        self._out.append(begins)
        self._open.append(ends)

    def handle_endtag(self, tag: str) -> None:
        if self._svg is not None:
            self._svg.append(f"</{tag}>")
            if tag == "svg":
                self._draw("".join(self._svg))
                self._svg = None
                self._open.pop()
            return
        if tag in _LONE or not self._open:
            return
        ends = self._open.pop()
        if self._skipping:
            self._skipping -= 1
        else:
            self._out.append(ends)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._svg is not None:
            self._svg.append(_element(tag, attrs, self._svg_class, closed=True))
        else:
            super().handle_startendtag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if self._svg is not None:
            self._svg.append(escape(data))
        elif not self._skipping:
            # Long names break where they may: Qt breaks a line at spaces, or at these.
            self._out.append(escape(data))

    def _draw(self, svg: str) -> None:
        self._out.append(_shown(svg, len(self._drawings)))
        self._drawings.append(svg)

    def _translated(self, tag: str, classes: list[str]) -> tuple[str, str]:
        """What an element of ours begins and ends with."""
        if tag == "b" and "badge" in classes:
            fill = next((_FILLS[each] for each in classes if each in _FILLS), "#5b6472")
            return f'<span style="color:{fill}"><b>', "</b></span> "
        if tag == "tr":
            self._columns = 0
        if tag in ("td", "th"):
            self._columns += 1
            self._most_columns = max(self._most_columns, self._columns)
            end = "right" if "n" in classes else "left"
            head = ' class="head"' if tag == "th" and self._in_head() else ""
            width = ' width="34%"' if "key" in classes else ""
            return f'<td align="{end}"{head}{width}>', "</td>"
        if tag == "dl":
            return "<table>", "</table>"
        if tag == "dt":
            return '<tr><td class="muted">', "</td>"
        if tag == "dd":
            return "<td>", "</td></tr>"
        if tag == "table":
            return '<table width="100%" cellspacing="0">', "</table>"
        if tag == "footer":
            return '<p class="muted">', "</p>"
        if tag == "div" and "file" in classes:
            return "<p>", "</p>"
        if tag == "span" and "side" in classes:
            return "<b>", ":</b> "
        if tag == "span" and "name" in classes:
            return "<b>", "</b><br>"
        if tag == "span" and ("path" in classes or "facts" in classes):
            return '<span class="muted">', "</span><br>"
        if tag in _KEPT:
            muted = ' class="muted"' if "muted" in classes or "into" in classes else ""
            return f"<{tag}{muted}>", f"</{tag}>"
        return "", ""

    def _in_head(self) -> bool:
        return "</thead>" in self._open


def _shown(svg: str, number: int) -> str:
    """The place of a drawing: as wide as the page, or a short bar within a cell."""
    width, height = drawing_size(svg)
    image = f'<img src="{PICTURE}{number}" width="{width}" height="{height}">'
    return image if width <= WIDEST_BAR else f"<p>{image}</p>"


def drawing_size(svg: str) -> tuple[int, int]:
    """Width and height of a drawing on the page, in pixels of 96 to the inch."""
    found = re.search(r'viewbox="0 0 (\d+)(?:\.\d+)? (\d+)', svg, re.IGNORECASE)
    width, height = (int(found[1]), int(found[2])) if found else (600, 100)
    if width <= WIDEST_BAR:
        return width, height
    shown = 660
    return shown, max(height * shown // max(width, 1), 10)


@cache
def _drawing_rules() -> dict[str, dict[str, str]]:
    """What the pages' style says of drawings, by selector; for light, without variables."""
    from inspector_app.analysis.report_page import STYLE as PAGES

    light = PAGES[: PAGES.index("@media")]
    colours = dict(re.findall(r"(--[\w-]+):\s*(#\w+)", light))
    rules: dict[str, dict[str, str]] = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", PAGES):
        said = re.findall(r"(fill|stroke-width|stroke|opacity|text-anchor)\s*:\s*([^;]+)", body)
        for selector in selectors.split(","):
            given = {name: _resolved(value.strip(), colours) for name, value in said}
            rules.setdefault(selector.strip(), {}).update(given)
    return rules


def _drawn(tag: str, classes: list[str], drawing: str) -> dict[str, str]:
    """How an element of a drawing looks: Qt's SVG knows no rules that name what it lies in."""
    rules = _drawing_rules()
    found: dict[str, str] = (
        {"font-size": "12", "font-family": "sans-serif"} if tag == "text" else {}
    )
    places = [tag, *(f".{each}" for each in classes)]
    if len(classes) > 1:
        places.append("".join(f".{each}" for each in classes))
    for place in places:
        for selector in (place, f".{drawing} {place}"):
            if place != tag or selector != place:
                found |= rules.get(selector, {})
    return found


def _resolved(text: str, colours: dict[str, str]) -> str:
    return re.sub(r"var\((--[\w-]+)\)", lambda name: colours.get(name[1], "#5b6472"), text)


def _classes(attrs: list[tuple[str, str | None]]) -> list[str]:
    return (dict(attrs).get("class") or "").split()


def _element(
    tag: str, attrs: list[tuple[str, str | None]], drawing: str = "", closed: bool = False
) -> str:
    given = {_CASED.get(name, name): value or "" for name, value in attrs}
    if drawing:
        given = _drawn(tag, given.get("class", "").split(), drawing) | given
    if tag == "svg":
        given["xmlns"] = "http://www.w3.org/2000/svg"
    text = "".join(f' {name}="{escape(value)}"' for name, value in given.items())
    return f"<{tag}{text}{'/' if closed else ''}>"


# The parser gives names in lower case, and SVG's have others.
_CASED = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}
