"""What one might write instead: aging, DSO and days beyond terms of a folder of files, in pandas.

Run in a process of its own by `volumes.py`, which measures it and holds its answers against the marts: `by_pandas.py FOLDER OUT AS_OF`.
Belongs here: those figures, for the books of `ledgers.sql` only (no instalments, two currencies, each customer with one entity). Amounts
are whole cents and days are numbers, so that nothing is lost to floats.
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NEVER = 10**6
TRIFLE = 1000
SCALE = 10**10
BUCKETS = {"current_amount": (-NEVER, 0), "d1_30": (1, 30), "d31_60": (31, 60), "d61_90": (61, 90), "d90_plus": (91, NEVER)}


def read(folder: Path, name: str, *columns: str) -> pd.DataFrame:
    """A file's columns: dates as days since 1970, those that are not there as NEVER, amounts as cents."""
    table = pq.read_table(folder / f"{name}.parquet", columns=list(columns))
    made: dict[str, Any] = {}
    for column, values in zip(columns, table.columns, strict=True):
        if pa.types.is_date(values.type):
            made[column] = pc.fill_null(values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), NEVER).to_numpy()
        elif pa.types.is_decimal(values.type) and column == "amount":
            whole = pc.multiply(values.cast(pa.decimal128(18, 2)), pa.scalar(100))
            made[column] = whole.cast(pa.int64()).to_numpy()
        else:
            made[column] = values.to_pandas()
    return pd.DataFrame(made)


def day_of(when: date) -> int:
    return (when - date(1970, 1, 1)).days


def in_euro(cents: Any, is_foreign: Any, rate: Any) -> Any:
    """Dollars at a rate, rounded half up to the cent."""
    return np.where(is_foreign, np.sign(cents) * ((np.abs(cents) * rate + SCALE // 2) // SCALE), cents)


class Book:
    """Every document and payment as an item with a number, and every movement of what is open of it."""

    def __init__(self, folder: Path, as_of: date):
        self.as_of = day_of(as_of)
        ends = [as_of.replace(day=1) - timedelta(days=1)]
        while len(ends) < 26:
            ends.append(ends[-1].replace(day=1) - timedelta(days=1))
        self.month_ends = np.array([day_of(end) for end in reversed(ends[:24])] + [self.as_of])

        kept = ["customer_id", "company_id", "currency", "amount"]
        invoices = read(folder, "invoices", "invoice_id", "document_type", "invoice_date", "due_date", "voided_on", *kept)
        payments = read(folder, "payments", "payment_id", "payment_date", "reversed_on", *kept)
        allocations = read(
            folder, "allocations", "invoice_id", "source_type", "source_id", "allocated_on", "reversed_on", "amount"
        )
        self.documents = invoices
        invoices["amount"] = np.where(invoices.document_type == "credit_memo", -invoices.amount, invoices.amount)
        debits = invoices.rename(columns={"invoice_id": "id", "invoice_date": "day", "voided_on": "ends"})
        credits = payments.rename(columns={"payment_id": "id", "payment_date": "day", "reversed_on": "ends"})
        credits["amount"] = -credits.amount
        self.items = pd.concat([debits, credits], ignore_index=True)
        self.items["due_date"] = np.where(self.items.document_type.isin(["invoice", "debit_memo"]), self.items.due_date, np.nan)

        number = pd.Series(np.arange(len(self.items)), index=self.items.id)
        target, source = (number.reindex(allocations[column]).to_numpy() for column in ("invoice_id", "source_id"))
        is_paid = (allocations.source_type == "payment").to_numpy()
        day, until = self.items.day.to_numpy(), self.items.ends.to_numpy()
        from_source = np.nan_to_num(source, nan=0).astype(int)
        used = pd.DataFrame({"item": target, "source": source, "amount": allocations.amount, "is_payment": is_paid})
        used["begins"] = np.maximum(allocations.allocated_on, day[target])
        used["begins"] = np.where(is_paid, np.maximum(used.begins, day[from_source]), used.begins)
        used["ends"] = np.minimum(allocations.reversed_on, until[target])
        used["ends"] = np.where(is_paid, np.minimum(used.ends, until[from_source]), used.ends)
        self.used = used[used.begins <= self.as_of]

        of_source = self.used[self.used.source.notna()]
        moves = [
            (np.arange(len(self.items)), day, self.items.amount.to_numpy()),
            (np.arange(len(self.items)), until, -self.items.amount.to_numpy()),
            (self.used.item, self.used.begins, -self.used.amount),
            (self.used.item, self.used.ends, self.used.amount),
            (of_source.source, of_source.begins, of_source.amount),
            (of_source.source, of_source.ends, -of_source.amount),
        ]
        self.moves = pd.DataFrame(
            {
                name: np.concatenate([part[place] for part in moves]).astype(np.int64)
                for place, name in enumerate(("item", "day", "amount"))
            }
        ).query("day <= @self.as_of")

        quoted = pq.read_table(folder / "exchange_rates.parquet").to_pandas()
        known = pd.Series(
            [int(rate * SCALE) for rate in quoted.rate], index=[day_of(quoted_on) for quoted_on in quoted.rate_date]
        ).sort_index()
        self.rates = known.reindex(range(known.index[0], self.as_of + 1), method="ffill")
        self.is_foreign = (self.items.currency == "USD").to_numpy()
        self.customers, self.labels = pd.factorize(self.items.customer_id)

    def rate(self, days: Any) -> Any:
        return self.rates.to_numpy()[np.asarray(days) - self.rates.index[0]]

    def standing(self) -> Any:
        """Each date with what is open of each item then, in cents."""
        place = np.searchsorted(self.month_ends, self.moves.day.to_numpy())
        item, amount = self.moves.item.to_numpy(), self.moves.amount.to_numpy()
        balance = np.zeros(len(self.items))
        for number, day in enumerate(self.month_ends):
            now = place == number
            balance = balance + np.bincount(item[now], weights=amount[now], minlength=len(self.items))
            yield int(day), balance.astype(np.int64)


def aging(book: Book, balance: Any) -> pd.DataFrame:
    """What each customer owes today, by how long it is past due, in the currency of its documents."""
    late = book.as_of - book.items.due_date
    rows = book.items[["customer_id", "company_id", "currency"]].copy()
    for bucket, (first, last) in BUCKETS.items():
        rows[bucket] = np.where((late >= first) & (late <= last), balance, 0)
    rows["credits"] = np.where(late.isna(), -balance, 0)
    rows["balance"] = balance
    return rows[balance != 0].groupby(["customer_id", "company_id", "currency"], as_index=False).sum()


def billed(book: Book) -> pd.DataFrame:
    """What was billed and taken back, by the day, in euros."""
    documents = book.documents[book.documents.invoice_date <= book.as_of]
    back = documents[documents.voided_on <= book.as_of]
    days = np.concatenate([documents.invoice_date, back.voided_on])
    cents = np.concatenate([documents.amount, -back.amount])
    foreign = np.concatenate([documents.currency == "USD", back.currency == "USD"])
    company = np.concatenate([documents.company_id, back.company_id])
    return pd.DataFrame({"company_id": company, "day": days, "billed": in_euro(cents, foreign, book.rate(days))})


def paid(book: Book) -> pd.DataFrame:
    """Cash that stood at the end of its month; where it came late for a trifle it is weighed by no days."""
    cash = book.used[book.used.is_payment].copy()
    place = np.searchsorted(book.month_ends, cash.begins.to_numpy())
    first = day_of(date.fromordinal(date(1970, 1, 1).toordinal() + int(book.month_ends[0])).replace(day=1))
    cash["month_end"] = book.month_ends[place]
    cash = cash[(cash.begins >= first) & (cash.ends > cash.month_end)]
    cash["customer"] = book.customers[cash.item]
    cash["paid_on"] = book.items.day.to_numpy()[cash.source.astype(int)]
    cash["late"] = (cash.paid_on - book.items.due_date.to_numpy()[cash.item]).astype(int)
    cash["paid"] = in_euro(cash.amount, book.is_foreign[cash.item], book.rate(cash.begins))
    little = cash[(cash.late > 0) & (cash.paid < TRIFLE)]
    asked = pd.DataFrame({"customer": little.customer, "eve": little.paid_on - 1}).drop_duplicates()

    of_those = book.moves[np.isin(book.customers[book.moves.item], asked.customer)].copy()
    of_those["customer"] = book.customers[of_those.item]
    of_those["due_date"] = book.items.due_date.to_numpy()[of_those.item]
    then = of_those.merge(asked, on="customer").query("day <= eve and due_date <= eve")
    then = then.groupby(["customer", "eve", "item"], as_index=False).amount.sum().query("amount > 0")
    then["owed"] = in_euro(then.amount, book.is_foreign[then.item], book.rate(then.eve))
    enough = then.groupby(["customer", "eve"]).owed.sum()
    on_eve = pd.MultiIndex.from_arrays([cash.customer, cash.paid_on - 1])
    is_trifle = (cash.late > 0) & (cash.paid < TRIFLE) & (enough.reindex(on_eve).fillna(0).to_numpy() < TRIFLE)
    cash["weighed"] = np.where(is_trifle, 0, cash.paid)
    cash["paid_x_days"] = cash.weighed * np.maximum(cash.late, 0)
    return cash.groupby(["customer", "month_end"])[["paid", "weighed", "paid_x_days"]].sum()


def main(folder: Path, out: Path, as_of: date) -> None:
    book = Book(folder, as_of)
    turnover, receivables, overdue = billed(book), [], []
    for day, balance in book.standing():
        owed = in_euro(balance, book.is_foreign, book.rate([day]))
        late = day - book.items.due_date
        if day < book.as_of:
            now = turnover[(turnover.day > day - 90) & (turnover.day <= day)].groupby("company_id").billed.sum()
            by_company = pd.Series(owed).groupby(book.items.company_id).sum()
            receivables.append(pd.DataFrame({"month_end": day, "receivables": by_company, "billed": now}))
        is_late = ((late > 0) & (balance > 0)).to_numpy()
        months = pd.DataFrame({"customer": book.customers[is_late], "past_due": owed[is_late]})
        months["past_due_x_days"] = months.past_due * late[is_late].to_numpy().astype(int)
        by_customer = months.groupby("customer").sum().query("past_due >= @TRIFLE")
        overdue.append(by_customer.assign(month_end=day).set_index("month_end", append=True))
    aging(book, balance).to_parquet(out / "aging.parquet", index=False)

    dso = pd.concat(receivables).rename_axis("company_id").reset_index()
    total = dso.groupby("month_end", as_index=False)[["receivables", "billed"]].sum().assign(company_id=None)
    dso = pd.concat([dso, total], ignore_index=True)
    dso.assign(dso=dso.receivables * 90 / dso.billed).to_parquet(out / "dso.parquet", index=False)

    behaviour = paid(book).join(pd.concat(overdue), how="outer").fillna(0).astype(np.int64).reset_index()
    behaviour["customer_id"] = book.labels[behaviour.customer]
    weight = behaviour.weighed + behaviour.past_due
    behaviour["dbt_days"] = (behaviour.paid_x_days + behaviour.past_due_x_days) / weight.where(weight > 0)
    behaviour.drop(columns="customer").to_parquet(out / "days_beyond_terms.parquet", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]))
