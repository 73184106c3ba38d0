"""One filled cell: the text, choice, day or amount in it, or what to write instead.

Belongs here: reading what people and spreadsheets make of a value, where it can be read in one way only. Does not belong here: which
cell answers which question for whom (`inbox.py`).
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from dagster_project.amounts import USUAL, Digits, digits_in, digits_on
from dagster_project.form import Answer, Question

LONGEST_VALUE: Final = 100
"""Characters past which nothing is a day or an amount any more."""


def answer_in(question: Question, cell: Any, as_of: date, currencies: frozenset[str], promise_days: int) -> Any:
    """The answer in a cell of the list of `as_of`. A promised day lies up to `promise_days` after it.

    Raises:
        ValueError: it cannot be taken; the message says what to write instead.
    """
    match question.answer:
        case Answer.CHOICE:
            return _choice(question, cell)
        case Answer.DATE:
            return day_in(cell, as_of, promise_days)
        case Answer.AMOUNT:
            return amount_in(cell, currencies, digits_on(as_of))
        case Answer.TEXT:
            return _clean(text_in(cell)) or None


def _choice(question: Question, cell: Any) -> str:
    said = folded("yes" if cell is True else "no" if cell is False else text_in(cell))
    for label, code in question.choices:
        if said in (folded(label), folded(code)):
            return code
    raise ValueError(f"write one of: {', '.join(label for label, _ in question.choices)}")


_DAY_FORMATS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%d.%m.%y", "%d %B %Y", "%d %b %Y", "%B %d %Y", "%b %d %Y")
_DAY_ZERO: Final = date(1899, 12, 30)


def day_in(cell: Any, as_of: date, promise_days: int) -> date:
    day = _as_day(cell)
    if day < as_of:
        raise ValueError(f"{day} is before the list's own day, {as_of}: write the day that was promised")
    if day > as_of + timedelta(days=promise_days):
        raise ValueError(
            f"{day} is more than {promise_days} days away: write the day that was promised, such as {as_of + timedelta(days=7)}"
        )
    return day


def _as_day(cell: Any) -> date:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    text = unicodedata.normalize("NFKC", text_in(cell)[:LONGEST_VALUE]).strip()
    if text.isdecimal() and len(text) == 5:  # a date whose format was lost: the days since day zero
        return _DAY_ZERO + timedelta(days=int(text))
    text = re.sub(r"[T ]00:00(:00(\.0+)?)?Z?$", "", text).replace(",", " ")
    text = " ".join(text.split())
    for written in _DAY_FORMATS:
        try:
            return datetime.strptime(text, written).date()
        except ValueError:
            continue
    if parts := re.fullmatch(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})", text):
        first, second, year = map(int, parts.groups())
        readings = set()
        for month, day in ((second, first), (first, second)):
            try:
                readings.add(date(year, month, day))
            except ValueError:
                continue
        if len(readings) == 1:
            return readings.pop()
        if readings:
            raise ValueError(f"{text} can be read as two days: write it as {min(readings)} or {max(readings)}")
    raise ValueError("that is no date: write it as 2025-06-30 or 30.06.2025")


_SIGNS: Final = {"€": "EUR", "£": "GBP"}


def amount_in(cell: Any, currencies: frozenset[str], digits: Digits) -> tuple[Decimal, str | None]:
    """The amount to the smallest there is in its currency, and that: the one that is written, else the only one there is, else None."""
    currency = next(iter(currencies)) if len(currencies) == 1 else None
    most = max((digits_in(code, digits) for code in currencies), default=USUAL)
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        number = Decimal(repr(cell))
    else:
        text = unicodedata.normalize("NFKC", text_in(cell)[:LONGEST_VALUE]).upper()
        if len(text) >= LONGEST_VALUE:
            raise ValueError("that is no amount: write digits only, such as 1234.56")
        if written := re.fullmatch(r"(?:([A-Z]{3}|[€£])\s*)?([^A-Z€£]+?)\s*([A-Z]{3}|[€£])?", text):
            before, text, after = written.groups()
            named = {_SIGNS.get(sign, sign) for sign in (before, after) if sign}
            if named - currencies or len(named) > 1:
                raise ValueError(
                    f"the customer's documents are in {' and '.join(sorted(currencies))}: write the amount in that currency"
                )
            currency = named.pop() if named else currency
        number = _number(text, digits_in(currency, digits) if currency else most)
    if not number.is_finite() or number <= 0:
        raise ValueError("an amount is above zero: write it as 1234.56, or leave the cell empty")
    if number >= Decimal(10) ** 14:
        raise ValueError("the amount is too large: write it as 1234.56")
    amount = number.quantize(Decimal(1).scaleb(-(digits_in(currency, digits) if currency else most)), ROUND_HALF_UP)
    if amount <= 0:
        raise ValueError("an amount is above zero: write it as 1234.56, or leave the cell empty")
    return amount, currency


def _number(text: str, digits: int) -> Decimal:
    """A number as people write it, with or without separators, where it can be read in one way only. `digits`: those of its currency; where
    that are three, 1.234 is one and a bit."""
    plain = re.sub(r"[\s'’_]", "", text)
    marks = [mark for mark in plain if mark in ".,"]
    if not re.fullmatch(r"[+-]?\d[\d.,]*", plain) or plain[-1] in ".,":
        raise ValueError("that is no amount: write digits only, such as 1234.56")
    last = marks[-1] if marks else "."
    whole, _, fraction = plain.rpartition(last) if marks else (plain, "", "")
    # The same mark again and again only ever groups thousands, and so does any where there is no fraction.
    if len(set(marks)) == 1 and (len(marks) > 1 or (len(fraction) == 3 and digits == 0)):
        whole, fraction = plain, ""
    elif len(marks) == 1 and len(fraction) == 3 and digits != 3:
        raise ValueError(f"{text.strip()} can be read as two amounts: write it as {whole}{fraction} or as {whole}.{fraction[:2]}")
    groups = re.split(r"[.,]", whole)
    grouped = len(groups) > 1
    if grouped and (
        len(set(re.findall(r"[.,]", whole))) > 1 or any(len(group) != 3 for group in groups[1:]) or len(groups[0]) > 4
    ):
        raise ValueError("that is no amount: write digits only, such as 1234.56")
    if len(fraction) > digits and fraction.strip("0"):
        most = ("no", "one", "two", "three", "four")[digits]
        raise ValueError(f"an amount in that currency has {most} places after the point: write it as {f'{1234.5678:.{digits}f}'}")
    try:
        return Decimal(f"{''.join(groups)}.{fraction or '0'}")
    except InvalidOperation:
        raise ValueError("that is no amount: write digits only, such as 1234.56") from None


# ---- text


def text_in(cell: Any) -> str:
    """A cell as text: numbers without a fraction they do not have, dates as ISO, blank as nothing."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime) and not (cell.hour or cell.minute or cell.second):
        return cell.date().isoformat()
    return str(cell).strip()


def folded(text: str) -> str:
    """Text as it is compared: whatever its case, its spaces and the full stop after it."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("_", " ").split()).rstrip(" .!")


def _clean(text: str) -> str:
    """A note as it was written, line ends unified, without characters that no file can carry; nothing else is cut."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(" " if unicodedata.category(mark) in ("Cc", "Cs") and mark not in "\n\t" else mark for mark in lines).strip()
