"""The forms in which people and their spreadsheets write what the contract asks for, as SQL that turns them into the contract's own.

Belongs here: codes in any case, `30.0`, midnights, decimal commas, `31.08.2025`, Excel's day numbers, and what a whole file says about a
value that can be read in two ways. Pure functions of a dataset's description. Does not belong here: delimiters and encodings
(`sources/files.py`), what is right or wrong with a value (`judge.py`), running any of it (`store.py`).

Nothing is guessed in silence. What a value says alone is read; what it does not (1.234, 03/04/2025) is read as the rest of its file is, or
as files.toml says, or not at all. Exact: digits are moved, never computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dagster_project.amounts import Digits
from dagster_project.contract import DECIMALS, Column, Dataset, Type
from dagster_project.landing.judge import AMBIGUOUS_NUMBER, quoted, raw
from dagster_project.sources import DAY_FIRST, MONTH_FIRST, Hand, recognised

_SIGN = "[+-]?"
_GAP = r"[ \x{a0}\x{202f}''’]"

_YES = ("true", "1", "1.0", "yes", "y", "ja", "j", "oui", "o", "si", "sí", "wahr", "vrai", "x")
_NO = ("false", "0", "0.0", "no", "n", "nein", "non", "falsch", "faux")

_CLOCK = r"[ ,T]+(\d{1,2}:\d{2}(:\d{2}([.]\d+)?)?)"
_MIDNIGHT = r"([ ,T]+0?0:00(:00([.]0+)?)?(Z|[+-]00:?00)?)?"
_YEAR_FIRST = r"(\d{4})[./-](\d{1,2})[./-](\d{1,2})"
_DOTTED = r"(\d{1,2})\.(\d{1,2})\.(\d{4})"
_SLASHED = r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})"
_TOGETHER = r"((?:19|20)\d{2})(\d{2})(\d{2})([.]0+)?"
_DAY_NUMBER = r"([2-7]\d{4})([.]0+)?"
"""Days since 1899-12-30: 1954 to 2119."""


def clear(decimal: str) -> str:
    """What a number looks like whose decimal sign can only be this."""
    d, g = (r"\.", ",") if decimal == "." else (",", r"\.")
    fraction = rf"(\d*{d}(\d{{1,2}}|\d{{4,}})|0?{d}\d{{3}}|\d{{4,}}{d}\d{{3}})"
    grouped = rf"(\d{{1,3}}({g}\d{{3}})+{d}\d+|\d{{1,3}}({g}\d{{3}}){{2,}})"
    return rf"{_SIGN}({fraction}|{grouped})"


@dataclass(frozen=True)
class Read:
    """How one file writes: which sign is decimal and whether the day or the month comes first, `None` where nothing says so. `is_told`:
    files.toml says which sign; `is_mixed`: the file has both. `found` says in a line each what was recognised."""

    decimal: str | None = None
    dates: str | None = None
    is_told: bool = False
    is_mixed: bool = False
    found: tuple[str, ...] = ()


def evidence(dataset: Dataset) -> str | None:
    """SQL over `odd` (and `raw`, for decimal points, which are nothing odd): one row of counts and examples for `read`. None where a
    dataset has neither numbers nor dates."""
    numbers = [bare(raw(c)) for c in dataset.columns if c.type in DECIMALS]
    days = [raw(c) for c in dataset.columns if c.type in (Type.DATE, Type.TIMESTAMP)]
    parts = []
    for name, columns, pattern, over in (
        ("comma", numbers, clear(","), "odd"),
        ("point", numbers, clear("."), "raw"),
        ("grouped", numbers, rf"{_SIGN}[1-9]\d{{0,2}},\d{{3}}", "odd"),
        ("dotted", days, f"{_DOTTED}.*", "odd"),
        ("day_first", days, r"(1[3-9]|2\d|3[01])[/-](0?[1-9]|1[0-2])[/-]\d{4}.*", "odd"),
        ("month_first", days, r"(0?[1-9]|1[0-2])[/-](1[3-9]|2\d|3[01])[/-]\d{4}.*", "odd"),
        ("numbered", days, _DAY_NUMBER, "odd"),
    ):
        counted = " + ".join(f"count(*) filter (regexp_full_match({value}, '{pattern}'))" for value in columns) or "0"
        shown = ", ".join(
            f"first({value} order by file_row_number) filter (regexp_full_match({value}, '{pattern}'))" for value in columns
        )
        parts.append(f"(select {{'n': {counted}, 'such_as': {f'coalesce({shown})' if shown else 'null'}}} from {over}) as {name}")
    return f"select {', '.join(parts)}" if numbers or days else None


def read(hand: Hand, told: Mapping[str, Mapping[str, object]]) -> Read:
    """What a file's values say of each other: `told` is the row of `evidence` by column."""
    count = {name: int(str(seen["n"] or 0)) for name, seen in told.items()}
    such_as = {name: str(seen["such_as"]) for name, seen in told.items()}
    found = list[str]()
    decimal, dates = hand.decimal, hand.dates
    if decimal is None:
        decimal = "," if count["comma"] and not count["point"] else "." if count["point"] and not count["comma"] else None
        if count["comma"]:
            instead = "save them with a point"
            found.append(recognised(hand.file, "numbers with a decimal comma", such_as["comma"], instead, 'decimal = ","'))
        elif count["grouped"] and decimal == ".":
            instead = "save them without"
            found.append(recognised(hand.file, "numbers with commas for thousands", such_as["grouped"], instead, 'decimal = "."'))
    if dates is None:
        slashed = {DAY_FIRST: count["day_first"], MONTH_FIRST: count["month_first"]}
        only = [order for order, times in slashed.items() if times]
        dates = only[0] if len(only) == 1 else None
        for order, name in ((DAY_FIRST, "dotted"), (DAY_FIRST, "day_first"), (MONTH_FIRST, "month_first")):
            if count[name]:
                what = f"dates with the {order.removesuffix(' first')} first"
                found.append(recognised(hand.file, what, such_as[name], "save them as 2025-08-31", f'dates = "{order}"'))
                break
    if count["numbered"] and not hand.day_numbers:
        what, instead = "dates as days since 1899-12-30, as spreadsheets count", "format the column as 2025-08-31"
        found.append(recognised(hand.file, what, such_as["numbered"], instead, "day_numbers = true"))
    mixed = hand.decimal is None and bool(count["comma"] and count["point"])
    return Read(decimal, dates, hand.decimal is not None, mixed, tuple(found))


def bare(value: str) -> str:
    """SQL for a number without what stands about its digits: (1,00) and 1,00- are negative, 1 234 and 1'234 have their thousands apart."""
    minus = f"replace({value}, '−', '-')"
    signed = f"regexp_replace(regexp_replace({minus}, '^\\((.*)\\)$', '-\\1'), '^([^-+].*)-$', '-\\1')"
    gaps = f"regexp_full_match({value}, '[(+−-]?\\d{{1,3}}({_GAP}\\d{{3}})+([.,]\\d*)?[)-]?')"
    return f"case when {gaps} then regexp_replace({signed}, '{_GAP}', '', 'g') else {signed} end"


def mended(dataset: Dataset, how: Read | None, digits: Digits) -> Iterator[str]:
    """One SQL expression a column over records as received: the value in the contract's form where it is in a form people use, else as
    it is, for `judge.py` to refuse. `how` is given for files that people write; where a currency has three `digits`, 1.234 is one and
    a bit, and a thousand and more where it has none."""
    three, none = ([code for code, count in digits.items() if count == wanted] for wanted in (3, 0))
    for column in dataset.columns:
        value = raw(column)
        yield f"{_mended(column, value, dataset, how, three, none)} as {quoted(column.name)}"


def _mended(column: Column, value: str, dataset: Dataset, how: Read | None, three: Sequence[str], none: Sequence[str]) -> str:
    if column.enum:
        code = f"regexp_replace(lower({value}), '[ -]+', '_', 'g')"
        return f"case when {code} in ({_listed(column.enum)}) then {code} else {value} end"
    if column.is_currency:
        return f"case when regexp_full_match(upper({value}), '[A-Z]{{3}}') then upper({value}) else {value} end"
    match column.type:
        case Type.BOOLEAN:
            yes, no = f"lower({value}) in ({_listed(_YES)})", f"lower({value}) in ({_listed(_NO)})"
            return f"case when {yes} then 'true' when {no} then 'false' else {value} end"
        case Type.INTEGER:
            return f"regexp_replace({value}, '^([+-]?\\d+)[.,]00?$', '\\1')"
        case Type.DATE:
            return _date(value, how, _MIDNIGHT)
        case Type.TIMESTAMP:
            return _time(value, how) if how else value
        case Type.AMOUNT | Type.RATE | Type.NUMBER if how:
            return _number(column, value, dataset, how, three, none)
    return value


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _number(column: Column, value: str, dataset: Dataset, how: Read, three: Sequence[str], none: Sequence[str]) -> str:
    number = bare(value)
    is_money = column.type is Type.AMOUNT
    ways = []
    for sign, other in ((".", ","), (",", ".")):
        is_it = f"contains({number}, '{sign}')"
        as_fraction = (
            f"replace({number}, '{sign}', '.') || '0'"  # four digits after the point: nothing to be asked about any more
        )
        if how.decimal == other:
            if how.is_told or column.type is not Type.RATE:  # no rate has thousands
                ways.append(f"when {is_it} then replace({number}, '{sign}', '')")
        elif (how.is_told or not is_money) and (how.decimal or ".") == sign and not how.is_mixed:
            ways.append(f"when {is_it} then {as_fraction}")
        elif is_money and "currency" in dataset.by_name:
            currency = f"upper({raw(dataset.by_name['currency'])})"
            for codes, meant in ((three, as_fraction), (none, f"replace({number}, '{sign}', '')")):
                if codes:
                    ways.append(f"when {is_it} and {currency} in ({_listed(codes)}) then {meant}")
    asked = f"case {' '.join(ways)} else {number} end" if ways else number
    point, comma = clear("."), clear(",")
    return (
        f"case when {value} is null then null when regexp_full_match({number}, '{AMBIGUOUS_NUMBER}') then {asked} "
        f"when regexp_full_match({number}, '{comma}') then replace(replace({number}, '.', ''), ',', '.') "
        f"when regexp_full_match({number}, '{point}') then replace({number}, ',', '') else {number} end"
    )


def _date(value: str, how: Read | None, rest: str) -> str:
    forms = [(_YEAR_FIRST, (1, 2, 3))]
    if how:
        forms += [(_TOGETHER, (1, 2, 3)), (_DOTTED, (3, 2, 1))]
        if how.dates != MONTH_FIRST:
            forms.append((r"(1[3-9]|2\d|3[01])[/-](\d{1,2})[/-](\d{4})", (3, 2, 1)))
        if how.dates != DAY_FIRST:
            forms.append((r"(\d{1,2})[/-](1[3-9]|2\d|3[01])[/-](\d{4})", (3, 1, 2)))
        if how.dates:
            forms.append((_SLASHED, (3, 2, 1) if how.dates == DAY_FIRST else (3, 1, 2)))
    cases = []
    for form, (year, month, day) in forms:
        pattern = f"{form}{rest}"
        parts = [f"regexp_extract({value}, '^{pattern}$', {group})" for group in (year, month, day)]
        iso = f"{parts[0]} || '-' || lpad({parts[1]}, 2, '0') || '-' || lpad({parts[2]}, 2, '0')"
        cases.append(f"when regexp_full_match({value}, '{pattern}') then {iso}")
    if how:
        cases.append(
            f"when regexp_full_match({value}, '{_DAY_NUMBER}') then "
            f"cast(date '1899-12-30' + cast(regexp_extract({value}, '^(\\d+)', 1) as integer) as varchar)"
        )
    return f"case {' '.join(cases)} else {value} end"


def _time(value: str, how: Read) -> str:
    day = f"regexp_extract({value}, '^([\\d./-]+){_CLOCK}$', 1)"
    clock = f"regexp_extract({value}, '^([\\d./-]+){_CLOCK}$', 2)"
    hours = f"lpad(split_part({clock}, ':', 1), 2, '0') || substr({clock}, instr({clock}, ':'))"
    dotted = f"regexp_full_match({value}, '[\\d./-]+{_CLOCK}') and not regexp_full_match({day}, '\\d{{4}}-\\d{{2}}-\\d{{2}}')"
    return f"case when {dotted} then {_date(day, how, '')} || 'T' || {hours} else {value} end"
