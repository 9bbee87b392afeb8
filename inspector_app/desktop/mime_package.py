"""The types of files as a package of shared-mime-info, specification 0.21.

Two rules of it shape what is here. An ending that one type alone claims decides without a look
into the file; the magic is for names with no ending, or one that nobody claims. And magic is
looked at by priority: a zip has 60, what is made of zips (EPUB, OpenDocument) 70, so ours has 80.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from inspector_app.desktop.file_types import APP_ID, FileType, Match, opened_by_default

FILE_NAME = f"{APP_ID}.xml"
PRIORITY = 80
# A type with parents has to be seen before them.
PARTICULAR_PRIORITY = 85


def mime_package() -> str:
    """The package's XML."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">',
    ]
    for each in opened_by_default():
        lines += _type_lines(each)
    return "\n".join([*lines, "</mime-info>"]) + "\n"


def _type_lines(kind: FileType) -> list[str]:
    lines = [
        f"  <mime-type type={quoteattr(kind.mime_type)}>",
        f"    <comment>{escape(kind.name)}</comment>",
        f"    <icon name={quoteattr(kind.icon)}/>",
        '    <generic-icon name="package-x-generic"/>',
    ]
    lines += [f"    <sub-class-of type={quoteattr(parent)}/>" for parent in kind.parents]
    if kind.magic:
        priority = PARTICULAR_PRIORITY if kind.parents else PRIORITY
        lines.append(f'    <magic priority="{priority}">')
        for match in kind.magic:
            lines += _match_lines(match, "      ")
        lines.append("    </magic>")
    lines += [f"    <glob pattern={quoteattr('*' + ending)}/>" for ending in kind.endings]
    return [*lines, "  </mime-type>"]


def _match_lines(match: Match, indent: str) -> list[str]:
    last = match.first if match.last is None else match.last
    offset = str(match.first) if last == match.first else f"{match.first}:{last}"
    start = f'{indent}<match type="string" offset="{offset}" value={quoteattr(_value(match.value))}'
    if match.mask is not None:
        start += f' mask="0x{match.mask.hex()}"'
    if not match.then:
        return [start + "/>"]
    lines = [start + ">"]
    for each in match.then:
        lines += _match_lines(each, indent + "  ")
    return [*lines, f"{indent}</match>"]


def _value(value: bytes) -> str:
    """A string of magic: C's escapes, octal where a byte is no printable ASCII."""
    return "".join(
        chr(byte) if 0x20 < byte < 0x7F and byte != 0x5C else f"\\{byte:03o}" for byte in value
    )
