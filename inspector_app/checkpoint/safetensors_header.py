"""The JSON header of a safetensors file, entry by entry.

`json.loads` would answer for the whole header at once: a second of work for a million
tensors in which no window paints. So the object's outermost level is walked here. Writers
put the same three fields in the same order, and one regular expression matches an entry;
whatever it does not match goes to the `json` module by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]

METADATA = "__metadata__"
RUN = 256
_SHOWN = 200
# An entry that is longer than this goes the slower way.
_AHEAD = 1 << 15
# A member is parsed in one piece. Bounds on the time and the memory of that.
_LONGEST_MEMBER = 16 << 20
_BRACKETS = 300_000

_SPACE = "[ \t\n\r]*"
_INTEGER = "(?:0|[1-9][0-9]{0,18})"


def _spaced(*tokens: str) -> str:
    return _SPACE.join(tokens)


_SIZES = f"(?:{_INTEGER}(?:, ?{_INTEGER})*)?"
_DESCRIPTION = _spaced(
    '"dtype"', ":", '"[A-Z0-9_]{1,16}"', ",", '"shape"', ":", r"\[", _SIZES, r"\]"
)
_OFFSETS = _spaced('"data_offsets"', ":", r"\[", f"({_INTEGER})", ",", f"({_INTEGER})", r"\]")
_NAME = r'"([^"\\\x00-\x1f]*)"'
_ENTRY = re.compile(
    _spaced("", _NAME, ":", r"\{", f"({_DESCRIPTION})", ",", _OFFSETS, r"\}", "([,}])")
)
# The same three fields in any order: of a repeated group the last match stays, so three
# fields with a match for each of the three are each of them once.
_CODE = _spaced('"dtype"', ":", '"([A-Z0-9_]{1,16})"')
_SHAPE = _spaced('"shape"', ":", r"\[", f"({_SIZES})", r"\]")
_FIELD = _spaced(f"(?:{_CODE}|{_SHAPE}|{_OFFSETS})", "(?:," + _SPACE + r'(?=")|(?=\}))')
_SHUFFLED = re.compile(_spaced("", _NAME, ":", r"\{", f"(?:{_FIELD}){{3}}", r"\}", "([,}])"))
_BLANK = re.compile(_SPACE)
_FIELDS = ("dtype", "shape", "data_offsets")
# A longer shape is not looked at size by size.
_MOST_SIZES = 1_000
# What the format calls a size is an unsigned 64-bit integer.
_SIZE_LIMIT = 1 << 64

# A tensor: its name; its dtype and shape as the inside of a JSON object; where its bytes
# begin and end, in decimal; and the character that follows.
Entry = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OddEntry:
    """A member that does not describe a tensor.

    Attributes:
        key: its name.
        reason: why not.
        text: the start of its JSON.
    """

    key: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the safetensors library refuses though it can be understood."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The members of ``__metadata__``."""

    pairs: list[tuple[str, str]]


Member = list[Entry] | OddEntry | Remark | Metadata


class _Pairs(list[tuple[str, object]]):
    """A JSON object, told from an array, with its duplicate keys."""


class HeaderScanner:
    """Walks a header once.

    Args:
        pieces: the header's text, in pieces of any length but 0.

    Attributes:
        position: how many characters have been read.
        fault: why the walk ended before the object did, or "".
    """

    def __init__(self, pieces: Iterator[str]) -> None:
        self.fault = ""
        self._pieces = pieces
        self._text = ""
        self._at = 0
        self._dropped = 0
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_Pairs, parse_int=_integer, parse_constant=_refuse_constant
        )

    @property
    def position(self) -> int:
        return self._dropped + self._at

    def members(self) -> Iterator[Member]:
        """Every member in the order of the JSON, tensors in runs of at most `RUN`.

        Ends early, with a `fault`, where the JSON breaks.
        """
        try:
            yield from self._members()
        except RecursionError:
            self.fault = f"it is nested too deep at character {self.position}"
        except ValueError as error:
            # After the colon json says where, counted from where it was asked to start.
            reason = str(error).split(":", maxsplit=1)[0].removesuffix(" starting at")
            self.fault = f"{reason} at character {self.position}"

    def _members(self) -> Iterator[Member]:
        self._expect("{", "it is no JSON object")
        more = not self._follows("}")
        while more:
            run = self._run()
            if run:
                yield run
                more = run[-1][-1] == ","
            else:
                yield from self._member()
                more = self._follows(",")
                if not more:
                    self._expect("}", "a comma or a closing brace is missing")
        self._skip_blank()
        if self._at < len(self._text):
            raise ValueError("the object ends before the header does")

    def _run(self) -> list[Entry]:
        """The next tensors that look as every writer writes them."""
        if len(self._text) - self._at < _AHEAD:
            self._refill(_AHEAD)
        match_next = _ENTRY.scanner(self._text, self._at).match  # type: ignore[attr-defined]
        run: list[Entry] = []
        while len(run) < RUN:
            match = match_next()
            if match is None:
                entry = self._shuffled()
                if entry is None:
                    break
                run.append(entry)
                match_next = _ENTRY.scanner(self._text, self._at).match  # type: ignore[attr-defined]
            elif match[1] == METADATA:
                break
            else:
                run.append(match.groups())
                self._at = match.end()
            if run[-1][4] == "}":
                break
        return run

    def _shuffled(self) -> Entry | None:
        """The next member if it is a tensor with its fields in some other order."""
        match = _SHUFFLED.match(self._text, self._at)
        if match is None or None in match.groups() or match[1] == METADATA:
            return None
        key, code, sizes, begin, end, tail = match.groups()
        self._at = match.end()
        return key, f'"dtype":"{code}","shape":[{sizes}]', begin, end, tail

    def _member(self) -> list[Member]:
        """The next member, whatever it is."""
        start = self._at
        while True:
            try:
                self._expect('"', "a name is missing")
                key, self._at = scanstring(self._text, self._at, True)
                self._expect(":", "a colon is missing")
                self._skip_blank()
                if len(self._text) - self._at > _BRACKETS:
                    self._refuse_brackets()
                value, end = self._decoder.raw_decode(self._text, self._at)
                break
            except ValueError:
                # It may only go on in the next piece. Twice as much each time, so that a
                # long member is not parsed once a piece.
                broken_at = self._at - start
                self._at = start
                ahead = len(self._text) - start
                if ahead > _LONGEST_MEMBER:
                    raise ValueError(f"a member is longer than {_LONGEST_MEMBER} bytes") from None
                if not self._refill(2 * ahead):
                    self._at = start + broken_at
                    raise
                start = self._at
        text = self._text[self._at : min(end, self._at + _SHOWN)]
        self._at = end
        found: list[Member] = []
        if not key.isascii() and any("\ud800" <= letter <= "\udfff" for letter in key):
            found.append(Remark(key, "the name holds half a surrogate pair"))
        return [*found, *(_metadata(value) if key == METADATA else _tensor(key, value, text))]

    def _refuse_brackets(self) -> None:
        brackets = sum(self._text.count(letter, self._at) for letter in "[{")
        if brackets > _BRACKETS:
            raise ValueError("there are too many brackets")

    def _follows(self, letter: str) -> bool:
        self._skip_blank()
        found = self._text.startswith(letter, self._at)
        self._at += found
        return found

    def _expect(self, letter: str, otherwise: str) -> None:
        if not self._follows(letter):
            raise ValueError(otherwise)

    def _skip_blank(self) -> None:
        while True:
            match = _BLANK.match(self._text, self._at)
            if match:
                self._at = match.end()
            if self._at < len(self._text) or not self._refill(1):
                return

    def _refill(self, wanted: int) -> bool:
        """Have `wanted` characters ahead if there are so many; whether there are new ones."""
        parts = [self._text[self._at :]]
        ahead = len(parts[0])
        while ahead < wanted:
            piece = next(self._pieces, "")
            if not piece:
                break
            parts.append(piece)
            ahead += len(piece)
        if len(parts) == 1:
            return False
        self._dropped += self._at
        self._text = "".join(parts)
        self._at = 0
        return True


def _integer(text: str) -> object:
    # A longer one is no size, and Python would refuse or be slow to convert it.
    return int(text) if len(text) <= 20 else float("inf")


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _metadata(value: object) -> list[Member]:
    if value is None:
        return []
    if not isinstance(value, _Pairs):
        return [Remark(METADATA, "it is no JSON object")]
    found: list[Member] = []
    pairs: list[tuple[str, str]] = []
    for key, item in value:
        if isinstance(item, str):
            pairs.append((key, item))
            continue
        found.append(Remark(METADATA, "a value is no string"))
        pairs.append((key, "…" if isinstance(item, list) else json.dumps(item)))
    if len({key for key, _ in pairs}) < len(pairs):
        found.append(Remark(METADATA, "it has a key more than once; the last one counts"))
    return [*found, Metadata(pairs)]


def _tensor(key: str, value: object, text: str) -> list[Member]:
    found: list[Member] = []
    if isinstance(value, list) and not isinstance(value, _Pairs) and len(value) == len(_FIELDS):
        # The library reads this form, too, though nobody writes it.
        value = _Pairs(zip(_FIELDS, value, strict=True))
    if not isinstance(value, _Pairs):
        return [OddEntry(key, "the entry is no JSON object", text)]
    fields = dict(value)
    if sum(name in _FIELDS for name, _ in value) > sum(name in _FIELDS for name in fields):
        found.append(Remark(key, "the entry has a field more than once; the last one counts"))
    for name in _FIELDS:
        if name not in fields:
            return [OddEntry(key, f"the entry lacks {name}", text)]
    code = fields["dtype"]
    if isinstance(fields["shape"], list) and len(fields["shape"]) > _MOST_SIZES:
        return [OddEntry(key, f"the shape has {len(fields['shape'])} dimensions", text)]
    shape = _sizes(fields["shape"])
    offsets = _sizes(fields["data_offsets"])
    if not isinstance(code, str):
        return [OddEntry(key, "the dtype is no string", text)]
    if shape is None:
        return [OddEntry(key, "the shape is no list of sizes", text)]
    if offsets is None or len(offsets) != 2:
        return [OddEntry(key, "the data_offsets are no two offsets", text)]
    description = f'"dtype":{json.dumps(code)},"shape":{json.dumps(shape)}'
    return [*found, [(key, description, str(offsets[0]), str(offsets[1]), "")]]


def _sizes(value: object) -> list[int] | None:
    """`value` if it is a list of sizes. A bool is none, nor is what was too long to convert."""
    if type(value) is not list:
        return None
    return value if all(type(size) is int and 0 <= size < _SIZE_LIMIT for size in value) else None
