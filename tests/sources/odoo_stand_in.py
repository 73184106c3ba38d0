"""Odoo over JSON-2 and JSON-RPC, as its documentation and public source have it, holding the book as moves, lines and reconciliations."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Any

from tests.sources.one_book import Book, by_key, total
from tests.sources.stand_in import Reply, Request, StandIn, moment

KEY, DATABASE, USER = "k3y-of-a-user-41", "wir", "bot@wir.example"
COMPANIES = {"main": 2, "kent": 1}
CURRENCIES = {"EUR": [125, "EUR"], "GBP": [144, "GBP"], "USD": [1, "USD"]}
RECEIVABLE, INCOME, BANK, BAD_DEBT, GRANTED, EXCHANGE = range(401, 407)
ACCOUNTS = {RECEIVABLE: ("1200", "asset_receivable"), INCOME: ("4000", "income"), BANK: ("1100", "asset_cash"),
            BAD_DEBT: ("6500", "expense"), GRANTED: ("SKO", "expense"), EXCHANGE: ("6880", "expense")}  # fmt: skip
TABLES = {"move_id": "account.move", "account_id": "account.account", "currency_id": "res.currency", "invoice_payment_term_id": "terms",
          "reversed_entry_id": "account.move"}  # fmt: skip
NEVER = "2024-05-01 08:00:00"

Record = dict[str, Any]


def naive(stamp: str) -> str:
    """A stamp as Odoo writes it: naive, UTC."""
    return f"{moment(stamp):%Y-%m-%d %H:%M:%S}"


def a_hair_off(value: Any) -> Any:
    """Money as it comes: binary."""
    return float(value) + 1e-13 if isinstance(value, Decimal) and value else value


class Odoo(StandIn):
    """A database with two companies. `stutters`: the second page of lines is answered by the first once."""

    def __init__(self, book: Book):
        super().__init__(book)
        self.ids: dict[str, int] = {}
        self.stutters = False
        self.hidden: set[str] = set()

    def id(self, key: str) -> int:
        return self.ids.setdefault(key, 1001 + len(self.ids))

    def lets_in(self, request: Request) -> bool:
        return request.path == "/jsonrpc" or request.headers.get("Authorization") == f"Bearer {KEY}"

    def refused(self, request: Request) -> Reply:
        return Reply({"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey", "debug": "Traceback (most …"}, 401)

    def data(self, request: Request) -> Reply:
        if request.path == "/jsonrpc":
            return self.rpc(request.json["params"])
        _, _, model, method = request.path.strip("/").split("/")
        return self.called(model, method, request.json)

    def rpc(self, asked: dict[str, Any]) -> Reply:
        if asked["method"] == "authenticate":
            return Reply({"jsonrpc": "2.0", "id": 1, "result": 2 if asked["args"][:3] == [DATABASE, USER, KEY] else False})
        database, uid, key, model, method, given, named = asked["args"]
        assert (database, uid, key, list(named)) == (DATABASE, 2, KEY, ["context"])
        names = {
            "search_read": ("domain", "fields", "offset", "limit", "order"),
            "read_group": ("domain", "fields", "groupby", "offset", "limit", "orderby", "lazy"),
            "fields_get": ("allfields", "attributes"),
            "search_count": ("domain",),
        }[method]
        reply = self.called(model, method, dict(zip(names, given, strict=True)))
        if reply.status == 200:
            return Reply({"jsonrpc": "2.0", "id": 1, "result": reply.body})
        return Reply({"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": reply.body}})

    def called(self, model: str, method: str, asked: dict[str, Any]) -> Reply:
        if model in self.hidden:
            told = f"You are not allowed to access '{model}' records."
            return Reply({"name": "odoo.exceptions.AccessError", "message": told, "debug": "Traceback (most …"}, 403)
        tables = self.records(self.book)
        if model not in tables:
            return Reply({"name": "werkzeug.exceptions.NotFound", "message": f"the model {model!r} does not exist"}, 404)
        if method == "fields_get":
            return Reply({name: {"type": "char"} for name in tables[model][0]})
        found = [each for each in tables[model] if fulfils(each, asked["domain"], tables)]
        if method == "search_count":
            return Reply(len(found))
        if method in ("read_group", "formatted_read_group"):
            sums: dict[str, tuple[Record, Decimal]] = {}
            for each in found:
                group = {name: each[name] for name in asked["groupby"]}
                sums[str(group)] = (group, sums.get(str(group), (group, Decimal(0)))[1] + each["amount_residual"])
            name = "amount_residual" if method == "read_group" else "amount_residual:sum"
            return Reply([{**group, name: put} for group, put in sums.values()])
        if self.stutters and model == "account.move.line" and asked["domain"][-1][2] > 0:
            self.stutters, asked["domain"] = False, [*asked["domain"][:-1], ["id", ">", 0]]
            return self.called(model, method, asked)
        found.sort(key=lambda each: int(each["id"]))
        names = ("id", *asked["fields"])
        return Reply([{name: a_hair_off(each[name]) for name in names} for each in found[: asked["limit"]]])

    # --- the tables ----------------------------------------------------------------------------------------------------

    def records(self, book: Book) -> dict[str, list[Record]]:
        self._moves: list[Record] = []
        self._lines: list[Record] = []
        self._partials: list[Record] = []
        self._owed: dict[str, list[Record]] = defaultdict(list)
        for row in book["invoices"]:
            self.invoice(row, book)
        for row in book["payments"]:
            self.payment(row, book)
        for row in book["refunds"]:
            self.refund(row)
        for row in book["allocations"]:
            self.application(row, book)
        for row in book["refunds"]:
            self.reconcile(self._owed[row["refund_id"]], self._owed[row["source_id"]], row["amount"], row)
        # What moved company currency alone: an exchange difference on the first line there is, reconciled with it.
        first = self._lines[0]
        exchange = self.move("exchange", first["company_id"], "entry", {**book["invoices"][0], "currency": "EUR"}, "2025-04-08")
        self.line("exchange", exchange, RECEIVABLE, Decimal(0), first, partner_id=first["partner_id"])
        self._partials.append(self.partial("exchange", first, self._lines[-1], Decimal(0), book["invoices"][0]))
        supplier = self.move("bill", [2, "Wir Handel GmbH"], "in_invoice", book["invoices"][0], "2025-05-02")
        self.move(
            "draft", [2, "Wir Handel GmbH"], "out_invoice", book["invoices"][0], "2025-05-02", state="draft", posted_before=False
        )
        assert supplier["move_type"] == "in_invoice"
        for line in self._lines:
            line["amount_residual"] = (
                line["balance"] * line.pop("_left", line["amount_currency"]) / (line["amount_currency"] or 1)
            )
        companies = by_key(book["companies"])
        return {
            "res.company": [
                {"id": id_, "name": companies[key]["name"], "currency_id": CURRENCIES[companies[key]["currency"]],
                 "country_id": [50 + id_, "?"], "partner_id": [id_, companies[key]["name"]],
                 "expense_currency_exchange_account_id": [EXCHANGE, "6880 Exchange"], "income_currency_exchange_account_id": False,
                 "account_journal_early_pay_discount_loss_account_id": False} for key, id_ in COMPANIES.items()],
            "res.country": [{"id": 51, "code": "GB"}, {"id": 52, "code": "DE"}],
            "res.partner": self.partners(book),
            "account.account": [{"id": id_, "code": code, "account_type": kind} for id_, (code, kind) in ACCOUNTS.items()],
            "account.payment.term": [
                {"id": 1, "name": "30 days", "early_discount": True, "discount_percentage": 2.0, "discount_days": 10},
                {"id": 2, "name": "in parts", "early_discount": False, "discount_percentage": 0.0, "discount_days": 0}],
            "account.payment.term.line": [
                {"id": 1, "payment_id": [1, "30 days"], "value": "percent", "nb_days": 30, "delay_type": "days_after"},
                *({"id": n, "payment_id": [2, "in parts"], "value": "percent", "nb_days": 30 * n, "delay_type": "days_after"}
                  for n in (2, 3, 4))],
            "terms": [],
            "res.currency": [{"id": id_, "name": name, "active": True} for id_, name in CURRENCIES.values()],
            "res.currency.rate": [
                {"id": n, "name": row["rate_date"], "currency_id": CURRENCIES[row["currency"]], "rate": float(1 / Decimal(row["rate"])),
                 "company_id": [2, ""] if row["base_currency"] == "EUR" else [1, ""]}
                for n, row in enumerate(book["exchange_rates"], 1)],
            "account.move": self._moves,
            "account.move.line": self._lines,
            "account.partial.reconcile": self._partials,
            "account.payment": [{"id": 9, "move_id": False, "state": "paid", "partner_type": "customer", "company_id": [2, ""]}],
        }  # fmt: skip

    def partners(self, book: Book) -> list[Record]:
        common = {"parent_id": False, "is_company": True, "commercial_partner_id": False, "type": "contact", "country_id": False,
                  "industry_id": False, "company_registry": False, "vat": False, "email": False, "phone": False, "lang": "de_DE",
                  "user_id": False, "property_payment_term_id": [1, "30 days"], "credit_limit": 0.0,
                  "use_partner_credit_limit": False, "active": True, "customer_rank": 0, "supplier_rank": 1, "create_date": NEVER,
                  "write_date": NEVER, "tz": False}  # fmt: skip
        own = [{**common, "id": id_, "name": row["name"], "tz": row["timezone"]}
               for id_, row in zip(COMPANIES.values(), book["companies"], strict=True)]  # fmt: skip
        merged = {
            row["customer_id"]: row for row in book["customers"] if (row["customer_id"], row["status"]) == ("alt", "closed")
        }
        found = [
            {**common, "id": self.id(row["customer_id"]), "name": row["name"], "email": row["email"] or False, "customer_rank": 1,
             "active": row["status"] == "active", "credit_limit": 5000.0, "use_partner_credit_limit": row["customer_id"] == "sud",
             "write_date": naive(merged["alt"]["updated_at"]) if merged and row["customer_id"] == "nord" else naive(row["updated_at"])}
            for row in book["customers"] if row["customer_id"] not in merged]  # fmt: skip
        child = {**common, "id": self.id("buyer"), "name": "Rechnungen", "email": "rechnung@sued.example", "type": "invoice",
                 "is_company": False, "parent_id": [self.id("sud"), "Süd"], "commercial_partner_id": [self.id("sud"), "Süd"]}  # fmt: skip
        return [*own, *found, child, {**common, "id": self.id("supplier"), "name": "Lieferant"}]

    def move(self, key: str, company: Any, kind: str, row: Record, on: str, **more: Any) -> Record:
        state = "cancel" if row.get("voided_on") or row.get("reversed_on") else "posted"
        merged = row.get("invoice_id") == "i12" and row["customer_id"] == "nord"  # a merge moves it and stamps nothing
        move = {
            "id": self.id(f"move {key}"), "name": row.get("invoice_number") or f"PBNK/{key}", "ref": row.get("reference") or False,
            "move_type": kind, "state": state, "posted_before": True, "date": on, "invoice_date": False, "invoice_date_due": False,
            "invoice_payment_term_id": False, "commercial_partner_id": [self.id(row["customer_id"]), "?"],
            "currency_id": CURRENCIES[row["currency"]], "company_id": company, "amount_total": Decimal(0), "amount_tax": Decimal(0),
            "amount_residual": Decimal(0), "invoice_user_id": False, "invoice_origin": False, "reversed_entry_id": False,
            "write_date": "2025-06-10 08:00:00" if merged else naive(row["updated_at"]), **more,
        }  # fmt: skip
        self._moves.append(move)
        return move

    def line(self, key: str, move: Record, account: int, put: Decimal, row: Record, **more: Any) -> Record:
        """A line; a foreign amount is 0.8 of it in the company's currency."""
        own = {2: "EUR", 1: "GBP"}[move["company_id"][0]]
        line = {
            "id": self.id(f"line {key}"), "move_id": [move["id"], move["name"]], "parent_state": move["state"], "date": move["date"],
            "date_maturity": False, "account_id": [account, "?"], "partner_id": move["commercial_partner_id"],
            "amount_currency": put, "balance": put if move["currency_id"][1] == own else put * Decimal("0.8"),
            "amount_residual": Decimal(0), "debit": max(put, Decimal(0)), "currency_id": move["currency_id"],
            "amount_residual_currency": put, "payment_id": False, "statement_line_id": False, "ref": move["ref"], "name": move["name"],
            "journal_id": [7, "Bank"], "company_id": move["company_id"],
            "write_date": move["write_date"], "tax_line_id": False, "display_type": "product", "reconciled": False, **more,
        }  # fmt: skip
        self._lines.append(line)
        return line

    def company(self, row: Record) -> list[Any]:
        return [COMPANIES[row["company_id"]], "?"]

    def invoice(self, row: Record, book: Book) -> None:
        key, memo = row["invoice_id"], row["document_type"] == "credit_memo"
        parts = [part for part in book.get("instalments", []) if part["invoice_id"] == key]
        put = Decimal(row["amount"])
        move = self.move(
            key, self.company(row), "out_refund" if memo else "out_invoice", row, row["invoice_date"], ref=row.get("po_number") or False,
            invoice_date=row["invoice_date"], invoice_date_due=row["due_date"] or row["invoice_date"], amount_total=put,
            amount_tax=Decimal(row["tax_amount"]), invoice_payment_term_id=[2, "in parts"] if parts else [1, "30 days"],
        )  # fmt: skip
        for part in parts or [
            {"amount": row["amount"], "due_date": row["due_date"] or row["invoice_date"], "instalment_number": 1}
        ]:
            owed = self.line(f"{key}/{part['instalment_number']}", move, RECEIVABLE, Decimal(part["amount"]) * (-1 if memo else 1), row,
                             date_maturity=part["due_date"], display_type="payment_term")  # fmt: skip
            self._owed[key].append(owed)
        self.line(f"{key} income", move, INCOME, put * (1 if memo else -1), row)
        move["amount_residual"] = put  # also of what was cancelled

    def payment(self, row: Record, book: Book) -> None:
        """One booked by a payment, with its discount inside; the first of all by a bank's statement, a line for each invoice."""
        key, put = row["payment_id"], Decimal(row["amount"])
        own = [each for each in book["allocations"] if each["source_id"] == key]
        discounts = [each for each in book["allocations"] if each["source_type"] == "discount"]
        granted = sum((total(discounts, invoice_id=each["invoice_id"]) for each in own), Decimal(0))
        move = self.move(key, self.company(row), "entry", row, row["payment_date"])
        booked = {"statement_line_id": [5, "?"]} if key == "p01" else {"payment_id": [self.id(f"payment {key}"), "?"]}
        if key == "p04":
            booked["partner_id"] = [self.id("buyer"), "a contact of the customer's"]
        self.line(f"{key} bank", move, BANK, put, row, **booked)
        if granted:
            self.line(f"{key} granted", move, GRANTED, granted, row, **booked)
        for place, piece in enumerate([Decimal(each["amount"]) for each in own] if key == "p01" else [put + granted]):
            self._owed[key].append(self.line(f"{key}/{place}", move, RECEIVABLE, -piece, row, **booked))

    def refund(self, row: Record) -> None:
        key, put = row["refund_id"], Decimal(row["amount"])
        move = self.move(key, self.company(row), "entry", row, row["refunded_on"])
        booked = {"payment_id": [self.id(f"payment {key}"), "?"]}
        self.line(f"{key} bank", move, BANK, -put, row, **booked)
        self._owed[key].append(self.line(f"{key}/1", move, RECEIVABLE, put, row, **booked))

    def application(self, row: Record, book: Book) -> None:
        owed = self._owed[row["invoice_id"]]
        if row["source_type"] == "discount" or row.get("reversed_on"):
            return  # a discount stands in its payment; what is undone leaves nothing
        put = Decimal(row["amount"])
        if row["source_type"] == "write_off":
            invoice = by_key(book["invoices"])[row["invoice_id"]]
            told = {**invoice, "invoice_number": "", "updated_at": row["updated_at"]}
            move = self.move(row["allocation_id"], self.company(invoice), "entry", told, row["allocated_on"])
            self.line(f"{row['allocation_id']} expense", move, BAD_DEBT, put, row)
            lowers = [self.line(f"{row['allocation_id']}/1", move, RECEIVABLE, -put, row)]
        else:
            lowers = self._owed[row["source_id"]]
            put += total([o for o in book["allocations"] if o["source_type"] == "discount"], invoice_id=row["invoice_id"])
        self.reconcile(owed, lowers, f"{put}", row)

    def reconcile(self, owed: list[Record], lowers: list[Record], put: str, row: Record) -> None:
        """Put a line against another: what it leaves of each, and of the document."""
        left = Decimal(put)
        one = next(line for line in owed if line["amount_residual_currency"] > 0)
        back = next(line for line in lowers if -line["amount_residual_currency"] >= left)
        key = row.get("allocation_id") or row["refund_id"]
        self._partials.append(self.partial(key, one, back, left, row))
        for line, sign in ((one, -1), (back, 1)):
            line["amount_residual_currency"] += sign * left
            line["_left"] = line["amount_residual_currency"]
            line["reconciled"] = not line["amount_residual_currency"]
            move = next(each for each in self._moves if each["id"] == line["move_id"][0])
            move["amount_residual"] = abs(
                sum((each["amount_residual_currency"] for each in self._lines
                     if each["move_id"][0] == move["id"] and each["account_id"][0] == RECEIVABLE), Decimal(0))
            )  # fmt: skip

    def partial(self, key: str, one: Record, back: Record, put: Decimal, row: Record) -> Record:
        return {
            "id": self.id(f"partial {key}"), "debit_move_id": [one["id"], "?"], "credit_move_id": [back["id"], "?"],
            "debit_amount_currency": put, "credit_amount_currency": put,
            "max_date": max(one["date"], back["date"]), "write_date": naive(row["updated_at"]), "company_id": one["company_id"],
        }  # fmt: skip


def fulfils(record: Record, domain: list[Any], tables: dict[str, list[Record]]) -> bool:
    """Odoo's prefix notation: `|` takes two, what stands side by side is all asked for."""

    def term(place: int) -> tuple[bool, int]:
        if domain[place] == "|":
            one, place = term(place + 1)
            other, place = term(place)
            return one or other, place
        return leaf(record, domain[place], tables), place + 1

    place, met = 0, True
    while place < len(domain):
        one, place = term(place)
        met = met and one
    return met


def leaf(record: Record, asked: list[Any], tables: dict[str, list[Record]]) -> bool:
    name, sign, value = asked
    first, _, rest = name.partition(".")
    if first not in record:
        raise AssertionError(f"Invalid field {first}")
    ours = record[first]
    if rest:
        if not ours:
            return bool(sign == "=" and value is False)
        linked = next(each for each in tables[TABLES[first]] if each["id"] == ours[0])
        return leaf(linked, [rest, sign, value], tables)
    if isinstance(ours, list):
        ours = ours[0]
    match sign:
        case "=":
            return bool(ours == value)
        case "!=":
            return bool(ours != value)
        case "in":
            return ours in value
        case ">":
            return bool(ours > value)
        case ">=":
            return bool(ours >= value)
    raise AssertionError(sign)
