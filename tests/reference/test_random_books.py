"""The marts agree with the reference to the last cent, on books nobody would think of.

`ARREARS_PROOF_BOOKS` asks for more books than the suite has time for.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from .books import Setting, generate
from .proof import prove, smallest, told

BOOKS = int(os.environ.get("ARREARS_PROOF_BOOKS", "300"))
BOOKS_A_BUILD = 150

MORNINGS = (
    Setting("the last day of a month, entities of their own", date(2025, 8, 31), "own", "EUR"),
    Setting("a leap day, after the source corrected itself", date(2024, 2, 29), "own", "", corrected=True),
    Setting("the first day of a year, one entity", date(2025, 1, 1), "one", ""),
    Setting("a day like any other, no entities delivered", date(2025, 6, 17), "none", "USD", corrected=True),
)


@pytest.mark.parametrize("setting", MORNINGS, ids=lambda setting: setting.name)
def test_every_figure_of_every_book_is_the_reference_s(setting: Setting, tmp_path: Path) -> None:
    batch = generate(setting, BOOKS // len(MORNINGS))

    for start in range(0, len(batch), BOOKS_A_BUILD):
        chunk = batch[start : start + BOOKS_A_BUILD]
        mismatches = prove(setting, chunk, tmp_path / f"from-{start}")
        if mismatches:
            differing = sorted({int(mismatch.book[1:4]) for mismatch in mismatches if mismatch.book})
            assert differing, "\n".join(map(str, mismatches))
            first = min(differing, key=lambda place: len(told(*chunk[place])))
            book, draft, left = smallest(setting, *chunk[first], tmp_path / "smaller")
            pytest.fail(
                f"{len(mismatches)} figures of {len(differing)} books differ. The smallest book that does:\n"
                + told(book, draft)
                + "\n\n"
                + "\n".join(map(str, left[:10]))
            )
