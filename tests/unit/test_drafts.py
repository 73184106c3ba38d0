"""What is proposed to be said to customers: the words, the files, and what must never get into either."""

from __future__ import annotations

import csv
import email
import email.policy
import hashlib
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from email.message import EmailMessage
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dagster_project.outgoing.letters import drafts
from dagster_project.outgoing.letters.drafts import ENGLISH, Draft, chosen, languages
from dagster_project.outgoing.letters.letterhead import LetterheadError, Letterheads, letterheads
from dagster_project.paths import DBT_PROJECT, ROOT

AS_OF = date(2026, 11, 22)
STEPS = list(csv.DictReader((DBT_PROJECT / "seeds" / "policy" / "dunning_steps.csv").open(encoding="utf-8")))
TONES = ("friendly", "neutral", "firm", "urgent")

ACTION = {
    "rank": 1,
    "customer_id": "0001",
    "customer_name": "Kröger & Söhne",
    "collector": "Anna Berg",
    "company_name": "Nordwind GmbH",
    "step_label": "Second notice",
    "channel": "email",
    "audience": "accounts_payable",
    "tone": "firm",
    "template": "second_overdue_notice",
    "effect": "none",
    "has_earlier_notice": True,
    "contact_name": "Jörg Kröger",
    "contact_email": "ap@kroeger.example",
    "oldest_days_past_due": 20,
    "late_fee_rate_pct": Decimal("1.5"),
    "reporting_currency": "EUR",
    "item_count": 2,
    "language": "de",
    "credit_used": Decimal("1234.5600"),
}
ITEMS = (
    {
        "customer_id": "0001",
        "item_id": "I1",
        "document_number": "R-1",
        "document_date": date(2026, 10, 3),
        "due_date": date(2026, 11, 2),
        "days_past_due": 20,
        "currency": "EUR",
        "open_amount": Decimal("1234.5600"),
        "dunnable_amount": Decimal("1234.5600"),
        "late_fee_preview": Decimal("12.3500"),
    },
    {
        "customer_id": "0001",
        "item_id": "I2",
        "document_number": "R-2",
        "document_date": date(2026, 11, 20),
        "due_date": date(2026, 12, 20),
        "days_past_due": -28,
        "currency": "USD",
        "open_amount": Decimal("200.0000"),
        "dunnable_amount": Decimal("150.0000"),
        "discount_until": date(2026, 11, 30),
        "discount_amount": Decimal("4.0000"),
    },
)


@pytest.fixture
def drafted(mart: Callable[..., pa.Table]) -> Callable[..., Draft]:
    """The draft for one customer; what is said of it, its items or its open items can be changed."""

    def made(
        items: tuple[dict[str, Any], ...] = ITEMS,
        book: pa.Table | None = None,
        link: str = "",
        letterhead: Any = None,
        **changes: Any,
    ) -> Draft:
        actions = drafts.with_files(mart("dunning_worklist", {**ACTION, "item_count": len(items), **changes}), 500)
        acted = mart("dunning_items", *items)
        (draft,) = drafts.drafts(AS_OF, "net_terms", actions, acted, book, link, letterhead)
        return draft

    return made


def parsed(draft: Draft) -> EmailMessage:
    message = email.message_from_bytes(draft.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage) and not message.defects
    return message


def text_of(draft: Draft) -> str:
    if draft.file.endswith(".txt"):
        return draft.content.decode()
    body = parsed(draft).get_body()
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_an_amount_has_the_digits_of_its_currency_in_words_and_statement(
    drafted: Callable[..., Draft], mart: Callable[..., pa.Table]
) -> None:
    amounts = {"JPY": "182506.0000", "KWD": "30.5500", "EUR": "7.5000"}
    items = [
        {**ITEMS[0], "item_id": name, "document_number": f"R-{name}", "currency": name, "late_fee_preview": None}
        | dict.fromkeys(("open_amount", "dunnable_amount"), Decimal(amount))
        for name, amount in amounts.items()
    ]
    listed = ("customer_id", "item_id", "document_number", "document_date", "currency", "open_amount")
    book = [{name: item[name] for name in listed} | {"original_amount": item["open_amount"]} for item in items]
    draft = drafted(tuple(items), book=mart("open_items", *book), language="en")
    (statement,) = parsed(draft).iter_attachments()
    for told in (text_of(draft), str(statement.get_content())):
        assert "182,506.00" not in told and "182506.00" not in told and "30.55 " not in told
    assert all(shown in text_of(draft) for shown in ("7.50 EUR, 182,506 JPY and 30.550 KWD", "R-KWD"))
    lines = str(statement.get_content()).splitlines()
    assert [line.split(",")[-3:] for line in lines[1:4]] == [
        ["7.50", "7.50", "EUR"],
        ["182506", "182506", "JPY"],
        ["30.550", "30.550", "KWD"],
    ]


# --- every text in every language --------------------------------------------------------------------------------------


def test_texts_are_read_once_and_not_for_every_letter() -> None:
    assert languages() is languages()
    assert languages()[ENGLISH].template("first_overdue_notice") is languages()[ENGLISH].template("first_overdue_notice")


@pytest.mark.parametrize("language", sorted(languages()))
def test_every_template_of_every_pack_is_written_in_every_language_and_none_is_left_over(language: str) -> None:
    folder = drafts.TEMPLATES / language
    written = {path.stem for path in folder.glob("*.txt") if not path.stem.startswith("_")}
    assert written == {step["template"] for step in STEPS} | {drafts.CALL}
    assert {path.name for path in folder.iterdir()} == {path.name for path in (drafts.TEMPLATES / ENGLISH).iterdir()}
    assert languages()[language].words.keys() == languages()[ENGLISH].words.keys()


CASES = sorted({(step["template"], step["effect"]) for step in STEPS})


@pytest.mark.parametrize(("language", "channel"), product(sorted(languages()), ("email", "call")))
def test_every_text_reads_well_whatever_there_is_to_say(language: str, channel: str, mart: Callable[..., pa.Table]) -> None:
    """A name that a template does not know is an error; what is checked here is that nothing unfinished gets through."""
    bare = {"contact_name": None, "late_fee_rate_pct": None, "company_name": None}
    cases = list(
        product(
            CASES,
            TONES,
            ("accounts_payable", "senior"),
            (ITEMS, ITEMS[:1], ITEMS[1:]),
            ({}, {**bare, "contact_phone": "+49 30 1"}),
        )
    )
    actions = [
        {**ACTION, "customer_id": f"K{place}", "item_count": len(items), "language": language, "channel": channel}
        | {"template": template, "effect": effect, "tone": tone, "audience": audience, "collector": f"Kim {place % 9}", **given}
        for place, ((template, effect), tone, audience, items, given) in enumerate(cases)
    ]
    acted = mart("dunning_items", *(item for case in cases for item in case[3]))
    made = drafts.drafts(AS_OF, "net_terms", drafts.with_files(mart("dunning_worklist", *actions), 500), acted, None, "")
    for draft, (_, _, _, items, _) in zip(made, cases, strict=True):
        text = text_of(draft)
        assert draft.subject and not re.search(r"[{}]|None|\n\n\n| \n", text), text
        assert all(item["document_number"] in text for item in items)
        assert text.count("Kundennummer K" if language == "de" else "Customer no. K") == 1


def test_what_goes_with_a_step_is_said_and_what_does_not_is_not(drafted: Callable[..., Draft]) -> None:
    said = text_of(drafted(language="en"))
    assert "R-1       3 Oct 2026   2 Nov 2026              20  1,234.56  EUR" in said
    assert "R-2       20 Nov 2026  20 Dec 2026                   150.00  USD" in said
    assert "Past due: 1,234.56 EUR\nNot yet due: 150.00 USD\n" in said, "never added up across currencies"
    assert "Amounts in dispute" in said, "150.00 of 200.00 are asked for"
    assert "A discount of 4.00 USD on R-2 can still be taken if you pay by 30 Nov 2026." in said
    assert "a late fee of 1.50 % a month. To date that comes to 12.35 EUR.\nIt has not been charged" in said
    assert "If you dispute any of this" in said
    assert "Pay online" not in said and "attached" not in said and "on hold" not in said and "personally" not in said

    calm = text_of(drafted(({**ITEMS[0], "late_fee_preview": None},), language="en"))
    assert not re.search("discount|late fee|Amounts in dispute|Not yet due", calm)
    statutory = {**ITEMS[0], "late_fee_compensation_amount": Decimal(40), "late_fee_compensation_currency": "EUR"}
    assert "By law, overdue amounts bear interest. To date that comes to 12.35 EUR, and to 40.00 EUR for the cost" in text_of(
        drafted((statutory, ITEMS[1]), language="en", late_fee_rate_pct=None)
    )

    link = text_of(drafted(language="en", link="https://pay.example/{customer_id}", customer_id="a/b &c"))
    assert "Pay online: https://pay.example/a%2Fb%20%26c\n" in link
    warned = text_of(drafted(language="en", template="third_notice_hold_warning", audience="senior"))
    assert "put your account on hold" in warned and "personally" in warned


def test_german_is_written_the_german_way(drafted: Callable[..., Draft]) -> None:
    draft = drafted(ITEMS[:1])
    assert draft.subject == parsed(draft)["Subject"] == "Zweite Erinnerung: 1.234,56 EUR überfällig"
    text = text_of(draft)
    assert text.startswith("Guten Tag Jörg Kröger,\n\ntrotz unserer")
    assert "R-1    03.10.2026  02.11.2026               20  1.234,56  EUR" in text
    assert "Verzugskosten von 1,50 % im Monat" in text


def test_the_tone_is_heard(drafted: Callable[..., Draft]) -> None:
    for channel, language in product(("email", "call"), languages()):
        assert len({text_of(drafted(tone=tone, channel=channel, language=language)) for tone in TONES}) == 4


@pytest.mark.parametrize("language", ["en", "de"])
def test_who_was_never_asked_before_is_not_told_of_having_been_asked(language: str, drafted: Callable[..., Draft]) -> None:
    past = r"(?i)earlier|despite|in spite|(second|third) notice|demands have|trotz|bisherig|(zweite|dritte) erinnerung|unsere mahnungen"
    spoke = 0
    for (channel, template), tone in product([("call", "-"), *(("email", step["template"]) for step in STEPS)], TONES):
        given = {"language": language, "channel": channel, "template": template, "tone": tone, "step_label": "-"}
        first = drafted(has_earlier_notice=False, **given)
        assert not re.search(past, f"{first.subject}\n{text_of(first)}"), (template, tone)
        spoke += bool(re.search(past, f"{(again := drafted(**given)).subject}\n{text_of(again)}"))
    assert spoke > 10


def test_a_call_gets_a_script_and_no_mail(drafted: Callable[..., Draft]) -> None:
    draft = drafted(channel="call", language="en", contact_phone="+49 30 5550", effect="warns_of_hold")
    assert draft.file == "drafts/anna-berg/0001-kroger-sohne.txt"
    text = draft.content.decode()
    assert "+49 30 5550" in text and "goes on hold" in text and "the oldest 20 days" in text


# --- which language ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoken", "written"),
    [("de", "de"), ("de-AT", "de"), (" DE_ch ", "de"), ("en", "en"), ("fr", "en"), ("", "en"), (None, "en"), ("../de", "en")],
)
def test_a_customer_is_written_to_in_its_language_or_in_english(spoken: str | None, written: str) -> None:
    assert chosen(spoken, "pre_due_reminder")[0].code == written


def test_a_text_that_a_language_lacks_is_taken_from_english_and_one_that_english_lacks_is_named(tmp_path: Path) -> None:
    for code, texts in (("en", ("a", "b")), ("de", ("a",))):
        (tmp_path / code).mkdir()
        (tmp_path / code / "language.toml").write_bytes((drafts.TEMPLATES / code / "language.toml").read_bytes())
        for name in texts:
            (tmp_path / code / f"{name}.txt").write_text(code)
    (tmp_path / "notes").mkdir()
    found = languages(tmp_path)
    assert sorted(found) == ["de", "en"], "a folder without language.toml is none"
    assert [chosen("de", name, found)[1].render() for name in "ab"] == ["de", "en"]
    with pytest.raises(LookupError, match=r"there is no text c\.txt"):
        chosen("de", "c", found)


# --- the statement of account ------------------------------------------------------------------------------------------

OPEN = (
    ("I1", "invoice", "EUR", "1000.0000"),
    ("I2", "debit_memo", "EUR", "534.5600"),
    ("I3", "credit_memo", "EUR", "-200.0000"),
    ("I4", "payment", "EUR", "-110.0000"),
    ("R1", "refund", "EUR", "10.0000"),
    ("I5", "invoice", "USD", "50.1234"),
)


def book_of(mart: Callable[..., pa.Table], *rows: tuple[str, str, str, str], customer: str = "0001") -> pa.Table:
    return mart(
        "open_items",
        *(
            {
                "customer_id": customer,
                "item_id": item,
                "document_number": f"={item}",
                "item_type": kind,
                "currency": currency,
                **{name: Decimal(amount) for name in ("original_amount", "open_amount", "open_amount_reporting")},
                "document_date": date(2026, 10, 1),
            }
            for item, kind, currency, amount in rows
        ),
    )


@pytest.mark.parametrize(("language", "separator", "comma"), [("de", ";", ","), ("en", ",", ".")])
def test_the_statement_lists_everything_open_and_ties_to_the_balance(
    language: str, separator: str, comma: str, mart: Callable[..., pa.Table], drafted: Callable[..., Draft]
) -> None:
    book = pa.concat_tables([book_of(mart, *OPEN), book_of(mart, ("X", "invoice", "EUR", "9.0000"), customer="0002")])
    message = parsed(drafted(book=book, language=language))
    (attached,) = message.iter_attachments()
    assert attached.get_filename() == {"de": "kontoauszug", "en": "statement-of-account"}[language] + "-2026-11-22.csv"
    assert attached.get_content_type() == "text/csv"
    rows = list(csv.reader(io.StringIO(attached.get_payload(decode=True).decode("utf-8-sig")), delimiter=separator))  # type: ignore[union-attr]
    lines, balances = rows[1:-2], rows[-2:]
    assert len({len(row) for row in rows}) == 1
    assert [line[1] for line in lines] == [f"'={item}" for item, *_ in OPEN], "and no cell is a formula"
    assert [[line[2] for line in lines].count(kind) for kind in languages()[language].words["types"].values()] == [2, 1, 1, 1, 1]
    for *_, balance, currency in balances:
        listed = sum(Decimal(line[-2].replace(comma, ".")) for line in lines if line[-1] == currency)
        assert listed == Decimal(balance.replace(comma, ".")) == {"EUR": Decimal("1234.56"), "USD": Decimal("50.1234")}[currency]
    assert ("liegt bei" if language == "de" else "is attached") in text_of(drafted(book=book, language=language))


# --- the statement in print --------------------------------------------------------------------------------------------


@pytest.fixture
def letterhead() -> Letterheads:
    return letterheads(ROOT / "dagster_project" / "demo" / "letterhead.toml")


def printed(draft: Draft, tmp_path: Path) -> str:
    """What a reader sees on the PDF of a draft."""
    (pdf,) = [part for part in parsed(draft).iter_attachments() if part.get_content_type() == "application/pdf"]
    (tmp_path / "statement.pdf").write_bytes(pdf.get_content())
    if not shutil.which("pdftotext"):
        pytest.skip("no pdftotext is installed (Debian: apt-get install poppler-utils)")
    return subprocess.run(
        ["pdftotext", "-layout", tmp_path / "statement.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    "name", ["Κρόνος Ανώνυμη", "Żółć Łódź Sp. z o.o.", "İstanbul Şirketi Ğ", "Общество Ё", "Groß & Söhne – “x”"]
)
def test_a_printed_statement_says_who_owes_what_where_to_pay_and_where_copies_are(
    name: str, letterhead: Letterheads, tmp_path: Path, mart: Callable[..., pa.Table], drafted: Callable[..., Draft]
) -> None:
    urls = pa.array(["https://copies.example/1?a=b&c=d", "javascript:alert(1)", *[None] * (len(OPEN) - 2)], pa.string())
    book = book_of(mart, *OPEN)
    book = book.set_column(book.column_names.index("document_url"), "document_url", urls)
    given = {
        "book": book,
        "letterhead": letterhead,
        "customer_name": name,
        "language": "en",
        "link": "https://pay.example/{customer_id}",
    }
    draft = drafted(**given)
    text = printed(draft, tmp_path)

    for told in (
        name,
        "Nordwind GmbH",
        "20457 Hamburg",
        "Customer no. 0001",
        "1,234.56",
        "50.1234",
        "DE02 1203 0000",
        "021000021",
        "pay.example/0001",
    ):
        assert told in text, told
    content = (tmp_path / "statement.pdf").read_bytes()
    assert b"(https://copies.example/1?a=b&c=d)" in content
    assert b"javascript" not in content
    assert drafted(**given) == draft, "and the same every time"
    (table,) = [part for part in parsed(draft).iter_attachments() if part.get_content_type() == "text/csv"]
    assert [line.rsplit(",", 1)[-1] for line in str(table.get_content()).splitlines()[:3]] == [
        "Copy",
        "https://copies.example/1?a=b&c=d",
        "",
    ]


def test_signs_that_no_font_has_are_boxes_and_said(
    letterhead: Letterheads,
    tmp_path: Path,
    mart: Callable[..., pa.Table],
    drafted: Callable[..., Draft],
    caplog: pytest.LogCaptureFixture,
) -> None:
    draft = drafted(book=book_of(mart, *OPEN), letterhead=letterhead, customer_name="株式会社 Sample", language="en")
    assert "\N{REPLACEMENT CHARACTER}" * 4 + " Sample" in printed(draft, tmp_path)
    assert "the statement of customer 0001 shows boxes" in caplog.text


def test_a_statement_of_many_pages_has_every_document_and_its_heading_on_each(
    letterhead: Letterheads, tmp_path: Path, mart: Callable[..., pa.Table], drafted: Callable[..., Draft]
) -> None:
    rows = [(f"I{number}", "invoice", "EUR", "1.0000") for number in range(200)]
    text = printed(drafted(book=book_of(mart, *rows), letterhead=letterhead, language="en"), tmp_path)
    assert all(f"=I{number} " in text for number in range(200))
    pages = text.split("\f")[:-1]
    assert len(pages) > 3
    assert all("Document" in page for page in pages)


def test_the_first_statements_are_printed_and_the_others_are_tables(
    letterhead: Letterheads, mart: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MOST_PRINTED", 2)
    customers = [f"{number:04}" for number in range(3)]
    actions = drafts.with_files(
        mart("dunning_worklist", *({**ACTION, "customer_id": one, "item_count": 1} for one in customers)), 500
    )
    acted = mart("dunning_items", *({**ITEMS[0], "customer_id": one} for one in customers))
    book = pa.concat_tables([book_of(mart, OPEN[0], customer=one) for one in customers])
    made = drafts.drafts(AS_OF, "net_terms", actions, acted, book, "", letterhead)
    assert [[part.get_content_type() for part in parsed(draft).iter_attachments()] for draft in made] == [
        ["application/pdf", "text/csv"],
        ["application/pdf", "text/csv"],
        ["text/csv"],
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nmae = 'x'", "nmae is not known; there is name, address"),
        ("name = ", "cannot be read"),
        ("address = 'one line'", "address is to be a list"),
        ("logo = 'none.png'", "the logo none.png cannot be read: No such file"),
        ("logo = 'letterhead.toml'", "is to be a PNG or JPEG"),
        ("font = 'letterhead.toml'", "is to be a TrueType file"),
        ("[[bank]]\niban = 1", "bank is to be tables"),
        ("[entities]\n0100 = 'x'", "entities is to be tables"),
        ("[entities.0100]\nbnak = 'x'", "entity 0100: bnak is not known"),
    ],
)
def test_a_letterhead_that_cannot_be_used_says_what_of_it(text: str, why: str, tmp_path: Path) -> None:
    file = tmp_path / "letterhead.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(LetterheadError, match=why):
        letterheads(file)


def test_an_entity_writes_with_what_is_its_own_and_else_with_what_is_common(tmp_path: Path) -> None:
    file = tmp_path / "letterhead.toml"
    file.write_text('address = ["A"]\n[entities.0200]\nname = "Two"', "utf-8")
    heads = letterheads(file)
    assert (heads.of("0100", "One Ltd").name, heads.of("0200", "2").name, heads.of("0200", "2").address) == (
        "One Ltd",
        "Two",
        ("A",),
    )


# --- the message -------------------------------------------------------------------------------------------------------


def test_a_mail_is_a_draft_without_sender_or_date_and_the_same_every_time(drafted: Callable[..., Draft]) -> None:
    draft, again = drafted(), drafted()
    assert draft == again
    message = parsed(draft)
    assert message["X-Unsent"] == "1"
    assert message["To"] == "Jörg Kröger <ap@kroeger.example>"
    assert set(message.keys()) == {"X-Unsent", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"}
    assert parsed(drafted(customer_id="0002"))["Message-ID"] != message["Message-ID"]
    assert re.fullmatch(r"<[0-9a-f]{32}@arrears\.invalid>", message["Message-ID"])


@pytest.mark.parametrize(
    ("given", "to"),
    [
        ("ap@a.example", "Jörg Kröger <ap@a.example>"),
        ("ap@a.example; cfo@a.example", "ap@a.example, cfo@a.example"),
        ("ap@a.example\r\nBcc: all@b.example", "ap@a.example, all@b.example"),
        ("ap@a.example\r\nBcc:x", "Jörg Kröger <ap@a.example>"),
        ("not an address", None),
        ("a@b@c.example", None),
        ("ap@a.example\u202e", None),
        ("", None),
        (None, None),
    ],
)
def test_only_addresses_get_into_the_address_line(given: str | None, to: str | None, drafted: Callable[..., Draft]) -> None:
    message = parsed(drafted(contact_email=given))
    assert (str(message["To"]) if message["To"] else None) == to
    assert "Bcc" not in message


NASTY = (
    "=cmd|'/C calc'!A0",
    "a\r\nBcc: x@y.example\r\n\r\nhi",
    "x" * 65_536,
    "\u202eoiram",
    "🙂" * 500,
    "nul\x00\x1b[31m",
    "{{ 7*7 }}{% x %}",
)


@pytest.mark.parametrize("nasty", NASTY, ids=lambda text: ascii(text[:12]))
def test_no_name_breaks_out_of_its_place(nasty: str, drafted: Callable[..., Draft]) -> None:
    for template in ("invoice_confirmation", "second_overdue_notice"):
        names = dict.fromkeys(
            ("customer_name", "contact_name", "company_name", "collector", "step_label", "contact_phone"), nasty
        )
        items = tuple({**item, "document_number": nasty} for item in ITEMS)
        for channel in ("email", "call"):
            draft = drafted(items, template=template, channel=channel, language="en", **names)
            assert re.fullmatch(r"drafts/[a-z0-9-]{1,60}/[a-z0-9-]{1,60}\.(eml|txt)", draft.file)
            text = text_of(draft)
            assert len(draft.subject) <= 200 and len(text) < 6_000
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", text + draft.subject)
            assert "49" not in text.replace("1,234", "")
            if channel == "email":
                message = parsed(draft)
                assert message["Subject"] == draft.subject
                assert set(message.keys()) <= {"X-Unsent", "To", "Subject", "Message-ID", "MIME-Version", "Content-Type"}
                assert max(map(len, draft.content.split(b"\r\n"))) < 998 and b"\n" not in draft.content.replace(b"\r\n", b"")


# --- the folder --------------------------------------------------------------------------------------------------------


def test_each_draft_has_a_file_of_its_own_that_the_list_names_and_the_checksums_know(
    tmp_path: Path, mart: Callable[..., pa.Table]
) -> None:
    people = [("A/1", "Acme", "CON"), ("A-1", "Acme", "../../etc"), ("A 1", "Acme", "con"), ("", "", ""), ("Ω", "Ω", "Ω")]
    rows = [
        {**ACTION, "customer_id": key, "customer_name": name, "collector": collector, "item_count": 1, "rank": place}
        for place, (key, name, collector) in enumerate(people, 1)
    ]
    items = [{**ITEMS[0], "customer_id": key} for key, *_ in people]
    listed = drafts.write_drafts(
        tmp_path, AS_OF, "net_terms", drafts.with_files(mart("dunning_worklist", *rows), 500), mart("dunning_items", *items), None
    )
    files = listed["draft_file"].to_pylist()
    assert len({name.lower() for name in files}) == len(people)
    assert not {"con", ""} & {part for name in files for part in name.removesuffix(".eml").split("/")}
    sums = dict(reversed(line.split("  ")) for line in (tmp_path / "drafts" / "SHA256SUMS").read_text().splitlines())
    assert (
        {f"drafts/{name}" for name in sums} == set(files) == {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.eml")}
    )
    assert all(hashlib.sha256((tmp_path / "drafts" / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    assert listed["draft_subject"].to_pylist() == [
        parsed(Draft("", "", (tmp_path / name).read_bytes()))["Subject"] for name in files
    ]


def test_a_collector_gets_no_more_drafts_than_anybody_sends_in_a_day(tmp_path: Path, mart: Callable[..., pa.Table]) -> None:
    rows = [{**ACTION, "customer_id": key, "collector": key[0], "item_count": 1} for key in ("a1", "a2", "b1", "a3", "b2", "a4")]
    items = [{**ITEMS[0], "customer_id": row["customer_id"]} for row in rows]
    listed = drafts.write_drafts(
        tmp_path, AS_OF, "net_terms", drafts.with_files(mart("dunning_worklist", *rows), 2), mart("dunning_items", *items), None
    )
    names = [Path(name).name[:2] if name else None for name in listed["draft_file"].to_pylist()]
    assert names == ["a1", "a2", "b1", None, "b2", None]
    assert len(list(tmp_path.rglob("*.eml"))) == 4
