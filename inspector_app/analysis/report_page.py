"""The frame of an HTML report: its style, its script, and what it may load, which is nothing.

The page names the hashes of its own style and script as the only ones that a browser may
use (Content Security Policy 3, hash sources). Were anything from a file ever taken for
markup, it would neither run nor load.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f3f4f6; --card: #ffffff; --text: #1c2128; --muted: #5b6472; --line: #d3d8e0;
  --soft: #eef0f3; --accent: #2f5fc4; --grid: #e4e7ec;
  --mismatched: #6f2c86; --mismatched-fill: #f5e6fa;
  --missing: #9c1f1f; --missing-fill: #fde7e5;
  --unexpected: #1c6132; --unexpected-fill: #dff3e4;
  --changed: #744a00; --changed-fill: #fff1d0;
  --uncompared: #4d5663; --uncompared-fill: #e9ebef;
  --value: #234a96; --value-fill: #e6eefc;
  --identical: #5b6472; --identical-fill: #eef0f3;
  --bar-mismatched: #a65cc0; --bar-missing: #cf5149; --bar-unexpected: #3f9a5b;
  --bar-changed: #e0a12c; --bar-uncompared: #8b95a3; --bar-identical: #cbd1da;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #191c22; --card: #20242b; --text: #e6e9ee; --muted: #a3acba; --line: #3d444f;
    --soft: #2a2f38; --accent: #8ab4ff; --grid: #2f353f;
    --mismatched: #e3b4f3; --mismatched-fill: #3c2745;
    --missing: #ffb3ad; --missing-fill: #452426;
    --unexpected: #9fdcae; --unexpected-fill: #1f3a28;
    --changed: #ffd58a; --changed-fill: #3d311a;
    --uncompared: #c3cad4; --uncompared-fill: #333842;
    --value: #b6cffc; --value-fill: #22304a;
    --identical: #a3acba; --identical-fill: #2a2f38;
    --bar-mismatched: #b978d1; --bar-missing: #e0706a; --bar-unexpected: #55b172;
    --bar-changed: #e5ad45; --bar-uncompared: #7b8594; --bar-identical: #4a525e;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 16px; letter-spacing: -.01em; }
h2 { font-size: 17px; line-height: 1.3; margin: 0 0 10px; }
p { margin: 0 0 10px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 18px 20px; margin: 16px 0 0; }
section > :last-child { margin-bottom: 0; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: 13px; }
code { overflow-wrap: anywhere; unicode-bidi: isolate; }
code.short { white-space: nowrap; }
pre { margin: 0; padding: 12px 14px; background: var(--soft); border-radius: 8px;
  white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4; max-height: 460px; overflow: auto; }
.muted { color: var(--muted); }
.files { display: grid; grid-template-columns: 1fr auto 1fr; gap: 12px; align-items: center; }
.file { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; min-width: 0; align-self: stretch; display: grid;
  grid-template-columns: auto 1fr; column-gap: 12px; align-content: start; }
.file .side { grid-row: span 4; width: 30px; height: 30px; border-radius: 8px; font-weight: 700;
  background: var(--accent); color: var(--card); display: grid; place-items: center; }
.file .name { font-weight: 600; overflow-wrap: anywhere; unicode-bidi: isolate; }
.file .path, .file .facts { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
.into { color: var(--muted); font-size: 13px; text-align: center; max-width: 86px; }
.into b { display: block; font-size: 20px; line-height: 1; font-weight: 400; color: var(--text); }
.totals { display: flex; flex-wrap: wrap; gap: 8px 10px; margin: 0 0 14px; padding: 0;
  list-style: none; }
.totals li { display: flex; align-items: baseline; gap: 7px; padding: 8px 14px 8px 10px;
  border-radius: 8px; background: var(--soft); }
.totals .count { font-size: 20px; line-height: 1.2; font-weight: 650;
  font-variant-numeric: tabular-nums; }
.totals .none { color: var(--muted); } .none .badge { opacity: .55; }
.badge { display: inline-grid; place-items: center; width: 18px; height: 18px; border-radius: 4px;
  font-size: 12px; line-height: 1; font-weight: 700; color: var(--card); vertical-align: 1px;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.badge.mismatched { background: var(--mismatched); } .badge.missing { background: var(--missing); }
.badge.unexpected { background: var(--unexpected); } .badge.changed { background: var(--changed); }
.badge.uncompared { background: var(--uncompared); } .badge.value { background: var(--value); }
.badge.identical { background: var(--identical); }
svg { display: block; width: 100%; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.shares { height: 14px; margin: 0 0 14px; }
.shares .mismatched { fill: var(--bar-mismatched); } .shares .missing { fill: var(--bar-missing); }
.shares .unexpected { fill: var(--bar-unexpected); } .shares .changed { fill: var(--bar-changed); }
.shares .uncompared { fill: var(--bar-uncompared); }
.shares .identical { fill: var(--bar-identical); }
.wide { overflow-x: auto; }
.chart { min-width: 820px; height: auto; }
.chart text { font-size: 12px; fill: var(--muted); }
.chart .tick, .chart .last { text-anchor: end; }
.chart .name { fill: var(--text); font-weight: 600; text-anchor: middle; }
.grid { stroke: var(--grid); fill: none; } .axis { stroke: var(--line); fill: none; }
.stem { stroke: var(--accent); opacity: .3; fill: none; }
.dot { fill: var(--accent); } .dot.zero { fill: var(--card); stroke: var(--muted); }
.cross { stroke: var(--missing); stroke-width: 2; fill: none; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
caption { text-align: start; color: var(--muted); padding: 0 0 8px; }
th, td { text-align: start; padding: 6px 10px; border-top: 1px solid var(--grid);
  vertical-align: baseline; }
thead th { border-top: 0; border-bottom: 1px solid var(--line); color: var(--muted);
  font-weight: 600; font-size: 13px; white-space: nowrap; background: var(--card); }
tbody th { font-weight: 400; }
tbody tr:hover { background: var(--soft); }
th:first-child, td:first-child { padding-left: 4px; } th:last-child, td:last-child {
  padding-right: 4px; }
.n { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
.key { min-width: 220px; } .key code i { font-style: normal; color: var(--muted); }
.status { white-space: nowrap; } .note { color: var(--muted); font-size: 13px; min-width: 130px; }
.from { color: var(--muted); }
.bar { width: 30%; min-width: 90px; } .meter { height: 8px; border-radius: 2px; }
.meter .room { fill: var(--soft); } .meter .fill { fill: var(--accent); }
thead button { all: unset; cursor: pointer; border-radius: 4px; }
thead button:focus-visible, label:focus-within, a:focus-visible { outline: 2px solid var(--accent);
  outline-offset: 2px; }
thead button::after { content: ""; display: inline-block; width: 1em; text-align: center; }
[aria-sort="ascending"] button::after { content: "↑"; }
[aria-sort="descending"] button::after { content: "↓"; }
fieldset { border: 0; margin: 0 0 12px; padding: 0; display: none; flex-wrap: wrap; gap: 8px;
  align-items: center; min-width: 0; }
@supports selector(:has(*)) { fieldset { display: flex; } }
legend { float: left; padding: 0 4px 0 0; color: var(--muted); font-size: 13px; }
fieldset label { display: inline-flex; align-items: center; gap: 6px; padding: 3px 10px 3px 7px;
  border: 1px solid var(--line); border-radius: 7px; cursor: pointer; font-size: 14px; }
fieldset label:has(:not(:checked)) { color: var(--muted); }
fieldset input[type="checkbox"] { margin: 0; accent-color: var(--accent); }
input[type="search"] { font: inherit; font-size: 14px; padding: 3px 10px; min-width: 200px;
  flex: 1 1 200px; max-width: 340px; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: 7px; }
.of-mismatched:has(#show-mismatched:not(:checked)) tr.mismatched,
.of-missing:has(#show-missing:not(:checked)) tr.missing,
.of-unexpected:has(#show-unexpected:not(:checked)) tr.unexpected,
.of-changed:has(#show-changed:not(:checked)) tr.changed,
.of-uncompared:has(#show-uncompared:not(:checked)) tr.uncompared { display: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; }
dt { color: var(--muted); } dd { margin: 0; min-width: 0; }
ul.plain { margin: 0; padding: 0 0 0 18px; }
footer { color: var(--muted); font-size: 13px; margin: 18px 4px 0; }
@media (min-width: 1100px) { .keys .wide { overflow: visible; }
  .keys thead th { position: sticky; top: 0; } }
@media (max-width: 720px) {
  main { padding: 16px 12px 32px; } section { padding: 14px; }
  .files { grid-template-columns: 1fr; } .into { max-width: none; }
  .into b { display: inline-block; transform: rotate(90deg); margin-right: 6px; }
  dl { grid-template-columns: 1fr; } dd { margin: 0 0 6px; }
}
@page wide { size: landscape; }
@media print {
  :root { --page: #ffffff; --soft: #f3f4f6; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; }
  section { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: 10pt 0 0; }
  h2, caption { break-after: avoid; } tr, .file, svg { break-inside: avoid; }
  fieldset, .live { display: none !important; }
  table, code, pre { font-size: 8.5pt; } th, td { padding: 2pt 4pt; }
  .keys { page: wide; } .keys table, .keys code, .keys thead th, .note { font-size: 7.5pt; }
  .keys .status { font-size: 0; } .keys .status .badge { font-size: 7.5pt; }
  .badge { width: 13pt; height: 13pt; font-size: 8pt; } .key { min-width: 170pt; }
  pre { max-height: none; } .wide { overflow: visible; } .chart { min-width: 0; }
  .keys thead th { position: static; }
}
"""

# Sorts the table of keys, and lists those whose key has a text. Without it the table is as
# it was written, and the statuses still filter it: that is the style's doing.
SCRIPT = """
"use strict";
(() => {
  const section = document.querySelector(".keys");
  if (!section) return;
  const body = section.querySelector("tbody"), rows = [...body.rows];
  const heads = [...section.querySelectorAll("thead th")];
  const value = (row, column) => {
    const cell = row.cells[column], given = cell.dataset.v;
    if (given === undefined) return cell.classList.contains("n") ? null : cell.textContent;
    return Number(given);
  };
  const texts = new Intl.Collator("en", { numeric: true });
  const compare = (one, other) => typeof one !== "number" ? texts.compare(one, other)
    : one < other ? -1 : one > other ? 1 : 0;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const down = head.classList.contains("n");
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const first = down ? "descending" : "ascending";
      const second = down ? "ascending" : "descending";
      const next = now === first ? second : now === second ? null : first;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      let order = rows;
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const keyed = rows.map((row, place) => [value(row, column), place, row]);
        keyed.sort((one, other) => {
          if (one[0] === null || other[0] === null) {
            return (one[0] === null) - (other[0] === null) || one[1] - other[1];
          }
          return sign * compare(one[0], other[0]) || one[1] - other[1];
        });
        order = keyed.map((entry) => entry[2]);
      }
      body.append(...order);
    });
  });
  const fields = section.querySelector("fieldset");
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "Filter by key";
  search.setAttribute("aria-label", "List only keys that have this text");
  const count = document.createElement("span");
  count.className = "muted live";
  count.setAttribute("role", "status");
  fields.append(search, count);
  const keys = rows.map((row) => row.cells[1].textContent.toLowerCase());
  const filter = () => {
    const text = search.value.trim().toLowerCase();
    const off = new Set([...fields.querySelectorAll("[type=checkbox]")]
      .filter((box) => !box.checked).map((box) => box.value));
    let shown = 0;
    rows.forEach((row, place) => {
      row.hidden = !keys[place].includes(text);
      shown += !row.hidden && !off.has(row.className);
    });
    count.textContent = shown === rows.length ? "" : `${shown} of ${rows.length} listed`;
  };
  fields.addEventListener("input", filter);
  filter();
})();
"""


def head(title: str) -> str:
    """Everything up to the page's own content.

    Args:
        title: safe to show; it is escaped here.
    """
    policy = (
        f"default-src 'none'; style-src {_source(STYLE)}; script-src {_source(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )


def foot() -> str:
    """Everything after it."""
    return f"</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
