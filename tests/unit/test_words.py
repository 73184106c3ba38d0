"""Texts as people see them."""

from __future__ import annotations

import pytest

from dagster_project.words import message, printable


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ångström & Söhne 🙂 מחר", "Ångström & Söhne 🙂 מחר"),
        ("\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),
        ("a\nb\tc\rd", "a\ufffdb\ufffdc\ufffdd"),
        ("\x9b31m\x85\u2028", "\ufffd31m\ufffd\ufffd"),
        ("invoice\u202etxt.exe", "invoice\ufffdtxt.exe"),
        ("half\ud800", "half\ufffd"),
        ("", ""),
    ],
)
def test_what_would_do_something_is_marked_and_all_else_is_left(text: str, seen: str) -> None:
    assert printable(text) == seen


def test_a_message_keeps_its_lines() -> None:
    assert message("one\ntwo\tthree\r\x1b[0m") == "one\ntwo\tthree\ufffd\ufffd[0m"
