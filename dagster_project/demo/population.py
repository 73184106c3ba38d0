"""Who is in the demo: three legal entities, their staff, and some four hundred customers with a character each.

Belongs here: what a customer is and how it behaves at any month of any year — volume, lateness, health, terms, reviews, status.
Does not belong here: documents and cash (`life.py`), or what the ledger shows on a given morning (`book.py`).

A *slot* is a place in the customer list. Customers follow one another in it, each for a *life* of its kind's length, on an
absolute timeline: whatever the run's date, some customers are new, some are leaving, some are in trouble.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import exp, log
from random import Random

from dagster_project.demo import names
from dagster_project.demo.timeline import Calendar, Chance, first_day, month_of

SLOTS = 330  # places in the customer list at scale 1; more customers than that are in the window of a book
GULF, GULF_SLOTS = 6000, 27  # the first place, and how many, of the customers of the entity that rests on Fridays


@dataclass(frozen=True)
class Entity:
    company_id: str
    name: str
    currency: str
    country: str
    timezone: str
    prefix: str  # of its document numbers


ENTITIES = (
    Entity("0100", "Tolkmar Antriebstechnik GmbH", "EUR", "DE", "Europe/Berlin", "DE"),
    Entity("0200", "Tolkmar Drives Inc.", "USD", "US", "America/Chicago", "US"),
    Entity("0300", "Tolkmar Drives Arabia LLC", "USD", "SA", "Asia/Riyadh", "SA"),
)

COLLECTORS = (("Sofie Brügge", "Jana Reuter", "Milan Novak"), ("Dana Whitfield", "Luis Ortega"), ("Samira Haddad",))
SENIOR_COLLECTOR = "Henrik Falk"
REVIEWERS = ("Credit committee", "Ute Hansen", "Marcus Lloyd")
APPROVERS = ("Ute Hansen", "Marcus Lloyd", "Carla Benedetti (CFO)")

TERMS = {
    # net days, discount %, discount days, deposit %
    "N60D1": (60, "1", 10, None),
    "N45": (45, None, None, None),
    "N30D2": (30, "2", 10, None),
    "N30": (30, None, None, None),
    "N15": (15, None, None, None),
    "N90": (90, None, None, None),
    "PREPAY": (0, None, None, "100"),
}

REGIONS = {
    "DE": ("DACH", ("Petra Lang", "Oliver Stein", "Miriam Koch")),
    "AT": ("DACH", ("Petra Lang",)),
    "CH": ("DACH", ("Oliver Stein",)),
    "FR": ("Western Europe", ("Camille Roche", "Bram Visser")),
    "BE": ("Western Europe", ("Bram Visser",)),
    "NL": ("Western Europe", ("Bram Visser",)),
    "IT": ("Southern Europe", ("Giulia Marchetti",)),
    "ES": ("Southern Europe", ("Giulia Marchetti",)),
    "PL": ("Nordics & East", ("Astrid Holm",)),
    "SE": ("Nordics & East", ("Astrid Holm",)),
    "GB": ("UK & Ireland", ("Fiona Hale",)),
    "US": ("North America", ("Grant Ellison", "Tanya Brooks", "Wes Carmody")),
    "CA": ("North America", ("Tanya Brooks",)),
    "SA": ("Gulf", ("Omar Saleh",)),
    "KW": ("Gulf", ("Omar Saleh",)),
}
LANGUAGES = {"de": "de", "fr": "fr", "it": "it", "es": "es", "en": "en", "nl": "en", "pl": "en", "sv": "en"}

INDUSTRIES = {
    # days beyond terms the industry runs at
    "Machinery": 9,
    "Automotive suppliers": 12,
    "Food & beverage": 6,
    "Logistics": 15,
    "Construction": 21,
    "Energy": 7,
    "Packaging": 10,
    "Medical technology": 5,
    "Wholesale": 13,
    "Paper & wood": 11,
}
PRODUCT_LINES = ("Drives", "Gearboxes", "Controls", "Spare parts", "Service")


@dataclass(frozen=True)
class Kind:
    """A character. Ranges are drawn once per customer; `lateness` is the expected days beyond terms, `noise` its spread."""

    name: str
    share: float  # of the slots
    years: tuple[float, float]  # length of a life
    invoices: tuple[float, float]  # a month
    amount: tuple[float, float]  # median invoice
    spread: float  # of the logarithm of an amount
    lateness: tuple[float, float]
    noise: float
    runs: tuple[int, ...]  # days of due dates a payment run sweeps up; 0 pays every invoice alone


KINDS = (
    Kind("prompt", 0.315, (12, 30), (1.2, 3.2), (1_200, 6_500), 0.75, (-7.0, -0.5), 2.3, (0, 0, 7)),
    Kind("discount", 0.100, (12, 28), (1.5, 3.5), (1_500, 7_000), 0.65, (-3.0, 2.0), 2.0, (0, 3)),
    Kind("slow", 0.135, (10, 26), (1.2, 3.0), (1_200, 6_000), 0.8, (5.0, 16.0), 4.0, (0, 7, 10)),
    Kind("erratic", 0.070, (9, 20), (1.2, 3.0), (800, 4_500), 0.9, (3.0, 11.0), 14.0, (0, 0, 10)),
    Kind("chronic", 0.070, (8, 18), (1.2, 2.8), (1_500, 7_000), 0.8, (30.0, 55.0), 9.0, (0, 10, 15)),
    Kind("key", 0.050, (15, 30), (11.0, 19.0), (2_600, 7_500), 0.85, (-7.0, 4.5), 2.5, (5, 7)),
    Kind("drifter", 0.165, (10, 24), (1.4, 3.2), (1_200, 6_000), 0.75, (-6.0, -1.0), 3.0, (0, 7, 10)),
    Kind("failing", 0.060, (3.0, 3.9), (1.8, 3.6), (1_800, 7_500), 0.75, (-5.0, 1.0), 3.0, (0, 7)),
    Kind("one_off", 0.035, (1.6, 2.4), (0.25, 0.5), (150, 900), 0.8, (-2.0, 14.0), 8.0, (0,)),
)

CYCLE = 30  # months from one decline of a drifter to the next; phases are spread evenly, so that some are always in it
LIMITS = {"1": 2.6, "2": 1.7, "3": 1.05}  # credit limit as a multiple of the usual exposure
ODD_SLOTS = (7, 21, 44, 75)  # whose customers have names a spreadsheet would calculate
REVIEW_GRID = 88  # days: a quarter less what a review may slip
REVIEWED_EVERY = {"1": 4, "2": 2, "3": 1}  # quarters


@dataclass(frozen=True, slots=True)
class Review:
    day: int
    tier: str
    terms: str
    limit: int  # whole currency units
    reviewer: str
    note: str


@dataclass(frozen=True, slots=True)
class TermsException:
    """Terms or a limit beyond policy; None where it was never approved."""

    kind: str
    requested: int
    approved: int | None
    expires: int
    terms: str | None
    limit: int | None
    requester: str
    approver: str
    reason: str


@dataclass(slots=True)
class Traits:
    """What was drawn once for a customer."""

    country: str
    entity: int
    currency: str
    second_currency: str | None
    name: str
    industry: str
    registration: str
    email: str | None
    phone: str
    collector: str | None
    sales_rep: str
    requires_po: bool
    do_not_dun: bool
    margin: float
    strategic: int
    invoices: float
    median: float
    lateness: float
    noise: float
    run: int
    weekday: int | None
    phase: int  # in the cycle, in months
    peak: float
    stress: bool
    ending: str
    contacts: int
    subscription: bool
    product_line: str
    tax: float
    reference: int
    bureau: float
    sound: float
    monthly_score: bool


@dataclass(eq=False)
class Customer:
    """One customer: who, from when to when, and how."""

    customer_id: str
    slot: int
    kind: Kind
    start: int  # first day
    end: int  # day after the last one
    traits: Traits
    reviews: list[Review] = field(default_factory=list)
    exceptions: list[TermsException] = field(default_factory=list)

    @cached_property
    def months(self) -> tuple[int, int]:
        return month_of(self.start), month_of(self.end)

    # --- behaviour by month ------------------------------------------------------------------------------------------

    def decline(self, month: int) -> float:
        """How far along the road from sound (0) to worst (1) a drifter or a failing customer is."""
        if self.kind.name == "drifter":
            at = (month + self.traits.phase) % CYCLE
            if at < 8:
                return (at + 1) / 8
            if at < 12:
                return 1.0
            return max(0.0, 1 - (at - 11) / 6)
        if self.kind.name == "failing":
            left = self.months[1] - month
            return min(1.0, max(0.0, (17 - left) / 8))
        return 0.0

    def lateness(self, month: int) -> float:
        """Expected days beyond terms of what is invoiced in a month."""
        return self.traits.lateness + self.decline(month) * self.traits.peak

    def stops_paying(self, month: int) -> bool:
        return self.kind.name == "failing" and self.months[1] - month <= 9

    def outside_lateness(self, month: int) -> float:
        """Days beyond terms towards everybody else, which is what a bureau sees."""
        traits = self.traits
        days = max(0.0, 0.8 * self.lateness(month) + 4 * (1 - traits.sound))
        if traits.stress:
            at = (month + traits.phase) % CYCLE
            days += 48 * (min(1.0, max(0.0, (at - 2) / 8)) if at < 14 else max(0.0, 1 - (at - 14) / 6))
        return days

    def health(self, month: int) -> float:
        """Financial soundness, 1 best, as balance sheets show it, months before the cash does."""
        days = self.outside_lateness(month + 2)
        return max(0.02, min(0.98, self.traits.sound - days / 110))

    def volume(self, month: int) -> float:
        """Expected invoices in a month: the year's rhythm, and less from those who are leaving."""
        season = (0.9, 0.95, 1.1, 1.0, 1.02, 1.05, 0.95, 0.8, 1.08, 1.1, 1.08, 0.85)[month % 12]
        if self.kind.name == "failing":
            left = self.months[1] - month
            season *= 0.0 if left <= 6 else 0.7 if left <= 9 else 1.0
        return self.traits.invoices * season

    # --- terms and standing by day -----------------------------------------------------------------------------------

    def review_at(self, day: int) -> Review:
        """The review in force on a day."""
        found = self.reviews[0]
        for review in self.reviews:
            if review.day > day:
                break
            found = review
        return found

    def exception_at(self, day: int) -> TermsException | None:
        for exception in self.exceptions:
            if exception.terms and exception.approved is not None and exception.approved <= day <= exception.expires:
                return exception
        return None

    def statuses(self, calendar: Calendar, chance: Chance) -> list[tuple[int, str]]:
        """Changes of status by day, oldest first, the creation among them."""
        changes = [(self.start, "active")]
        first, last = self.months
        if self.kind.name == "failing":
            changes.append((calendar.after(first_day(last - 8), 9), "on_hold"))
            changes.append((calendar.after(first_day(last - 5), 12), self.traits.ending))
        elif self.kind.name in ("chronic", "drifter"):
            for year in range(first // 12, last // 12 + 1):
                month = year * 12 + int(chance.roll(self.customer_id, "hold month", year) * 12)
                begins = calendar.after(first_day(month), 4) if first < month < last - 2 else 0
                if begins and self.lateness(month) > 28 and chance.roll(self.customer_id, "hold", year) < 0.5:
                    changes += [(begins, "on_hold"), (calendar.after(begins, 45), "active")]
        changes.append((calendar.after(self.end, 150), "closed"))
        return changes


class Population:
    """Everybody who matters between two days (ordinals), drawn from a seed."""

    def __init__(self, chance: Chance, calendar: Calendar, first: int, last: int, scale: float):
        self.chance = chance
        self.calendar = calendar
        self.first = first
        self.last = last
        self.customers: list[Customer] = []
        for slot in range(max(len(KINDS), round(SLOTS * scale))):
            self._fill(slot)
        for slot in range(GULF, GULF + round(GULF_SLOTS * scale)):
            self._fill(slot)

    def _fill(self, slot: int) -> None:
        """The customers of a slot whose lives touch the time from `first` to `last`."""
        chance = self.chance
        kind = _kind_of((slot * 0.6180339887498949 + 0.137) % 1.0)
        low, high = kind.years
        length = int(365.25 * (low + (high - low) * chance.roll("life", slot)))
        phase = int(length * chance.roll("phase", slot))
        if slot == 0:  # the first customer is the other entity: inter-company, and there for good
            kind, length, phase = KINDS[0], 73_050, 0
        generation = (self.first - length + phase) // length
        while generation * length - phase < self.last:
            start = generation * length - phase
            end = start + length
            if end + 100 > self.first and start > 1:
                self.customers.append(self._customer(slot, generation, kind, self.calendar.next[start], end))
            generation += 1

    def _customer(self, slot: int, generation: int, kind: Kind, start: int, end: int) -> Customer:
        customer_id = f"{generation % 100:02d}{slot:04d}" if slot else ENTITIES[1].company_id
        dice = self.chance.dice("customer", customer_id)
        customer = Customer(customer_id, slot, kind, start, end, _traits(dice, kind, slot))
        customer.reviews = self._reviews(customer)
        customer.exceptions = self._exceptions(customer)
        return customer

    def _reviews(self, customer: Customer) -> list[Review]:
        """The review that brought the customer in, then the cycle of its tier, with some reviews late and some triggered."""
        chance, key, phase = self.chance, customer.customer_id, customer.slot
        offset = int(chance.roll(key, "review day") * REVIEW_GRID)
        welcome = max(_tier(customer, month_of(customer.start)), "2")
        reviews = [self._review(customer, customer.start, welcome, customer.slot, "new account")]
        for quarter in range(customer.start // REVIEW_GRID, min(customer.end, self.last) // REVIEW_GRID + 1):
            roll = chance.roll(key, "review", quarter)
            day = self.calendar.next[quarter * REVIEW_GRID + offset - int(roll * 997) % 4]
            if not customer.start < day < customer.end:
                continue
            month = month_of(day)
            tier, before = _tier(customer, month - 1), _tier(customer, month - 4)
            due = (quarter + phase) % REVIEWED_EVERY[tier] == 0
            missed = roll < 0.05 and (quarter // 4 + phase) % 2 == 0
            triggered = tier > before and roll < 0.75
            if (due and not missed) or triggered:
                note = "cycle review" if due else "triggered: paying later than before"
                reviews.append(self._review(customer, day, tier, int(roll * 10_000), note))
        return reviews

    def _review(self, customer: Customer, day: int, tier: str, roll: int, note: str) -> Review:
        traits = customer.traits
        options = {"1": ("N60D1", "N60D1", "N45"), "2": ("N30D2", "N30D2", "N30"), "3": ("N15", "N15", "N15")}[tier]
        terms = options[customer.slot % 3]
        if tier == "3" and customer.slot % 11 == 0:
            terms = "PREPAY"
        net = TERMS[terms][0]
        usual = traits.invoices * traits.median * 1.35 * (net + 20 + max(0.0, customer.lateness(month_of(day)))) / 30
        limit = usual * LIMITS[tier] * (0.75 + 0.5 * traits.sound)
        step = 5_000 if limit > 50_000 else 1_000 if limit > 5_000 else 500
        return Review(day, tier, terms, max(step, round(limit / step) * step), REVIEWERS[roll % 3], note)

    def _exceptions(self, customer: Customer) -> list[TermsException]:
        found = []
        first_year, last_year = self.first // 365 - 1, self.last // 365
        for year in range(max(first_year, customer.start // 365 + 1), min(last_year, customer.end // 365) + 1):
            if self.chance.roll(customer.customer_id, "exception", year) > 0.075:
                continue
            dice = self.chance.dice("exception", customer.customer_id, year)
            requested = self.calendar.next[year * 365 + dice.randrange(330)]
            if not customer.start < requested < customer.end:
                continue
            review = customer.review_at(requested)
            granted = {"N15": "N30", "N30": "N45", "N30D2": "N45", "N45": "N60D1", "N60D1": "N90", "PREPAY": "N15"}[review.terms]
            by_terms = dice.random() < 0.6
            refused = dice.random() < 0.12
            found.append(
                TermsException(
                    kind="terms" if by_terms else "limit",
                    requested=requested,
                    approved=None if refused else self.calendar.after(requested, dice.randrange(1, 8)),
                    expires=requested + dice.choice((90, 180, 180, 365)),
                    terms=granted if by_terms else None,
                    limit=None if by_terms else (int(review.limit * 1.4) // 500 + 1) * 500,
                    requester=customer.traits.sales_rep,
                    approver=dice.choice(APPROVERS),
                    reason=dice.choice(
                        ("framework agreement", "large project", "seasonal stock", "market entry", "competitor's terms")
                    ),
                )
            )
        return found


def _kind_of(place: float) -> Kind:
    for kind in KINDS:
        place -= kind.share
        if place < 0:
            return kind
    return KINDS[-1]


def _tier(customer: Customer, month: int) -> str:
    """What a credit committee that knows lateness and standing would decide."""
    days = max(customer.lateness(month), 0.7 * customer.outside_lateness(month))
    years = (first_day(month) - customer.start) / 365
    if days <= 6 and years >= 2 and customer.traits.sound > 0.55 and customer.kind.name != "one_off":
        return "1"
    return "2" if days <= 24 else "3"


def _between(dice: Random, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return low + (high - low) * dice.random()


def _traits(dice: Random, kind: Kind, slot: int) -> Traits:
    entity = 0 if dice.random() < 0.62 or slot in (0, *ODD_SLOTS) else 1
    if slot >= GULF:
        entity = 2
        country, currency = dice.choices(("SA", "KW"), (80, 20))[0], "USD"
    elif entity == 0:
        country = dice.choices(
            ("DE", "AT", "CH", "FR", "BE", "NL", "IT", "ES", "PL", "SE", "GB"), (42, 8, 4, 9, 4, 8, 7, 5, 4, 3, 12)
        )[0]
        currency = "GBP" if country == "GB" and dice.random() < 0.8 else "USD" if dice.random() < 0.05 else "EUR"
    else:
        country = dice.choices(("US", "CA", "GB"), (88, 7, 5))[0]
        currency = "GBP" if country == "GB" else "EUR" if dice.random() < 0.04 else "USD"
    name = names.company(dice, country)
    if slot == 0:
        name, country, currency = ENTITIES[1].name, ENTITIES[1].country, ENTITIES[0].currency
    elif slot in ODD_SLOTS:
        name, country, currency = names.ODD_NAMES[ODD_SLOTS.index(slot)], "DE", "EUR"
    has_mail = dice.random() >= 0.012
    mail = f"{dice.choice(('accounts', 'invoices', 'ap', 'finance'))}@{names.domain(name)}"
    collector: str | None = dice.choice(COLLECTORS[entity])
    if kind.name == "key":
        collector = SENIOR_COLLECTOR
    elif dice.random() < 0.03:
        collector = None
    _, reps = REGIONS[country]
    traits = Traits(
        country=country,
        entity=entity,
        currency=currency,
        second_currency="USD" if kind.name == "key" and currency == "EUR" and dice.random() < 0.3 else None,
        name=name,
        industry=dice.choice(tuple(INDUSTRIES)),
        registration=names.registration(dice, country),
        email=mail if has_mail else None,
        phone=names.phone(dice, country),
        collector=collector,
        sales_rep=dice.choice(reps),
        requires_po=dice.random() < (0.6 if kind.name == "key" else 0.11),
        do_not_dun=dice.random() < 0.015,
        margin=round(dice.gauss(31, 8), 1),
        strategic=min(100, max(0, int(dice.gauss(70 if kind.name == "key" else 35, 15)))),
        invoices=_between(dice, kind.invoices),
        median=exp(_between(dice, (log(kind.amount[0]), log(kind.amount[1])))),
        lateness=_between(dice, kind.lateness),
        noise=kind.noise * (0.7 + 0.6 * dice.random()),
        run=dice.choice(kind.runs),
        weekday=dice.choice((None, None, 1, 3, 4)),
        phase=int(slot * 0.7548776662466927 % 1.0 * CYCLE),
        peak=_between(dice, (38, 68)) if kind.name != "failing" else _between(dice, (50, 80)),
        stress=kind.name in ("prompt", "discount") and dice.random() < 0.11,
        ending="insolvent" if dice.random() < 0.5 else "at_agency",
        contacts=0 if dice.random() < 0.02 else dice.choices((1, 2, 3), (35, 40, 25))[0],
        subscription=kind.name not in ("key", "one_off") and dice.random() < 0.15,
        product_line=dice.choice(PRODUCT_LINES),
        tax=0.19 if country == "DE" and entity == 0 else 0.0625 if country == "US" and dice.random() < 0.3 else 0.0,
        reference=dice.randrange(4),
        bureau=dice.random(),
        sound=min(0.97, max(0.25, dice.gauss(0.78, 0.12))),
        monthly_score=kind.name in ("key", "failing") or dice.random() < 0.08,
    )
    if kind.name == "chronic":
        traits.sound = min(traits.sound, 0.62)
    return traits
