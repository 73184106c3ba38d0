"""Texts that people see: in a terminal, a log, a reason, the name of a file.

Belongs here: taking out of a text what is not for seeing. Does not belong here: the texts, and what a file of ours may hold
(`tables.py`).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MARK: Final = "\ufffd"

_SEEN: Final = re.compile(r"[\t\n\x20-\x7e]*")

_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of characters that are none: controls, halves of others, private and unassigned ones, what breaks lines unasked, what lets a
text be read in another order than it is written in, and what hides in one."""

_JOINING: Final = frozenset("\u200c\u200d")
"""Unseen as well, and part of how names and signs are written."""

LONGEST: Final = 200
"""Characters that a reason shows of what somebody else wrote."""


def printable(text: str, kept: str = "") -> str:
    """The text with a visible mark for every character that would do something instead of being seen, but for those `kept`."""
    if _SEEN.fullmatch(text) and not ({"\t", "\n"} - set(kept)).intersection(text):
        return text
    return "".join(
        _MARK if unicodedata.category(sign) in _UNSEEN and sign not in _JOINING and sign not in kept else sign for sign in text
    )


def shown(text: str, most: int = LONGEST) -> str:
    """What somebody else wrote, as a part of a reason: one short line, in which what cannot be seen becomes a blank. Every reason that
    repeats a stranger's word does it by this."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def message(text: str) -> str:
    """A text of several lines as a log or a terminal may show it."""
    return printable(text, kept="\t\n")
