"""AT HOME ON THE DESKTOP: file types, menu entry, double clicks. Standard library only.

`file_types` is the one list. `desktop_entry`, `mime_package`, `windows_registry` and
`mac_bundle` say it as each system wants it said, without touching anything; `linux`, `windows`
and `macos` bring that to this user's account and take it away again.
"""
