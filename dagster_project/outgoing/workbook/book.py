"""One workbook of the morning: for everyone, or for one collector.

Belongs here: sheets, columns, looks, links, the cells to fill in. Does not belong here: which item is on which list and why
(`dunning_worklist` and `dunning_items` say so) — what is added up here is added up to be looked at.

The long sheets are written as whole columns of finished cells (`tables.py`); xlsxwriter does everything else. Two things of its
insides are leaned on for that, both in `Sheet`, and the tests read every workbook back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name

from dagster_project import form, tables
from dagster_project.amounts import USUAL, Digits, digits_in, places, written
from dagster_project.form import Answer, Question
from dagster_project.outgoing.facts import Facts, Listing, total
from dagster_project.outgoing.workbook.first_page import write_summary
from dagster_project.outgoing.workbook.mart_sheets import COLLECTOR, MART_SHEETS
from dagster_project.outgoing.workbook.sheets import (
    AMBER,
    BLUE,
    FILL_IN,
    GREEN,
    GREY,
    NAVY,
    NUMBER_FORMATS,
    TONES,
    Column,
    Kind,
    Looks,
    Sheet,
    colours_of,
    counted,
    long_date,
    money_format,
    short,
)
from dagster_project.policy import rows_in_force


def write_workbook(path: Path, facts: Facts, listing: Listing) -> None:
    """Write the workbook. The same arguments give the same bytes."""
    _Book(path, facts, listing).write()


LINE: Final = "line"
"""A column of the actions: the customer in a line, to copy into a mail."""

PAGE: Final = "page"
"""A column of the actions: the customer's own page, from where the workbook lies; null where there is none."""

# ---- columns


def _call_columns(currency: str, everyone: bool) -> tuple[Column, ...]:
    """What a caller needs first, in the order of a call."""
    return (
        Column("#", "rank", Kind.PLACE, 6),
        Column("Customer", "customer_name", Kind.NAME, 26),
        Column(form.KEY_HEADER, "customer_id", Kind.TEXT, 12.5),
        *((Column("Collector", "collector", Kind.TEXT, 15),) if everyone else ()),
        Column("Draft →", "channel", Kind.OPENS, 7),
        Column("Step", "step_label", Kind.WRAPPED, 15.5),
        Column("Tone", "tone", Kind.CODE, 8.5),
        Column(f"Past due ({currency})", "past_due_amount", Kind.MONEY, 12.5),
        Column("Oldest, days", "oldest_days_past_due", Kind.WHOLE, 7.5),
        Column("Items →", "item_count", Kind.LINK, 6.5),
        Column("Why", "why", Kind.WRAPPED, 54),
        Column("Contact", "contact_name", Kind.WRAPPED, 15),
        Column("Phone", "contact_phone", Kind.TEXT, 16),
        Column("Last contact", "last_contact_on", Kind.DATE, 10.5),
        Column("Open promise", "open_promise", Kind.WRAPPED, 12),
        Column("Tier", "tier_in_force", Kind.MARK, 6),
    )


def _background_columns(currency: str) -> tuple[Column, ...]:
    """What explains the row, to the right of what gets filled in: read on screen, left out of the print."""
    return (
        Column("E-mail", "contact_email", Kind.TEXT, 30),
        Column("Severity", "severity", Kind.WHOLE, 9),
        Column("Audience", "audience", Kind.CODE, 17),
        Column("Comes with", "effect", Kind.CODE, 17),
        Column(f"Not yet due ({currency})", "not_due_amount", Kind.MONEY, 14),
        Column("Invoice currencies", "document_currencies", Kind.TEXT, 11),
        Column(f"Disputed ({currency})", "disputed_amount", Kind.MONEY, 13),
        Column("Held items", "held_item_count", Kind.WHOLE, 8),
        Column(f"Late fee preview ({currency})", "late_fee_preview", Kind.MONEY, 13),
        Column("Late fee, monthly", "late_fee_rate_pct", Kind.RATE, 9),
        Column(f"Priority ({currency})", "priority", Kind.MONEY, 13),
        Column(f"= expected loss ({currency})", "expected_loss", Kind.MONEY, 13),
        Column(f"+ carrying cost ({currency})", "carrying_cost", Kind.MONEY, 13),
        Column("Pays how", "payer_pattern", Kind.CODE, 12),
        Column("Trend", "direction", Kind.CODE, 18),
        Column(f"Credit to use up ({currency})", "credit_available", Kind.MONEY, 13),
        Column(f"Balance ({currency})", "credit_used", Kind.MONEY, 14),
        Column(f"Credit limit ({currency})", "credit_limit", Kind.MONEY, 14),
        Column("Limit used", "credit_used_share", Kind.PERCENT, 9),
        Column("Last outcome", "last_contact_outcome", Kind.CODE, 18),
        Column("If asked for time", "suggested_arrangement", Kind.CODE, 22),
        Column("Because", "arrangement_reason", Kind.WRAPPED, 46),
        Column("Entity", "company_id", Kind.TEXT, 10),
        Column("To copy into a mail", LINE, Kind.TEXT, 60),
    )


def _who(everyone: bool, kind: Kind = Kind.STRONG) -> tuple[Column, ...]:
    return (
        Column("Customer", "customer_name", kind, 33),
        Column(form.KEY_HEADER, "customer_id", Kind.TEXT, 12),
        *((Column("Collector", "collector", Kind.TEXT, 15),) if everyone else ()),
    )


_DOCUMENT: Final = (
    Column("Document", "document_number", Kind.TEXT, 16),
    Column("Type", "item_type", Kind.CODE, 11),
    Column("Entity", "company_id", Kind.TEXT, 9),
    Column("Document date", "document_date", Kind.DATE, 12),
    Column("Due date", "due_date", Kind.DATE, 12),
    Column("Days past due", "days_past_due", Kind.WHOLE, 9),
    Column("Currency", "currency", Kind.TEXT, 9),
    Column("Open amount", "open_amount", Kind.MONEY, 15, "currency"),
)


def _open(currency: str) -> Column:
    return Column(f"Open ({currency})", "open_amount_reporting", Kind.MONEY, 15)


def _seal(rows: pa.Table) -> tuple[Column, ...]:
    """The column that says whose row it is; nobody looks at it, and everybody copies it along."""
    return (Column(form.SEAL_HEADER, form.SEAL_HEADER, Kind.TEXT, 20),) if form.SEAL_HEADER in rows.column_names else ()


def _item_columns(currency: str) -> tuple[Column, ...]:
    return (
        *_who(everyone=False, kind=Kind.LINKED),
        *_DOCUMENT,
        Column("Disputed", "disputed_amount", Kind.MONEY, 13, "currency"),
        Column("Covered by credit", "covered_amount", Kind.MONEY, 16, "currency"),
        Column("To ask for", "dunnable_amount", Kind.MONEY, 15, "currency"),
        Column(f"To ask for ({currency})", "dunnable_amount_reporting", Kind.MONEY, 15),
        Column("Aging", "aging_bucket", Kind.CODE, 12),
        Column("Step", "step", Kind.CODE, 18),
        Column("Expected", "expected_on", Kind.DATE, 12),
        Column("80 % by", "p80_on", Kind.DATE, 12),
        Column("When it is paid", "payment_outlook", Kind.WRAPPED, 54),
        Column(form.ITEM_KEY_HEADER, "item_id", Kind.TEXT, 16),
    )


_HELD: Final = (
    Column("Held because", "held_reason", Kind.CODE, 24),
    Column("Until", "held_until", Kind.DATE, 12),
)
_WHAT_NEXT: Final = (
    Column("Next step", "next_step", Kind.CODE, 18),
    Column("Next step on", "next_step_on", Kind.DATE, 12),
    Column("Last step", "last_step", Kind.CODE, 18),
    Column("Last step on", "last_step_on", Kind.DATE, 12),
)


@dataclass(frozen=True)
class _List:
    """A sheet that lists rows. `questions`: what may be filled in, to the right of them. `background`: how many columns are not printed."""

    name: str
    about: str
    columns: Sequence[Column]
    rows: pa.Table
    questions: Sequence[Question] = ()
    background: int = 0

    @classmethod
    def of(
        cls,
        name: str,
        about: str,
        columns: Sequence[Column],
        *parts: tuple[pa.Table, pa.ChunkedArray],
        soonest: str | None = None,
    ) -> _List:
        """A list of some rows of one or more tables, each with the mask that picks them; ordered by a date, if one is given."""
        sources = list(dict.fromkeys(column.source for column in columns))
        rows = pa.concat_tables([table.select(sources).filter(mask) for table, mask in parts])
        return cls(name, about, columns, rows if soonest is None else rows.sort_by(soonest))


_FIRST_CALL: Final = 4
"""The call list's header row, 1-based: also the 0-based row of the first customer."""

_FIRST_ITEM: Final = 3
"""The same for the sheets that list items."""

AGENCY_EFFECT: Final = "agency_placement"
"""The effect of the step that hands a customer over."""

COPY: Final = "copy"
"""A column of the items: where the document's copy lies, checked to be an address of the web."""

FIRST: Final = "first of its customer"
"""A column of the items that says which row carries the customer's link."""

MAX_ROWS: Final = 1_000_000
"""Rows that a sheet is given; Excel ends 48,576 later. The CSV has them all."""


# ---- the workbook


@dataclass
class _Book:
    path: Path
    facts: Facts
    listing: Listing
    book: Workbook = field(init=False)
    look: Looks = field(init=False)

    def write(self) -> None:
        with Workbook(str(self.path), {"constant_memory": True, "strings_to_formulas": False}) as self.book:
            self.look = Looks(self.book)
            self._identify()
            summary = self._sheet("Summary", BLUE)
            call_list = self._sheet(form.CALL_LIST, FILL_IN[1])
            self._call_list(call_list)
            rows = {form.CALL_LIST: self.listing.actions.num_rows}
            for plan in itertools.chain(self._lists(), self._mart_lists()):  # one by one: each holds rows of its own
                self._item_list(plan)
                rows[plan.name] = plan.rows.num_rows
            write_summary(summary, self.look, self.facts, self.listing, rows)
            self._identity_sheet()
            call_list.activate()  # the day begins there

    def _identify(self) -> None:
        """Properties that say which workbook this is, and none that say when it was written."""
        morning = self.facts.as_of.isoformat()
        self.book.set_properties(
            {
                "title": f"Worklist {morning} · {self.listing.owner}",
                "subject": "Receivables: whom to contact this morning, and why",
                "author": "Arrears",
                "created": datetime(self.facts.as_of.year, self.facts.as_of.month, self.facts.as_of.day),
            }
        )
        self.book.set_custom_property("arrears_schema_version", str(form.SCHEMA_VERSION))
        self.book.set_custom_property("arrears_as_of", morning)
        self.book.set_custom_property("arrears_collector", short(self.listing.collector or ""))

    def _sheet(self, name: str, colour: str) -> Sheet:
        sheet: Sheet = self.book.add_worksheet(name, Sheet)
        sheet.set_tab_color(colour)
        sheet.hide_gridlines(2)
        sheet.set_paper(9)
        sheet.set_landscape()
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        owner = self.listing.owner[:60].replace("&", "&&")
        sheet.set_footer(f"&L&8{owner} · as of {self.facts.as_of.isoformat()}&C&8{name}&R&8Page &P of &N")
        return sheet

    def _title(self, sheet: Sheet, title: str, about: str, home: bool = True) -> None:
        sheet.set_row(0, 27)
        sheet.write_string(0, 0, tables.excel_text(title), self.look(bold=True, font_size=16, font_color=NAVY))
        sheet.set_row(1, 18)
        if home:
            sheet.write_string(1, 0, "‹ Back", self.look(font_color=BLUE, underline=1, font_size=10))
            sheet.link("A2", "Summary", "A1")
        sheet.write_string(1, 1, tables.excel_text(about), self.look(font_color=GREY, font_size=10))

    def _columns(self, sheet: Sheet, row: int, columns: Iterable[Column], background: str = NAVY, first: int = 0) -> None:
        for index, column in enumerate(columns, first):
            sheet.set_column(index, index, column.width, None, {"hidden": column.header == form.SEAL_HEADER})
            sheet.write_string(row, index, column.header, self.look.header(column.kind, background))

    def _cells(self, columns: Sequence[Column], first: int = 0) -> Callable[[pa.Table, pa.Array], list[pa.Array]]:
        """What makes the cells of these columns out of a batch of rows."""
        styles = [
            (
                self.look.cell(column.kind, num_format=self.facts.money)
                if column.kind is Kind.MONEY
                else self.look.cell(column.kind)
            )._get_xf_index()
            for column in columns
        ]
        again = self.look.cell(Kind.TEXT, indent=0, font_color="#9AA5B1")._get_xf_index()

        def make(batch: pa.Table, rows: pa.Array) -> list[pa.Array]:
            made = []
            for index, (column, style) in enumerate(zip(columns, styles, strict=True), first):
                letter = xl_col_to_name(index)
                values = batch.column(column.source)
                if column.kind is Kind.DATE:
                    made.append(tables.date_cells(values, rows, letter, style))
                elif column.currency:
                    shades = self._by_currency(
                        batch.column(column.currency), lambda form: self.look.cell(Kind.MONEY, num_format=form)
                    )
                    made.append(tables.number_cells(values, rows, letter, shades))
                elif column.kind in NUMBER_FORMATS:
                    made.append(tables.number_cells(values, rows, letter, style))
                elif column.kind is Kind.LINKED:
                    shades = pc.if_else(batch.column(FIRST), str(style), str(again)).combine_chunks()
                    made.append(tables.text_cells(values, rows, letter, shades))
                else:
                    words = tables.humanised(values) if column.kind in (Kind.CODE, Kind.OPENS) else values
                    made.append(tables.text_cells(words, rows, letter, style))
            return made

        return make

    def _by_currency(self, currencies: pa.ChunkedArray, look: Callable[[str], Format]) -> pa.Array:
        """The style of an amount in each row: one a number of digits. Where a row has several currencies, or none, it is the usual one."""
        named = pc.dictionary_encode(currencies.combine_chunks())
        forms = [money_format(digits_in(name, self.facts.digits)) for name in named.dictionary.to_pylist()]
        styles = pa.array([str(look(form)._get_xf_index()) for form in forms], pa.string()).take(named.indices)
        return pc.fill_null(styles, str(look(money_format(USUAL))._get_xf_index()))

    # -- the call list

    def _call_list(self, sheet: Sheet) -> None:
        actions, everyone = self.listing.actions.slice(0, MAX_ROWS), self.listing.collector is None
        call = _call_columns(self.facts.currency, everyone)
        background = (*_background_columns(self.facts.currency), *_seal(actions))
        head, asked = 3, len(call)
        after = asked + len(form.QUESTIONS)
        asked_for = written(total(actions, "past_due_amount"), self.facts.currency, self.facts.digits)
        self._title(
            sheet,
            f"{form.CALL_LIST} · {self.listing.owner}",
            f"{long_date(self.facts.as_of)} · {counted(actions.num_rows, 'customer')} · {self.facts.currency} {asked_for}"
            " past due · most money at risk first · the yellow cells are yours to fill in",
        )
        band = {"font_size": 9, "bold": True}
        sheet.write_string(2, 0, "WHO, AND WHY", self.look(font_color=NAVY, **band))
        sheet.write_string(2, asked, "FILL IN", self.look(font_color=AMBER[1], **band))
        sheet.write_string(2, after, "BACKGROUND (not printed)", self.look(font_color=GREY, **band))
        sheet.set_row(head, 32)
        self._columns(sheet, head, call)
        self._ask(sheet, head, form.QUESTIONS, asked)
        self._columns(sheet, head, background, "#7A8794", after)

        last = head + actions.num_rows
        width = after + len(background)
        if actions.num_rows:
            call_cells, background_cells = self._cells(call), self._cells(background, after)
            answers = self._answers(form.QUESTIONS, asked, "document_currencies")

            def cells(batch: pa.Table, rows: pa.Array) -> list[pa.Array]:
                return [*call_cells(batch, rows), *answers(batch, rows), *background_cells(batch, rows)]

            sheet.write_rows(head + 1, _with_promises(actions, self.facts.digits), cells, width, 33)
            self._links_to_items(sheet, call, head + 1)
            for index, question in enumerate(form.QUESTIONS, asked):
                self._validate(sheet, question, head + 1, last, index)
            self._colour(sheet, {column.source: index for index, column in enumerate(call)}, head + 1, last)
            severity = after + [column.source for column in background].index("severity")
            sheet.conditional_format(
                head + 1,
                severity,
                last,
                severity,
                {"type": "2_color_scale", "min_color": "#FFFFFF", "max_color": "#F2A29B"},
            )
        else:
            sheet.set_row(head + 1, 40)
            sheet.write_string(
                head + 1, 0, "Nobody needs chasing this morning. Enjoy the coffee.", self.look(font_size=13, font_color=GREEN[1])
            )
        sheet.autofilter(head, 0, max(last, head + 1), width - 1)
        sheet.freeze_panes(head + 1, 3)
        sheet.repeat_rows(head)
        sheet.print_area(0, 0, max(last, head + 1), after - 1)
        sheet.ignore_errors({"number_stored_as_text": f"A1:{xl_col_to_name(width - 1)}{last + 2}"})
        sheet.protect("", {"autofilter": True, "sort": True, "format_columns": True, "format_rows": True})

    def _ask(self, sheet: Sheet, row: int, questions: Sequence[Question], first: int) -> None:
        for index, question in enumerate(questions, first):
            sheet.set_column(index, index, question.width)
            sheet.write_string(row, index, question.header, self.look.header(background=FILL_IN[1], ink="#3D2E00"))

    def _answers(
        self, questions: Sequence[Question], first: int, currency: str
    ) -> Callable[[pa.Table, pa.Array], list[pa.Array]]:
        """What makes the empty cells to fill in, for the rows of a batch; `currency` is the column that says what an amount is in."""

        def make(batch: pa.Table, rows: pa.Array) -> list[pa.Array]:
            made = []
            for index, question in enumerate(questions, first):
                style: int | pa.Array = self._blank(question)._get_xf_index()
                if question.answer is Answer.AMOUNT:
                    style = self._by_currency(batch.column(currency), partial(self._blank, question))
                made.append(tables.blank_cells(rows, xl_col_to_name(index), style))
            return made

        return make

    def _blank(self, question: Question, money: str = "") -> Format:
        look: dict[str, Any] = {"locked": False, "bg_color": FILL_IN[0], "border": 1, "border_color": "#EADFB0"}
        if question.answer is Answer.DATE:
            look |= {"num_format": "yyyy-mm-dd", "align": "center"}
        elif question.answer is Answer.AMOUNT:
            look |= {"num_format": money}
        elif question.answer is Answer.TEXT:
            look |= {"num_format": "@", "text_wrap": True, "font_size": 10}
        return self.look(**look)

    def _validate(self, sheet: Sheet, question: Question, first: int, last: int, column: int) -> None:
        rule: dict[str, Any]
        if question.answer is Answer.CHOICE:
            rule = {
                "validate": "list",
                "source": [label for label, _ in question.choices],
                "error_message": "Please pick one of the list.",
            }
        elif question.answer is Answer.DATE:
            rule = {
                "validate": "date",
                "criteria": ">=",
                "value": self.facts.as_of,
                "error_message": f"A date, {self.facts.as_of.isoformat()} or later.",
            }
        elif question.answer is Answer.AMOUNT:
            rule = {"validate": "decimal", "criteria": ">", "value": 0, "error_message": "An amount above zero, digits only."}
        else:
            return
        rule["error_title"] = question.header
        if question.hint:
            rule |= {"input_title": question.header, "input_message": question.hint}
        sheet.data_validation(first, column, last, column, rule)

    def _links_to_items(self, sheet: Sheet, call: Sequence[Column], first: int) -> None:
        letter = xl_col_to_name([column.kind for column in call].index(Kind.LINK))
        target = _FIRST_ITEM + 1
        for row, count in enumerate(self.listing.actions.column("item_count").to_pylist(), first + 1):
            sheet.link(f"{letter}{row}", "Items", f"A{target}")
            target += count
        letter = xl_col_to_name([column.kind for column in call].index(Kind.OPENS))
        for row, file in enumerate(self.listing.actions.column("draft_file").to_pylist(), first + 1):
            if file is not None:
                sheet.opens(f"{letter}{row}", file)
        if PAGE in self.listing.actions.column_names:
            letter = xl_col_to_name([column.source for column in call].index("customer_name"))
            for row, page in enumerate(self.listing.actions.column(PAGE).to_pylist(), first + 1):
                if page is not None:
                    sheet.opens(f"{letter}{row}", page)

    def _colour(self, sheet: Sheet, places: Mapping[str, int], first: int, last: int) -> None:
        tone = places["tone"]
        for code, (background, ink) in TONES.items():
            sheet.conditional_format(
                first,
                tone,
                last,
                tone,
                {
                    "type": "cell",
                    "criteria": "==",
                    "value": f'"{tables.humanise(code)}"',
                    "format": self.book.add_format({"bg_color": background, "font_color": ink}),
                },
            )
        tier = places["tier_in_force"]
        ranked = sorted(
            rows_in_force("risk_tier_terms", self.facts.policy, self.facts.as_of), key=lambda row: int(row["tier_rank"])
        )
        for name, (background, ink) in colours_of([row["tier"] for row in ranked]).items():
            quoted = name.replace('"', '""')
            sheet.conditional_format(
                first,
                tier,
                last,
                tier,
                {
                    "type": "formula",
                    "criteria": f'=${xl_col_to_name(tier)}{first + 1}="{quoted}"',
                    "format": self.book.add_format({"bg_color": background, "font_color": ink, "bold": True}),
                },
            )

    # -- the lists of items

    def _lists(self) -> Iterator[_List]:
        money, everyone = self.facts.currency, self.listing.collector is None
        acted, held, actions = self.listing.acted, self.listing.held, self.listing.actions
        who = _who(everyone)
        listed = held.column("held_list")
        handed_over = actions.column("customer_id").filter(_among(actions.column("effect"), AGENCY_EFFECT))
        yield _List(
            form.ITEM_LIST,
            "Every item of the call list, by customer in the list's order · contested ones: say so in the yellow cells",
            (*_item_columns(money), *_seal(acted)),
            _with_firsts(acted),
            form.ITEM_QUESTIONS,
        )
        yield _List.of(
            "Promises",
            "Promised or in a payment plan: leave alone until the promise is broken.",
            (*who, *_DOCUMENT, _open(money), *_HELD, *_WHAT_NEXT[2:]),
            (held, _among(listed, "promises", "payment_plans")),
            soonest="held_until",
        )
        yield _List.of(
            "Disputes",
            "Contested: settle the dispute, then the money follows. What is not contested is chased as usual.",
            (*who, *_DOCUMENT, Column("Disputed", "disputed_amount", Kind.MONEY, 15, "currency"), _open(money), *_HELD),
            (held, _among(listed, "disputes")),
            (acted, pc.greater(acted.column("disputed_amount"), 0)),
        )
        yield _List.of(
            "Early payment",
            "A discount is still to be had: worth a line in the reminder.",
            (
                *who,
                *_DOCUMENT,
                Column("Discount", "discount_amount", Kind.MONEY, 13, "currency"),
                Column("Until", "discount_until", Kind.DATE, 12),
                Column("Worth to them, a year", "discount_annualised_pct", Kind.RATE, 12),
            ),
            (acted, pc.is_valid(acted.column("discount_until"))),
        )
        yield _List.of(
            "Agency and legal",
            "To be handed over this morning, or out of dunning: at the agency, insolvent, through the last step.",
            (*who, *_DOCUMENT, _open(money), Column("Step", "step", Kind.CODE, 18), *_HELD, *_WHAT_NEXT[2:]),
            (acted, _among(acted.column("customer_id"), *handed_over.to_pylist())),
            (held, _among(listed, "agency", "legal", "collections")),
        )
        yield _List.of(
            "Data to fix",
            "Nobody can be asked for this money until somebody mends the record in the ERP.",
            (*who, *_DOCUMENT, _open(money), Column("To mend", "held_reason", Kind.CODE, 24)),
            (held, _among(listed, "data_fix")),
        )
        yield _List(
            "Held",
            "Every item that could be chased and is not, with the reason: nothing is left out in silence.",
            (
                *who,
                *_DOCUMENT,
                _open(money),
                Column("Aging", "aging_bucket", Kind.CODE, 12),
                *_HELD,
                Column("All reasons", "all_held_reasons", Kind.CODE, 34),
                *_WHAT_NEXT,
            ),
            held,
        )

    def _item_list(self, plan: _List) -> None:
        sheet = self._sheet(plan.name, "#A9B4C0")
        head, rows = _FIRST_ITEM - 1, plan.rows.slice(0, MAX_ROWS)
        cut = f" · the first {MAX_ROWS:,} of them; the CSV has all" if rows.num_rows < plan.rows.num_rows else ""
        self._title(sheet, f"{plan.name} · {self.listing.owner}", f"{counted(plan.rows.num_rows, 'row')} · {plan.about}{cut}")
        sheet.set_row(head, 32)
        self._columns(sheet, head, plan.columns)
        asked, last = len(plan.columns), head + rows.num_rows
        width = asked + len(plan.questions)
        self._ask(sheet, head, plan.questions, asked)
        if rows.num_rows:
            listed, answers = self._cells(plan.columns), self._answers(plan.questions, asked, "currency")
            height = 41 if any(column.kind is Kind.WRAPPED for column in plan.columns) else 16.5  # three lines, or one
            sheet.write_rows(_FIRST_ITEM, rows, lambda batch, rows: [*listed(batch, rows), *answers(batch, rows)], width, height)
            for index, question in enumerate(plan.questions, asked):
                self._validate(sheet, question, _FIRST_ITEM, last, index)
        else:
            sheet.write_string(_FIRST_ITEM, 0, "Nothing here this morning.", self.look(font_color=GREY, italic=True))
        if plan.name == form.ITEM_LIST:
            self._links_to_calls(sheet)
            self._links_to_copies(sheet, plan)
        sheet.autofilter(head, 0, max(last, _FIRST_ITEM), width - 1)  # sorted by it, a row keeps what was written into it
        sheet.freeze_panes(_FIRST_ITEM, 2)
        sheet.repeat_rows(head)
        shown = [index for index, column in enumerate(plan.columns) if column.header != form.SEAL_HEADER]
        sheet.print_area(0, 0, max(last, _FIRST_ITEM), (width if plan.questions else len(shown) - plan.background) - 1)
        sheet.ignore_errors({"number_stored_as_text": f"A1:{xl_col_to_name(len(plan.columns) - 1)}{last + 2}"})

    def _links_to_calls(self, sheet: Sheet) -> None:
        row = _FIRST_ITEM + 1
        for target, count in enumerate(self.listing.actions.column("item_count").to_pylist(), _FIRST_CALL + 1):
            sheet.link(f"A{row}", form.CALL_LIST, f"A{target}")
            row += count

    def _links_to_copies(self, sheet: Sheet, plan: _List) -> None:
        """Each document's number leads to its copy, where the source has one."""
        if COPY not in plan.rows.column_names:
            return
        letter = xl_col_to_name([column.source for column in plan.columns].index("document_number"))
        copies = plan.rows.column(COPY).slice(0, MAX_ROWS)
        for row in pc.indices_nonzero(pc.is_valid(copies)).to_pylist():
            sheet.opens(f"{letter}{_FIRST_ITEM + 1 + row}", copies[row].as_py())

    def _mart_lists(self) -> Iterator[_List]:
        everyone = self.listing.collector is None
        for sheet in MART_SHEETS:
            if sheet.mart in self.listing.others:
                columns = [column for column in sheet.columns if everyone or column.source != COLLECTOR]
                yield _List(
                    sheet.name, sheet.about, columns, sheet.rows(self.listing.others[sheet.mart]), background=sheet.background
                )

    # -- what is not shown

    def _identity_sheet(self) -> None:
        sheet = self.book.add_worksheet(form.IDENTITY_SHEET, Sheet)
        identity = {
            "schema_version": str(form.SCHEMA_VERSION),
            "as_of": self.facts.as_of.isoformat(),
            "policy": self.facts.policy,
            "collector": self.listing.collector or "",
            "sheet": form.CALL_LIST,
            "header_row": str(_FIRST_CALL),
            "key": form.KEY_HEADER,
        }
        for row, (name, value) in enumerate(identity.items()):
            sheet.write_string(row, 0, name)
            sheet.write_string(row, 1, tables.excel_text(value))
        sheet.very_hidden()


def _among(column: pa.ChunkedArray, *values: str) -> pa.ChunkedArray:
    return pc.is_in(column, value_set=pa.array(values, pa.string()))


def _with_firsts(acted: pa.Table) -> pa.Table:
    """The items, each marked as its customer's first or not."""
    customers = acted.column("customer_id").combine_chunks()
    before = pa.concat_arrays([pa.nulls(min(1, len(customers)), pa.string()), customers.slice(0, max(0, len(customers) - 1))])
    return acted.append_column(FIRST, pc.fill_null(pc.not_equal(customers, before), True))


def _with_promises(actions: pa.Table, digits: Digits) -> pa.Table:
    """The actions with one readable column for the open promise: when, how much, in what."""
    pairs = zip(actions.column("promised_amount").to_pylist(), actions.column("promised_currency").to_pylist(), strict=True)
    told = [None if amount is None else f"{amount:.{places(amount, digits_in(currency, digits))}f}" for amount, currency in pairs]
    parts = (
        pc.cast(actions.column("promised_on"), pa.string()),
        pa.array(told, pa.string()),
        actions.column("promised_currency"),
    )
    promise = pc.binary_join_element_wise(parts[0], *(pc.fill_null(part, "") for part in parts[1:]), "  ")
    return actions.append_column("open_promise", promise)
