"""The contract as SQL: what a record must be to land, and in which words it is refused.

Belongs here: one rule a column, as SQL over a delivery's columns; pure functions of a dataset's description, which no store, file or
database is needed to try. Does not belong here: running any of it (`store.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from dagster_project.contract import DECIMALS, EARLIEST, LATEST, RATE_ABOVE, RATE_BELOW, SQL_TYPES, Column, Dataset, Type
from dagster_project.sources import DAY_FIRST, MONTH_FIRST

_DATE = r"\d{4}-\d{2}-\d{2}"
_TIMESTAMP = _DATE + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?"


AMBIGUOUS_NUMBER = r"[+-]?[1-9]\d{0,2}[.,]\d{3}"
"""What people write for thousands, or for a fraction of three digits."""
_AMBIGUOUS_DATE = r"(0?[1-9]|1[0-2])[/-](0?[1-9]|1[0-2])[/-]\d{4}.*"
"""The fourth of March, or the third of April."""


def reasons(dataset: Dataset, by_hand: bool = False) -> Iterator[str]:
    """One SQL expression a rule: null where the record keeps it, else the reason in words, the value at the end. `by_hand`: people wrote
    it, so that what can be read in two ways is asked about."""
    for column in dataset.columns:
        value = raw(column)
        broken = [*(_two_ways(column, value) if by_hand else ()), *_broken(column, value)]
        shown = f"' «' || left(regexp_replace({value}, '[[:cntrl:]]+', ' ', 'g'), 60) || '»'"
        cases = []
        if column.required:
            cases.append(f"when {value} is null then '{column.name} is missing'")
        for condition, words in broken:
            cases.append(f"when {condition} then '{column.name} {words}' || {shown}")
        if cases:
            yield f"case {' '.join(cases)} end"
    if dataset.any_of:
        none = " and ".join(f"{raw(dataset.by_name[name])} is null" for name in dataset.any_of)
        yield f"case when {none} then 'one of {' or '.join(dataset.any_of)} is needed' end"


def plain(dataset: Dataset, texts: Set[str], by_hand: bool = False) -> Iterator[str]:
    """SQL conditions that a record written the usual way fulfils. One that fulfils all of them has no reason of `reasons`."""
    for column in dataset.columns:
        value = raw(column, column.name in texts)
        if column.name not in texts:
            looks = _within(column, value)
        elif column.type in DECIMALS:  # one pattern, a tenth of what those cost that tell what is wrong
            precision, scale = DECIMALS[column.type]
            sign = "-?" if column.signed else ""
            digits = f"\\d{{1,{precision - scale}}}(\\.\\d{{1,{scale}}})?"
            if by_hand:  # but for what could be thousands
                digits = (
                    f"\\d{{1,{precision - scale}}}(\\.(\\d{{1,2}}|\\d{{4,{scale}}}))?|(0|\\d{{4,{precision - scale}}})\\.\\d{{3}}"
                )
            looks = f"regexp_full_match({value}, '{sign}({digits})')"
            if column.type is Type.RATE:
                looks += f" and {_within(column, typed(column))}"
        else:
            looks = " and ".join(f"not ({condition})" for condition, _ in _broken(column, value))
        if column.required:
            yield f"{value} is not null" + (f" and {looks}" if looks else "")
        elif looks:
            yield f"({value} is null or {looks})"
    if dataset.any_of:
        some = " or ".join(f"{raw(dataset.by_name[name], name in texts)} is not null" for name in dataset.any_of)
        yield f"({some})"


def _within(column: Column, value: str) -> str:
    """SQL for what a value that is no text can still be wrong in; empty where nothing."""
    if column.type is Type.RATE:
        return f"{value} > {RATE_ABOVE:f} and {value} < {RATE_BELOW}"
    if column.type in DECIMALS:
        precision, scale = DECIMALS[column.type]
        most = 10 ** (precision - scale)
        least = f"> -{most}" if column.signed else ">= 0"
        return f"{value} < {most} and {value} {least}"
    if column.within:
        return f"{value} between {column.within[0]} and {column.within[1]}"
    if column.type in (Type.DATE, Type.TIMESTAMP):
        return f"{value} >= '{EARLIEST}' and {value} < '{LATEST}'"
    return ""


CONTRADICTION = "the key is there twice with other values"


def kind_of(reason: str) -> str:
    """A reason without the value, for counting."""
    kind = reason.split(" «", 1)[0]
    return CONTRADICTION if kind.startswith("key ") else kind


def _broken(column: Column, value: str) -> Iterator[tuple[str, str]]:
    match column.type:
        case Type.TEXT:
            if column.enum:
                yield f"{value} not in ({', '.join(map(text, column.enum))})", f"is none of {', '.join(column.enum)}:"
            if column.is_currency:
                yield f"not regexp_full_match({value}, '[A-Z]{{3}}')", "is not a currency (ISO 4217, such as EUR):"
        case Type.DATE:
            yield (
                f"not regexp_full_match({value}, '{_DATE}') or try_cast({value} as date) is null",
                "is not a date (YYYY-MM-DD):",
            )
            yield _beyond(f"try_cast({value} as date)")
        case Type.TIMESTAMP:
            yield (
                f"not regexp_full_match({value}, '{_TIMESTAMP}') or try_cast({value} as timestamptz) is null",
                "is not a time (ISO 8601, UTC):",
            )
            yield _beyond(f"try_cast({value} as timestamptz)")
        case Type.BOOLEAN:
            yield f"lower({value}) not in ('true', 'false', '1', '0')", "is neither true nor false:"
        case Type.INTEGER:
            yield (
                f"not regexp_full_match({value}, '[+-]?\\d+') or try_cast({value} as integer) is null",
                "is not a whole number:",
            )
            if column.within:
                least, most = column.within
                yield f"try_cast({value} as integer) not between {least} and {most}", f"is not from {least} to {most}:"
        case Type.AMOUNT | Type.RATE | Type.NUMBER:
            precision, scale = DECIMALS[column.type]
            whole = precision - scale
            yield f"not regexp_full_match({value}, '[+-]?(\\d+(\\.\\d*)?|\\.\\d+)')", "is not a decimal number:"
            yield f"not regexp_full_match({value}, '[^.]*(\\.\\d{{0,{scale}}}0*)?')", f"has more than {scale} fraction digits:"
            yield f"not regexp_full_match({value}, '[+-]?0*\\d{{0,{whole}}}(\\..*)?')", "is too large:"
            if not column.signed:
                instead = f" ({column.instead})" if column.instead else ""
                yield f"{value} like '-%' and try_cast({value} as decimal({precision},{scale})) <> 0", f"is negative{instead}:"
            if column.type is Type.RATE:
                rate = f"try_cast({value} as decimal({precision},{scale}))"
                yield f"{rate} <= 0", "must be above zero:"
                yield (
                    f"not ({_within(column, rate)})",
                    f"is no rate anybody means (between {RATE_ABOVE:f} and {RATE_BELOW}; is it the right way round?):",
                )
            yield f"try_cast({value} as decimal({precision},{scale})) is null", "is not a decimal number:"


def _beyond(moment: str) -> tuple[str, str]:
    return (
        f"{moment} < '{EARLIEST}' or {moment} >= '{LATEST}'",
        f"is no day anybody means (years {EARLIEST.year} to {LATEST.year - 1}; leave it empty where there is none):",
    )


def _two_ways(column: Column, value: str) -> Iterator[tuple[str, str]]:
    """What people wrote and nothing in its file decides."""
    if column.type in DECIMALS:
        yield (
            f"regexp_full_match({value}, '{AMBIGUOUS_NUMBER}')",
            'can be thousands or a fraction; write decimal = "." or decimal = "," in files.toml beside the file, or the number without '
            "thousands and with two digits after its sign:",
        )
    if column.type in (Type.DATE, Type.TIMESTAMP):
        yield (
            f"regexp_full_match({value}, '{_AMBIGUOUS_DATE}')",
            f'can begin with the day or the month; write dates = "{DAY_FIRST}" or dates = "{MONTH_FIRST}" in files.toml beside the file, '
            "or the date as 2025-08-31:",
        )


def raw(column: Column, text: bool = True) -> str:
    """A value as received; blank text is no value."""
    return f"nullif(trim({quoted(column.name)}), '')" if text else quoted(column.name)


def shown(column: Column, text: bool) -> str:
    """A value as text, whatever it was received as."""
    value = quoted(column.name)
    if text:
        return value
    return f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%fZ')" if column.type is Type.TIMESTAMP else f"cast({value} as varchar)"


def typed(column: Column, text: bool = True) -> str:
    """A value as what it is; null also where it cannot be that, for which there is a reason then."""
    value = raw(column, text)
    if column.type is Type.TIMESTAMP and text:
        return f"cast(try_cast({value} as timestamptz) at time zone 'UTC' as timestamp)"
    return f"try_cast({value} as {SQL_TYPES[column.type]})"


def quoted(name: str) -> str:
    return f'"{name}"'


def text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
