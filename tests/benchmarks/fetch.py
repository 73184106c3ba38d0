"""How fast sources are pulled: records a second of each connector beside a bare loop that asks the same and writes Arrow, and what both
take of memory for a book and for one four times as large.

Run by hand (`make bench`, or `python tests/benchmarks/fetch.py --records 100000`). The server is a process of its own and answers from
memory; so is every measurement. The bare loop is `requests`, `json` and Parquet (for `sql`, the driver's own cursor): no bounds, no
retries, no contract. Figures are of this machine on this day; the ratios are what to compare, and the aim is 60 % of the speed.

Two cores shared with other work, Python 3.11, 100,000 records: `rest` 82 % of the bare loop's speed (87 % by CPU), 173 MB, as for 25,000;
`sql` 73 % (78 %), 203 MB; `tryton` 67 % (54 %) of 300,000 and 597 MB, for it holds the ledger to pair what was reconciled.
`odoo` 50 to 64 % (39 to 57 %) of 120,000 and 30,000, 198 and 177 MB, for lines are classified and kept on disk until they are paired;
`netsuite` 65 to 87 % (46 to 57 %), 208 and 182 MB; both with a load of fifteen on two cores.
On a machine under load, 20,000 invoices with a payment each (60,000 records): `xero` 90 % (54 % by CPU), 198 MB after 164 MB for 5,000;
`quickbooks` 43 % (36 %), 185 MB after 157; `business_central` 50 % (23 %), 210 MB after 165: the last two look every record up again.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent

MEASURED = """
import json, resource, sys, time
sys.path.insert(0, '.')
import pyarrow as pa, pyarrow.parquet as pq
where, out = sys.argv[1], sys.argv[2]
{imports}
def written(tables):
    count, writer = 0, None
    for table in tables:
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
        count += len(table)
    writer.close()
    return count
began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
{work}
wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps(dict(count=count, wall=wall, cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
                      idle=before.ru_maxrss / 1024, mb=after.ru_maxrss / 1024)))
"""

CONNECTOR = """
from dagster_project.contract import DATASETS
{imports}"""

BARE_HTTP = """
import requests
session = requests.Session()
session.trust_env = False
def asked(address):
    return json.loads(session.get(address, headers={'Authorization': 'Bearer k'}, timeout=60).content, parse_float=str, parse_int=str)
def as_text(records):
    return pa.Table.from_pylist([{name: value if value is None else str(value) for name, value in record.items()} for record in records])
"""

# --- the servers -------------------------------------------------------------------------------------------------------


def invoice(number: int) -> dict[str, object]:
    return {
        "invoice_id": f"I{number:08}", "invoice_number": f"RE-{number}", "customer_id": f"C{number % 5_000:05}", "document_type": "invoice",
        "invoice_date": "2025-08-31", "due_date": "2025-09-30", "currency": "EUR", "amount": round(number % 90_000 + 0.25, 2),
        "company_id": "0100", "payment_terms": "N30", "po_number": f"PO {number}", "sales_rep": "Anna",
        "updated_at": "2025-09-01T06:30:00Z",
    }  # fmt: skip


def rest_page(path: str, asked: dict[str, str], records: int) -> bytes:
    """Pages as the contract has them; the number of the first record is in the address of the next."""
    size, first = int(asked["limit"]), int(asked.get("first", 0))
    last = min(first + size, records)
    following = f"{path}?limit={size}&first={last}" if last < records else None
    return json.dumps({"data": [invoice(n) for n in range(first, last)], "next": following, "total": records}).encode()


STAMP = {"__class__": "datetime", "year": 2025, "month": 9, "day": 1, "hour": 6, "minute": 30, "second": 0, "microsecond": 0}
DAY = {"__class__": "date", "year": 2025, "month": 8, "day": 31}
ZERO = {"__class__": "Decimal", "decimal": "0.00"}


def tryton_record(model: str, n: int) -> dict[str, object]:
    """Of two lines of a receivable account one is of an invoice, one pays it."""
    amount = {"__class__": "Decimal", "decimal": f"{n % 90_000}.25"}
    if model == "account.invoice":
        return {
            "id": n, "number": f"RE-{n}", "party": n % 5_000 + 1, "invoice_date": DAY, "currency": {"id": 1, "code": "EUR", "digits": 2},
            "total_amount": amount, "tax_amount": ZERO, "payment_term": None, "reference": f"PO {n}", "state": "posted", "move": n,
            "cancel_move": None, "lines_to_pay": [], "amount_to_pay": ZERO, "write_date": None, "create_date": STAMP,
        }  # fmt: skip
    invoice_id, pays = (n + 1) // 2, n % 2 == 0
    return {
        "id": n, "date": DAY, "maturity_date": None if pays else DAY, "party": invoice_id % 5_000 + 1, "debit": ZERO if pays else amount,
        "credit": amount if pays else ZERO, "amount_second_currency": None, "second_currency": None, "reconciliation": None, "origin": None,
        "description": None, "invoice_payment": invoice_id if pays else None,
        "move": {"id": 10_000_000 + n if pays else invoice_id, "number": str(n), "origin": None,
                 "journal": {"id": 1, "name": "Cash" if pays else "Revenue", "type": "cash" if pays else "revenue"}},
        "write_date": None, "create_date": STAMP,
    }  # fmt: skip


def tryton_page(path: str, asked: dict[str, str], records: int) -> bytes:
    import base64

    model = path.rpartition("/")[2]
    if model == "company.company":
        return json.dumps(
            [{"id": 1, "party": {"id": 1, "name": "Wir"}, "currency": {"code": "EUR", "digits": 2}, "timezone": None}]
        ).encode()
    domain = json.loads(base64.urlsafe_b64decode(asked["d"]))
    if model not in ("account.invoice", "account.move.line") or ["type", "=", "in"] in domain:
        return b"[]"
    after = next((value for name, operator, value in domain if (name, operator) == ("id", ">")), 0)
    last = min(after + int(asked["s"]), records if model == "account.invoice" else 2 * records)
    return json.dumps([tryton_record(model, n) for n in range(after + 1, last + 1)]).encode()


ODOO_FIELDS = {
    "account.move": {
        "name": "RE-1", "ref": "PO 1", "move_type": "out_invoice", "state": "posted", "date": "2025-08-31", "invoice_date": "2025-08-31",
        "invoice_date_due": "2025-09-30", "invoice_payment_term_id": [1, "30 days"], "commercial_partner_id": [7, "Nord"],
        "currency_id": [125, "EUR"], "company_id": [1, "Wir"], "amount_total": 0.25, "amount_tax": 0.0, "amount_residual": 0.0,
        "invoice_user_id": [2, "Anna"], "invoice_origin": False, "reversed_entry_id": False, "write_date": "2025-09-01 06:30:00"},
    "account.move.line": {
        "move_id": [1, "RE-1"], "parent_state": "posted", "date": "2025-08-31", "date_maturity": "2025-09-30", "partner_id": [7, "Nord"],
        "amount_currency": 0.25, "currency_id": [125, "EUR"], "amount_residual_currency": 0.0, "payment_id": False,
        "statement_line_id": False, "ref": "PO 1", "name": "RE-1", "journal_id": [1, "Bank"], "company_id": [1, "Wir"],
        "write_date": "2025-09-01 06:30:00"},
    "account.partial.reconcile": {
        "debit_move_id": [1, "RE-1"], "credit_move_id": [1, "RE-1"], "debit_amount_currency": 0.25, "credit_amount_currency": 0.25,
        "max_date": "2025-09-02", "write_date": "2025-09-02 06:30:00"},
    "account.account": {"account_type": "income"},
    "res.company": {"name": "Wir", "currency_id": [125, "EUR"], "country_id": False, "partner_id": [1, "Wir"]},
}  # fmt: skip


def odoo_record(model: str, n: int, records: int) -> dict[str, object]:
    """Of two lines the first is of an invoice and the other, as many records on, of the payment that pays it."""
    made, put = {"id": n, **ODOO_FIELDS[model]}, n % records % 90_000 + 0.25
    if model == "account.move":
        made |= {"name": f"RE-{n}", "ref": f"PO {n}", "commercial_partner_id": [n % 5_000, "Nord"], "amount_total": put}
    elif model == "account.move.line":
        pays = n > records
        made |= {"move_id": [n, f"RE-{n}"], "amount_currency": -put if pays else put, "payment_id": [n, "P"] if pays else False}
    elif model == "account.partial.reconcile":
        made |= {
            "debit_move_id": [n, ""],
            "credit_move_id": [n + records, ""],
            "debit_amount_currency": put,
            "credit_amount_currency": put,
        }
    return made


def odoo_page(path: str, asked: dict[str, Any], records: int) -> bytes:
    model, method = path.split("/")[-2:]
    if method == "fields_get":
        return json.dumps({name: {"type": "char"} for name in ODOO_FIELDS.get(model, ())}).encode()
    if method == "search_count":
        return b"0"
    count = {"account.move": records, "account.move.line": 2 * records, "account.partial.reconcile": records, "res.company": 1}
    domain, after = asked["domain"], asked["domain"][-1][2]
    if ["debit", ">", 0] in domain or "reversed_entry_id" in str(domain) or model not in count:
        return b"[]"
    last = min(after + asked["limit"], count[model])
    return json.dumps([odoo_record(model, n, records) for n in range(after + 1, last + 1)]).encode()


def netsuite_page(path: str, asked: dict[str, Any], records: int) -> bytes:
    """Documents of which the second half are payments of the first, and a link for each."""
    if "q" not in asked:
        return json.dumps({"access_token": "k", "expires_in": "3600"}).encode()
    text, behind = asked["q"], re.search(r"AND \(\((?:t\.id|l\.nextdoc) > (\d+)\)", asked["q"])
    after = int(behind[1]) if behind else 0
    stamp = {"links": [], "currency": "EUR", "changed": "2025-09-01 06:30:00"}
    items: list[dict[str, object]] = []
    if "COUNT(*)" in text:
        items = [{"n": "0"}]
    elif " FROM subsidiary s" in text and not after:
        items = [{"id": "1", "name": "Wir", "currency": "EUR"}]
    elif "tl.mainline = 'T' JOIN" in text:
        after = max(after, records if "'CustPymt'" in text else 0)
        last = records if "'CustInvc'" in text else 2 * records
        items = [
            {**stamp, "id": str(n), "type": "CustInvc" if n <= records else "CustPymt", "tranid": f"RE-{n}", "trandate": "2025-08-31",
             "duedate": "2025-09-30", "entity": str(n % 5_000 + 1), "exchangerate": "1", "foreigntotal": f"{n % 90_000}.25", "voided": "F",
             "foreignamountunpaid": "0", "otherrefnum": f"PO {n}", "terms": "Net 30", "employee": "Anna", "subsidiary": "1"}
            for n in range(after + 1, min(after + 1_000, last) + 1)
        ]  # fmt: skip
    elif "l.linktype = 'Payment'" in text:
        first = max(after - records, 0)
        items = [
            {**stamp, "previousdoc": str(n), "previousline": "0", "previoustype": "CustInvc", "nextdoc": str(n + records), "nextline": "0",
             "nexttype": "CustPymt", "foreignamount": f"{n % 90_000}.25", "previousdate": "2025-08-31", "nextdate": "2025-09-02",
             "previousvoid": "F", "nextvoid": "F", "nexttotal": f"{n % 90_000}.25"}
            for n in range(first + 1, min(first + 1_000, records) + 1)
        ]  # fmt: skip
    return json.dumps({"links": [], "count": len(items), "hasMore": False, "items": items, "offset": 0}).encode()


def xero_page(path: str, asked: dict[str, Any], records: int) -> bytes:
    """Invoices, and a payment of each."""
    endpoint = path.rpartition("/")[2]
    if endpoint == "token":
        return b'{"access_token": "k", "expires_in": 36000}'
    if endpoint == "Organisation":
        return b'{"Organisations": [{"Name": "Wir", "BaseCurrency": "EUR", "Timezone": "UTC"}]}'
    count = records if endpoint in ("Invoices", "Payments") else 0
    size, page = int(asked["pageSize"]), int(asked["page"])
    made = []
    for n in range((page - 1) * size, min(page * size, count)):
        stamp = {"UpdatedDateUTC": f"/Date({1_751_000_000_000 + n})/", "Date": "/Date(1756598400000+0000)/"}
        named = {"InvoiceID": f"invoice-{n:08}", "Contact": {"ContactID": f"c{n % 5_000}", "Name": "Nord"}, "CurrencyCode": "EUR"}
        if endpoint == "Payments":
            made.append({"PaymentID": f"payment-{n:08}", "PaymentType": "ACCRECPAYMENT", "Status": "AUTHORISED",
                         "Amount": n % 90_000 + 0.25, "Account": {"Code": "090"},
                         "Reference": "r", "Invoice": {"Type": "ACCREC", **named}, **stamp})  # fmt: skip
        else:
            made.append({"Type": "ACCREC", **named, "InvoiceNumber": f"RE-{n}", "Reference": f"PO {n}", "Status": "PAID", "TotalTax": 0,
                         "Total": n % 90_000 + 0.25, "AmountDue": 0, "CurrencyRate": 1, "DateString": "2025-08-31T00:00:00",
                         "DueDateString": "2025-09-30T00:00:00", "LineItems": [{"Description": "Work", "Quantity": 1.0, "LineAmount": 1.0}],
                         **stamp})  # fmt: skip
    return json.dumps({"pagination": {"itemCount": count}, endpoint: made}).encode()


def business_central_page(path: str, asked: dict[str, Any], records: int) -> bytes:
    """Entries of which the second half are payments of the first, and an application of each."""
    entity = path.rpartition("/")[2]
    if entity == "token":
        return b'{"access_token": "k", "expires_in": 36000}'
    small = {"companies": {"id": "1", "name": "Wir"}, "companyInformation": {"currencyCode": "EUR", "country": "DE"}}
    if entity in small:
        return json.dumps({"value": [small[entity]]}).encode()
    count = {"customerLedgerEntries": 2 * records, "detailedCustomerLedgerEntries": records}.get(entity, 0)
    first = int(asked.get("$skiptoken", 0))
    last, made = min(first + 5_000, count), []
    for n in range(first + 1, last + 1):
        put, stamp = n % records % 90_000 + 0.25, "2025-09-01T06:30:00Z"
        if entity == "customerLedgerEntries":
            made.append({"entryNumber": n, "customerNumber": f"C{n % 5_000}", "postingDate": "2025-08-31", "dueDate": "2025-09-30",
                         "documentType": "Invoice" if n <= records else "Payment", "documentNumber": f"RE-{n}",
                         "externalDocumentNumber": "", "description": "", "currencyCode": "",
                         "amount": put if n <= records else -put, "remainingAmount": 0,
                         "positive": n <= records, "paymentMethodCode": "", "salespersonCode": "Anna", "reversed": False,
                         "reversedByEntryNumber": 0, "reversedEntryNumber": 0, "lastModifiedDateTime": stamp})  # fmt: skip
        else:
            made.append({"entryNumber": n, "customerLedgerEntryNumber": n, "entryType": "Application", "postingDate": "2025-09-02",
                         "amount": -put, "currencyCode": "", "appliedCustomerLedgerEntryNumber": n + records, "transactionNumber": n,
                         "unapplied": False, "unappliedByEntryNumber": 0, "lastModifiedDateTime": stamp})  # fmt: skip
    following = {"@odata.nextLink": f"{path}?$skiptoken={last}"} if last < count else {}
    return json.dumps({"value": made, **following}).encode()


def quickbooks_page(path: str, asked: dict[str, Any], records: int) -> bytes:
    """Invoices, and a payment of each."""
    if path.endswith("/token"):
        return b'{"access_token": "k", "refresh_token": "r", "expires_in": 36000}'
    entity = asked["query"].partition(" from ")[2].split()[0]
    count = {"Invoice": records, "Payment": records, "Preferences": 1, "CompanyInfo": 1}.get(entity, 0)
    if "count(*)" in asked["query"]:
        return json.dumps({"QueryResponse": {"totalCount": count}}).encode()
    told = re.search(r"startposition (\d+) maxresults (\d+)", asked["query"])
    first, size = (int(told[1]), int(told[2])) if told else (1, count)
    made: list[dict[str, object]] = []
    for n in range(first, min(first + size, count + 1)):
        common = {"Id": str(n), "TxnDate": "2025-08-31", "TotalAmt": n % 90_000 + 0.25, "CustomerRef": {"value": str(n % 5_000 + 1)},
                  "CurrencyRef": {"value": "EUR"},
                  "MetaData": {"CreateTime": "2025-09-01T06:30:00Z", "LastUpdatedTime": "2025-09-01T06:30:00Z"}}  # fmt: skip
        if entity == "Invoice":
            made.append({**common, "DocNumber": f"RE-{n}", "DueDate": "2025-09-30", "Balance": 0, "Line": []})
        elif entity == "Payment":
            line = {"Amount": n % 90_000 + 0.25, "LinkedTxn": [{"TxnId": str(n), "TxnType": "Invoice"}]}
            made.append({**common, "UnappliedAmt": 0, "Line": [line]})
        else:
            made.append({"Id": "1", "CompanyName": "Wir", "CurrencyPrefs": {"HomeCurrency": {"value": "EUR"}}})
    return json.dumps({"QueryResponse": {entity: made} if made else {}}).encode()


PAGES: dict[str, Callable[[str, dict[str, Any], int], bytes]] = {
    "rest": rest_page,
    "tryton": tryton_page,
    "odoo": odoo_page,
    "netsuite": netsuite_page,
    "xero": xero_page,
    "business_central": business_central_page,
    "quickbooks": quickbooks_page,
}


def serve(kind: str, records: int) -> None:
    """Answer until killed; the port is the first line printed. An answer is made once."""
    made: dict[tuple[str, bytes], bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            asked = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if (key := (self.path, asked)) not in made:
                named = {k: v[0] for k, v in parse_qs(place.query).items()}
                made[key] = PAGES[kind](place.path, json.loads(asked) if asked.startswith(b"{") else named, records)
            body = made[key]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


@contextmanager
def served(kind: str, records: int) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", kind, "--records", str(records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/ledger"
        finally:
            process.kill()


@contextmanager
def database(kind: str, records: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        con = sqlite3.connect(Path(folder) / "books.db")
        names = list(invoice(0))
        con.execute(f"create table invoices ({', '.join(f'{name} text' for name in names)})")
        rows = (tuple(map(str, invoice(n).values())) for n in range(records))
        con.executemany(f"insert into invoices values ({', '.join('?' * len(names))})", rows)
        con.commit()
        con.close()
        (Path(folder) / "invoices.sql").write_text("select * from invoices")
        yield folder


# --- what is measured --------------------------------------------------------------------------------------------------

OPENED = (
    "from contextlib import ExitStack\nfrom datetime import date\nfrom pathlib import Path\n"
    "from dagster_project.sources import Opening, {name} as connector\nconnector.{limit} = 10**9"
)
LEDGER = (
    "own = connector.CONNECTOR.settings(client_id='c', client_secret='s', url=where, token_url=where + '/token', {more})\n"
    "source = connector.CONNECTOR.opened(own, Opening(date.today(), Path(out).parent, ExitStack()))\n"
    "count = sum(written(source.fetch(DATASETS[name], None).pages) for name in ('invoices', 'payments', 'allocations'))"
)
"""A connector without its vendor's limit of calls, which is none of its speed."""

ONE_DATASET = "count = written(source.fetch(DATASETS['invoices'], None).pages)"

CASES = {
    "rest": (
        served,
        ("from dagster_project.sources.rest import RestSource", f"source = RestSource(where, 'k')\n{ONE_DATASET}"),
        (
            BARE_HTTP,
            "def pages():\n"
            "    following = f'{where}/invoices?limit=5000'\n"
            "    while following:\n"
            "        page = asked(following)\n"
            "        yield as_text(page['data'])\n"
            "        following = page['next'] and where.rpartition('/')[0] + page['next']\n"
            "count = written(pages())",
        ),
    ),
    "tryton": (
        served,
        (
            "from dagster_project.sources.tryton import TrytonSource",
            "source = TrytonSource(where, 'k')\n"
            "count = sum(written(source.fetch(DATASETS[name], None).pages) for name in ('invoices', 'payments', 'allocations'))",
        ),
        (
            BARE_HTTP + "import base64\nfrom dagster_project.sources.tryton import _INVOICE, _LINE\n"
            "coded = lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode()\n",
            "def pages(model, fields, domain):\n"
            "    after, address = 0, f\"{where}/rest/model/{model}?{'&'.join(f'f={field}' for field in fields)}\"\n"
            "    while True:\n"
            "        page = asked(f\"{address}&s=1000&o={coded([['id', 'ASC']])}&d={coded([*domain, ['id', '>', after]])}\")\n"
            "        if page:\n"
            "            yield as_text(page)\n"
            "        if len(page) < 1000:\n"
            "            return\n"
            "        after = int(page[-1]['id'])\n"
            "count = written(pages('account.invoice', _INVOICE, [['type', '=', 'out']])) + written(pages('account.move.line', _LINE, []))",
        ),
    ),
    "odoo": (
        served,
        (
            "from contextlib import ExitStack\nfrom datetime import date\nfrom pathlib import Path\n"
            "from dagster_project.sources import Opening\nfrom dagster_project.sources.odoo import CONNECTOR",
            "source = CONNECTOR.opened(CONNECTOR.settings(url=where, key='k'), Opening(date.today(), Path(out).parent, ExitStack()))\n"
            "count = sum(written(source.fetch(DATASETS[name], None).pages) for name in ('invoices', 'payments', 'allocations'))",
        ),
        (
            BARE_HTTP + "from dagster_project.sources.odoo import LINE, MOVE, PARTIAL, _LINE, _MOVE, _PARTIAL\n"
            "def asked(model, fields, after):\n"
            "    body = {'domain': [['id', '>', after]], 'fields': fields, 'limit': 2000, 'order': 'id asc'}\n"
            "    address = f'{where}/json/2/{model}/search_read'\n"
            "    return json.loads(session.post(address, json=body, timeout=60).content, parse_float=str)\n",
            "def pages(model, fields):\n"
            "    after = 0\n"
            "    while True:\n"
            "        page = asked(model, fields, after)\n"
            "        if page:\n"
            "            yield as_text(page)\n"
            "        if len(page) < 2000:\n"
            "            return\n"
            "        after = page[-1]['id']\n"
            "count = written(pages(MOVE, _MOVE)) + written(pages(LINE, _LINE))\n"
            "written(pages(PARTIAL, _PARTIAL))  # which the connector makes applications of, and lines no rows of their own",
        ),
    ),
    "netsuite": (
        served,
        (
            "from contextlib import ExitStack\nfrom datetime import date\nfrom pathlib import Path\n"
            "from cryptography.hazmat.primitives.asymmetric import ec\n"
            "from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat\n"
            "from dagster_project.sources import Opening\nfrom dagster_project.sources.netsuite import CONNECTOR",
            "home, key = Path(out).parent, Path(out).parent / 'key.pem'\n"
            "made = ec.generate_private_key(ec.SECP256R1())\n"
            "key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))\n"
            "own = CONNECTOR.settings(account='1', client_id='c', certificate_id='k', key_file=key, url=where)\n"
            "source = CONNECTOR.opened(own, Opening(date.today(), home, ExitStack()))\n"
            "count = sum(written(source.fetch(DATASETS[name], None).pages) for name in ('invoices', 'payments', 'allocations'))",
        ),
        (
            f"{BARE_HTTP}from dagster_project.sources.netsuite import _DOCUMENTS, _LINKS",
            "def pages(text, key, name):\n"
            "    after, address = 0, f'{where}/services/rest/query/v1/suiteql?limit=1000'\n"
            "    while True:\n"
            "        asked = {'q': f'{text} AND (({key} > {after})) ORDER BY {key}'}\n"
            "        page = json.loads(session.post(address, json=asked, timeout=60).content)['items']\n"
            "        if page:\n"
            "            yield as_text(page)\n"
            "        if len(page) < 1000:\n"
            "            return\n"
            "        after = int(page[-1][name])\n"
            "links = pages(_LINKS.format(kind='Payment', mine=''), 'l.nextdoc', 'nextdoc')\n"
            "count = written(pages(_DOCUMENTS, 't.id', 'id')) + written(links)",
        ),
    ),
    "xero": (
        served,
        (OPENED.format(name="xero", limit="CALLS_A_MINUTE"), LEDGER.format(more="tenant='t'")),
        (
            BARE_HTTP,
            "def pages(endpoint):\n"
            "    page = 1\n"
            "    while found := asked(f'{where}/{endpoint}?page={page}&pageSize=1000')[endpoint]:\n"
            "        yield as_text(found)\n"
            "        page += 1\n"
            "count = written(pages('Invoices')) + written(pages('Payments'))",
        ),
    ),
    "business_central": (
        served,
        (OPENED.format(name="business_central", limit="CALLS"), LEDGER.format(more="tenant='t'")),
        (
            BARE_HTTP,
            "def pages(entity):\n"
            "    following = f'/ledger/{entity}'\n"
            "    while following:\n"
            "        page = asked(where.rpartition('/')[0] + following)\n"
            "        yield as_text(page['value'])\n"
            "        following = page.get('@odata.nextLink')\n"
            "count = written(pages('customerLedgerEntries')) + written(pages('detailedCustomerLedgerEntries'))",
        ),
    ),
    "quickbooks": (
        served,
        (OPENED.format(name="quickbooks", limit="CALLS_A_MINUTE"), LEDGER.format(more="realm='1', refresh_token='first'")),
        (
            BARE_HTTP + "from urllib.parse import quote\n",
            "def pages(entity):\n"
            "    start = 1\n"
            "    while True:\n"
            "        query = quote(f'select * from {entity}  startposition {start} maxresults 1000')\n"
            "        page = asked(f'{where}/query?query={query}')['QueryResponse'].get(entity, [])\n"
            "        if page:\n"
            "            yield as_text(page)\n"
            "        if len(page) < 1000:\n"
            "            return\n"
            "        start += len(page)\n"
            "count = written(pages('Invoice')) + written(pages('Payment'))",
        ),
    ),
    "sql": (
        database,
        (
            "from pathlib import Path\nfrom dagster_project.sources.sql import SqlSource",
            f"source = SqlSource(f'sqlite:///{{where}}/books.db', Path(where))\n{ONE_DATASET}",
        ),
        (
            "import sqlite3",
            "def pages():\n"
            "    cursor = sqlite3.connect(f'{where}/books.db').execute('select * from invoices')\n"
            "    names = [column[0] for column in cursor.description]\n"
            "    while rows := cursor.fetchmany(20000):\n"
            "        yield pa.table(dict(zip(names, map(list, zip(*rows)))))\n"
            "count = written(pages())",
        ),
    ),
}
"""By connector: what it is pulled from, how (imports and work), and how the bare loop does it."""


def measured(imports: str, work: str, where: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", MEASURED.format(imports=imports, work=work), where, str(Path(folder) / "out.parquet")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--records", type=int, default=50_000, help="invoices of the smaller book; the larger has four times as many"
    )
    parser.add_argument("--only", choices=CASES, help="one connector")
    parser.add_argument("--serve", choices=PAGES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.records)
        return
    print(
        f"{'':<8}{'records':>10}{'a second':>10}{'CPU s':>8}{'MB':>6}   {'bare loop':>10}{'CPU s':>8}{'MB':>6}   {'speed':>6}{'by CPU':>8}"
    )
    for name, (opened, connector, bare) in CASES.items():
        if options.only and name != options.only:
            continue
        for records in (options.records, 4 * options.records):
            with opened(name, records) as where:
                measured(CONNECTOR.format(imports=connector[0]), connector[1], where)  # the server makes its answers
                ours = measured(CONNECTOR.format(imports=connector[0]), connector[1], where)
                theirs = measured(bare[0], bare[1], where)
            a_second = [one["count"] / one["wall"] for one in (ours, theirs)]
            of_cpu = (theirs["cpu"] / theirs["count"]) / (ours["cpu"] / ours["count"])
            print(
                f"{name:<8}{ours['count']:>10,.0f}{a_second[0]:>10,.0f}{ours['cpu']:>8.1f}{ours['mb']:>6.0f}   "
                f"{a_second[1]:>10,.0f}{theirs['cpu']:>8.1f}{theirs['mb']:>6.0f}   {a_second[0] / a_second[1]:>6.0%}{of_cpu:>8.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
