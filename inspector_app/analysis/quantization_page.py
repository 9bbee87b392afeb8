"""The report of a quantization as one HTML page that needs nothing else.

It is made from the JSON document (``worker.quantize_report``), so that both say the same.
Whatever stands in it is made plain and escaped.
"""

from __future__ import annotations

import ntpath
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from inspector_app import __version__
from inspector_app.analysis.quantities import count_text, size_text
from inspector_app.analysis.report_page import foot, head
from inspector_app.analysis.report_words import NOTHING, counted
from inspector_app.analysis.svg_charts import meter
from inspector_app.checkpoint.text import plain

_LONGEST = 2_000
_MOST_LAYERS = 2_000
_FINE_DB = 45.0  # a bar of damage begins here, and is full at 0 dB

Document = Mapping[str, Any]
_Rows = Sequence[Sequence[str]]


def html_report(document: Document) -> Iterator[str]:
    """The page, in pieces.

    Args:
        document: as `worker.quantize_report.document` makes it.
    """
    title = _title(document)
    quantized, measured = document["quantized"], document["measured"]
    yield head(title)
    yield f"<h1>{escape(title)}</h1>\n"
    yield from _failure(document)
    if quantized is not None:
        yield from _sides(document)
    if measured is not None:
        yield from _outputs(measured["outputs"])
        yield from _damage(measured)
    yield _facts(document)
    if quantized is not None:
        yield from _stored(quantized["layers"])
    # Both workers may have said the same.
    notes = dict.fromkeys([*_of(quantized, "notes"), *_of(measured, "notes")])
    yield _notes(list(notes))
    if quantized is not None:
        yield _program("Loads the file", quantized["loading_code"])
        yield _program("The same quantization as a Python program", quantized["script"])
    yield f"<footer>Checkpoint Inspector {escape(__version__)}</footer>\n"
    yield foot()


def _title(document: Document) -> str:
    out, quantized = _name(document["out"]), document["quantized"]
    if document["failure"] is not None or document["refused"]:
        return f"{out} was not written"
    ratio = quantized["ratio"] if quantized is not None else None
    size = f" in {ratio:.0%} of its size" if ratio is not None else ""
    return f"{out}: {_name(document['src'])}{size}"


def _failure(document: Document) -> Iterator[str]:
    failure, refused = document["failure"], document["refused"]
    if failure is not None:
        cause, step = escape(_plain(failure["cause"])), escape(_plain(failure["next_step"]))
        yield f"<section><p>{cause}.</p><p>{step}</p></section>\n"
    elif refused:
        said = "".join(f"<li>{escape(_plain(each))}</li>" for each in refused)
        yield f'<section><h2>It loses too much</h2><ul class="plain">{said}</ul></section>\n'


def _sides(document: Document) -> Iterator[str]:
    """Float and quantized, side by side."""
    quantized, measured, memory = document["quantized"], document["measured"], document["memory"]
    before, after = quantized["original_bytes"], quantized["nbytes"]
    rows = [("Size of the file", size_text(before), size_text(after), _share(after, before))]
    if measured is not None:
        had, has = measured["float_accuracy"], measured["quantized_accuracy"]
        if had is not None and has is not None:
            points = f"{100 * (has - had):+.2f} points"
            rows.append(("Accuracy", f"{had:.2%}", f"{has:.2%}", points))
        slow, fast = measured["float_latency"], measured["quantized_latency"]
        if slow is not None and fast is not None:
            batch = counted(measured["batch"], "sample")
            change = _share(fast["median"], slow["median"])
            rows.append((f"Latency of {batch}", _latency(slow), _latency(fast), change))
    if memory is not None and memory["float"] is not None and memory["quantized"] is not None:
        had, has = memory["float"], memory["quantized"]
        rows.append(("Peak memory of a forward", size_text(had), size_text(has), _share(has, had)))
    if measured is not None:
        runtimes = (_plain(measured["float_runtime"]), _plain(measured["quantized_runtime"]))
        rows.append(("Run by", *runtimes, ""))
    yield from _table("Side by side", ("", "float", "quantized", "of float"), rows)


def _outputs(outputs: Sequence[Document]) -> Iterator[str]:
    heads = ("output", "SQNR", "max abs", "mean abs", "cosine", "same arg-max")
    rows = [
        (
            _plain(each["name"]),
            _db(each["sqnr_db"]),
            _figure(each["max_abs"]),
            _figure(each["mean_abs"]),
            NOTHING if each["cosine"] is None else f"{each['cosine']:.6f}",
            NOTHING if each["agreement"] is None else f"{each['agreement']:.2%}",
        )
        for each in outputs
    ]
    yield from _table("What each output loses", heads, rows)


def _damage(measured: Document) -> Iterator[str]:
    layers = measured["layers"]
    if not layers:
        return
    yield "<section><h2>Damage by layer, in the order in which they run</h2>"
    bound = _db(measured["breaks_db"])
    if measured["breaks"]:
        yield f"<p>The first below {bound} is {_code(measured['breaks'])}.</p>"
    if measured["leave"]:
        names = ", ".join(_code(each) for each in measured["leave"])
        cost = size_text(measured["leave_bytes"])
        yield f"<p>Left in float, {names} would cost {escape(cost)} more.</p>"
    yield '<div class="wide"><table><thead><tr><th>layer</th><th class="bar">damage</th>'
    yield '<th class="n">SQNR of its output</th><th class="n">of its input</th>'
    yield '<th class="n">float would cost</th></tr></thead><tbody>\n'
    for each in layers[:_MOST_LAYERS]:
        value = each["sqnr_db"]
        lost = 0.0 if value is None else min(max((_FINE_DB - value) / _FINE_DB, 0.0), 1.0)
        yield (
            f'<tr><td class="key">{_code(each["name"])}</td><td class="bar">{meter(lost)}</td>'
            f'<td class="n">{_db(value)}</td><td class="n">{_db(each["input_sqnr_db"])}</td>'
            f'<td class="n">{escape(size_text(each["saved_bytes"]))}</td></tr>\n'
        )
    yield "</tbody></table></div>" + _more(layers) + "</section>\n"


def _stored(layers: Sequence[Document]) -> Iterator[str]:
    heads = ("layer", "type", "stored as", "bits", "before", "after", "why in float")
    rows = [
        (
            _plain(each["name"]),
            _plain(each["type"]),
            _plain(each["stored"]),
            count_text(each["bits"]),
            size_text(each["float_bytes"]),
            size_text(each["nbytes"]),
            _plain(each["reason"]),
        )
        for each in layers[:_MOST_LAYERS]
    ]
    if rows:
        yield from _table("How each layer is stored", heads, rows, _more(layers))


def _facts(document: Document) -> str:
    model, method, data = document["model"], document["method"], document["data"]
    quantized, measured = document["quantized"], document["measured"]
    given = [f"{name}={value!r}" for name, value in model["arguments"].items()]
    options = [f"{name}={value!r}" for name, value in method["options"].items() if _said(value)]
    left = document["left_in_float"]
    rows = [
        ("Checkpoint", _code(document["src"])),
        ("Model", _code(model["spec"]) if model["spec"] else ""),
        ("Arguments", _lines(given)),
        ("Inputs", _lines(document["inputs"])),
        ("Method", escape(_plain(method["title"]))),
        ("Today", escape(_plain(method["state"]))),
        ("Options", _lines(options)),
        ("Left in float", _lines([*left["patterns"], *left["names"]])),
        ("Files", _lines(document["files"])),
    ]
    if data is not None:
        said = [f"{name}={value!r}" for name, value in data.items() if _said(value)]
        rows.append(("Data", _lines(said)))
    if quantized is not None and quantized["calibrated"]:
        rows.append(("Calibrated with", counted(quantized["calibrated"], "sample")))
    if measured is not None:
        which = f"{counted(measured['samples'], 'sample')}: {_plain(measured['held_out'])}"
        rows.append(("Measured on", escape(which)))
    shown = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows if text)
    return f"<section><h2>Quantization</h2><dl>{shown}</dl></section>\n"


def _table(title: str, heads: Sequence[str], rows: _Rows, after: str = "") -> Iterator[str]:
    """The first column has names, the others have figures."""
    yield f'<section><h2>{escape(title)}</h2><div class="wide"><table><thead><tr>'
    for place, name in enumerate(heads):
        yield f'<th class="n">{escape(name)}</th>' if place else f"<th>{escape(name)}</th>"
    yield "</tr></thead><tbody>\n"
    for first, *others in rows:
        cells = "".join(f'<td class="n">{escape(each)}</td>' for each in others)
        yield f'<tr><td class="key">{_code(first)}</td>{cells}</tr>\n'
    yield f"</tbody></table></div>{after}</section>\n"


def _more(layers: Sequence[object]) -> str:
    left = len(layers) - _MOST_LAYERS
    return f"<p>and {count_text(left)} more</p>" if left > 0 else ""


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    listed = "".join(f"<li>{escape(_plain(each))}</li>" for each in notes)
    return f'<section><h2>Worth knowing</h2><ul class="plain">{listed}</ul></section>\n'


def _program(title: str, text: str | None) -> str:
    if not text:
        return ""
    lines = "\n".join(plain(line, _LONGEST) for line in text.split("\n"))
    return f"<section><h2>{escape(title)}</h2><pre>{escape(lines)}</pre></section>\n"


def _of(part: Document | None, name: str) -> Sequence[str]:
    return part[name] if part is not None else ()


def _share(after: float, before: float) -> str:
    return f"{after / before:.0%}" if before else NOTHING


def _latency(latency: Document) -> str:
    low, high = _seconds(latency["low"]), _seconds(latency["high"])
    return f"{_seconds(latency['median'])} ({low} … {high})"


def _seconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.1f} s" if value >= 1 else f"{_figure(value * 1e3)} ms"


def _db(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f} dB"


def _figure(value: float | None) -> str:
    """Three significant digits: of an error its magnitude counts."""
    if value is None:
        return NOTHING
    text = f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
    return text.replace("e-0", "e-").replace("-", "−")


def _said(value: object) -> bool:
    return value not in ((), [], {}, "", None)


def _lines(texts: Sequence[str]) -> str:
    return "<br>".join(_code(each) for each in texts)


def _code(text: str) -> str:
    return f"<code>{escape(_plain(text))}</code>"


def _name(path: str) -> str:
    # A path may be of another system than this one.
    return _plain(ntpath.basename(path) or path)


def _plain(text: str) -> str:
    return plain(text, _LONGEST)
