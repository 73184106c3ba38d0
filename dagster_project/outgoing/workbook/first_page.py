"""The first sheet: the morning on one page.

Belongs here: what stands on that page and where. Does not belong here: how the numbers come about (`facts.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name

from dagster_project import form, tables
from dagster_project.amounts import digits_in
from dagster_project.outgoing.facts import Facts, Listing, actions_by, by, control_words, share, total
from dagster_project.outgoing.workbook.sheets import (
    AMBER,
    BLUE,
    FILL_IN,
    GREEN,
    GREY,
    NAVY,
    PALE,
    RED,
    Kind,
    Looks,
    Sheet,
    long_date,
    money_format,
    short,
)

HOW_TO: Final = (
    "1.  Work down the call list: it is ordered by the money at risk, and its filters show one step, tone or tier at a time.",
    "2.  Write into the yellow cells only. Contacted, Outcome and Dispute reason offer a list; pick from it.",
    "3.  A promise needs a date and an amount, in the currency of the customer's invoices. A dispute needs a reason, on the sheet "
    f"{form.ITEM_LIST} beside the documents it is about; where none is named there, it is all that are listed.",
    "4.  Leave empty what did not happen. Do not rename the sheet or its headers; the rest is locked so that nothing slips.",
    "5.  Save the workbook and drop it into the inbox folder. What you wrote counts tomorrow morning; a cell that could not be "
    "read comes back with a message.",
)


CONTROL_COLOURS: Final = {"tied": GREEN, "unverified": AMBER, "untied": RED}


def write_summary(sheet: Sheet, look: Looks, facts: Facts, listing: Listing, lists: Mapping[str, int]) -> None:
    """Write the first sheet. `lists`: the other sheets, each with its number of rows."""
    actions, acted = listing.actions, listing.acted
    for index, width in enumerate((2, 27, 11, 17, 24, 3, 27, 13, 13, 24, 2)):
        sheet.set_column(index, index, width)
    grid = _Grid(sheet, look, facts)

    grid.put(0, 1, "Receivables worklist", bold=True, font_size=22, font_color=NAVY)
    grid.put(0, 6, listing.owner, span=4, bold=True, font_size=14, font_color=BLUE, align="right")
    grid.put(
        1,
        1,
        f"{long_date(facts.as_of)} · policy {facts.policy} · amounts in {facts.currency} unless another currency is named",
        font_color=GREY,
    )
    row = 2
    said = [(control_words(control, facts.digits), CONTROL_COLOURS[control["state"]]) for control in facts.controls]
    told = {words for words, _ in said}
    said += [(f"Passed with a warning. {warning}", AMBER) for warning in facts.warnings if warning not in told]
    for words, (background, ink) in said:
        grid.put(row, 1, short(words, 180), span=9, bg_color=background, font_color=ink, bold=True, indent=1)
        row += 1

    row += 1
    asked = total(actions, "past_due_amount")
    tiles: tuple[tuple[int, int, str, Any, str], ...] = (
        (1, 1, "Receivables, whole book", facts.receivables, "#,##0"),
        (2, 2, "Past due, whole book", facts.past_due, "#,##0"),
        (4, 1, "Past due share", share(facts.past_due, facts.receivables), "0.0%"),
        (6, 1, "Customers to contact", actions.num_rows, "#,##0"),
        (7, 2, "Items to ask for", acted.num_rows, "#,##0"),
        (9, 1, "Past due, to ask for", asked, "#,##0"),
    )
    for column, span, label, value, number in tiles:
        mine = {"bg_color": PALE if column < 6 else FILL_IN[0], "indent": 1}
        grid.put(row, column, label, span=span, font_size=9, font_color=GREY, **mine)
        grid.put(
            row + 1,
            column,
            value,
            span=span,
            bold=True,
            font_size=18,
            font_color=NAVY,
            num_format=number,
            align="left",
            **mine,
        )
    grid.heights[row + 1] = 30

    row += 3
    left = row
    for block in _left_blocks(facts, listing):
        left = grid.block(left, 1, block) + 1
    right = row
    for block in _right_blocks(facts, listing, lists):
        right = grid.block(right, 6, block) + 1

    row = max(left, right)
    grid.put(row, 1, "How to fill this in", span=9, bold=True, font_color="#FFFFFF", bg_color=NAVY, indent=1)
    for line in HOW_TO:
        row += 1
        grid.put(row, 1, line, font_size=10)
    grid.write()
    sheet.set_first_sheet()
    sheet.center_horizontally()
    sheet.fit_to_pages(1, 1 if row < 70 else 0)


def _left_blocks(facts: Facts, listing: Listing) -> list[_Block]:
    held, actions = listing.held, listing.actions
    aging = [(_bucket(name), count, amount, share(amount, facts.receivables)) for name, count, amount in facts.aging]
    unapplied = ("Credits and unapplied cash", None, facts.credits, share(facts.credits, facts.receivables))
    reasons = by(held, "held_reason", "open_amount_reporting")
    total_held = total(held, "open_amount_reporting")
    on_list = {name: amount for name, _, amount in by(actions, "tier_in_force", "past_due_amount")}
    listed = total(actions, "past_due_amount")
    tiers = [*facts.tiers, *(name for name in on_list if name not in facts.tiers)]
    return [
        _Block(
            "Aging of the whole book",
            ("Days past due", "Items", f"Open ({facts.currency})", "Share of receivables"),
            (*aging, unapplied),
            (Kind.TEXT, Kind.WHOLE, Kind.MONEY, Kind.PERCENT),
            total=("Receivables", None, facts.receivables, share(facts.receivables, facts.receivables)),
            bars=len(aging),
        ),
        _Block(
            "Held back, and why",
            ("Reason", "Items", f"Open ({facts.currency})", "Share of what is held"),
            tuple((tables.humanise(name), count, amount, share(amount, total_held)) for name, count, amount in reasons),
            (Kind.TEXT, Kind.WHOLE, Kind.MONEY, Kind.PERCENT),
            total=("Held", held.num_rows, total_held, None),
            bars=len(reasons),
            empty="Nothing is held back.",
        ),
        _Block(
            "Risk tiers",
            ("Tier in force", "Customers, book", f"On the list ({facts.currency})", "Share of the list"),
            tuple(
                (name or "(none yet)", facts.tiers.get(name), on_list.get(name), share(on_list.get(name, Decimal(0)), listed))
                for name in tiers
            ),
            (Kind.TEXT, Kind.WHOLE, Kind.MONEY, Kind.PERCENT),
            bars=len(tiers),
            empty="No tiers yet.",
        ),
        _Block(
            "To ask for, by invoice currency",
            ("Currency", "Items", "In that currency", ""),
            tuple((name, count, amount, None) for name, count, amount in by(listing.acted, "currency", "dunnable_amount")),
            (Kind.TEXT, Kind.WHOLE, Kind.MONEY, Kind.TEXT),
            in_currency=True,
        ),
    ]


def _right_blocks(facts: Facts, listing: Listing, lists: Mapping[str, int]) -> list[_Block]:
    actions, acted = listing.actions, listing.acted
    heads = ("Customers", "Items", f"To ask for ({facts.currency})")
    kinds = (Kind.TEXT, Kind.WHOLE, Kind.WHOLE, Kind.MONEY)
    blocks = [
        _Block(
            "Today's list, by step",
            ("Step", *heads),
            actions_by(actions, "step_label", "severity"),
            kinds,
            total=("Today", actions.num_rows, acted.num_rows, total(acted, "dunnable_amount_reporting")),
            empty="Nobody needs chasing this morning.",
        ),
        _Block(
            "Where to look",
            ("Sheet", "Rows", "", ""),
            tuple((name, count, None, None) for name, count in lists.items()),
            (Kind.LINKED, Kind.WHOLE, Kind.TEXT, Kind.TEXT),
        ),
    ]
    if listing.collector is None and actions.num_rows:
        blocks.append(_Block("By collector", ("Collector", *heads), actions_by(actions, "collector"), kinds))
    if facts.kpis:
        blocks.append(
            _Block(
                f"Key figures, {facts.kpis[0]['month']:%B %Y}",
                ("Figure", "Now", "Before", "Look at it?"),
                tuple((kpi["title"], *_values(kpi), "review" if kpi["tripped"] else None) for kpi in facts.kpis),
                (Kind.TEXT, Kind.FIGURE, Kind.FIGURE, Kind.TEXT),
            )
        )
    if facts.rejected:
        blocks.append(
            _Block(
                "Records set aside as unreadable",
                ("Dataset", "Records", "", ""),
                tuple((tables.humanise(name), count, None, None) for name, count in sorted(facts.rejected.items())),
                (Kind.TEXT, Kind.WHOLE, Kind.TEXT, Kind.TEXT),
            )
        )
    return blocks


@dataclass(frozen=True)
class _Block:
    """A small table of the summary, four columns wide. `bars`: rows whose last column gets a bar. `in_currency`: amounts are in
    the currency that the row begins with, else in the reporting currency."""

    title: str
    headers: tuple[str, str, str, str]
    rows: tuple[tuple[Any, Any, Any, Any], ...]
    kinds: tuple[Kind, Kind, Kind, Kind]
    total: tuple[Any, Any, Any, Any] | None = None
    bars: int = 0
    empty: str = "Nothing to show."
    in_currency: bool = False


class _Grid:
    """Cells put in any order and written row by row, as a constant-memory worksheet wants them."""

    def __init__(self, sheet: Sheet, look: Looks, facts: Facts) -> None:
        self._sheet, self._look, self._facts = sheet, look, facts
        self._cells: dict[tuple[int, int], tuple[Any, int, Format]] = {}
        self.heights: dict[int, float] = {0: 32}

    def put(self, row: int, column: int, value: Any, span: int = 1, **look: Any) -> None:
        self._cells[row, column] = (value, span, self._look(**look))

    def block(self, row: int, column: int, block: _Block) -> int:
        """Put a block with its top left corner there; the row after it."""
        self.put(row, column, block.title, span=4, bold=True, font_size=12, font_color=NAVY, bottom=2, bottom_color=NAVY)
        row += 1
        if not block.rows:
            self.put(row, column, block.empty, italic=True, font_color=GREY)
            return row + 1
        for index, header in enumerate(block.headers):
            align = "right" if index else "left"
            self.put(row, column + index, header, font_size=9, font_color=GREY, align=align)
        row += 1
        if block.bars:
            last = column + len(block.headers) - 1
            self._sheet.conditional_format(
                row,
                last,
                row + block.bars - 1,
                last,
                {"type": "data_bar", "bar_color": "#9DC3E6", "bar_solid": True, "min_type": "num", "max_type": "num"}
                | {"min_value": 0, "max_value": 1.3},
            )
        for values in block.rows:
            own = money_format(digits_in(values[0], self._facts.digits)) if block.in_currency else self._facts.money
            self._line(row, column, block.kinds, values, own)
            row += 1
        if block.total is not None:
            self._line(row, column, block.kinds, block.total, self._facts.money, bold=True, bottom=0, top=1, top_color=NAVY)
            row += 1
        return row

    def _line(self, row: int, column: int, kinds: Sequence[Kind], values: Sequence[Any], money: str, **more: Any) -> None:
        for index, (kind, value) in enumerate(zip(kinds, values, strict=True)):
            text = kind is Kind.TEXT or (index and isinstance(value, str))
            own: dict[str, Any] = {"num_format": money} if kind is Kind.MONEY else {}
            if text:
                own |= {"indent": 0, "align": "right" if index else "left"}
            self._cells[row, column + index] = (value, 1, self._look.cell(kind, **more, **own))
            if kind is Kind.LINKED:
                self._sheet.link(f"{xl_col_to_name(column + index)}{row + 1}", str(value), "A1")

    def write(self) -> None:
        self._sheet.print_area(0, 0, max(row for row, _ in self._cells), max(column for _, column in self._cells) + 1)
        for row, height in self.heights.items():
            self._sheet.set_row(row, height)
        for (row, column), (value, span, look) in sorted(self._cells.items(), key=lambda cell: cell[0]):
            if span > 1:
                self._sheet.merge_range(row, column, row, column + span - 1, "", look)
            if value is None:
                self._sheet.write_blank(row, column, None, look)
            elif isinstance(value, str):
                self._sheet.write_string(row, column, tables.excel_text(value), look)
            else:
                self._sheet.write_number(row, column, value, look)


def _bucket(name: str) -> str:
    return f"{name} days" if name[:1].isdigit() else tables.humanise(name)


def _values(kpi: Mapping[str, Any]) -> tuple[Any, Any]:
    """A KPI's value and the one before, shares as per cent."""
    now, before = kpi["value"], kpi["prior_value"]
    if kpi["unit"] != "share":
        return now, before
    return f"{now:.1%}", None if before is None else f"{before:.1%}"
