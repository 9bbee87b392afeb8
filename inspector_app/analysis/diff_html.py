"""A comparison as one HTML page that needs nothing else: style, script and charts are in it.

Whatever comes from the files is made plain and escaped; the page's policy lets a browser run
and load nothing but what the page itself has (`report_page`).
"""

from __future__ import annotations

import math
import ntpath
from collections.abc import Generator, Iterator, Sequence
from html import escape

from inspector_app import __version__
from inspector_app.analysis import report_words as words
from inspector_app.analysis.comparison import Comparison, KeyPair, Status
from inspector_app.analysis.diff_report import (
    DIFFERENT,
    MOST_PARTS,
    MOST_VALUES,
    Report,
    ReportOptions,
    left_out_of_message,
    load_message,
    load_verdict,
    reporting,
)
from inspector_app.analysis.layer_changes import LayerChange, most_moved, relative_change
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.report_page import foot, head
from inspector_app.analysis.svg_charts import Point, Share, depth_chart, meter, share_bar
from inspector_app.checkpoint.model import Checkpoint, TreePath
from inspector_app.checkpoint.text import plain

_MOST_POINTS = 1_000
_MOST_MOVED = 12
_ROWS_AT_ONCE = 100
_UNBROKEN = 32
_SHORT = ' class="short"'
_SHOWN = (Status.MISMATCHED, Status.MISSING, Status.UNEXPECTED, Status.CHANGED)
_FIGURES = ("rel L2", "max abs", "mean abs", "cosine", "differing")


def html_report(comparison: Comparison, options: ReportOptions | None = None) -> Iterator[str]:
    """The page, in pieces; some are empty, so that a window can go on between them."""
    steps = reporting(comparison, options or ReportOptions())
    report = yield from _driven(steps)
    yield head(f"{_name(comparison.a)} and {_name(comparison.b)} compared")
    yield "<h1>Checkpoint comparison</h1>\n"
    yield _files(comparison)
    yield _summary(report)
    yield _hints(report)
    yield from _layers(report.layers)
    yield from _values(comparison)
    yield from _keys(report)
    yield _left_out(comparison)
    yield _loading(report)
    yield _method(report)
    yield f"<footer>Checkpoint Inspector {escape(__version__)}</footer>\n"
    yield foot()


def _driven(steps: Generator[None, None, Report]) -> Generator[str, None, Report]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            report: Report = end.value
            return report
        yield ""


def _name(checkpoint: Checkpoint) -> str:
    # A path may be of another system than this one.
    return plain(ntpath.basename(checkpoint.path) or checkpoint.path)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _badge(status: str) -> str:
    return f'<b class="badge {status}" aria-hidden="true">{words.LETTERS[status]}</b>'


def _files(comparison: Comparison) -> str:
    sides = (
        ("A", comparison.a, comparison.sections[0]),
        ("B", comparison.b, comparison.sections[1]),
    )
    a, b = (_file(*side) for side in sides)
    # From B to A, as it is read: B is loaded into A.
    arrow = '<p class="into"><b aria-hidden="true">←</b>B is loaded into A</p>'
    return f'<div class="files">{a}{arrow}{b}</div>\n'


def _file(side: str, checkpoint: Checkpoint, section: TreePath) -> str:
    facts = [
        escape(checkpoint.format),
        size_text(checkpoint.file_bytes),
        words.counted(len(checkpoint.tensors), "tensor"),
    ]
    compared = f"compared by {_code(words.path_text(section))}" if section else "compared whole"
    return (
        f'<div class="file"><span class="side">{side}</span>'
        f'<span class="name">{escape(_name(checkpoint))}</span>'
        f'<span class="path">{escape(plain(checkpoint.path, 400))}</span>'
        f'<span class="facts">{", ".join(facts)}</span>'
        f'<span class="facts">{compared}</span></div>'
    )


def _summary(report: Report) -> str:
    found = report.listing.found
    shown = [*_SHOWN, *(s for s in (Status.UNCOMPARED,) if found[s]), Status.IDENTICAL]
    items = [_total(status, found[status]) for status in shown]
    others = len(report.comparison.values)
    if others:
        items.append(_total(words.VALUE, others))
    total = len(report.comparison.pairs)
    title = ", ".join(
        f"{count_text(found[status])} {words.WORDS[status]}" for status in shown if found[status]
    )
    shares = [
        Share(status, found[status], f"{words.WORDS[status]}: {count_text(found[status])}")
        for status in shown
    ]
    bar = share_bar(shares, f"Of {words.counted(total, 'key')}: {title}") if total else ""
    evidence = "".join(f"<li>{escape(sentence)}</li>" for sentence in report.evidence)
    return (
        f'<section aria-labelledby="summary"><h2 id="summary">{words.counted(total, "key")}'
        f'</h2><ul class="totals">{"".join(items)}</ul>{bar}'
        f"<p>{escape(load_verdict(report))}</p>"
        f'{f"""<ul class="plain muted">{evidence}</ul>""" if evidence else ""}</section>\n'
    )


def _hints(report: Report) -> str:
    """What would make more keys match."""
    if not report.hints:
        return ""
    items = "".join(
        f"<li>{''.join(_code(run.text) if run.quoted else escape(run.text) for run in runs)}</li>"
        for runs in report.hints
    )
    return (
        '<section aria-labelledby="hints"><h2 id="hints">What would match more keys</h2>'
        f'<ul class="plain">{items}</ul></section>\n'
    )


def _total(status: str, count: int) -> str:
    none = "" if count else ' class="none"'
    return (
        f'<li{none} title="{escape(words.MEANINGS[status])}">{_badge(status)}'
        f'<span class="count">{count_text(count)}</span> {words.WORDS[status]}</li>'
    )


def _layers(layers: Sequence[LayerChange]) -> Iterator[str]:
    if not layers:
        return
    yield '<section aria-labelledby="layers"><h2 id="layers">Relative change by layer</h2>'
    known = [layer for layer in layers if layer.change is not None]
    moved = most_moved(layers, _MOST_MOVED)
    if not known:
        yield (
            "<p>Nobody has measured how far the values moved: that takes reading them.</p>"
            "</section>\n"
        )
        return
    yield (
        '<p class="muted">The largest ‖B − A‖₂ / ‖A‖₂ among the tensors of each layer, in '
        f"the order of A. {_remarks(layers, known)}</p>"
    )
    if moved:
        yield '<div class="wide">'
        title = f"Relative change of {words.counted(len(layers), 'layer')}, from first to last"
        first, last = (words.key_text(layers[place].name) for place in (0, -1))
        yield from depth_chart(_points(layers), title, first, last)
        yield f"</div>{_movers(moved)}"
    elif len(known) == len(layers):
        yield "<p>No layer moved.</p>"
    yield "</section>\n"


def _remarks(layers: Sequence[LayerChange], known: Sequence[LayerChange]) -> str:
    remarks = []
    unknown = len(layers) - len(known)
    if unknown:
        remarks.append(
            f"{count_text(unknown)} of {words.counted(len(layers), 'layer')} "
            "are not known: their values were not measured."
        )
    still = sum(layer.change == 0 for layer in known)
    if still:
        remarks.append(f"{words.counted(still, 'layer')} did not move.")
    if any(math.isinf(layer.change or 0.0) for layer in known):
        remarks.append("A cross is a tensor that is all zero in A.")
    if len(layers) > _MOST_POINTS:
        together = -(-len(layers) // _MOST_POINTS)
        remarks.append(f"Of each {count_text(together)} layers the one that moved most is drawn.")
    return escape(" ".join(remarks))


def _points(layers: Sequence[LayerChange]) -> list[Point]:
    together = -(-len(layers) // _MOST_POINTS)
    points = []
    for start in range(0, len(layers), together):
        some = layers[start : start + together]
        layer = max(some, key=lambda each: -1.0 if each.change is None else each.change)
        name = words.key_text(layer.name)
        key = words.key_text(layer.pair.key)
        points.append(Point(name, layer.change, f"{key}: {words.figure(layer.change)}"))
    return points


def _movers(moved: Sequence[LayerChange]) -> str:
    most = max((each.change for each in moved if each.change and each.change < math.inf), default=1)
    rows = []
    for layer in moved:
        change, metrics = layer.change or 0.0, layer.pair.metrics
        rows.append(
            f'<tr><th scope="row" class="key">{_key(layer.pair.key)}</th>'
            f'<td class="n">{words.figure(change)}</td>'
            f'<td class="bar">{meter(change / most if change < math.inf else 1.0)}</td>'
            f'<td class="n">{words.figure(metrics.max_abs if metrics else None)}</td>'
            f'<td class="n">{words.cosine_text(metrics.cosine if metrics else None)}</td></tr>'
        )
    return (
        '<div class="wide"><table><caption>The layers that moved most, each by the tensor of '
        'it that did</caption><thead><tr><th scope="col">key</th>'
        '<th scope="col" class="n">rel L2</th><th scope="col"><span aria-hidden="true"></span>'
        '</th><th scope="col" class="n">max abs</th><th scope="col" class="n">cosine</th>'
        f"</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _key(key: str) -> str:
    """A key, whose last part stands out."""
    text = words.key_text(key)
    before, dot, last = text.rpartition(".")
    return f"<code><i>{escape(before + dot)}</i>{escape(last)}</code>" if last else _code(text)


def _values(comparison: Comparison) -> Iterator[str]:
    if not comparison.values:
        return
    yield (
        '<section aria-labelledby="values"><h2 id="values">Other values that differ</h2>'
        '<div class="wide"><table><thead><tr><th scope="col">where</th><th scope="col">A</th>'
        '<th scope="col">B</th></tr></thead><tbody>'
    )
    for path, a, b in comparison.values[:MOST_VALUES]:
        yield (
            f'<tr><th scope="row" class="key">{_code(words.path_text(path))}</th>'
            f"<td>{_value(a)}</td><td>{_value(b)}</td></tr>\n"
        )
    yield "</tbody></table></div>"
    left = len(comparison.values) - MOST_VALUES
    if left > 0:
        yield f'<p class="muted">{count_text(left)} more are not listed.</p>'
    yield "</section>\n"


def _value(value: object) -> str:
    return _code(words.value_text(value))


def _keys(report: Report) -> Iterator[str]:
    pairs, found, left = report.listing
    if not pairs:
        return
    present = [status for status in DIFFERENT if found[status]]
    measured = any(pair.metrics is not None for pair in pairs)
    classes = " ".join(f"of-{status}" for status in present)
    yield (
        f'<section class="keys {classes}" aria-labelledby="keys">'
        '<h2 id="keys">Keys that differ</h2>'
    )
    if left.total():
        parts = ", ".join(f"{count_text(left[s])} {words.WORDS[s]}" for s in present if left[s])
        most = " Of the changed ones those that moved most are listed." * bool(left[Status.CHANGED])
        yield (
            f'<p class="muted">{count_text(len(pairs))} of {count_text(len(pairs) + left.total())}'
            f" are listed. Left out: {parts}.{most}</p>"
        )
    boxes = "".join(
        f'<label><input type="checkbox" id="show-{status}" value="{status}" checked>'
        f"{_badge(status)}{words.WORDS[status]} {count_text(found[status])}</label>"
        for status in present
    )
    yield f"<fieldset><legend>List</legend>{boxes}</fieldset>"
    figures = "".join(f'<th scope="col" class="n">{name}</th>' for name in _FIGURES * measured)
    yield (
        '<div class="wide"><table><thead><tr><th scope="col">status</th><th scope="col">key</th>'
        f'<th scope="col">shape</th><th scope="col">dtype</th>{figures}'
        '<th scope="col">notes</th></tr></thead><tbody>\n'
    )
    for start in range(0, len(pairs), _ROWS_AT_ONCE):
        yield "".join(_row(pair, measured) for pair in pairs[start : start + _ROWS_AT_ONCE])
    yield "</tbody></table></div></section>\n"


def _row(pair: KeyPair, measured: bool) -> str:
    status = pair.status
    return (
        f'<tr class="{status}"><td class="status" data-v="{DIFFERENT.index(status)}">'
        f"{_badge(status)} {words.WORDS[status]}</td>"
        f'<th scope="row" class="key">{_key(pair.key)}</th>'
        f"<td>{_both(words.shapes(pair))}</td><td>{_both(words.dtypes(pair))}</td>"
        f"{_figures(pair) if measured else ''}"
        f'<td class="note">{escape(", ".join(words.notes(pair)))}</td></tr>\n'
    )


def _both(text: str) -> str:
    """What A has, or what it has and what B has: a line breaks between the two alone."""
    return words.ARROW.join(
        f"<code{_SHORT if len(each) <= _UNBROKEN else ''}>{escape(each)}</code>"
        for each in text.split(words.ARROW)
    )


def _figures(pair: KeyPair) -> str:
    metrics = pair.metrics
    if metrics is None:
        return '<td class="n"></td>' * len(_FIGURES)
    share = words.share(metrics.differing, metrics.count)
    change = relative_change(metrics)
    return "".join(
        (
            _number(change, words.figure(change)),
            _number(metrics.max_abs, words.figure(metrics.max_abs)),
            _number(metrics.mean_abs, words.figure(metrics.mean_abs)),
            _number(metrics.cosine, words.cosine_text(metrics.cosine)),
            _number(metrics.differing_share, share),
        )
    )


def _number(value: float | None, text: str) -> str:
    """A cell that knows its value, to be sorted by."""
    if value is None or math.isnan(value):
        return f'<td class="n">{text}</td>'
    exact = ("Infinity" if value > 0 else "-Infinity") if math.isinf(value) else repr(value)
    return f'<td class="n" data-v="{exact}">{text}</td>'


def _left_out(comparison: Comparison) -> str:
    items = []
    for side, path, count in comparison.left_out[:MOST_PARTS]:
        tensors = f", {words.counted(count, 'tensor')}" if count else ""
        items.append(f"<li>Only in {side.upper()}: {_code(words.path_text(path))}{tensors}</li>")
    items += [
        f"<li>Too large to be compared: {_code(words.path_text(path))}</li>"
        for path in comparison.not_compared[:MOST_PARTS]
    ]
    if not items:
        return ""
    left = sum(
        max(len(each) - MOST_PARTS, 0) for each in (comparison.left_out, comparison.not_compared)
    )
    if left:
        items.append(f"<li>{count_text(left)} more</li>")
    return (
        '<section aria-labelledby="left-out"><h2 id="left-out">What was not compared</h2>'
        f'<ul class="plain">{"".join(items)}</ul></section>\n'
    )


def _loading(report: Report) -> str:
    left = left_out_of_message(report)
    cut = f'<p class="muted">{words.counted(left, "more key")} left out.</p>' if left else ""
    return (
        '<section aria-labelledby="loading"><h2 id="loading">What PyTorch would print</h2>'
        f'<p class="muted">{_code("A.load_state_dict(B, strict=True)")} of the two models.</p>'
        f'<pre tabindex="0" aria-labelledby="loading">{escape(load_message(report))}</pre>{cut}'
        "</section>\n"
    )


def _method(report: Report) -> str:
    if report.method:
        rows = "".join(
            f"<dt>{escape(name)}</dt><dd>{_code(text)}</dd>" for name, text in report.method
        )
        said = f"<dl>{rows}</dl>"
    else:
        said = "<p>All keys as the files have them, bit by bit.</p>"
    legend = "".join(
        f"<dt>{_badge(status)} {words.WORDS[status]}</dt><dd>{words.MEANINGS[status]}</dd>"
        for status in words.LETTERS
    )
    return (
        '<section aria-labelledby="method"><h2 id="method">How this was compared</h2>'
        f"{said}</section>\n"
        '<section aria-labelledby="terms"><h2 id="terms">What the words mean</h2>'
        f"<dl>{legend}<dt>rel L2</dt><dd>‖B − A‖₂ / ‖A‖₂, over finite values</dd>"
        "<dt>max abs, mean abs</dt><dd>the largest and the mean |B − A|</dd>"
        "<dt>cosine</dt><dd>similarity of the two as vectors</dd>"
        "<dt>differing</dt><dd>share of elements whose bits differ</dd></dl></section>\n"
    )
