"""The key of a home and what it seals."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from dagster_project.seals import FILE, SealError, holds, key_in, seal

DAY = date(2025, 6, 2)


def test_a_home_has_one_key_that_only_its_user_reads_and_keeps_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as nights:
        keys = set(nights.map(lambda _: key_in(tmp_path / "home"), range(8)))

    assert len(keys) == 1
    assert stat.S_IMODE((tmp_path / "home" / FILE).stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "home") == [FILE]
    assert key_in(tmp_path / "other") not in keys


@pytest.mark.parametrize("content", [b"", b"abcd", b"no hex at all", b"\xff\xfe"])
def test_a_damaged_key_is_named_and_not_replaced(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)

    with pytest.raises(SealError, match="restore it from a backup"):
        key_in(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_a_key_that_cannot_be_made_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", "utf-8")

    with pytest.raises(SealError, match="cannot be read or made: File exists"):
        key_in(tmp_path / "file")


def test_a_seal_is_the_same_every_time_and_another_one_for_whatever_may_not_be_changed() -> None:
    key = b"k" * 32
    made = {
        seal(key, DAY, "net_terms", "anna", "C1"),
        seal(key, DAY, "net_terms", "anna", "C1", "I1"),
        seal(key, DAY, "net_terms", "anna", "C2"),
        seal(key, DAY, "net_terms", "bert", "C1"),
        seal(key, DAY, "cohorts", "anna", "C1"),
        seal(key, date(2025, 6, 3), "net_terms", "anna", "C1"),
        seal(b"l" * 32, DAY, "net_terms", "anna", "C1"),
        seal(key, DAY, "net_terms", "", "C1"),
        seal(key, DAY, "net_terms", "anna", "C\ud8001"),
    }

    assert len(made) == 9
    assert seal(key, DAY, "net_terms", "anna", "C1") == "OFCM75CW4K4GJQ4A"


def test_a_seal_holds_however_a_program_writes_it_and_for_any_it_was_issued_for() -> None:
    key = b"k" * 32
    mine = seal(key, DAY, "net_terms", "anna", "C1")

    assert holds(f" {mine.lower()}\n", key, DAY, "net_terms", ("bert", "anna"), "C1")
    assert not holds(mine, key, DAY, "net_terms", ("bert",), "C1")
    assert not holds("", key, DAY, "net_terms", ("anna",), "C1")
    assert not holds("ſeal\ud800", key, DAY, "net_terms", ("anna",), "C1")
