"""The contract as SQL: what a record must be to land, and in which words it is refused.

Belongs here: one rule a column, as SQL over a delivery's columns; pure functions of a dataset's description, which no store, file or
database is needed to try. Does not belong here: running any of it (`store.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from dagster_project.contract import DECIMALS, SQL_TYPES, Column, Dataset, Type

_DATE = r"\d{4}-\d{2}-\d{2}"
_TIMESTAMP = _DATE + r"[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?"


def reasons(dataset: Dataset) -> Iterator[str]:
    """One SQL expression a rule: null where the record keeps it, else the reason in words, the value at the end."""
    for column in dataset.columns:
        value = raw(column)
        broken = _broken(column, value)
        shown = f"' «' || left({value}, 60) || '»'"
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


def plain(dataset: Dataset, texts: Set[str]) -> Iterator[str]:
    """SQL conditions that a record written the usual way fulfils. One that fulfils all of them has no reason of `reasons`."""
    for column in dataset.columns:
        value = raw(column, column.name in texts)
        if column.name not in texts:
            looks = _within(column, value)
        elif column.type in DECIMALS:  # one pattern, a tenth of what those cost that tell what is wrong
            precision, scale = DECIMALS[column.type]
            sign = "-?" if column.signed else ""
            looks = f"regexp_full_match({value}, '{sign}\\d{{1,{precision - scale}}}(\\.\\d{{1,{scale}}})?')"
            if column.type is Type.RATE:
                looks += f" and {typed(column)} > 0"
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
    if column.type in DECIMALS:
        precision, scale = DECIMALS[column.type]
        most = 10 ** (precision - scale)
        least = "> 0" if column.type is Type.RATE else f"> -{most}" if column.signed else ">= 0"
        return f"{value} < {most} and {value} {least}"
    if column.type in (Type.DATE, Type.TIMESTAMP):
        return f"{value} >= '0001-01-01' and {value} < '10000-01-01'"
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
        case Type.DATE:
            yield (
                f"not regexp_full_match({value}, '{_DATE}') or try_cast({value} as date) is null",
                "is not a date (YYYY-MM-DD):",
            )
        case Type.TIMESTAMP:
            yield (
                f"not regexp_full_match({value}, '{_TIMESTAMP}') or try_cast({value} as timestamptz) is null",
                "is not a time (ISO 8601, UTC):",
            )
        case Type.BOOLEAN:
            yield f"lower({value}) not in ('true', 'false', '1', '0')", "is neither true nor false:"
        case Type.INTEGER:
            yield (
                f"not regexp_full_match({value}, '[+-]?\\d+') or try_cast({value} as integer) is null",
                "is not a whole number:",
            )
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
                yield f"try_cast({value} as decimal({precision},{scale})) <= 0", "must be above zero:"
            yield f"try_cast({value} as decimal({precision},{scale})) is null", "is not a decimal number:"


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
