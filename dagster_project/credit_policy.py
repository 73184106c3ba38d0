"""A policy pack as the written credit policy that a finance director signs: Markdown from the very rows the nights run by.

Belongs here: reading the policy seeds as they stand in `dbt/seeds/policy/` and laying them out for people. Does not belong here: any
number or rule of its own — what is written is what the rows say, for the day asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path

from dagster_project.paths import SEEDS
from dagster_project.policy import packs, rows_in_force

Row = dict[str, str]

EVERY_SOURCE = "*"
"""The row of `policy_adoption` that holds wherever the ledger comes from."""


class NoSuchPolicy(Exception):
    """There is no such pack, or it is not in force that day. The message says which there are."""


def written(pack: str, day: date, seeds: Path = SEEDS) -> str:
    """The credit policy of a pack on a day, as Markdown.

    Raises:
        NoSuchPolicy: the pack does not exist, or has no tier on that day.
    """
    policy = _Policy(pack, day, seeds)
    if not policy.tiers:
        there = packs(seeds)
        why = "has no tier in force" if pack in there else "is not a policy pack"
        raise NoSuchPolicy(f"{pack!r} {why} on {day}; the packs are {', '.join(there)} (risk_tier_terms.csv)")
    return "\n\n".join(part for part in policy.parts() if part) + "\n"


class _Policy:
    def __init__(self, pack: str, day: date, seeds: Path):
        self.pack, self.day, self.seeds = pack, day, seeds
        self.tiers = sorted(self.rows("risk_tier_terms"), key=lambda row: int(row["tier_rank"]))
        self.criteria = self.rows("risk_criteria")
        self.weights = self.rows("risk_weights")
        self.steps = sorted(self.rows("dunning_steps"), key=lambda row: (int(row["severity"]), row["tier"]))

    def rows(self, seed: str) -> list[Row]:
        return rows_in_force(seed, self.pack, self.day, self.seeds)

    def parts(self) -> Iterator[str]:
        yield f"# Credit policy `{self.pack}`"
        yield (
            f"As in force on {self.day}. It says what credit a customer is given, what decides that, how payment is asked for, "
            "and who may depart from it. It is written from the rows the nightly run applies; where the two differ, one of "
            "them was changed without the other."
        )
        yield self.approvals()
        yield "## 1. Tiers and their terms"
        yield self.terms()
        yield "## 2. What puts a customer in a tier"
        yield from self.tier_rules()
        yield "## 3. How the risk score is made"
        yield from self.score()
        yield "## 4. Asking for payment"
        yield from self.dunning()
        yield "## 5. What is not asked for"
        yield self.holds()
        yield "## 6. Exceptions"
        yield (
            "Terms or a limit beyond those of the customer's tier are an exception. It is requested and approved by name, with "
            "a reason and a last day, and recorded in the ledger. An invoice whose terms exceed the tier's without an approved "
            "exception is listed as an undeclared one, and both are counted. What was agreed before the policy bound, on "
            f"{self.adopted_on()}, is none."
        )
        yield "## 7. Age of what is owed"
        yield self.buckets()
        yield "## 8. Signatures"
        yield _table(
            ["Name", "Office", "Date", "Signature"],
            [["&nbsp;", office, "", ""] for office in ("Finance director", "Credit manager", "Head of sales")],
        )

    def approvals(self) -> str:
        sources = {
            "Tiers and terms": self.tiers,
            "Criteria": self.criteria,
            "Weights of the score": self.weights,
            "Dunning steps": self.steps,
            "Dunning limits": self.rows("dunning_policy"),
        }
        lines = []
        for what, rows in sources.items():
            spans = sorted({(row["valid_from"], row["valid_to"], row["approved_by"], row["approved_on"]) for row in rows})
            lines += [
                [what, begins, ends or "until replaced", by or "**nobody**", on or "**never**"] for begins, ends, by, on in spans
            ]
        return _table(["Part", "Valid from", "Valid to", "Approved by", "Approved on"], lines)

    def adopted_on(self) -> str:
        told = (row["adopted_on"] for row in self.rows("policy_adoption") if row["source"] == EVERY_SOURCE)
        return next(told, "the first morning of the nightly run")

    def terms(self) -> str:
        lines = []
        for row in self.tiers:
            most = row["net_days_max"]
            days = "before delivery" if row["net_days"] == "0" else f"{row['net_days']} days"
            stretch = f", up to {most}" if most and most != row["net_days"] else ""
            use = f", review above {_number(row['review_use_share'], 'percent')} use" if row["review_use_share"] else ""
            deposit = f"{_number(row['deposit_pct'])} %, " if Decimal(row["deposit_pct"] or 0) else ""
            offer = f"{_number(row['discount_pct'])} % within {row['discount_days']} days" if row["discount_pct"] else "none"
            lines.append(
                [
                    f"**{row['tier']}** {row['name']}",
                    f"{days}{stretch}",
                    f"{_number(row['credit_limit'])} ({row['limit_rule']}{use})",
                    f"{deposit}{row['deposit_rule']}",
                    offer,
                    f"{_number(row['late_fee_pct_month'])} % a month" if row["late_fee_pct_month"] else "none",
                    f"every {row['review_months']} months",
                ]
            )
        heads = ["Tier", "Net terms", "Credit limit", "Deposit", "Early payment", "Late fee", "Review"]
        return (
            "Limits are in the reporting currency. What the last credit review decided holds while its cycle runs; without a "
            f"review, the criteria below decide.\n\n{_table(heads, lines)}"
        )

    def tier_rules(self) -> Iterator[str]:
        yield (
            "A customer is given the best tier all of whose requirements it meets, unless something forces it into a worse "
            "one. What is not known proves no requirement, and forces nothing."
        )
        for row in self.tiers:
            own = [criterion for criterion in self.criteria if criterion["tier"] == row["tier"]]
            lines = [f"### Tier {row['tier']} ({row['name']})"]
            for effect, words in (
                ("requires", f"Tier {row['tier']} asks for all of these:"),
                ("forces", f"With any of these, tier {row['tier']} is the best to be had:"),
            ):
                if told := [f"- {_sentence(criterion)}" for criterion in own if criterion["effect"] == effect]:
                    lines.append(f"{words}\n\n" + "\n".join(told))
            if row is self.tiers[-1]:
                lines.append(f"Whoever meets the requirements of no better tier is in tier {row['tier']}.")
            yield "\n\n".join(lines)

    def score(self) -> Iterator[str]:
        yield (
            "The score runs from 0 (best) to 100 (worst). Each factor counts 0 up to its best value, 100 from its worst one "
            "on, and in proportion between. What is not known leaves its weight to the rest, and the share of the weight that "
            "was known is the evidence."
        )
        lines = [
            [
                row["component"],
                row["label"],
                f"{_number(row['weight'])} %",
                _number(row["best_at"]),
                _number(row["worst_at"]) + (", or below 0" if row["negative_is_worst"] == "true" else ""),
            ]
            for row in self.weights
        ]
        yield _table(["Part", "Factor", "Weight", "Best at", "Worst at"], lines, right=(2,))
        yield _parameters(self.rows("risk_policy"), "meaning")

    def dunning(self) -> Iterator[str]:
        yield "One action a customer and morning, about everything that is due to be asked for; a step falls on a business day."
        lines = [
            [
                "all others"
                if row["tier"] == "*" and self.own_rows(row["step"])
                else "all"
                if row["tier"] == "*"
                else row["tier"],
                _day(int(row["offset_days"]), row["anchor"].replace("_", " ")),
                row["label"],
                f"{row['channel']} to {row['audience'].replace('_', ' ')}, {row['tone']}",
                f"after {self.label(row['requires_step'])}, {row['min_days_since_previous']} days on"
                if row["requires_step"]
                else "",
                "" if row["effect"] == "none" else row["effect"].replace("_", " "),
            ]
            for row in self.steps
        ]
        yield _table(["Tier", "Day", "Step", "How", "Only", "Effect"], lines)
        yield _parameters(self.rows("dunning_policy"), "description")

    def own_rows(self, step: str) -> bool:
        return any(row["step"] == step and row["tier"] != "*" for row in self.steps)

    def label(self, step: str) -> str:
        return next((row["label"].lower() for row in self.steps if row["step"] == step), step)

    def holds(self) -> str:
        rows = sorted(self.rows("held_reasons"), key=lambda row: int(row["rank"]))
        told = "\n".join(f"{place}. **{row['label']}**: {row['description']}." for place, row in enumerate(rows, 1))
        return f"An item is held back, and listed as held, for the first of these reasons that applies:\n\n{told}"

    def buckets(self) -> str:
        return (
            "Beside each bucket stands the share expected to be lost, which orders the calls of a morning.\n\n"
            f"{self._losses('worklist_priority', [])}\n\n"
            "What is provided for, of all that is open:\n\n"
            f"{self._losses('provision_matrix', ['no_due_date'])}"
        )

    def _losses(self, table: str, more: list[str]) -> str:
        """A table of what is lost by bucket and tier; `more` are buckets that are no row of aging_buckets."""
        losses = {(row["tier"], row["aging_bucket"]): row["loss_pct"] for row in self.rows(table)}
        spans = {row["bucket"]: (row["from_days"], row["to_days"]) for row in self.rows("aging_buckets")}
        lines = []
        for bucket, (begins, ends) in {**spans, **dict.fromkeys(more, ("", ""))}.items():
            days = (
                f"{begins} to {ends}" if begins and ends else f"{begins} and more" if begins else f"up to {ends}" if ends else ""
            )
            shares = [losses.get((tier["tier"], bucket), losses.get(("*", bucket), "")) for tier in self.tiers]
            lines.append([bucket, days, *(f"{_number(share)} %" if share else "" for share in shares)])
        heads = ["Bucket", "Days past due", *(f"Tier {row['tier']}" for row in self.tiers)]
        return _table(heads, lines, right=range(2, len(heads)))


def _sentence(criterion: Row) -> str:
    """`Paid {value} days beyond terms; tier 1 allows {threshold}` under `<= 10` is `Paid at most 10 days beyond terms`."""
    threshold = criterion["threshold"]
    if criterion["operator"] in ("in", "not_in"):
        words = threshold.replace("|", " or ").replace("_", " ")
        value = words if criterion["operator"] == "in" else f"other than {words}"
    else:
        number = _number(threshold, criterion["unit"])
        value = {
            "<=": f"{number} or less" if threshold.startswith("-") else f"at most {number}",
            "<": f"less than {number}",
            ">=": f"at least {number}",
            ">": f"more than {number}",
        }.get(criterion["operator"], f"{criterion['operator']} {number}")
    said = criterion["sentence"].partition(";")[0].replace("{value}", value)
    return said[:1].upper() + said[1:]


def _day(offset: int, anchor: str) -> str:
    days = "1 day" if abs(offset) == 1 else f"{abs(offset)} days"
    return f"{days} before the {anchor}" if offset < 0 else f"{days} after the {anchor}" if offset else f"on the {anchor}"


def _parameters(rows: Sequence[Row], column: str) -> str:
    """Parameters as (what it is, value)."""
    return _table(
        ["What", "Value"], [[row[column][:1].upper() + row[column][1:], _number(row["value"])] for row in rows], right=(1,)
    )


def _number(text: str, unit: str = "") -> str:
    """A number as people write it, a share as per cent; what is no number as it stands."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text.replace("_", " ")
    number = number * 100 if unit == "percent" else number
    plain = f"{number.normalize():,f}"
    return f"{plain} %" if unit == "percent" else plain


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    rule = ["---:" if place in right else "---" for place in range(len(heads))]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in [heads, rule, *lines])
