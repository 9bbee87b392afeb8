"""What people type into the tree's search field, and which entries it finds.

Words are looked for in the name, all of them, upper and lower case alike. A word with ``*``
or ``?`` is a pattern for the whole name or for what follows one of its slashes; ``/…/`` is
a regular expression; ``"…"`` is text as it stands; ``-`` before a term turns it round.
``field:value`` asks for a property of a tensor (`tree_search_fields`).

No Qt here: what is wrong with a search is a `SearchError` with a code, which the field
translates.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence

from inspector_app.checkpoint.model import Node
from inspector_app.ui.tree_search_fields import FIELDS, SearchError
from inspector_app.ui.tree_search_regex import Expression

LONGEST_SEARCH = 500
# Beyond this many characters only the end of a name is searched.
LONGEST_NAME = 4_000

# A term, perhaps turned round: /regex/, "text", field:"value", or up to the next space.
_TERM = re.compile(r'(-?)(/(?:\\.|[^/\\])*(?:/(?=\s|$)|$)|"[^"]*"?|\w+:"[^"]*"?|\S+)')

Test = Callable[[Node], bool]
Span = tuple[int, int]


class Term:
    """One condition of a search.

    Attributes:
        negated: it must not hold.
        word: what must occur in the lower-case name, or "".
        expression: what must match the lower-case name, or None.
        test: what the node must fulfil, or None.
    """

    __slots__ = ("expression", "negated", "test", "word")

    def __init__(
        self,
        negated: bool,
        word: str = "",
        expression: Expression | None = None,
        test: Test | None = None,
    ) -> None:
        self.negated = negated
        self.word = word
        self.expression = expression
        self.test = test


class Query:
    """A search, ready to run.

    Attributes:
        terms: cheap ones first.
        too_long: names met so far that an expression would take too long on.
    """

    __slots__ = ("terms", "too_long")

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = sorted(terms, key=_cost)
        self.too_long = 0

    def __bool__(self) -> bool:
        return bool(self.terms)

    def select(self, names: Sequence[str], nodes: Sequence[Node]) -> list[int]:
        """Which of `names` (in lower case) with their `nodes` fulfil every term."""
        found: list[int] | range = range(len(names))
        for term in self.terms:
            negated = term.negated
            if term.word:
                word = term.word
                if len(found) == len(names):
                    found = [i for i, name in enumerate(names) if (word in name) is not negated]
                else:
                    found = [i for i in found if (word in names[i]) is not negated]
            elif term.expression is not None:
                matches = term.expression.matches
                before = term.expression.too_long
                found = [i for i in found if matches(names[i]) is not negated]
                self.too_long += term.expression.too_long - before
            elif term.test is not None:
                test = term.test
                found = [i for i in found if test(nodes[i]) is not negated]
        return list(found)

    def spans(self, name: str) -> list[Span]:
        """The parts of `name` that matched, in order and without overlap."""
        name = name.lower()
        marked = sorted(span for term in self.terms for span in _spans(term, name))
        merged: list[Span] = []
        for start, end in marked:
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def parse(text: str, shared: set[int] | frozenset[int] = frozenset()) -> Query:
    """Understand a search.

    Args:
        text: what was typed.
        shared: the `id` of each storage that several tensors view, for ``is:shared``.

    Raises:
        SearchError: with what is wrong, in words for the person who typed it.
    """
    if len(text) > LONGEST_SEARCH:
        raise SearchError("too-long", limit=LONGEST_SEARCH)
    terms = []
    for minus, body in _TERM.findall(text):
        term = _term(body, bool(minus), shared)
        if term is not None:
            terms.append(term)
    return Query(terms)


def searchable(name: str) -> str:
    """`name` as `Query.select` wants it."""
    return (name if len(name) <= LONGEST_NAME else name[-LONGEST_NAME:]).lower()


def _term(body: str, negated: bool, shared: set[int] | frozenset[int]) -> Term | None:
    if body.startswith("/") and len(body) > 1:
        source = body[1:-1] if body.endswith("/") and not body.endswith("\\/") else body[1:]
        return Term(negated, expression=Expression(source)) if source else None
    if body.startswith('"'):
        word = body.strip('"').lower()
        return Term(negated, word=word) if word else None
    field, colon, value = body.partition(":")
    if colon and re.fullmatch(r"\w+", field):
        make = FIELDS.get(field.lower())
        if make is None:
            raise SearchError("unknown-field", field=field, known=", ".join(sorted(FIELDS)))
        value = value.strip('"')
        # Nothing yet: it is still being typed.
        return Term(negated, test=make(value, shared)) if value.strip("<>=") else None
    if "*" in body or "?" in body:
        return _glob(body.lower(), negated)
    return Term(negated, word=body.lower()) if body != "-" else None


def _glob(pattern: str, negated: bool) -> Term | None:
    """A pattern for the whole name, or for what follows one of its slashes.

    `fnmatch` writes expressions that take linear time. Its brackets are none here: keys
    have brackets of their own.
    """
    if not pattern.strip("*"):
        return None
    parts = [part for part in re.split(r"[*?]+", pattern) if part]
    if "?" not in pattern and len(parts) == 1 and pattern[0] == pattern[-1] == "*":
        return Term(negated, word=parts[0])
    source = fnmatch.translate(re.sub(r"\*+", "*", pattern).replace("[", "[[]"))
    literal = max(re.split(r"[*?]", pattern), key=len)
    anchored = not pattern.startswith("*")
    return Term(negated, expression=Expression(source, anchored, literal, parts))


def _cost(term: Term) -> int:
    return 0 if term.word else 1 if term.test is not None else 2


def _spans(term: Term, name: str) -> Iterator[Span]:
    if term.negated:
        return
    if term.word:
        start = name.find(term.word)
        while start >= 0:
            yield start, start + len(term.word)
            start = name.find(term.word, start + len(term.word))
    elif term.expression is not None:
        yield from term.expression.spans(name)
