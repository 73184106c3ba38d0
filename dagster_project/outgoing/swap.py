"""One folder takes the place of another, so that a kill at any moment loses neither.

Belongs here: the renames and their recovery. Does not belong here: what is in the folders, and who may swap when (two runs for
one date are kept apart by whoever starts them).

A folder cannot be renamed over a full one, so there are two renames and a moment between them at which the name is missing. The
old folder waits beside it under a name that follows from the target's, which is all that `recover` needs to know.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def swap_into_place(new: Path, target: Path) -> None:
    """Put the folder `new` where `target` is (or will be) and drop what was there.

    Both must be on one file system. Killed in between, the next `recover(target)` leaves the whole old or the whole new folder.
    """
    if not new.is_dir():
        raise NotADirectoryError(f"{new} is not a folder, so it cannot take the place of {target}")
    recover(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        target.rename(_aside(target))
    new.rename(target)
    _sync(target.parent)
    recover(target)


def recover(target: Path) -> None:
    """Finish or undo a swap that was interrupted; does nothing where there was none.

    The target is missing: the new folder never arrived, so the old one goes back. The target is there: the new one arrived (or
    the old one never left), and what waits aside is rubbish, whole or half deleted.
    """
    aside = _aside(target)
    if not aside.exists():
        return
    if target.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(target)


def _sync(folder: Path) -> None:
    """Make the renames survive a power cut, before anything is deleted on their word."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
