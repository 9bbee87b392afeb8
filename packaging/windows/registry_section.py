"""The installer's registry entries, from the one list of file types.

Sources: "[Registry] section", "Constants" and "Pascal Scripting" of Inno Setup's help.
"""

from __future__ import annotations

from inspector_app.desktop.windows_registry import (
    PROGRAM,
    Entry,
    default_entries,
    own_keys,
    registry_entries,
)

APP = "{app}"
ICONS = rf"{APP}\_internal\resources\icons"
# Taken away at the end, but only where it still names us: another program may have come since.
_CODE = """\

[Code]
procedure LeaveDefault(Key, Ours: String);
var
  Found: String;
begin
  if RegQueryStringValue(HKCU, Key, '', Found) and (Found = Ours) then
    RegDeleteValue(HKCU, Key, '');
  RegDeleteKeyIfEmpty(HKCU, Key);
end;

procedure CurUninstallStepChanged(CurUninstallStep: TUninstallStep);
begin
  if CurUninstallStep = usPostUninstall then
  begin
{calls}
  end;
end;
"""


def registry_section() -> str:
    """What `installer.iss` includes: its [Registry] and its [Code] section."""
    entries = registry_entries([rf"{APP}\{PROGRAM}"], ICONS)
    lines = ["[Registry]"]
    # First what goes with everything below it.
    lines += [f'Root: HKCU; Subkey: "{_text(key)}"; Flags: uninsdeletekey' for key in own_keys()]
    lines += [_line(each, _flags(each)) for each in entries]
    # Who opens them already stays.
    lines += [
        _line(each, "createvalueifdoesntexist") + "; Tasks: opens" for each in default_entries()
    ]
    calls = "\n".join(
        f"    LeaveDefault('{each.key}', '{each.text}');" for each in default_entries()
    )
    return "\n".join(lines) + "\n" + _CODE.replace("{calls}", calls)


def _flags(entry: Entry) -> str:
    return "uninsdeletevalue uninsdeletekeyifempty" if entry.shared else ""


def _line(entry: Entry, flags: str) -> str:
    parts = [
        "Root: HKCU",
        f'Subkey: "{_text(entry.key)}"',
        "ValueType: string",
        f'ValueName: "{_text(entry.name)}"',
        f'ValueData: "{_text(entry.text)}"',
    ]
    return "; ".join(parts + ([f"Flags: {flags}"] if flags else []))


def _text(text: str) -> str:
    """A value in quotes: those within are doubled, and a brace begins a constant."""
    return text.replace("{", "{{").replace("{{app}", APP).replace('"', '""')
