"""The statement of account as a PDF: what an accounts-payable desk files, with who writes, where to pay, and a link to each invoice's copy.

Belongs here: the page. Does not belong here: which items stand on it and in which words (`drafts.py`, `templates/`), who writes
(`letterhead.py`). Same statement, same bytes.

The fonts beside this file have Latin, Greek and Cyrillic; a company that writes to others names a font of its own (`font`). A sign that
neither has is a box, and the night says whose.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from dagster_project.outgoing.letters.letterhead import Letterhead

FONTS: Final = Path(__file__).parent / "fonts"
PLAIN, BOLD = "Statement", "Statement-Bold"

LEFT, RIGHT, TOP, BOTTOM = 50.0, A4[0] - 50.0, A4[1] - 50.0, 60.0
LINE: Final = 13.0
LOGO: Final = (160.0, 45.0)
"""The room a logo has, points."""

INK, QUIET, RULE, LINKED = (0.1, 0.12, 0.15), (0.42, 0.46, 0.52), (0.82, 0.85, 0.89), (0.18, 0.43, 0.71)

COLUMNS: Final = (
    *(("document", 0.0, "left"), ("date", 118.0, "left"), ("due", 178.0, "left"), ("days", 272.0, "right")),
    *(("original", 345.0, "right"), ("open", 425.0, "right"), ("currency", 435.0, "left"), ("entity", 466.0, "left")),
)
"""Where each column begins or ends, from the left margin."""

MOST: Final = {"document": 112.0, "due": 52.0, "days": 44.0, "original": 68.0, "currency": 28.0, "entity": RIGHT - LEFT - 466.0}
"""Points that a column's cells may take, where it is not 74."""


def statement_pdf(
    letterhead: Letterhead,
    words: Mapping[str, Any],
    title: str,
    as_of: str,
    customer: Sequence[str],
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    links: Sequence[str | None],
    balances: Sequence[tuple[str, str]],
    payment_link: str,
) -> bytes:
    """A statement. `head` and `rows` are cells in the order of `COLUMNS`, `links` where each one's copy lies, `balances` the sums with
    their currencies, whose accounts are shown."""
    page = _Page(letterhead, words, title, as_of, head)
    page.begin(customer)
    page.head()
    for cells, link in zip(rows, links, strict=True):
        page.row(cells, link)
    page.sums(balances)
    page.how_to_pay(
        [account for account in letterhead.bank if account.get("currency") in (None, *(currency for _, currency in balances))],
        payment_link,
    )
    return page.bytes()


BOX: Final = "\N{REPLACEMENT CHARACTER}"


@cache
def _fonts(own: Path | None) -> str:
    """Have our fonts at hand, and the company's; returns the name of that, or nothing."""
    for name, file in ((PLAIN, "DejaVuSansCondensed.ttf"), (BOLD, "DejaVuSansCondensed-Bold.ttf")):
        pdfmetrics.registerFont(TTFont(name, FONTS / file))
    if own:
        pdfmetrics.registerFont(TTFont(str(own), own))
    return str(own) if own else ""


@cache
def _signs(font: str) -> Mapping[int, int]:
    return pdfmetrics.getFont(font).face.charToGlyph  # type: ignore[no-any-return]


def runs(text: str, font: str, more: str = "") -> Iterator[tuple[str, str]]:
    """A text in pieces, each with the font that has its signs: ours, or the company's own; a sign that none has is a box."""
    piece, last = "", ""
    for sign in text:
        name = next((name for name in (font, more) if name and ord(sign) in _signs(name)), "")
        if not name:
            name, sign = font, BOX
        if name != last and piece:
            yield piece, last
            piece = ""
        piece, last = piece + sign, name
    if piece:
        yield piece, last


def unknown_signs(text: str, own: Path | None = None) -> str:
    """The signs of a text that neither our fonts nor the company's own have."""
    _fonts(own)
    return "".join(
        sorted({sign for sign in text if all(ord(sign) not in _signs(name) for name in (PLAIN, *([str(own)] if own else [])))})
    )


class _Page:
    """A canvas and how far down it is written."""

    def __init__(self, letterhead: Letterhead, words: Mapping[str, Any], title: str, as_of: str, head: Sequence[str]):
        self._own = _fonts(letterhead.font)
        self.letterhead, self.words, self.title, self.as_of, self._head = letterhead, words, title, as_of, head
        self._file = io.BytesIO()
        self.canvas = Canvas(self._file, pagesize=A4, invariant=1, pageCompression=1)
        self.canvas.setTitle(f"{title} {as_of}")
        self.canvas.setAuthor(letterhead.name)
        self.y, self.number = TOP, 1

    def text(
        self, x: float, text: str, *, font: str = PLAIN, size: float = 9, ink: Any = INK, align: str = "left", most: float = 0
    ) -> float:
        """Write a line at a place, cut to `most` points; returns how wide it came."""
        pieces = list(runs(text, font, self._own))
        while most and sum(pdfmetrics.stringWidth(piece, name, size) for piece, name in pieces) > most and len(text) > 1:
            text = f"{text[:-2]}…"
            pieces = list(runs(text, font, self._own))
        width = sum(pdfmetrics.stringWidth(piece, name, size) for piece, name in pieces)
        at = x - width if align == "right" else x
        self.canvas.setFillColorRGB(*ink)
        for piece, name in pieces:
            self.canvas.setFont(name, size)
            self.canvas.drawString(at, self.y, piece)
            at += pdfmetrics.stringWidth(piece, name, size)
        return float(width)

    def begin(self, customer: Sequence[str]) -> None:
        letterhead = self.letterhead
        if letterhead.logo:
            image = _image(letterhead.logo)
            width, height = image.getSize()
            scale = min(LOGO[0] / width, LOGO[1] / height)
            self.canvas.drawImage(image, LEFT, TOP - height * scale + 10, width * scale, height * scale, mask="auto")
        self.y = TOP
        for number, line in enumerate([letterhead.name, *letterhead.address, *letterhead.contact]):
            self.text(RIGHT, line, font=BOLD if number == 0 else PLAIN, size=10 if number == 0 else 8.5, align="right", most=280)
            self.y -= 12
        self.y = min(self.y, TOP - 60) - 24
        for number, line in enumerate(customer):
            self.text(LEFT, line, font=BOLD if number == 0 else PLAIN, size=10, most=RIGHT - LEFT)
            self.y -= LINE
        self.y -= 22
        self.text(LEFT, self.title, font=BOLD, size=15)
        self.text(RIGHT, self.as_of, size=10, align="right", ink=QUIET)
        self.y -= 24

    def head(self) -> None:
        for name, (column, place, align) in zip(self._head, COLUMNS, strict=True):
            if column != "currency":
                self.text(LEFT + place, name, font=BOLD, size=7.5, ink=QUIET, align=align, most=MOST.get(column, 74.0))
        self.rule()

    def rule(self) -> None:
        self.y -= 5
        self.canvas.setStrokeColorRGB(*RULE)
        self.canvas.setLineWidth(0.6)
        self.canvas.line(LEFT, self.y, RIGHT, self.y)
        self.y -= LINE - 1

    def row(self, cells: Sequence[str], link: str | None) -> None:
        self.room(1)
        for number, (cell, (name, place, align)) in enumerate(zip(cells, COLUMNS, strict=True)):
            most = MOST.get(name, 74.0)
            width = self.text(LEFT + place, cell, size=8.5, align=align, ink=LINKED if link and number == 0 else INK, most=most)
            if link and number == 0:
                self.canvas.linkURL(link, (LEFT, self.y - 2, LEFT + max(width, 20), self.y + 9), relative=0)
        self.y -= LINE

    def sums(self, balances: Sequence[tuple[str, str]]) -> None:
        self.room(1 + len(balances))
        self.y += LINE - 5
        self.rule()
        for amount, currency in balances:
            self.text(LEFT, str(self.words["columns"]["balance"]), font=BOLD, size=9.5)
            self.text(LEFT + 425, amount, font=BOLD, size=9.5, align="right")
            self.text(LEFT + 435, currency, font=BOLD, size=9.5)
            self.y -= LINE + 1

    def how_to_pay(self, accounts: Sequence[Mapping[str, str]], payment_link: str) -> None:
        if not accounts and not payment_link:
            return
        self.y -= 16
        self.room(3 + 5 * len(accounts))
        self.text(LEFT, str(self.words["print"]["pay_to"]), font=BOLD, size=10)
        self.y -= LINE + 2
        for account in accounts:
            for name in ("currency", "holder", "bank", "iban", "account", "bic", "routing"):
                if account.get(name):
                    self.text(LEFT, str(self.words["bank"][name]), size=8.5, ink=QUIET)
                    self.text(LEFT + 90, account[name], size=8.5, most=RIGHT - LEFT - 90)
                    self.y -= 12
            self.y -= 5
        if payment_link:
            width = self.text(LEFT, payment_link, size=8.5, ink=LINKED, most=RIGHT - LEFT)
            self.canvas.linkURL(payment_link, (LEFT, self.y - 2, LEFT + width, self.y + 9), relative=0)
            self.y -= LINE

    def room(self, lines: int) -> None:
        """Go on to the next page where so many lines no longer fit."""
        if self.y - min(lines, 40) * LINE < BOTTOM:
            self.foot()
            self.canvas.showPage()
            self.number += 1
            self.y = TOP
            self.head()

    def foot(self) -> None:
        self.y = 32
        self.text(LEFT, " · ".join(self.letterhead.foot), size=7.5, ink=QUIET, most=RIGHT - LEFT - 40)
        self.text(RIGHT, str(self.number), size=7.5, ink=QUIET, align="right")

    def bytes(self) -> bytes:
        self.foot()
        self.canvas.save()
        return self._file.getvalue()


@cache
def _image(path: Path) -> Any:
    return ImageReader(str(path))
