"""The report of an export as one HTML page that needs nothing else.

It is made from the JSON document (``worker.export_report``), so that both say the same.
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
from inspector_app.checkpoint.text import plain

FORMATS = {
    "onnx": "ONNX",
    "torchscript": "TorchScript",
    "torch-export": "torch.export",
    "safetensors": "safetensors",
    "state-dict": "state_dict",
}
_MOST_CASES = 500
_LONGEST = 2_000
_GOOD, _BAD = ("unexpected", "✓"), ("missing", "✗")


def html_report(document: Mapping[str, Any]) -> Iterator[str]:
    """The page, in pieces.

    Args:
        document: as `worker.export_report.document` makes it.
    """
    proof = document["proof"]
    title = _title(document)
    yield head(title)
    yield f"<h1>{escape(title)}</h1>\n"
    yield from _verdict(document)
    yield _facts(document)
    if proof is not None:
        yield from _cases(proof)
    yield from _outputs(document["outputs"])
    yield _operators(document["operators"])
    yield _notes([*document["notes"], *(proof["notes"] if proof else ())])
    yield _script(document["script"])
    yield f"<footer>Checkpoint Inspector {escape(__version__)}</footer>\n"
    yield foot()


def _title(document: Mapping[str, Any]) -> str:
    out, source = _name(document["out"]), _name(document["src"])
    proof = document["proof"]
    if document["failure"] is not None:
        return f"{out} was not written"
    if proof is None:
        return f"{out} was written and not compared"
    return f"{out} computes {'the same as' if proof['passed'] else 'something else than'} {source}"


def _verdict(document: Mapping[str, Any]) -> Iterator[str]:
    proof, failure = document["proof"], document["failure"]
    if failure is not None:
        cause, step = escape(_plain(failure["cause"])), escape(_plain(failure["next_step"]))
        yield f"<section><p>{_badge(False)} {cause}.</p><p>{step}</p></section>\n"
    elif proof is not None:
        runs = counted(len(proof["cases"]), "comparison")
        bounds = f"rtol {_figure(proof['rtol'])}, atol {_figure(proof['atol'])}"
        text = f"{runs}, each within tolerance ({bounds})."
        if not proof["passed"]:
            wrong = sum(not each["within"] for each in proof["cases"])
            text = f"{count_text(wrong)} of {runs} out of tolerance ({bounds}); "
            text += "nothing was written."
        yield f"<section><p>{_badge(proof['passed'])} {escape(text)}</p>"
        if proof["departs"]:
            departs = escape(_plain(proof["departs"]))
            yield f"<p>The first layer whose output departs: <b>{departs}</b></p>"
        yield "</section>\n"


def _facts(document: Mapping[str, Any]) -> str:
    proof, model = document["proof"], document["model"]
    rows = [("Checkpoint", _code(document["src"])), ("Its size", _bytes(document["src_bytes"]))]
    if model["spec"]:
        rows.append(("Model", _code(model["spec"])))
    given = [f"{name}={value!r}" for name, value in model["arguments"].items()]
    rows += [("Arguments", _lines(given)), ("Inputs", _lines(document["inputs"]))]
    rows += [("Dynamic axes", _lines(document["dynamic"]))]
    rows += [("Format", escape(FORMATS.get(document["format"], "")))]
    options = [f"{name}={value!r}" for name, value in document["options"].items() if _said(value)]
    rows += [("Options", _lines(options)), ("Files", _lines(document["files"]))]
    rows += [("Their size", _bytes(document["nbytes"]))]
    if document["seconds"] is not None:
        rows.append(("Export took", _seconds(document["seconds"])))
    if proof is not None:
        rows += [("Run by", escape(_plain(proof["runtime"]))), ("Latency", _latency(proof))]
    shown = "".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in rows if text)
    return f"<section><h2>Export</h2><dl>{shown}</dl></section>\n"


def _cases(proof: Mapping[str, Any]) -> Iterator[str]:
    yield '<section><h2>Proof</h2><div class="wide"><table><thead><tr>'
    yield '<th>sizes</th><th>output</th><th class="n">max abs</th><th class="n">max rel</th>'
    yield "<th>within</th></tr></thead><tbody>\n"
    for case in proof["cases"][:_MOST_CASES]:
        sizes = ", ".join(f"{name} {count_text(size)}" for name, size in case["sizes"].items())
        place = f'<th class="status">{escape(_plain(sizes)) or "as the example"}</th>'
        if case["error"]:
            said = escape(_plain(case["error"]))
            yield f'<tr>{place}<td colspan="3">{said}</td><td>{_badge(False)}</td></tr>\n'
        for each in case["outputs"]:
            yield (
                f"<tr>{place}<td>{_code(each['name'])}</td>"
                f'<td class="n">{_figure(each["max_abs"])}</td>'
                f'<td class="n">{_figure(each["max_rel"])}</td>'
                f"<td>{_badge(each['within'])}</td></tr>\n"
            )
        if not case["outputs"] and not case["error"]:
            yield f'<tr>{place}<td colspan="3">equal</td><td>{_badge(True)}</td></tr>\n'
    more = len(proof["cases"]) - _MOST_CASES
    yield "</tbody></table></div>"
    yield f"<p>and {count_text(more)} more</p></section>\n" if more > 0 else "</section>\n"


def _outputs(outputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if outputs:
        yield "<section><h2>Outputs</h2><dl>"
        for each in outputs:
            shape = " × ".join(map(count_text, each["shape"])) or "a single number"
            yield f"<dt>{_code(each['name'])}</dt><dd>{shape}, {escape(_plain(each['dtype']))}</dd>"
        yield "</dl></section>\n"


def _operators(operators: Mapping[str, int]) -> str:
    if not operators:
        return ""
    total = count_text(sum(operators.values()))
    listed = "".join(
        f'<li><span class="count">{count_text(count)}</span> {_code(name)}</li>'
        for name, count in operators.items()
    )
    return f'<section><h2>{total} operators</h2><ul class="totals">{listed}</ul></section>\n'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    listed = "".join(f"<li>{escape(_plain(each))}</li>" for each in notes)
    return f'<section><h2>Worth knowing</h2><ul class="plain">{listed}</ul></section>\n'


def _script(script: str | None) -> str:
    if not script:
        return ""
    lines = "\n".join(plain(line, _LONGEST) for line in script.split("\n"))
    return (
        "<section><h2>The same export as a Python program</h2>"
        f"<pre>{escape(lines)}</pre></section>\n"
    )


def _figure(value: float | None) -> str:
    """Three significant digits: of an error its magnitude counts."""
    if value is None:
        return NOTHING
    text = f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"
    return text.replace(".00e", "e").replace("e-0", "e-").replace("-", "−")


def _latency(proof: Mapping[str, Any]) -> str:
    original, result = proof["original_seconds"], proof["result_seconds"]
    if not original or not result:
        return ""
    ratio = f"{original / result:.2g} times as fast"
    if original < result:
        ratio = f"{result / original:.2g} times as slow"
    return f"{_seconds(result)}; the original {_seconds(original)}: {ratio}"


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 1 else f"{_figure(value * 1e3)} ms"


def _bytes(count: int | None) -> str:
    return "" if count is None else escape(size_text(count))


def _said(value: object) -> bool:
    return value not in ((), [], {}, "", None)


def _badge(good: bool) -> str:
    kind, letter = _GOOD if good else _BAD
    word = "within" if good else "not within"
    return f'<b class="badge {kind}" role="img" aria-label="{word}">{letter}</b>'


def _lines(texts: Sequence[str]) -> str:
    return "<br>".join(_code(each) for each in texts)


def _code(text: str) -> str:
    return f"<code>{escape(_plain(text))}</code>"


def _name(path: str) -> str:
    # A path may be of another system than this one.
    return _plain(ntpath.basename(path) or path)


def _plain(text: str) -> str:
    return plain(text, _LONGEST)
