"""What could be said to each customer this morning: an e-mail ready to be looked over and sent, or the script of a call.

Belongs here: putting what the marts say into words, and the files that carry them. Does not belong here: the words themselves
(`templates/<language>/`, one text a dunning template, the first line its subject), whom to write to and how firmly (dbt), sending:
nothing here sends anything.

A language is a folder. A customer whose language has none, or whose folder lacks a text, is written to in English.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import logging
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from email.header import Header
from email.utils import formataddr
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import FileSystemLoader, StrictUndefined, Template, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment

from dagster_project import amounts, tables
from dagster_project.amounts import Digits, digits_in
from dagster_project.outgoing.letters.letterhead import Letterheads
from dagster_project.outgoing.names import distinct_slugs

log = logging.getLogger("arrears.delivery")

TEMPLATES: Final = Path(__file__).parent / "templates"
ENGLISH: Final = "en"
CALL: Final = "call"
"""The template of a call's script: one for all steps, since what is said follows from tone, amounts and effect."""

FOLDER: Final = "drafts"
CHECKSUMS: Final = "SHA256SUMS"
"""Checksums of all drafts, as `sha256sum -c` reads them."""

MOST: Final = ("dunning_policy", "drafts_a_collector")
ASKED_FOR: Final = frozenset((MOST,))
"""The rows policy must have for drafts."""

MOST_PRINTED: Final = 1_000
"""Statements that are there as PDF, from the top of the list: a hundredth of a second each, which is what a night has for them."""

SENIOR: Final = ("senior", "executive")
LONGEST_NAME, LONGEST_SUBJECT = 120, 200

STATEMENT: Final = (
    *("company_id", "document_number", "item_type", "document_date", "due_date", "days_past_due"),
    *("currency", "original_amount", "open_amount", "open_amount_reporting", "document_url"),
)
"""What a statement of account needs of `open_items`, besides customer and item."""

_ACTION: Final = (
    *(
        "customer_id",
        "customer_name",
        "company_id",
        "collector",
        "step_label",
        "channel",
        "audience",
        "tone",
        "template",
        "effect",
    ),
    *("contact_name", "contact_email", "contact_phone", "oldest_days_past_due", "late_fee_rate_pct", "item_count"),
    "has_earlier_notice",
    *("language", "company_name", "draft_file"),
)
_ITEM: Final = (
    *("document_number", "document_date", "due_date", "days_past_due", "currency", "open_amount", "dunnable_amount"),
    *("discount_until", "discount_amount", "late_fee_preview"),
    *("late_fee_compensation_amount", "late_fee_compensation_currency"),
)


# ---- languages


@dataclass(frozen=True, eq=False)
class Language:
    """A folder of texts, and how its language writes dates and amounts."""

    code: str
    words: Mapping[str, Any]
    environment: ImmutableSandboxedEnvironment

    def template(self, name: str) -> Template | None:
        try:
            return self.environment.get_template(f"{name}.txt")
        except TemplateNotFound:
            return None

    @lru_cache(maxsize=10_000)  # noqa: B019 - there are as many languages as folders
    def date(self, day: date | None) -> str:
        """`22 Nov 2026`, `22.11.2026`; nothing of none."""
        if day is None:
            return ""
        months = self.words["months"]
        return str(
            self.words["date"].format(
                day=day.day, number=day.month, month=months[day.month - 1] if months else "", year=f"{day.year:04}"
            )
        )

    def amount(self, amount: Decimal, digits: int = amounts.USUAL) -> str:
        """`1,234.56`, `1.234,56`: so many digits after the mark, more where the amount has more."""
        text = f"{amount:,.{amounts.places(amount, digits)}f}"
        if self.words["decimal_mark"] == ".":
            return text if self.words["thousands_mark"] == "," else text.replace(",", self.words["thousands_mark"])
        return text.translate(str.maketrans({",": self.words["thousands_mark"], ".": self.words["decimal_mark"]}))

    def plain_amount(self, amount: Decimal, digits: int = amounts.USUAL) -> str:
        """The same without thousands marks, for spreadsheets: `1234.56`, `1234,56`."""
        return self.amount(amount, digits).replace(self.words["thousands_mark"], "")

    def list(self, parts: Iterable[str]) -> str:
        """`a`, `a and b`, `a, b and c`."""
        *most, last = parts
        return f"{', '.join(most)}{self.words['and']}{last}" if most else last


@cache
def is_written(template: str) -> bool:
    """Whether there is a text for a template in English, which everybody is written to in whose own language lacks it."""
    return (TEMPLATES / ENGLISH / f"{template}.txt").exists()


@cache
def languages(root: Path = TEMPLATES) -> Mapping[str, Language]:
    """Every language there is, by the name of its folder."""
    found = {}
    for folder in sorted(path for path in root.iterdir() if (path / "language.toml").exists()):
        environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        found[folder.name] = Language(folder.name, tomllib.loads((folder / "language.toml").read_text("utf-8")), environment)
    return found


def chosen(spoken: str | None, template: str, among: Mapping[str, Language] | None = None) -> tuple[Language, Template]:
    """The language and text for a customer who speaks `spoken` (`de`, `de-AT`, `DE_ch`); English where there is none.

    Raises:
        LookupError: not even English has the text.
    """
    among = languages() if among is None else among
    wanted = re.split(r"[-_]", (spoken or "").strip().lower())[0]
    for code in (wanted, ENGLISH):
        if code in among and (text := among[code].template(template)) is not None:
            return among[code], text
    raise LookupError(f"there is no text {template}.txt under {TEMPLATES.name}/{ENGLISH}/; dunning_steps.csv names it")


# ---- the drafts of a morning


@dataclass(frozen=True)
class Draft:
    """A file for one customer: its name under the morning's folder, its subject, what is in it."""

    file: str
    subject: str
    content: bytes


def with_files(actions: pa.Table, most: int) -> pa.Table:
    """The actions with `draft_file`, the name that a draft for each will have: up to so many a collector, the others have none."""
    given = _given(actions, most)
    names = _file_names(actions.filter(given))
    place = pc.if_else(given, pc.subtract(pc.cumulative_sum(pc.cast(given, pa.int32())), 1), None)
    return actions.append_column("draft_file", pa.array(names, pa.string()).take(place))


def write_drafts(
    target: Path,
    as_of: date,
    policy: str,
    actions: pa.Table,
    acted: pa.Table,
    book: pa.Table | None,
    payment_link: str = "",
    letterhead: Letterheads | None = None,
) -> pa.Table:
    """Write the drafts that actions have a file for (`with_files`) into `target/drafts/` with their checksums; the actions come back
    with `draft_subject`.

    `acted` are the items in the actions' order. `book` has the open items statements of account are made of; without it there are
    none. `payment_link` is an address in which `{customer_id}` stands for the customer's number; empty: no link is offered. With a
    `letterhead` the statements of the first `MOST_PRINTED` are there as PDF as well.
    """
    folder = target / FOLDER
    folder.mkdir()
    subjects: dict[str, str] = {}
    with (folder / CHECKSUMS).open("w", encoding="utf-8", newline="\n") as sums:
        for draft in drafts(as_of, policy, *_only(actions, acted), book, payment_link, letterhead):
            path = target / draft.file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(draft.content)
            sums.write(f"{hashlib.sha256(draft.content).hexdigest()}  {draft.file.removeprefix(f'{FOLDER}/')}\n")
            subjects[draft.file] = draft.subject
    files = actions.column("draft_file")
    told = pa.array([subjects.get(file) for file in files.to_pylist()], pa.string())
    return actions.add_column(actions.column_names.index("draft_file"), "draft_subject", told)


def _given(actions: pa.Table, most: int) -> pa.Array:
    """Which actions get a draft: the first of each collector's."""
    seen: Counter[str | None] = Counter()
    given = []
    for collector in actions.column("collector").to_pylist():
        seen[collector] += 1
        given.append(seen[collector] <= most)
    return pa.array(given, pa.bool_())


def statements(book: pa.Table, actions: pa.Table) -> pa.Table:
    """The open items that statements of account are made of: those of the customers that get a draft."""
    customers = actions.column("customer_id").filter(pc.is_valid(actions.column("draft_file")))
    return book.filter(pc.is_in(book.column("customer_id"), value_set=customers.combine_chunks()))


def _only(actions: pa.Table, acted: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The actions that get a draft and their items."""
    chosen_actions = actions.filter(pc.is_valid(actions.column("draft_file")))
    customers = chosen_actions.column("customer_id").combine_chunks()
    return chosen_actions, acted.select(["customer_id", *_ITEM]).filter(
        pc.is_in(acted.column("customer_id"), value_set=customers)
    )


def drafts(
    as_of: date,
    policy: str,
    actions: pa.Table,
    acted: pa.Table,
    book: pa.Table | None,
    payment_link: str,
    letterhead: Letterheads | None = None,
) -> Iterator[Draft]:
    """The drafts in the order of the actions, all of which have a file, a batch of customers in memory at a time."""
    needed = [name for name in _ACTION if name in actions.column_names]
    opened, counts = _by_customer(book, actions) if book is not None else (None, [0] * actions.num_rows)
    first_item = first_open = printed = 0
    for start in range(0, actions.num_rows, tables.BATCH):
        batch = actions.select(needed).slice(start, tables.BATCH).to_pylist()
        count = sum(action["item_count"] for action in batch)
        items = iter(acted.select(_ITEM).slice(first_item, count).to_pylist())
        first_item += count
        counted = counts[start : start + len(batch)]
        rows = iter(opened.slice(first_open, sum(counted)).to_pylist() if opened is not None else ())
        first_open += sum(counted)
        for action, open_count in zip(batch, counted, strict=True):
            mine = list(itertools.islice(items, action["item_count"]))
            statement = list(itertools.islice(rows, open_count)) if opened is not None else None
            prints = letterhead if printed < MOST_PRINTED and statement is not None and _by_mail(action["channel"]) else None
            printed += prints is not None
            yield _draft(as_of, policy, action, mine, statement, payment_link, prints)
    if letterhead is not None and printed == MOST_PRINTED:
        log.info("the first %s statements are there as PDF, the others as CSV alone", f"{MOST_PRINTED:,}")


def _draft(
    as_of: date,
    policy: str,
    action: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    statement: Sequence[Mapping[str, Any]] | None,
    payment_link: str,
    letterhead: Letterheads | None,
) -> Draft:
    by_mail = _by_mail(action["channel"])
    language, template = chosen(action.get("language"), action["template"] if by_mail else CALL)
    has_statement = by_mail and statement is not None
    digits = amounts.digits_on(as_of, policy)
    text = template.render(_words(as_of, language, digits, action, items, has_statement, payment_link))
    head, _, body = text.partition("\n")
    subject = one_line(head, LONGEST_SUBJECT)
    body = re.sub(r"\n{3,}", "\n\n", body).strip("\n") + "\n"
    if not by_mail:
        return Draft(action["draft_file"], subject, f"{subject}\n\n{body}".encode())
    identity = hashlib.sha256("\0".join((as_of.isoformat(), policy, action["customer_id"])).encode()).hexdigest()[:32]
    attached = []
    if has_statement:
        name = f"{language.words['statement']}-{as_of}"
        if letterhead is not None:
            printed = _printed(letterhead, language, as_of, action, statement or (), digits, payment_link)
            attached.append((f"{name}.pdf", "application/pdf", printed))
        attached.append((f"{name}.csv", "text/csv; charset=utf-8", statement_of_account(language, statement or (), digits)))
    # Who is on the PDF, where forgetting looks: in the file itself it is written in the font's own numbers.
    about = (
        ", ".join(filter(None, (one_line(action["customer_name"]), one_line(action["contact_name"]))))
        if len(attached) > 1
        else ""
    )
    return Draft(action["draft_file"], subject, _mail(identity, recipients(action), subject, body, attached, about))


def _words(
    as_of: date,
    language: Language,
    digits: Digits,
    action: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    has_statement: bool,
    payment_link: str,
) -> Mapping[str, Any]:
    """What a template may speak of. Every name is always there; what does not apply is empty."""
    documents = [one_line(item["document_number"]) for item in items]
    shown = documents if len(documents) <= 4 else [*documents[:3], f"+ {len(documents) - 3}"]
    past_due = [item for item in items if (item["days_past_due"] or 0) > 0]
    return {
        "as_of": language.date(as_of),
        "customer": one_line(action["customer_name"]),
        "customer_id": one_line(action["customer_id"]),
        "contact": one_line(action["contact_name"]),
        "phone": one_line(action["contact_phone"]),
        "senior": action["audience"] in SENIOR,
        "tone": action["tone"],
        "effect": action["effect"],
        "reminded": bool(action.get("has_earlier_notice")),
        "step": one_line(action["step_label"]),
        "collector": one_line(action["collector"]),
        "company": one_line(action.get("company_name")),
        "count": len(items),
        "documents": language.list(shown),
        "table": _table(language, items, digits),
        "total": _sums(language, past_due or items, digits),
        "past_due": _sums(language, past_due, digits),
        "not_due": _sums(language, [item for item in items if (item["days_past_due"] or 0) <= 0], digits),
        "oldest_days": action["oldest_days_past_due"] or 0,
        "reduced": any(item["dunnable_amount"] != item["open_amount"] for item in items),
        "discounts": [
            {
                "document": one_line(item["document_number"]),
                "amount": language.amount(item["discount_amount"], digits_in(item["currency"], digits)),
                "currency": item["currency"],
                "until": language.date(item["discount_until"]),
            }
            for item in items
            if item["discount_until"] is not None and item["discount_amount"] is not None
        ],
        "late_fee": _sums(language, past_due, digits, "late_fee_preview"),
        "late_fee_rate": "" if action["late_fee_rate_pct"] is None else language.plain_amount(action["late_fee_rate_pct"]),
        "compensation": _sums(language, past_due, digits, "late_fee_compensation_amount", "late_fee_compensation_currency"),
        "payment_link": payment_link.replace("{customer_id}", quote(action["customer_id"], safe="")),
        "statement": has_statement,
    }


def _table(language: Language, items: Sequence[Mapping[str, Any]], digits: Digits) -> str:
    """The items as columns that line up in a fixed-width font, the oldest first."""
    columns = language.words["columns"]
    head = [columns[name] for name in ("document", "date", "due", "days", "amount", "currency")]
    rows = [
        [
            one_line(item["document_number"]),
            language.date(item["document_date"]),
            language.date(item["due_date"]),
            str(max(item["days_past_due"] or 0, 0) or ""),
            language.amount(item["dunnable_amount"], digits_in(item["currency"], digits)),
            item["currency"] or "",
        ]
        for item in items
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if index in (3, 4) else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _sums(
    language: Language,
    items: Iterable[Mapping[str, Any]],
    digits: Digits,
    amount: str = "dunnable_amount",
    currency: str = "currency",
) -> str:
    """What there is of an amount, currency by currency; never added up across them. Nothing of none."""
    totals: dict[str, Decimal] = {}
    for item in items:
        if item[amount]:
            totals[item[currency]] = totals.get(item[currency], Decimal(0)) + item[amount]
    told = (f"{language.amount(sum_, digits_in(name, digits))} {name}" for name, sum_ in sorted(totals.items()))
    return language.list(told) if totals else ""


# ---- the statement of account


def statement_of_account(language: Language, rows: Iterable[Mapping[str, Any]], digits: Digits) -> bytes:
    """All of a customer's open items, credits and unapplied cash negative, and the balance of each currency: CSV as the spreadsheets
    of the language open it."""
    words = language.words["columns"]
    head = [words[name] for name in ("entity", "document", "type", "date", "due", "days", "original", "open", "currency")]
    rows = list(rows)
    copies = any(copy_of(row) for row in rows)
    lines = [[*head, words["copy"]] if copies else head]
    balances: dict[str, Decimal] = {}
    for row in rows:
        after = digits_in(row["currency"], digits)
        balances[row["currency"]] = balances.get(row["currency"], Decimal(0)) + row["open_amount"]
        lines.append(
            [
                _guarded(row["company_id"]),
                _guarded(row["document_number"]),
                language.words["types"].get(row["item_type"], row["item_type"] or ""),
                language.date(row["document_date"]),
                language.date(row["due_date"]),
                "" if row["days_past_due"] is None else str(row["days_past_due"]),
                "" if row["original_amount"] is None else language.plain_amount(row["original_amount"], after),
                language.plain_amount(row["open_amount"], after),
                _guarded(row["currency"]),
                *([copy_of(row) or ""] if copies else []),
            ]
        )
    lines += [
        [
            words["balance"],
            *[""] * 6,
            language.plain_amount(amount, digits_in(name, digits)),
            _guarded(name),
            *([""] if copies else []),
        ]
        for name, amount in sorted(balances.items())
    ]
    separator = language.words["separator"]
    text = "".join(separator.join(_cell(cell, separator) for cell in line) + "\r\n" for line in lines)
    return b"\xef\xbb\xbf" + text.encode()  # the mark by which spreadsheets know UTF-8


COPY: Final = re.compile(r"https?://[!-~]{1,2000}")
"""An address that a statement may lead to; whatever else a source says is none."""


def copy_of(row: Mapping[str, Any]) -> str | None:
    """Where a document's copy lies."""
    url = (row.get("document_url") or "").strip()
    return url if COPY.fullmatch(url) else None


def _printed(
    letterhead: Letterheads,
    language: Language,
    as_of: date,
    action: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    digits: Digits,
    payment_link: str,
) -> bytes:
    """The statement as a PDF; a name with signs that its fonts do not have is said."""
    from dagster_project.outgoing.letters.statement_pdf import (
        statement_pdf,
        unknown_signs,
    )  # costs what a night without it does not pay

    who = letterhead.of(action["company_id"], action["company_name"])
    name = one_line(action["customer_name"])
    if unknown_signs(name, who.font):
        log.warning(
            "the statement of customer %s shows boxes: its fonts lack signs of the name (font, in the letterhead)",
            one_line(action["customer_id"]),
        )
    columns = {**language.words["columns"], **language.words["print"]}
    cells, balances = [], dict[str, Decimal]()
    for row in rows:
        after = digits_in(row["currency"], digits)
        balances[row["currency"]] = balances.get(row["currency"], Decimal(0)) + row["open_amount"]
        cells.append(
            [
                one_line(row["document_number"]),
                language.date(row["document_date"]),
                language.date(row["due_date"]),
                "" if row["days_past_due"] is None else str(row["days_past_due"]),
                "" if row["original_amount"] is None else language.amount(row["original_amount"], after),
                language.amount(row["open_amount"], after),
                one_line(row["currency"]),
                one_line(row["company_id"]),
            ]
        )
    return statement_pdf(
        who,
        language.words,
        language.words["print"]["title"],
        language.date(as_of),
        [name, one_line(action["contact_name"]), f"{language.words['print']['customer']} {one_line(action['customer_id'])}"],
        [columns[heading] for heading in ("document", "date", "due", "days", "original", "open", "currency", "entity")],
        cells,
        [copy_of(row) for row in rows],
        [
            (language.amount(amount, digits_in(currency, digits)), one_line(currency))
            for currency, amount in sorted(balances.items())
        ],
        payment_link.replace("{customer_id}", quote(action["customer_id"], safe="")),
    )


def _guarded(text: str | None) -> str:
    """A text that no spreadsheet takes for a formula."""
    cell = one_line(text)
    return f"'{cell}" if cell.startswith(tables.FORMULA_STARTS) else cell


def _cell(cell: str, separator: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if separator in cell or '"' in cell else cell


def _by_customer(book: pa.Table, actions: pa.Table) -> tuple[pa.Table, Sequence[int]]:
    """The open items of the customers of the list, in its order, oldest first; and how many each has."""
    place = pc.index_in(book.column("customer_id"), value_set=actions.column("customer_id").combine_chunks())
    keys = book.select(["currency", "document_date", "item_id"]).append_column("place", place)
    listed = pc.is_valid(place)
    keys, rows = keys.filter(listed), book.select(STATEMENT).filter(listed)
    order = pc.sort_indices(keys, [(key, "ascending") for key in ("place", "currency", "document_date", "item_id")])
    counts = [0] * actions.num_rows
    for each in pc.value_counts(keys.column("place")).to_pylist():
        counts[each["values"]] = each["counts"]
    return rows.take(order), counts


# ---- files and headers


def _file_names(actions: pa.Table) -> list[str]:
    """`drafts/<collector>/<customer>.eml` for each action that is an e-mail, `.txt` for one that is a call."""
    collectors = [name or "" for name in actions.column("collector").to_pylist()]
    folders = distinct_slugs(collectors)
    keys = [
        f"{customer} {name or ''}" if name != customer else customer
        for customer, name in zip(
            actions.column("customer_id").to_pylist(), actions.column("customer_name").to_pylist(), strict=True
        )
    ]
    customers = distinct_slugs(keys)
    endings = [".eml" if _by_mail(channel) else ".txt" for channel in actions.column("channel").to_pylist()]
    return [
        f"{FOLDER}/{folders[collector]}/{customers[key]}{ending}"
        for collector, key, ending in zip(collectors, keys, endings, strict=True)
    ]


def _by_mail(channel: str) -> bool:
    return channel == "email"


_SPACE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of what follows: harmless in a name, but not in a message around it."""


def one_line(text: str | None, longest: int = LONGEST_NAME) -> str:
    """A text of somebody else's, fit for the middle of a line: no line breaks, no control characters, not endless."""
    line = _DIRECTION.sub("", _SPACE.sub(" ", (text or "")[: 4 * longest])).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")


def recipients(action: Mapping[str, Any]) -> str:
    """The address, or addresses, that the ledger gives for the contact; what is not one is left out, for a person to fill in."""
    given = re.split(r"[;,\s]+", (action["contact_email"] or "").strip()[:1_000])
    addresses = [address for address in given if _ADDRESS.fullmatch(address)]
    if len(addresses) != 1:
        return ",\r\n ".join(addresses)
    return formataddr((one_line(action["contact_name"], 60), addresses[0]))


def _mail(identity: str, to: str, subject: str, body: str, attached: Sequence[tuple[str, str, bytes]], about: str) -> bytes:
    """A message that mail programs open as a draft (`X-Unsent`): no sender, no date, and the same bytes for the same words.

    Put together here because a night writes tens of thousands; every part is base64, and each header went through the `email` package.
    """
    boundary = f"=_{identity}"
    parts = [("text/plain; charset=utf-8", "inline", body.replace("\n", "\r\n").encode())]
    parts += [(f'{kind}; name="{name}"', f'attachment; filename="{name}"', content) for name, kind, content in attached]
    lines = [
        "X-Unsent: 1",
        *([f"To: {to}"] if to else []),
        f"Subject: {_header(subject)}",
        f"Message-ID: <{identity}@arrears.invalid>",
        *([f"Comments: {_header(about)}"] if about else []),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
    ]
    for kind, disposition, content in parts:
        encoded = base64.encodebytes(content).decode().rstrip("\n").replace("\n", "\r\n")
        lines += [
            f"--{boundary}",
            f"Content-Type: {kind}",
            "Content-Transfer-Encoding: base64",
            f"Content-Disposition: {disposition}",
            "",
            encoded,
        ]
    return ("\r\n".join([*lines, f"--{boundary}--", ""])).encode("ascii")


def _header(text: str) -> str:
    """A header's value: ASCII as it is, everything else encoded, folded where it is long."""
    if text.isascii() and len(text) < 60:
        return text
    return Header(text, "us-ascii" if text.isascii() else "utf-8", header_name="Subject").encode(linesep="\r\n")
