"""The morning's page: every figure on it is a mart's, nothing in it does anything, and a browser shows it without a word of complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project.contract import DATASETS
from dagster_project.landing import Landing
from dagster_project.outgoing.page import figures, write
from dagster_project.outgoing.page.write import write_page
from dagster_project.paths import ROOT
from dagster_project.sources.files import FilesSource
from dagster_project.warehouse import Warehouse, publish, published_marts
from tests import compiled

AS_OF = date(2025, 6, 30)
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[2J\u202e{{ 7*7 }}"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marts of the awkward ledger, published; one customer has a name that would do something."""
    folder = tmp_path_factory.mktemp("page")
    landing, source = Landing(folder / "landing", folder / "quarantine"), FilesSource(ROOT / "tests" / "fixtures" / "ledger")
    for dataset in DATASETS.values():
        landing.land(dataset, source.fetch(dataset, None), AS_OF)
    warehouse = Warehouse(folder / f"{AS_OF}.page")
    compiled.build(compiled.compiled(), landing, AS_OF, warehouse.folder, test=False).con.close()
    marts = warehouse.marts
    with duckdb.connect(str(marts)) as con:
        con.execute("use marts")
        (first,) = con.execute("select customer_id from dunning_worklist order by rank limit 1").fetchone() or ("",)
        for table in ("dunning_worklist", "order_terms", "watch_list", "credit_reviews_due", "dunning_items"):
            con.execute(f"update {table} set customer_name = ? where customer_id = ?", [HOSTILE, first])
        con.execute("update dunning_worklist set why = ? where customer_id = ?", [HOSTILE, first])
    return publish(marts, folder / "published", AS_OF, {"run_id": "r", "policy": "net_terms", "source": "files"})


@pytest.fixture(scope="module")
def page(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(published, tmp_path_factory.mktemp("reports"))


class Read(HTMLParser):
    """Tables by id, each row's cells as text; every tag and attribute there is."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self._rows: list[list[str]] | None = None
        self._cell: list[str] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "table":
            self._rows = self.tables.setdefault(dict(attrs).get("id") or "", [])
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._rows and self._cell is not None:
            self._rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None
        elif tag == "table":
            self._rows = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)


def asked(published: Path, query: str) -> list[tuple[Any, ...]]:
    with published_marts(published) as con:
        return con.execute(query).fetchall()


def test_every_figure_of_the_tables_is_the_marts(published: Path, page: Path) -> None:
    tables = Read(page.read_text("utf-8")).tables

    calls = asked(published, "select rank, past_due_amount, oldest_days_past_due from dunning_worklist order by rank limit 12")
    assert calls
    assert [(row[0], row[4], row[5]) for row in tables["calls"][1:]] == [
        (str(rank), f"{amount:,.2f}", f"{'–' if days is None else days} days") for rank, amount, days in calls
    ]
    tiers = asked(
        published,
        "select tier_in_force, count(*), sum(balance) from credit_limit_use semi join risk_tiers using (customer_id) group by 1 order by 1",
    )
    assert [(row[0].split()[0], row[1], row[2]) for row in tables["tiers"][1:]] == [
        (tier, f"{count:,}", f"{balance:,.2f}") for tier, count, balance in tiers
    ]
    months = asked(published, "select month, value from kpi_monthly where scope = 'total' and kpi = 'dso' order by month")
    assert months
    assert [(row[0], row[1]) for row in tables["months"][1:]] == [
        (f"{month:%Y-%m}", "–" if value is None else f"{value:.1f} days") for month, value in months
    ]
    watched = asked(published, "select rank, balance, past_due_amount from watch_list order by rank")
    assert [(row[0], row[3], row[4]) for row in tables["watch"][1:] if len(row) > 1] == [
        (str(rank), f"{balance:,.2f}", f"{late:,.2f}") for rank, balance, late in watched
    ]


def test_the_weeks_ahead_are_those_of_the_forecast(published: Path, page: Path) -> None:
    (_, *rows) = Read(page.read_text("utf-8")).tables["cash-ahead"]
    weeks = asked(
        published, "select week_start, expected, p20, p80 from cash_forecast_weekly where scope = 'total' order by week"
    )

    assert [row[:4] for row in rows] == [[str(week), *(f"{amount:,.0f}" for amount in amounts)] for week, *amounts in weeks]
    assert len(rows) == 13


def test_what_is_lost_late_and_disputed_is_the_marts(published: Path, page: Path) -> None:
    tables = Read(page.read_text("utf-8")).tables

    losses = asked(
        published,
        """
        select aging_bucket, sum(open_amount), sum(provision), sum(roll_rate_loss) from credit_loss_provision group by 1
        order by list_position(['current', '1-30', '31-60', '61-90', '90+'], aging_bucket), 1
        """,
    )
    assert [row[1:4] for row in tables["losses"][1:-1]] == [[f"{amount:,.0f}" for amount in amounts] for _, *amounts in losses]
    (total,) = asked(published, "select sum(open_amount), sum(provision), sum(roll_rate_loss) from credit_loss_provision")
    assert tables["losses"][-1][:4] == ["all", *(f"{amount:,.0f}" for amount in total)]
    (late,) = asked(
        published,
        "select sum(days) from late_days_by_cause where month > (select max(month) from late_days_by_cause) - interval 3 month",
    )
    assert sum(int(row[3].replace(",", "")) for row in tables["causes"][1:]) == late[0]
    disputes = asked(
        published, "select document_number, owner from disputes_due order by days_overdue desc, disputed_amount desc, dispute_id"
    )
    assert [(row[1], row[3]) for row in tables["disputes"][1:]] == disputes[:12]
    pilot = asked(published, "select title from pilot_effect where month = (select max(month) from pilot_effect) order by kpi")
    assert [(row[0],) for row in tables["pilot"][1:]] == pilot


def test_each_customer_of_the_list_has_a_page_that_adds_up_to_the_balance(published: Path, page: Path) -> None:
    ids = [row[0] for row in asked(published, "select customer_id from dunning_worklist order by rank")]
    files = sorted((page.parent / "customers").iterdir())
    assert len(files) == len(set(ids) | {row[0] for row in asked(published, "select customer_id from watch_list")})
    for customer_id in ids:
        (file,) = [path for path in files if f"Customer {customer_id} " in path.read_text("utf-8")]
        rows = Read(file.read_text("utf-8")).tables[""]
        shown: dict[str, Decimal] = {}
        for row in (row for row in rows if len(row) == 10 and row[5] != "Open"):
            amount, currency = row[5].split()
            shown[currency] = shown.get(currency, Decimal(0)) + Decimal(amount.replace(",", ""))
        owed = asked(
            published, f"select currency, sum(open_amount) from open_items where customer_id = '{customer_id}' group by 1"
        )
        assert shown == {currency: amount.quantize(Decimal("0.01")) for currency, amount in owed}


def test_a_name_that_would_do_something_is_text(page: Path) -> None:
    for file in (page, *(page.parent / "customers").iterdir()):
        text = file.read_text("utf-8")
        read = Read(text)
        assert not read.tags & {"script", "iframe", "object", "embed", "form", "base"}, file
        assert not [name for name, _ in read.attributes if name.startswith("on")], file
        assert "\x1b" not in text
        assert "\u202e" not in text
        asks = [value for name, value in read.attributes if name in ("src", "href", "xlink:href")]
        assert all(re.fullmatch(r"(#[\w-]+|(\.\./)?[\w/.-]+\.html(#[\w-]+)?|data:,)", value) for value in asks), asks
    assert "{{ 7*7 }}" in page.read_text("utf-8")


def test_the_same_marts_give_the_same_bytes(published: Path, page: Path, tmp_path: Path) -> None:
    again = write_page(published, tmp_path / "again")
    written = {path.relative_to(page.parent): path.read_bytes() for path in page.parent.rglob("*.html")}
    assert written == {path.relative_to(again.parent): path.read_bytes() for path in again.parent.rglob("*.html")}


def test_a_book_with_nothing_in_it_has_a_page(published: Path, tmp_path: Path) -> None:
    with published_marts(published) as con:
        whole = figures.morning(con)
    nothing = {name: [] for name, value in vars(whole).items() if isinstance(value, list)}
    totals = {"customers": 0, "items": 0, "past_due_amount": Decimal(0), "collectors": 0}
    empty = replace(whole, **nothing, totals=totals, review_count=0, currency="")
    text = (
        write._environment()
        .get_template("morning.html")
        .render(morning=empty, charts=write._charts(empty), style="", as_of=AS_OF, pages={})
    )
    assert "Nobody is due to be contacted this morning." in text
    assert "Nothing to draw yet." in text


def test_a_book_of_fifty_thousand_customers_has_a_page_of_bounded_size(published: Path) -> None:
    with published_marts(published) as con:
        con.execute("create temp table many_dunning_worklist as select * from dunning_worklist")
        con.execute(
            """
            create or replace temp view dunning_worklist as
            select many.* replace (
                many.customer_id || '-' || range as customer_id, cast(many.rank + 100 * range as integer) as rank
            ) from many_dunning_worklist as many cross join range(50000 // (select count(*) from many_dunning_worklist))
            """
        )
        assert len(figures.chosen(con)) == figures.MOST_CUSTOMERS
        assert len(figures.morning(con).calls) == figures.LONGEST


def test_a_browser_shows_it_and_asks_nobody_for_anything(page: Path, tmp_path: Path) -> None:
    browser = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    planted = tmp_path / "planted.html"
    planted.write_text(page.read_text("utf-8").replace("<main", '<img src="http://127.0.0.1:9/x.png" alt=""><main', 1), "utf-8")
    for file in (page, next((page.parent / "customers").iterdir()), planted):
        shown = subprocess.run(
            [
                *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--no-first-run"),
                *(f"--user-data-dir={tmp_path / 'user'}", "--virtual-time-budget=2000", "--dump-dom", file.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert shown.returncode == 0, shown.stderr[-2_000:]
        assert "Made by Arrears" in shown.stdout
        # what the page may not ask for, its own policy forbids, and the browser says so
        assert ("CONSOLE" in shown.stderr) == (file == planted), shown.stderr
