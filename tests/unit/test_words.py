"""Texts as people see them."""

from __future__ import annotations

import pytest

from dagster_project.words import message, printable, shown


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ångström & Söhne 🙂 מחר", "Ångström & Söhne 🙂 מחר"),
        ("\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),
        ("a\nb\tc\rd", "a\ufffdb\ufffdc\ufffdd"),
        ("\x9b31m\x85\u2028", "\ufffd31m\ufffd\ufffd"),
        ("invoice\u202etxt.exe", "invoice\ufffdtxt.exe"),
        ("hid\u2060den\u200b \U000e0041", "hid\ufffdden\ufffd \ufffd"),
        ("👩\u200d🔧 می\u200cخواهم", "👩\u200d🔧 می\u200cخواهم"),
        ("half\ud800", "half\ufffd"),
        ("", ""),
    ],
)
def test_what_would_do_something_is_marked_and_all_else_is_left(text: str, seen: str) -> None:
    assert printable(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [("  two\nlines\x1b[0m ", "two lines [0m"), ("a\u2060b\u00a0c", "a b c"), ("x" * 300, "x" * 199 + "…"), ("", "")],
)
def test_what_somebody_else_wrote_is_one_short_line_of_signs_that_are_seen(text: str, seen: str) -> None:
    assert shown(text) == seen
    assert shown(text).isprintable()


def test_a_message_keeps_its_lines() -> None:
    assert message("one\ntwo\tthree\r\x1b[0m") == "one\ntwo\tthree\ufffd\ufffd[0m"
