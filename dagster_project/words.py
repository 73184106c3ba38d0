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

_UNSEEN: Final = frozenset(("Cc", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of characters that are none: controls, halves of others, private and unassigned ones, and what breaks lines unasked."""

_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that let a text be read in another order than it is written in."""


def printable(text: str, kept: str = "") -> str:
    """The text with a visible mark for every character that would do something instead of being seen, but for those `kept`."""
    if _SEEN.fullmatch(text) and not ({"\t", "\n"} - set(kept)).intersection(text):
        return text
    return "".join(
        _MARK if (unicodedata.category(sign) in _UNSEEN or sign in _TURNING) and sign not in kept else sign for sign in text
    )


def message(text: str) -> str:
    """A text of several lines as a log or a terminal may show it."""
    return printable(text, kept="\t\n")
