"""Who may look into ARREARS_HOME: its user and a group, and others only where a setting or the inbox says so.

Belongs here: modes and groups of folders. Does not belong here: what lies in them.

Everything is made 0750 or 0640 whatever umask the process was started with. Some folders differ: `inbox/` and `matches/` may be written by
the group, and `published/` may belong to another group (`ARREARS_PUBLISHED_GROUP`), which then passes through the home and sees nothing
else of it.
"""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from dagster_project.settings import Settings, SettingsError

UMASK = 0o027

_HOME, _PASSED_THROUGH, _PRIVATE, _PUBLISHED, _INBOX = 0o750, 0o751, 0o750, 0o2750, 0o2770


def keep_private(settings: Settings) -> None:
    """Make what this process writes private, and close what an earlier version or another umask left open.

    Raises:
        SettingsError: the group that may read what is published is not there, or this user may not hand anything to it.
    """
    os.umask(UMASK)
    group = settings.published_group
    for folder in (settings.home, *(settings.home.iterdir() if settings.home.is_dir() else ())):
        if not folder.is_dir() or folder.is_symlink():
            continue
        mode = _PRIVATE
        if folder == settings.home:
            mode = _PASSED_THROUGH if group else _HOME
        elif folder in (settings.inbox, settings.matches):
            mode = _INBOX
        elif folder == settings.published and group:
            mode = _PUBLISHED
            give(folder, group)
        _set(folder, mode)
    if group:
        group_id(group)


def opened_inbox(inbox: Path) -> None:
    """Make the inbox, where the group may put files."""
    inbox.mkdir(parents=True, exist_ok=True)
    _set(inbox, _INBOX)


def give(path: Path, group: str | None) -> None:
    """Let a group read a file or folder; nobody where none is named."""
    if group and path.stat().st_gid != group_id(group):
        try:
            os.chown(path, -1, group_id(group))
        except PermissionError:
            raise SettingsError(
                f"ARREARS_PUBLISHED_GROUP: this user may not give {path} to the group {group}; make the user a member of it"
            ) from None


def group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise SettingsError(f"ARREARS_PUBLISHED_GROUP: this machine has no group {name!r}") from None


def _set(folder: Path, mode: int) -> None:
    """Set a mode where it is another and the folder is ours; somebody else's folder is somebody else's."""
    found = folder.stat()
    if stat.S_IMODE(found.st_mode) != mode and found.st_uid == os.geteuid():
        folder.chmod(mode)
