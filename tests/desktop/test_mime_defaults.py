"""``mimeapps.list``: edited so that nothing of it is lost, and read as the desktop reads it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector_app.desktop.mime_defaults import Associations, with_default, without

OURS = "checkpoint-inspector.desktop"
TYPES = ["application/x-pytorch-checkpoint", "application/x-onnx"]

ENTRIES_OF_OTHERS = ["gimp.desktop", "org.gnome.Totem.desktop", "a b.desktop", "a\u2028b.desktop"]
ENTRIES = st.sampled_from(ENTRIES_OF_OTHERS)
KEYS = st.sampled_from([*TYPES, "text/plain", "image/png"])
VALUES = st.lists(ENTRIES, min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.sampled_from([";".join(names) + ";", ";".join(names)])
)
LINES = st.one_of(
    st.builds("{}={}".format, KEYS, VALUES),
    st.builds("{} = {}".format, KEYS, VALUES),
    st.sampled_from(["", "# a comment; with=signs", "no sign", "[Other]", "ké=ü"]),
)
GROUPS = st.sampled_from(["Default Applications", "Added Associations", "Removed Associations"])
# A group that has nothing in it may go with us; all else has to stay as it is.
LISTS = st.lists(
    st.tuples(GROUPS, st.lists(LINES, max_size=5)), max_size=3, unique_by=lambda group: group[0]
).map(
    lambda groups: "".join(
        f"[{name}]\n" + "image/gif=x.desktop;\n" + "".join(f"{line}\n" for line in lines)
        for name, lines in groups
    )
)


@given(LISTS, st.booleans())
def test_who_comes_and_goes_leaves_a_list_as_it_was(text, ends):
    text = text if ends else text.rstrip("\n")
    installed = with_default(text, OURS, TYPES)
    assert with_default(installed, OURS, TYPES) == installed
    assert without(installed, OURS) == (text if text.strip() else "")


def test_what_was_the_default_comes_back():
    before = "[Default Applications]\napplication/x-onnx=netron.desktop\nimage/png=a.desktop;\n"
    installed = with_default(before, OURS, TYPES)
    assert f"application/x-onnx={OURS};netron.desktop\n" in installed
    assert f"application/x-pytorch-checkpoint={OURS};\n" in installed
    assert without(installed, OURS) == before


def test_what_others_wrote_about_us_goes_too():
    text = (
        f"[Added Associations]\nimage/png={OURS};a.desktop;\ntext/plain=a.desktop;{OURS};\n"
        f"[Removed Associations]\napplication/zip={OURS};\n[Default Applications]\n"
        f"application/zip={OURS}\n"
    )
    assert without(text, OURS) == (
        "[Added Associations]\nimage/png=a.desktop;\ntext/plain=a.desktop;\n"
    )


WORDS = st.sampled_from([*ENTRIES_OF_OTHERS, OURS])
ODD_LISTS = st.lists(
    st.tuples(
        st.lists(WORDS, min_size=1, max_size=4),
        st.sampled_from(["=", " = "]),
        st.sampled_from(["", ";", "; "]),
        st.sampled_from(["\n", "\r\n"]),
    ),
    max_size=5,
)


@given(ODD_LISTS, st.booleans(), st.sampled_from(["\n", "\r\n"]))
def test_what_is_not_ours_stays_byte_for_byte(odd, ends, end):
    """Each line loses our name and nothing else, wherever that stands and however lines end."""
    lines = [
        f"x/{n}{sign}{';'.join(names)}{last}{e}" for n, (names, sign, last, e) in enumerate(odd)
    ]
    if lines and not ends:
        lines[-1] = lines[-1].rstrip("\r\n")
    left = []
    for number, (line, (names, *_)) in enumerate(zip(lines, odd, strict=True)):
        if others := [name for name in names if name != OURS]:
            left.append((f"x/{number}", others, "" if OURS in names else line))
    lines.insert(0, f"[Default Applications]{end}")
    for text in ("".join(lines), with_default("".join(lines), OURS, ["x/1", "x/new"])):
        rest = without(text, OURS).split("\n")
        found = [line + "\n" for line in rest[:-1]] + ([rest[-1]] if rest[-1] else [])
        found = [line for line in found if "=" in line]
        assert len(found) == len(left)
        for got, (key, others, line) in zip(found, left, strict=True):
            name, _, value = got.partition("=")
            assert name.strip() == key
            assert [each.strip() for each in value.split(";") if each.strip()] == others
            assert got == line or not line


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_our_name_at_the_end_of_a_line(end):
    text = f"[Default Applications]\nz/w=b.desktop;\r\nx/y=a.desktop;{OURS}{end}"
    kept = "[Default Applications]\nz/w=b.desktop;\r\nx/y=a.desktop"
    assert without(text, OURS) == kept + end
    first = with_default(text, OURS, ["x/y"])
    assert first == text.replace(f"a.desktop;{OURS}", f"{OURS};a.desktop")
    middle = f"[Default Applications]\nx/y=a.desktop;{OURS}\nz/w=b.desktop;\n"
    assert without(middle, OURS) == "[Default Applications]\nx/y=a.desktop\nz/w=b.desktop;\n"


@given(st.text(alphabet="[]=;#\n\r\\ DefaultApplications" + OURS, max_size=200))
def test_no_text_is_too_odd(text):
    installed = with_default(text, OURS, TYPES)
    assert OURS in installed
    assert f"{OURS};" not in without(installed, OURS).replace(text, "")


@pytest.fixture
def desk(tmp_path):
    """Folders, and a function that writes into them."""
    environment = {
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_CONFIG_DIRS": str(tmp_path / "etc"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_DATA_DIRS": f"{tmp_path / 'share'}:{tmp_path / 'more'}",
        "XDG_CURRENT_DESKTOP": "GNOME",
        "PATH": os.environ["PATH"],
    }

    def put(path: str, text: str) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    for name in ("a", "b", "c"):
        put(
            f"share/applications/{name}.desktop",
            f"[Desktop Entry]\nType=Application\nName={name}\nExec=/bin/true %F\n"
            "MimeType=application/x-onnx;\n",
        )
    return environment, put, tmp_path


CASES = {
    "config/mimeapps.list": "b.desktop",
    "config/gnome-mimeapps.list": "b.desktop",
    "etc/mimeapps.list": "b.desktop",
    "data/applications/mimeapps.list": "b.desktop",
    "share/applications/gnome-mimeapps.list": "b.desktop",
    "share/applications/mimeapps.list": "b.desktop",
}


@pytest.mark.parametrize("path", CASES)
@pytest.mark.parametrize(
    "text",
    [
        "[Default Applications]\napplication/x-onnx=b.desktop\n",
        "[Default Applications]\napplication/x-onnx=gone.desktop;b.desktop;\n",
    ],
)
def test_defaults_are_found_where_glib_finds_them(desk, path, text):
    environment, put, folder = desk
    put(path, text)
    found = Associations(environment, str(folder)).default_of("application/x-onnx")
    assert found == CASES[path]
    if shutil.which("gio"):
        asked = subprocess.run(
            ["gio", "mime", "application/x-onnx"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert found in asked.stdout.splitlines()[0]


def test_without_a_default_the_first_association_counts(desk):
    environment, put, folder = desk
    put(
        "share/applications/mimeinfo.cache",
        "[MIME Cache]\napplication/x-onnx=c.desktop;a.desktop\n",
    )
    associations = Associations(environment, str(folder))
    assert associations.default_of("application/x-onnx") == "c.desktop"
    put("config/mimeapps.list", "[Removed Associations]\napplication/x-onnx=c.desktop;\n")
    assert associations.default_of("application/x-onnx") == "a.desktop"
    put("config/mimeapps.list", "[Added Associations]\napplication/x-onnx=b.desktop;\n")
    assert associations.default_of("application/x-onnx") == "b.desktop"
    assert associations.default_of("application/x-other") is None
