"""SAP's customer line items from files: BSID, BSAD and what goes with them, as SE16, ALV lists (FBL5N) and extracts write them.

Belongs here: which file is which table, what its columns are called, how SAP and its users write dates and numbers. Does not belong here:
what becomes of the tables, which the queries of `sql_ready/sap` say, here as over a replica.

    bsid, bsad     open and cleared lines; or both in one list (fbl5n) or extract (bseg, acdoca, the operational cube)
    kna1, t001     customers and company codes
    bkpf           what was reversed                   knb1, adr6     terms and blocks by company code, e-mail addresses
    t052           payment terms                       tcurr, tcurx   rates, and the digits of currencies

A file is named for its table (`bsad.csv`, `BSAD_2025.txt`, `Z BSID export.tsv`); several of one table are read together, and of a line that
stands in several the last one by name counts. Columns are called by their technical names, as lists label them in English or German, or as
S/4's views do. A file has one notation, for one user exported it: it is recognised from all of it, said once, and asked about where nothing
decides.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final, Literal

import duckdb
import pyarrow as pa
from pydantic import field_validator

from dagster_project import duck
from dagster_project.contract import Dataset
from dagster_project.paths import ROOT
from dagster_project.sources import (
    DAY_FIRST,
    MONTH_FIRST,
    Aged,
    Company,
    Connector,
    ConnectorSettings,
    Delivery,
    Opening,
    Right,
    SourceError,
    csv_files,
)
from dagster_project.sources.files import as_page
from dagster_project.sources.records import digits
from dagster_project.sources.sql import AGED, LEFT_OUT, READY, bare, parts_of
from dagster_project.words import shown

log = logging.getLogger("arrears.ingestion")

QUERIES: Final = READY / "sap"
DOCUMENT_TYPES: Final = "_document_types"
ENDINGS: Final = (".csv", ".txt", ".tsv", ".dat", ".asc")
BATCH_ROWS: Final = 20_000
PAGE_ROWS: Final = 100_000
HEADER_LINES: Final = 200
"""Within so many lines a list has named its columns: titles and selections come before."""

# --- the tables, and what their columns are called --------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """One of SAP's: what it cannot do without, what else is read of it, what tells two lines apart, and what is so without its file."""

    needs: str
    has: str = ""
    key: str = ""
    without: str = ""

    @property
    def columns(self) -> list[str]:
        return [*self.needs.split(), *self.has.split()]


_OF_A_LINE = (
    "mandt shkzg bschl bldat cpudt zfbdt netdt zbd1t zbd2t zbd3t wskto xblnr zuonr vbeln vbel2 zterm mansp rebzg rebzj rebzz umskz "
    "bstat"
)
_LINE = "bukrs belnr gjahr buzei kunnr blart budat waers wrbtr"
_KEY = "bukrs belnr gjahr buzei"

TABLES: Final[Mapping[str, Table]] = {
    "bsid": Table(_LINE, f"{_OF_A_LINE} augbl augdt", _KEY),
    "bsad": Table(f"{_LINE} augbl augdt", _OF_A_LINE, _KEY),
    "items": Table("bukrs belnr gjahr buzei kunnr wrbtr augbl augdt", f"blart budat waers {_OF_A_LINE} koart rldnr docln", f"{_KEY} docln"),
    "kna1": Table(
        "kunnr name1", "mandt name2 land1 regio brsch erdat stceg telf1 loevm aufsd sperr adrnr spras ktokd", "kunnr"
    ),
    "t001": Table("bukrs butxt waers", "mandt land1", "bukrs"),
    "bkpf": Table(
        "bukrs belnr gjahr budat stblg", "mandt blart bldat waers cpudt bstat xblnr stjah xreversal", "bukrs belnr gjahr",
        "a reversed document is paid, an invoice and a payment alike",
    ),
    "knb1": Table(
        "kunnr bukrs", "mandt zterm sperr", "kunnr bukrs", "customers have no payment terms of their own, and no block by company code",
    ),
    "adr6": Table("addrnumber smtp_addr", "client flgdefault", "", "customers have no e-mail address"),
    "t052": Table(
        "zterm ztag1", "mandt ztagg zfael zmona zprz1 ztag2 ztag3", "zterm ztagg",
        "there are no payment terms beside the lines' own due dates",
    ),
    "tcurr": Table(
        "kurst fcurr tcurr gdatu ukurs", "mandt ffact tfact", "kurst fcurr tcurr gdatu",
        "there are no exchange rates: ARREARS_RATES=ecb has some",
    ),
    "tcurx": Table("currkey currdec", "", "currkey", "the digits of currencies are those of currencies.csv"),
}  # fmt: skip
"""By name. `items` are lines of both kinds in one list."""

NAMED: Final[Mapping[str, str]] = {
    **{name: name for name in TABLES},
    **dict.fromkeys(("fbl5n", "bseg", "acdoca", "operationalacctgdocitemcube", "cube"), "items"),
}
"""What a file's name may say, and the table that is."""

REQUIRED: Final = ("kna1", "t001")

AMOUNTS, RATES, FRACTIONS = ("wrbtr", "wskto"), ("ukurs",), ("zprz1",)
DATES: Final = ("budat", "bldat", "cpudt", "zfbdt", "netdt", "augdt", "erdat")
WHOLE: Final = ("zbd1t", "zbd2t", "zbd3t", "ztagg", "zfael", "zmona", "ztag1", "ztag2", "ztag3", "ffact", "tfact", "currdec")
WIDTHS: Final[Mapping[str, int]] = {
    "kunnr": 10, "belnr": 10, "augbl": 10, "rebzg": 10, "stblg": 10, "adrnr": 10, "addrnumber": 10, "bukrs": 4, "buzei": 3, "rebzz": 3,
    "bschl": 2,
}  # fmt: skip
"""Numbers that SAP keeps with zeros before them, and that lists and spreadsheets write without."""

CALLED: Final = """
mandt      Client | Cl. | Mandant | Mdt | rclnt
client     Client | Mandant
bukrs      CoCd | Company Code | Co. Code | BuKr | BuKrs | Buchungskreis | rbukrs
belnr      DocumentNo | Document Number | Doc. Number | Doc.No. | Accounting Document | Belegnummer | Belegnr | Belegnr. | Beleg
gjahr      Year | Fiscal Year | Fisc. Year | Jahr | Geschäftsjahr | GeschJahr | GJahr | ryear
buzei      Itm | Item | Line Item | Accounting Document Item | Pos | Pos. | Position | Buchungszeile | BuZei
docln      Ledger Item
kunnr      Customer | Customer Number | Cust. No. | Account | Debitor | Debitorennummer | Kunde | Kundennummer | Konto
shkzg      D/C | Debit/Credit Ind | Debit/Credit | Debit/Credit Code | S/H | Soll/Haben | Soll/Haben-Kennz. | drcrk
bschl      PK | Posting Key | BS | BSl | BuSchl | Buchungsschlüssel
blart      Type | Doc. Type | Document Type | Accounting Document Type | Art | Belegart | BlArt | BA
budat      Posting Date | Pstng Date | Pst. Date | Buchungsdatum | Buch.dat. | Buch.datum | Buchungsdat
bldat      Document Date | Doc. Date | Belegdatum | Belegdat | Belegdat.
cpudt      Entry Date | Entered on | Entry dte | Day Of Entry | Accounting Document Creation Date | Erfassungsdatum | Erfaßt am
cpudt      Erfasst am
zfbdt      Baseline Payment Date | Baseline Payment Dte | Baseline Date | Bline Date | Due Calculation Base Date | Basisdatum
zfbdt      Zahlungsfrist-Basisdatum
netdt      Net Due Date | Due on | Net due dt | Nettofälligkeit | Nettofälligkeitsdatum | Netto fällig
zbd1t      Days 1 | Disc. Days 1 | Cash Discount 1 Days | Tage 1 | Skontotage 1
zbd2t      Days 2 | Disc. Days 2 | Cash Discount 2 Days | Tage 2 | Skontotage 2
zbd3t      Days Net | Days 3 | Net Payment Days | Tage netto | Tage 3 | Nettotage
waers      Crcy | Curr. | Currency | Transaction Currency | Document Currency | Währg | Währung | Belegwährung | rwcur
wrbtr      Amount | Amount in DC | Amt.in doc.curr. | Amount in doc. curr. | Amount in Document Currency
wrbtr      Amount in Transaction Currency | Betrag | Betrag in BelegWähr. | Betrag in Belegwährung | Betrag in Belegwährg | wsl
wskto      Discount | Cash Disc. Amount | Discount Amount | Cash Discount Amount | Skonto | Skontobetrag
xblnr      Reference | Document Reference ID | Reference Key | Referenz | Referenzbelegnr. | Referenzbelegnummer
zuonr      Assignment | Assignment Reference | Zuordnung
vbeln      Bill.Doc. | Billing Document | Billing Doc. | Faktura | Fakturanummer | Fakt.beleg
vbel2      Sales Doc. | Sales Document | Verkaufsbeleg | VerkBeleg
zterm      PayT | Payt Terms | Terms of Payment | Payment Terms | ZBed | ZBed. | Zahlungsbedingung | Zahl.bed.
mansp      Dunning Block | Dunn. Block | Dunning Blocking Reason | Mahnsperre | MSp
rebzg      Invoice Ref. | Inv. Ref. | Invoice Reference | Rechnungsbezug | RechBezug
rebzj      Invoice Reference Fiscal Year | RechBezug Jahr
rebzz      Invoice Item Reference | RechBezug Pos
umskz      SG | SGL | SGL Ind. | Special G/L Ind. | Special GL Code | SHB | SHBKz | SHB-Kz | Sonderhauptbuch-Kz
umskz      Sonderhauptbuchkennzeichen
bstat      Doc. Status | Document Status | Belegstatus
augbl      Clrng doc. | Clearing Doc. | Clearing Document | Clearing Accounting Document | AusglBel. | Ausgleichsbeleg | Ausgl.beleg
augdt      Clearing | Clearing Date | Clrg Date | Ausgleich | Ausgleichsdatum | Ausgl.dat.
koart      Account Type | Acct Type | Financial Account Type | Kontoart
rldnr      Ledger
stblg      Reversed with | Reverse Document | Reversal Doc. | Storno mit | Stornobeleg
stjah      Reversal Year | Reverse Document Fiscal Year | Stornojahr
xreversal  Reversal Flag | Reversal Indicator | Stornokennzeichen
butxt      Company Name | Name of Company | Company Code Name | Firma | Name der Firma | Bezeichnung
name1      Name | Name 1 | Organization BP Name 1 | Customer Name
name2      Name 2 | Organization BP Name 2
land1      Country | Ctr | Cty | Land | LKZ | Länderschlüssel
regio      Region | Rg
brsch      Industry | Branche | IndKey
erdat      Created on | Creation Date | Angelegt am | Anlagedatum
stceg      VAT Registration No. | VAT Reg. No. | VAT Registration | USt-Id.Nr | USt-IdNr.
telf1      Telephone 1 | Telephone | Phone Number 1 | Telefon 1 | Telefon
loevm      Deletion Flag | Del. | Deletion Indicator | Löschvormerkung | LöschVorm
aufsd      Order Block | Central Order Block | OrdB | Auftragssperre | AufSp
sperr      Posting Block | Posting Is Blocked | Buchungssperre | BuSp
adrnr      Address | Address Number | Address ID | Adresse | Adressnummer
addrnumber Address Number | Addr. No. | Address ID | Adressnummer | Adr.Nr.
smtp_addr  E-Mail Address | Email Address | E-Mail-Adresse
flgdefault Standard | Default | Is Default | Std
spras      Language | Language Key | Sprache | Sprachenschlüssel | Spr
ktokd      Account Group | Customer Account Group | Group | Kontengruppe | KtoGr
"""
"""Each column by its technical name, and what lists and views call it (blanks, dots and case do not count)."""


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


_CALLED: Final[dict[str, list[str]]] = {}
for _line in CALLED.strip().splitlines():
    _name, _, _labels = _line.partition(" ")
    _CALLED.setdefault(_name, []).extend(_plain(label) for label in _labels.split("|"))


def table_of(path: Path) -> str | None:
    """The table that a file is named for, by the first of its words that names one."""
    words = re.split(r"[^a-z0-9]+", path.stem.lower())
    return next((NAMED[word] for word in words if word in NAMED), None)


# --- a file's text ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sheet:
    """How a file is written: where its header is, and in which place of a row each column we read stands."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    line: int
    places: Mapping[str, int]


def sheet_of(path: Path, name: str) -> Sheet:
    """Find a file's header and what it calls the columns of a table.

    Raises:
        SourceError: it is no text, or lacks a column.
    """
    encoding, _, written = csv_files.encoding_of(path, csv_files.Told())
    for told in written:
        log.info("  %s", told)
    with path.open(encoding=csv_files.text_encoding(encoding), newline="") as file:
        lines = [line for line, _ in zip(file, range(HEADER_LINES), strict=False)]
    table = TABLES[name]
    best: Sheet | None = None
    most = 0
    for number, line in enumerate(lines, start=1):
        for delimiter in ("|", "\t", ";", ","):
            header = tuple(_cells(line, delimiter))
            places = _places(header, table)
            if len(places) > most:
                best, most = Sheet(path, encoding, delimiter, header, number, places), len(places)
    missing = [column for column in table.needs.split() if best is None or column not in best.places]
    if best is None or missing:
        found = f"; line {best.line} has {shown(', '.join(filter(None, best.header)), 300)}" if best else ""
        raise SourceError(
            f"{path}: column {', '.join(missing).upper()} is missing, which {name.upper()} needs{found}. Put it into the layout, and "
            "export with technical names where a label is not known"
        )
    return best


def _places(header: Sequence[str], table: Table) -> dict[str, int]:
    """Where each column stands: by its technical name, else by the first of its labels."""
    plain = [_plain(cell) for cell in header]
    found = {}
    for column in table.columns:
        for name in (_plain(column), *_CALLED.get(column, ())):
            if name in plain:
                found[column] = plain.index(name)
                break
    return found


def _cells(line: str, delimiter: str) -> list[str]:
    """A row of a list, whose cells are padded; what is quoted is as spreadsheets write it."""
    line = line.rstrip("\r\n")
    if delimiter in "|\t":
        return [_unquoted(cell.strip()) for cell in line.split(delimiter)]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if len(cell) > 1 and cell[0] == cell[-1] == '"' else cell


def rows_of(sheet: Sheet, keys: Sequence[str], skipped: Counter[str]) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of each row, without rules, headers that come again and totals, which name no document.

    Raises:
        SourceError: a line has other columns than the header.
    """
    width, named = len(sheet.header), [sheet.places[key] for key in keys if key in sheet.places]
    with sheet.path.open(encoding=csv_files.text_encoding(sheet.encoding), newline="") as file:
        for _ in range(sheet.line):
            file.readline()
        for number, cells in _split(sheet, file):
            if not any(cells) or all(not cell or set(cell) <= {"-"} for cell in cells):
                continue
            if len(cells) < width and sheet.delimiter == "\t":
                cells += [""] * (width - len(cells))
            if not any(cells[place] for place in named if place < len(cells)):
                skipped["totals and other lines without a document"] += 1
                continue
            if len(cells) != width:
                near = shown(sheet.delimiter.join(cells), 60)
                raise SourceError(
                    f"{sheet.path} line {number}: {len(cells)} values where the header has {width}, in «{near}»: a text with a "
                    "delimiter in it? Leave texts out of the layout, or export with another delimiter"
                )
            if tuple(cells) != sheet.header:
                yield number, cells


def _split(sheet: Sheet, file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    if sheet.delimiter in "|\t":
        for number, line in enumerate(file, start=sheet.line + 1):
            yield number, _cells(line, sheet.delimiter)
        return
    reader = csv.reader(file, delimiter=sheet.delimiter, strict=True)
    try:
        for cells in reader:
            yield sheet.line + reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as broken:
        raise SourceError(f"{sheet.path} line {sheet.line + reader.line_num}: {broken}") from None


# --- dates and numbers ------------------------------------------------------------------------------------------------


def _bare(value: str) -> str:
    """A number without its sign, and without what people put between thousands but points and commas."""
    return f"regexp_replace(trim({value}), '[\\s''\\x{{A0}}\\x{{202F}}]|^[+-]|[+-]$', '', 'g')"


def _decimal_of(value: str) -> str:
    """Which sign a number has its fraction behind; `?` where it may be thousands."""
    bare_ = _bare(value)
    return f"""case
        when regexp_matches({bare_}, '[.].*,') then ','
        when regexp_matches({bare_}, ',.*[.]') then '.'
        when regexp_matches({bare_}, ',.*,') then '.'
        when regexp_matches({bare_}, '[.].*[.]') then ','
        when regexp_full_match({bare_}, '[1-9]\\d{{0,2}}[.,]\\d{{3}}') then '?'
        when regexp_matches({bare_}, '\\d,\\d') then ','
        when regexp_matches({bare_}, '\\d[.]\\d') then '.'
    end"""


def _order_of(value: str) -> str:
    """In which order a date has its parts that does not begin with the year; points are Germany's, day first."""
    return f"""case
        when {value} is null or regexp_matches({value}, '^0+[/-]0') then null
        when not regexp_matches({value}, '^\\d{{1,2}}[/-]\\d{{1,2}}[/-]\\d{{4}}') then null
        when cast(regexp_extract({value}, '^\\d+') as integer) > 12 then '{DAY_FIRST}'
        when cast(regexp_extract({value}, '^\\d+[/-](\\d+)', 1) as integer) > 12 then '{MONTH_FIRST}'
        else '?'
    end"""


def _number(column: str, fraction: int, type_: str) -> str:
    """A column as a number; null where it is none."""
    value = _bare(column)
    text = f"case when decimal = ',' then replace(replace({value}, '.', ''), ',', '.') else replace({value}, ',', '') end"
    sign = f"case when regexp_matches(trim({column}), '^-|-$') then '-' else '' end"
    fits = f"regexp_full_match({text}, '\\d{{1,14}}([.]\\d{{0,{fraction}}})?')"
    return f"case when coalesce({value}, '') = '' then 0 when {fits} then cast(({sign}) || ({text}) as {type_}) end"


def _day(column: str) -> str:
    """A column as YYYYMMDD; empty where there is none, null where it is none."""
    value = f"trim({column})"
    first, second = (f"lpad(regexp_extract({value}, '^(\\d+)[./-](\\d+)', {n}), 2, '0')" for n in (1, 2))
    year = f"regexp_extract({value}, '^\\d+[./-]\\d+[./-](\\d{{4}})', 1)"
    text = f"""case
        when regexp_full_match({value}, '\\d{{8}}') then {value}
        when regexp_matches({value}, '^\\d{{4}}[./-]\\d{{1,2}}[./-]\\d{{1,2}}($|[ T])')
            then left({value}, 4) || lpad(regexp_extract({value}, '^\\d+[./-](\\d+)', 1), 2, '0')
                 || lpad(regexp_extract({value}, '^\\d+[./-]\\d+[./-](\\d+)', 1), 2, '0')
        when regexp_matches({value}, '^\\d{{1,2}}[.]\\d{{1,2}}[.]\\d{{4}}($|[ T])') or dates = '{DAY_FIRST}'
            then {year} || {second} || {first}
        when regexp_matches({value}, '^\\d{{1,2}}[/-]\\d{{1,2}}[/-]\\d{{4}}($|[ T])') then {year} || {first} || {second}
    end"""
    none = f"coalesce(trim({column}), '') = '' or regexp_full_match({value}, '0+([./-]0+[./-]0+)?')"
    return f"case when {none} then '' when try_strptime({text}, '%Y%m%d') is not null then {text} end"


def _typed(column: str) -> str:
    """A column as the queries have it."""
    if column in AMOUNTS:
        return _number(column, 4, "decimal(18, 4)")
    if column in RATES:
        return _number(column, 10, "decimal(18, 10)")
    if column in FRACTIONS:
        return f"coalesce(try_cast(replace(trim({column}), ',', '.') as decimal(9, 3)), 0)"
    if column in WHOLE:
        return f"coalesce(try_cast(regexp_replace(trim({column}), '[., ]', '', 'g') as integer), 0)"
    if column in DATES:
        return _day(column)
    if column == "gdatu":  # kept as what it lacks of 99999999; lists show the day
        kept = f"cast(99999999 - try_cast({_day(column)} as integer) as varchar)"
        return f"case when regexp_full_match(trim({column}), '[789]\\d{{7}}') then trim({column}) else {kept} end"
    if width := WIDTHS.get(column):
        text = f"coalesce(trim({column}), '')"
        return f"case when regexp_full_match({text}, '\\d{{1,{width}}}') then lpad({text}, {width}, '0') else {text} end"
    return f"coalesce(trim({column}), '')"


# --- the folder -------------------------------------------------------------------------------------------------------


class SapFilesSettings(ConnectorSettings, env_prefix="ARREARS_SAP_FILES_"):
    """The folder; which client and company codes of those in it; account groups of customers who are none (marketplaces, one's own
    companies); document types of one's own that are payments or write-offs; and what nothing in the files decides: the decimal sign, the
    order of dates, whether amounts of currencies without two digits are as the tables store them or as lists show them."""

    dir: Path
    client: str = ""
    company_codes: str = ""
    left_out_groups: str = ""
    payment_types: str = ""
    write_off_types: str = ""
    decimal: Literal["", ".", ","] = ""
    dates: Literal["", "day first", "month first"] = ""
    amounts: Literal["", "stored", "shown"] = ""

    @field_validator("dir")
    @classmethod
    def _from_root(cls, path: Path) -> Path:
        return ROOT / path


class SapFilesSource:
    """A folder of files, read into tables of a database of this run alone when first asked for."""

    def __init__(self, own: SapFilesSettings, opening: Opening):
        """
        Raises:
            SourceError: there is no such folder, or no table of SAP's in it.
        """
        if not own.dir.is_dir():
            raise SourceError(f"ARREARS_SAP_FILES_DIR: there is no folder {own.dir}")
        self.own = own
        self._lock = Lock()
        self._folder = Path(opening.stack.enter_context(TemporaryDirectory(prefix="arrears-sap-", ignore_cleanup_errors=True)))
        self._skipped: Counter[str] = Counter()
        self._groups: Counter[str] = Counter()
        self._con: duckdb.DuckDBPyConnection | None = None
        opening.stack.callback(self.close)
        self.files: dict[str, list[Path]] = {name: [] for name in TABLES}
        for path in sorted(own.dir.iterdir()):
            if path.is_file() and not path.name.startswith(".") and (table := table_of(path)):
                if path.suffix.lower() not in ENDINGS:
                    raise SourceError(f"{path} is not read: save it as text ({', '.join(ENDINGS)}), or move it away")
                self.files[table].append(path)
        lacking = [table for table in REQUIRED if not self.files[table]]
        if not self.files["bsid"] and not self.files["items"]:
            lacking.insert(0, "bsid (or a list of all lines: fbl5n, bseg, acdoca)")
        if lacking:
            raise SourceError(f"ARREARS_SAP_FILES_DIR: {own.dir} has no file named for {', '.join(lacking)}")

    def close(self) -> None:
        if self._con is not None:
            self._con.close()
            self._con = None

    def fetch(self, dataset: Dataset, since: datetime | None) -> Delivery | None:
        del since  # files are a full snapshot
        path = QUERIES / f"{dataset.name}.sql"
        needs = {"payment_terms": "t052", "exchange_rates": "tcurr"}.get(dataset.name)
        if not path.exists() or (needs and not self.files[needs]):
            return None
        con, left_out = self.books, dict(self._left_out.get(dataset.name, {}))
        query = bare(path)
        if dataset.name == "invoices":
            left_out |= self._skipped
            query = f"select * from ({query}) union all by name select * from unread" if self.unread else query
        if dataset.name == "customers":
            left_out |= self._groups
        return Delivery(pages=_pages(con, query, dataset), full=True, origin=str(self.own.dir), left_out=left_out)

    def aged(self, day: date) -> Iterator[Aged]:
        """What the open lines come to, by customer and currency, on the day they were exported."""
        del day
        for customer, currency, balance in self.books.execute(bare(QUERIES / AGED)).fetchall():
            yield Aged(customer, currency, Decimal(balance))

    def companies(self) -> Sequence[Company]:
        return [Company(*row) for row in self.books.execute("select bukrs, butxt from every_t001 order by bukrs").fetchall()]

    def rights(self) -> Iterator[Right]:
        """Each table of the folder, whether its files have what it needs."""
        for name in TABLES:
            if self.files[name]:
                yield Right.tried(name.upper(), partial(_sheets, self.files[name], name))

    # --- reading -----------------------------------------------------------------------------------------------------

    @property
    def books(self) -> duckdb.DuckDBPyConnection:
        """A connection of one's own to the tables.

        Raises:
            SourceError: a file cannot be read.
        """
        with self._lock:
            if self._con is None:
                con = duck.connect(str(self._folder / "books.duckdb"), memory_limit="1GB")
                try:
                    self._read(con)
                except BaseException:
                    con.close()
                    raise
                self._con = con
            return self._con.cursor()

    @cached_property
    def unread(self) -> int:
        """How many lines have an amount or a date that is none: delivered as they are, for landing to refuse."""
        return int(_one(self.books, "select count(*) from unread"))

    @cached_property
    def _left_out(self) -> Mapping[str, Mapping[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for dataset, what, records in self.books.execute(bare(QUERIES / LEFT_OUT)).fetchall():
            if records:
                found.setdefault(dataset, {})[what] = records
        return found

    def _read(self, con: duckdb.DuckDBPyConnection) -> None:
        con.execute("create table forms (file integer, path varchar, decimal varchar, dates varchar)")
        for name, table in TABLES.items():
            self._load(con, name)
            if table.without and not self.files[name]:
                log.info("  no file of %s: %s", name.upper(), table.without)
        self._recognise(con)
        for name, table in TABLES.items():
            _type(con, name, table)
        self._choose(con)
        _divide(con)
        self._shift(con)
        self._types(con)
        parts = parts_of(bare(QUERIES / "allocations.sql"), _query)
        for name, part in parts.items():
            if name != DOCUMENT_TYPES:
                con.execute(f"create table {name} as {part}")

    def _load(self, con: duckdb.DuckDBPyConnection, name: str) -> None:
        """The rows of a table's files as they are written."""
        table = TABLES[name]
        columns = table.columns
        con.execute(
            f"create table raw_{name} ({', '.join(f'{column} varchar' for column in columns)}, file integer, line integer)"
        )
        for path in self.files[name]:
            sheet = sheet_of(path, name)
            (number,) = con.execute("select count(*) from forms").fetchall()[0]
            con.execute("insert into forms values (?, ?, null, null)", [number, str(path)])
            keys = table.key.split() or table.needs.split()
            for lines in _batches(rows_of(sheet, keys, self._skipped), BATCH_ROWS):
                cells = list(zip(*(row for _, row in lines), strict=True))
                given = {c: pa.array(cells[sheet.places[c]], pa.string()) for c in columns if c in sheet.places}
                batch = pa.table(
                    {c: given.get(c, pa.nulls(len(lines), pa.string())) for c in columns}
                    | {
                        "file": pa.array([number] * len(lines), pa.int32()),
                        "line": pa.array([line for line, _ in lines], pa.int32()),
                    }
                )
                con.register("batch", batch)
                con.execute(f"insert into raw_{name} select * from batch")
                con.unregister("batch")

    def _recognise(self, con: duckdb.DuckDBPyConnection) -> None:
        """How each file writes numbers and dates. What one does not decide the others do, for one user exported them all."""
        self._decide(
            con, "decimal", (*AMOUNTS, *RATES), _decimal_of, self.own.decimal, "a point or a comma, ARREARS_SAP_FILES_DECIMAL"
        )
        self._decide(
            con, "dates", (*DATES, "gdatu"), _order_of, self.own.dates,
            f"{DAY_FIRST} or {MONTH_FIRST}, ARREARS_SAP_FILES_DATES",
        )  # fmt: skip

    def _decide(
        self,
        con: duckdb.DuckDBPyConnection,
        what: str,
        columns: Sequence[str],
        test: Callable[[str], str],
        told: str,
        setting: str,
    ) -> None:
        seen = " union all ".join(
            f"select file, {column} as value from raw_{name}"
            for name, table in TABLES.items()
            for column in columns
            if column in table.columns
        )
        found: dict[int, dict[str, str]] = {}
        for file, form, example in con.execute(
            f"select file, form, min(value) from (select file, value, {test('value')} as form from ({seen})) "
            "where form is not null group by file, form order by file, form desc"
        ).fetchall():
            found.setdefault(file, {})[form] = example
        paths = dict(con.execute("select file, path from forms").fetchall())
        decided = {file: [form for form in forms if form != "?"] for file, forms in found.items()}
        for file, several in decided.items():
            if len(several) > 1 and not told:
                examples = " and ".join(f"«{shown(found[file][form], 30)}»" for form in several)
                raise SourceError(
                    f"{paths[file]}: writes both {examples}: export it anew as one user, or say which is meant ({setting})"
                )
        others = {form for forms in decided.values() for form in forms}
        for file, forms in found.items():
            form = told or next(iter(decided[file]), "") or (next(iter(others)) if len(others) == 1 else "")
            if not form:
                example = shown(forms["?"], 30)
                raise SourceError(
                    f"{paths[file]}: «{example}» can be read in two ways, and nothing in the files decides: set {setting}"
                )
            con.execute(f"update forms set {what} = ? where file = ?", [form, file])
            log.info("  %s: %s", Path(paths[file]).name, f"decimal sign «{form}»" if what == "decimal" else f"dates {form}")

    def _choose(self, con: duckdb.DuckDBPyConnection) -> None:
        """Of clients and company codes those that are meant, and of customers those that are.

        Raises:
            SourceError: there are several clients and none is named, or one that is not there.
        """
        clients = [name for (name,) in con.execute(
            " union ".join(f"select mandt from {name}" for name, table in TABLES.items() if "mandt" in table.columns)
        ).fetchall() if name]  # fmt: skip
        if (len(clients) > 1 and not self.own.client) or (self.own.client and clients and self.own.client not in clients):
            raise SourceError(f"ARREARS_SAP_FILES_CLIENT: say which client; the files have {', '.join(sorted(clients))}")
        for name, table in TABLES.items():
            if self.own.client and "mandt" in table.columns:
                con.execute(f"delete from {name} where mandt not in ('', ?)", [self.own.client])
        con.execute("create table every_t001 as select * from t001")
        codes = [
            code.strip().rjust(4, "0") if code.strip().isdigit() else code.strip() for code in self.own.company_codes.split(",")
        ]
        if codes := [code for code in codes if code]:
            known = [code for (code,) in con.execute("select bukrs from t001 order by bukrs").fetchall()]
            if unknown := [code for code in codes if code not in known]:
                raise SourceError(f"ARREARS_SAP_FILES_COMPANY_CODES: {', '.join(unknown)} is none of {', '.join(known)}")
            for name in ("bsid", "bsad", "items", "t001", "knb1", "bkpf"):
                con.execute(f"delete from {name} where not list_contains(?, bukrs)", [codes])
        groups = [group.strip() for group in self.own.left_out_groups.split(",") if group.strip()]
        for group, records in con.execute(
            "select ktokd, count(*) from kna1 where list_contains(?, ktokd) group by ktokd", [groups]
        ).fetchall():
            self._groups[f"customers of account group {group}"] = records
        for name in ("bsid", "bsad", "items", "kna1"):  # the customers last
            con.execute(f"delete from {name} where kunnr in (select kunnr from kna1 where list_contains(?, ktokd))", [groups])

    def _shift(self, con: duckdb.DuckDBPyConnection) -> None:
        """Whether amounts of currencies without two digits are as the tables store them, shifted, or as lists show them: told by how many
        digits they are written with.

        Raises:
            SourceError: nothing tells, or files differ.
        """
        if not con.execute("select count(*) from tcurx").fetchall()[0][0]:
            con.executemany(
                "insert into tcurx (currkey, currdec) values (?, ?)", [list(row) for row in digits().items() if row[1] != 2]
            )
        con.execute(
            f"""
            create temp table written as
            with amounts as (
                select a.file, upper(trim(coalesce(nullif(a.waers, ''), h.waers))) as currency,
                    length(regexp_extract(
                        {_bare("a.wrbtr")}, case when f.decimal = ',' then ',(\\d+)$' else '[.](\\d+)$' end, 1
                    )) as fraction
                from ({_raw("file, waers, wrbtr, bukrs, belnr, gjahr")}) as a
                left join forms as f on a.file = f.file
                left join (select bukrs, belnr, gjahr, any_value(waers) as waers from raw_bkpf group by all) as h
                    on a.bukrs = h.bukrs and a.belnr = h.belnr and a.gjahr = h.gjahr
            ),
            fixed as (
                select amounts.file, min(fraction) = 2 and max(fraction) = 2 as is_fixed
                from amounts left join tcurx on currency = currkey where coalesce(currdec, 2) = 2 group by amounts.file
            )
            select a.currency, any_value(p.path) as path,
                case
                    when t.currdec = 0 and a.fraction > 0 then 'stored'
                    when t.currdec = 0 and x.is_fixed then 'shown'
                    when t.currdec > 2 and a.fraction = t.currdec then 'shown'
                    when t.currdec > 2 and a.fraction = 2 and x.is_fixed then 'stored'
                end as form
            from amounts as a inner join tcurx as t on a.currency = t.currkey and t.currdec <> 2
            left join fixed as x on a.file = x.file left join forms as p on a.file = p.file
            group by all
            """
        )
        found = con.execute("select form, min(currency), min(path) from written group by form").fetchall()
        forms = {form: (currency, path) for form, currency, path in found if form}
        if len(forms) > 1 and not self.own.amounts:
            told = "; ".join(f"{path}: {currency} as {form}" for form, (currency, path) in sorted(forms.items()))
            raise SourceError(
                f"amounts are written both as tables store them and as lists show them ({told}): export them in one way"
            )
        form = self.own.amounts or next(iter(forms), "")
        if found and not form:
            raise SourceError(
                f"{found[0][2]}: amounts in {found[0][1]} may be as tables store them (1500 yen are 15.00) or as lists show them, and "
                "nothing in the files decides: set ARREARS_SAP_FILES_AMOUNTS=stored or shown"
            )
        if found:
            log.info(
                "  amounts of currencies without two digits are as %s",
                "tables store them" if form == "stored" else "lists show them",
            )
        if form == "shown":
            con.execute("delete from tcurx")

    def _types(self, con: duckdb.DuckDBPyConnection) -> None:
        """What document types are: one's own before those that ship."""
        con.execute(f"create table {DOCUMENT_TYPES} as {bare(QUERIES / f'{DOCUMENT_TYPES}.sql')}")
        for kind, listed in (("payment", self.own.payment_types), ("write_off", self.own.write_off_types)):
            for type_ in filter(None, (part.strip() for part in listed.split(","))):
                con.execute(f"delete from {DOCUMENT_TYPES} where blart = ?", [type_])
                con.execute(f"insert into {DOCUMENT_TYPES} values (?, ?)", [type_, kind])


def _sheets(files: Sequence[Path], name: str) -> list[Sheet]:
    return [sheet_of(path, name) for path in files]


def _query(name: str) -> Path | None:
    return path if (path := QUERIES / name).exists() else None


def _type(con: duckdb.DuckDBPyConnection, name: str, table: Table) -> None:
    """A table with its values as the queries have them; of lines that come several times, in several files, the last."""
    values = ", ".join(f"{_typed(column)} as {column}" for column in table.columns)
    again = (
        f"qualify row_number() over (partition by {', '.join(table.key.split())} order by file desc, line desc) = 1"
        if table.key
        else ""
    )
    con.execute(f"create table {name} as select {values}, file, line from raw_{name} left join forms using (file) {again}")


def _divide(con: duckdb.DuckDBPyConnection) -> None:
    """Lines of both kinds into the open and the cleared ones, what stands in the document's head alone put to them; what has an amount or
    a day that is none apart, as written."""
    head = ("budat", "bldat", "blart", "waers", "cpudt", "bstat", "xblnr")
    lines = [c for c in TABLES["bsid"].columns if c not in ("netdt", "mandt")]
    of_head = ", ".join(f"coalesce(nullif(min(i.{c}), ''), min(h.{c}), '') as {c}" for c in head)
    plain = [c for c in (*lines, "netdt") if c not in (*head, *_KEY.split(), *AMOUNTS)]
    con.execute(
        f"""
        create table together as
        select i.bukrs, i.belnr, i.gjahr, i.buzei, {of_head}, {", ".join(f"min(i.{c}) as {c}" for c in plain)},
            {", ".join(f"sum(i.{c}) as {c}" for c in AMOUNTS)}, min(i.file) as file, min(i.line) as line
        from items as i left join bkpf as h on i.bukrs = h.bukrs and i.belnr = h.belnr and i.gjahr = h.gjahr
        where i.koart in ('', 'D') and i.rldnr in ('', '0L') and i.kunnr <> ''
        group by i.bukrs, i.belnr, i.gjahr, i.buzei
        """
    )
    names = ", ".join((*lines, "netdt", "file", "line"))
    con.execute(
        f"""
        create table all_lines as
        select
            *,
            wrbtr is not null and wskto is not null and coalesce(budat, '') <> '' and bldat is not null and zfbdt is not null
            and netdt is not null and augdt is not null as is_read
        from (
            select {names}, 'bsid' as kept from bsid
            union all select {names}, 'bsad' from bsad
            union all select {names}, case when ltrim(augbl, '0') = '' then 'bsid' else 'bsad' end from together
        )
        """
    )
    con.execute(
        f"""
        create table unread as
        select
            concat(l.bukrs, '/', l.gjahr, '/', l.belnr, '/', l.buzei) as invoice_id,
            coalesce(nullif(l.xblnr, ''), l.belnr) as invoice_number,
            l.kunnr as customer_id, l.bukrs as company_id, 'invoice' as document_type, {_shown("budat")} as invoice_date,
            coalesce({_shown("netdt")}, {_shown("zfbdt")}) as due_date, l.waers as currency,
            coalesce(cast(abs(l.wrbtr) as varchar), r.wrbtr) as amount
        from all_lines as l
        left join ({_raw("file, line, wrbtr, budat, zfbdt, netdt")}) as r on l.file = r.file and l.line = r.line
        where not l.is_read
        """
    )
    for name in ("bsid", "bsad"):
        values = ", ".join({
            "zfbdt": "coalesce(nullif(netdt, ''), zfbdt) as zfbdt",
            "shkzg": "case when shkzg in ('S', 'H') then shkzg when wrbtr < 0 then 'H' else 'S' end as shkzg",
            **{c: f"case when netdt <> '' then 0 else {c} end as {c}" for c in ("zbd1t", "zbd2t", "zbd3t")},
        }.get(c, c) for c in lines)  # fmt: skip
        con.execute(f"create or replace table {name} as select {values} from all_lines where kept = '{name}' and is_read")


def _raw(columns: str) -> str:
    """Columns of all lines as they are written."""
    return " union all ".join(f"select {columns} from raw_{name}" for name in ("bsid", "bsad", "items"))


def _shown(column: str) -> str:
    """A day that could be read as the contract has it, else as it is written."""
    day = f"l.{column}"
    read = f"left({day}, 4) || '-' || substr({day}, 5, 2) || '-' || right({day}, 2)"
    return f"coalesce(case when {day} <> '' then {read} end, nullif(r.{column}, ''))"


def _batches(rows: Iterable[tuple[int, list[str]]], size: int) -> Iterator[list[tuple[int, list[str]]]]:
    batch: list[tuple[int, list[str]]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _pages(con: duckdb.DuckDBPyConnection, query: str, dataset: Dataset) -> Iterator[pa.Table]:
    with con:
        for batch in con.sql(query).to_arrow_reader(PAGE_ROWS):
            yield as_page(pa.Table.from_batches([batch]), dataset)


def _one(con: duckdb.DuckDBPyConnection, query: str) -> Any:
    return con.execute(query).fetchall()[0][0]


CONNECTOR = Connector(
    name="sap_files",
    settings=SapFilesSettings,
    opened=SapFilesSource,
    words=lambda own: str(own.dir),
    needs="ARREARS_SAP_FILES_DIR, the folder of BSID, BSAD, KNA1, T001 and what goes with them",
    gives=frozenset({"ledger", "rates"}),
    companies=SapFilesSource.companies,
    rights=SapFilesSource.rights,
    aged=SapFilesSource.aged,
)
