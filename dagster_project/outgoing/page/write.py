"""The page's files, written aside and put into place whole.

Belongs here: which files there are, templates filled, charts placed. Does not belong here: figures (`figures.py`), charts (`charts.py`).

    reports/<as_of>/index.html                 the morning
                    customers/<customer>.html  one customer on one screen

Each file is whole in itself: style and pictures are within, there is no script, nothing is asked of anybody.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from filelock import FileLock
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dagster_project.amounts import Digits, digits_on, written
from dagster_project.outgoing.names import distinct_slugs
from dagster_project.outgoing.page import charts
from dagster_project.outgoing.page.figures import AGING, Customer, Morning, chosen, customers, morning
from dagster_project.outgoing.swap import recover, swap_into_place
from dagster_project.warehouse import published_marts
from dagster_project.words import printable

TEMPLATES = Path(__file__).parent / "templates"

LONGEST_WAIT = 600  # seconds for another run's page to be written

BUCKET_COLOURS = ("var(--calm)", "var(--step1)", "var(--step2)", "var(--step3)", "var(--step4)")


def write_page(published: Path, reports: Path) -> Path:
    """Write the page of the marts that are published in a folder; returns its `index.html`."""
    environment = _environment()
    with published_marts(published) as con:
        figures = morning(con)
        environment.filters["money"] = money(figures.currency, digits_on(figures.as_of))
        pages = distinct_slugs(chosen(con))
        target = reports / figures.as_of.isoformat()
        reports.mkdir(parents=True, exist_ok=True)
        with FileLock(reports / ".lock", timeout=LONGEST_WAIT):
            recover(target)
            aside = reports / f".{figures.as_of}.new"
            shutil.rmtree(aside, ignore_errors=True)
            (aside / "customers").mkdir(parents=True)
            given = {"style": Markup((TEMPLATES / "style.css").read_text("utf-8")), "as_of": figures.as_of, "pages": pages}
            text = environment.get_template("morning.html").render(morning=figures, charts=_charts(figures), **given)
            (aside / "index.html").write_text(text, "utf-8")
            one = environment.get_template("customer.html")
            for customer in customers(con, list(pages)):
                text = one.render(customer=customer, currency=figures.currency, bars=_month_bars(customer), **given)
                (aside / "customers" / f"{pages[customer.customer_id]}.html").write_text(text, "utf-8")
            swap_into_place(aside, target)
    return target / "index.html"


def pages_from(folder: Path, published: Path, reports: Path, as_of: date) -> Mapping[str, str]:
    """Where each customer's page will lie, as a path from a folder, by the marts that are published."""
    with published_marts(published) as con:
        slugs = distinct_slugs(chosen(con))
    beside = Path(os.path.relpath(reports / as_of.isoformat() / "customers", folder)).as_posix()
    return {customer: f"{beside}/{slug}.html" for customer, slug in slugs.items()}


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "money": money(None, {}),
        "whole": whole,
        "figure": figure,
        "percent": percent,
        "words": words,
        "day": day,
    }
    environment.finalize = _shown
    return environment


def _shown(value: Any) -> Any:
    """What is put into the page: nothing for null, text without signs that would do something."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def money(reporting: str | None, digits: Digits) -> Callable[..., str]:
    """A filter that writes an amount as people do, in the reporting currency or the one that is named; a dash for none."""

    def shown(amount: Decimal | None, currency: str | None = reporting) -> str:
        return "–" if amount is None else written(amount, currency, digits)

    return shown


def whole(amount: Decimal | None) -> str:
    """An amount without its fraction, where many are looked at together."""
    return "–" if amount is None else f"{amount:,.0f}"


def percent(share: Decimal | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def figure(value: Decimal | None, unit: str) -> str:
    """A key figure in its unit."""
    if value is None:
        return "–"
    match unit:
        case "share":
            return percent(value)
        case "percent":
            return f"{value:.1f} %"
        case "days":
            return f"{value:.1f} days"
        case "money":
            return whole(value)
    return f"{value:,.0f}"


def words(code: str | None) -> str:
    """A code as words."""
    return "" if code is None else code.replace("_", " ")


def day(value: date | None) -> str:
    return "–" if value is None else value.isoformat()


def _charts(figures: Morning) -> Mapping[str, Markup]:
    names = {"dso": "DSO", "best_possible_dso": "Best possible", "dso_countback": "Count-back"}
    dso = [{"month": str(row["month"]), "series": names[row["kpi"]], "value": _number(row["value"])} for row in figures.dso]
    for series, column in (("Target ·", "target"), ("Goal ·", "goal")):
        dso += [
            {"month": str(row["month"]), "series": series, "value": _number(row[column])}
            for row in figures.dso
            if row["kpi"] == "dso"
        ]
    dso_colours = {
        "DSO": "var(--accent)",
        "Best possible": "var(--calm)",
        "Count-back": "var(--quiet)",
        "Target ·": "var(--step2)",
        "Goal ·": "var(--step4)",
    }
    aging = [
        {"month": str(row["month"]), "series": AGING[row["kpi"]], "value": _number(row["numerator"] or 0)}
        for row in figures.aging
    ]
    by_kpi = {
        kpi: [
            {"month": str(row["month"]), "series": kpi, "value": _number(row["value"])}
            for row in figures.quality
            if row["kpi"] == kpi
        ]
        for kpi in ("cei", "dbt_days")
    }
    tiers = [
        {"name": f"{row['tier_in_force']} {row['tier_name'] or ''}".strip(), "value": _number(row["balance"])}
        for row in figures.tiers
    ]
    drawn = {
        "dso": charts.lines(dso, dso_colours, "days"),
        "aging": charts.river(aging, dict(zip(AGING.values(), BUCKET_COLOURS, strict=True)), figures.currency),
        "cei": charts.lines(by_kpi["cei"], {"cei": "var(--accent)"}, "per cent"),
        "dbt_days": charts.lines(by_kpi["dbt_days"], {"dbt_days": "var(--accent)"}, "days"),
        "tiers": charts.bars(tiers, "var(--accent)", figures.currency),
    }
    return {name: Markup(svg) for name, svg in drawn.items()}


def _number(value: Decimal | int | None) -> float | None:
    """A figure as a chart places it; what is read stands in the page's tables, exact."""
    return None if value is None else float(value)


def _month_bars(customer: Customer) -> Sequence[Mapping[str, Any]]:
    """The days of each month as a share of the latest one, for a bar beside the number."""
    latest = max((abs(row["dbt_days"]) for row in customer.months if row["dbt_days"] is not None), default=Decimal(0))
    return [
        {**row, "width": int(100 * max(row["dbt_days"], Decimal(0)) / latest) if row["dbt_days"] is not None and latest else 0}
        for row in customer.months
    ]
