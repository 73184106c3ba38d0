"""Letters, variables, secrets in files and what the store says of itself, of any bytes: read, or refused in words. `FUZZ_EXAMPLES` for
longer."""

from __future__ import annotations

import json
from datetime import date, timedelta
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagster_project import settings as environment
from dagster_project.contract import DATASETS
from dagster_project.kept import KeptError, content
from dagster_project.landing import Landing, LandingError
from dagster_project.landing.loads import seal_of
from dagster_project.mail import replies
from dagster_project.mail.replies import Taken
from dagster_project.settings import Settings, SettingsError
from dagster_project.sources import Delivery, page_schema

from .test_connector_fuzz import ODD, changed
from .test_file_faults import BOUNDED, EXAMPLES, damaged, in_words

MORNING = date(2025, 6, 2)


def in_lines(refused: Exception) -> None:
    for line in str(refused).splitlines():
        in_words(type(refused)(line) if isinstance(refused, (SettingsError, LandingError)) else refused)


# --- letters ----------------------------------------------------------------------------------------------------------


def letter() -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "Anna <anna@example.com>", "night@example.com", "Re: Wörklist"
    made["Message-ID"] = "<1.2@example.com>"
    made.set_content("See the list.\n\nGrüße")
    for name in ("list.xlsx", "Überfällige Posten.xlsx"):
        made.add_attachment(b"PK\x03\x04" + bytes(range(256)), maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes()


LETTER = letter()
PARTS = st.sampled_from(
    (
        *(b"=?utf-8?q?=FF?=", b"=?x?b?!!?=", b"filename*=utf-8''%ff%00.xlsx", b"filename*0*=x'y'%2e%2e%2fa", b"filename=\"../../x.xlsx\""),
        *(b"boundary=\"\"", b"Content-Transfer-Encoding: x-uuencode\r\n", b"Content-Type: multipart/mixed\r\n", b"charset=\"\x00\""),
        *(b"From: a@b, c@d\r\n", b"From: \"<<<@>>>\r\n", b"Subject: \x1b[2J\xe2\x80\xae\r\n", b"Auto-Submitted: \xff\r\n", b"\r\n\r\n"),
        *(b"From: (((((" * 50, b"<" * 3_000, b"=?utf-8?b?" + b"A" * 2_000 + b"?="),
    )
)  # fmt: skip


@st.composite
def letters(draw: st.DrawFn) -> bytes:
    read = bytearray(draw(st.one_of(damaged(LETTER), st.just(LETTER), st.binary(max_size=400))))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, min(len(read), 1_500)))
        read[at:at] = draw(PARTS)
    return bytes(read)


class Here:
    """What reads a letter, in this process."""

    def call(self, function: Any, *given: Any) -> Any:
        return function(*given)


class Box:
    """A mailbox with one letter."""

    def __init__(self, content: bytes):
        self.content, self.read = content, False

    def uid(self, command: str, *asked: str) -> tuple[str, list[Any]]:
        self.read = self.read or command == "STORE"
        said = f"1 (UID 1 RFC822.SIZE {len(self.content)} BODY[] {{{len(self.content)}}}".encode()
        return "OK", [(said, self.content), b")"]


@settings(BOUNDED, max_examples=EXAMPLES * 2)
@given(content=letters())
def test_a_letter_of_any_bytes_is_taken_or_left_and_its_sender_is_told_in_words(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        asked = Settings(home=Path(folder))
        asked.inbox.mkdir()
        taken, box, reader = Taken(), Box(content), Here()
        _, header = replies._envelope(box, b"1")  # type: ignore[arg-type]
        sender, _ = replies._sender(reader, header)  # type: ignore[arg-type]
        assert "@" in sender or not sender or sender not in {"anna@example.com"}

        replies._take(asked, box, reader, b"1", "7-1", "anna@example.com", taken)  # type: ignore[arg-type]

        for reason in taken.refused.values():
            in_words(ValueError(reason))
        assert bool(taken.files) == box.read, "a letter is marked read where something of it was taken"
        names = sorted(path.name for path in asked.inbox.iterdir())
        assert names == sorted(reply.file for reply in taken.files)
        assert all(name.isprintable() and len(name.encode()) < 250 and "/" not in name for name in names)
        for reply in taken.files:
            errors = asked.inbox / "x.errors.csv"
            errors.write_text("row,column\n")
            assert replies._letter(asked, MORNING, reply, errors).as_bytes()
        record = asked.mail / "replies.jsonl"
        assert len(record.read_text("utf-8").splitlines() if record.exists() else ()) == len(names)


# --- variables and files of secrets -----------------------------------------------------------------------------------

SAID = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r\n\"'"), max_size=30),
    st.sampled_from(
        ("-1", "0", "99999999999999999999", "Europe", "../..", "A" * 300, "NaN", "true", "none", "demo", "files", "rest", "sql", "xero",
         "http://[::1", "localhost:99999", "1e9MB", "a\u202eb\x1b[2J", "postgresql://u:p@w@h/d", "x@", "/dev/null", "€")
    ),
)  # fmt: skip


@settings(BOUNDED, max_examples=EXAMPLES * 2)
@given(
    given_=st.lists(st.tuples(st.sampled_from(sorted(environment.variables())), SAID), max_size=5),
    raw=st.one_of(st.just(b""), st.binary(max_size=40)),
)
def test_variables_of_any_value_describe_a_run_or_are_refused_in_words(
    given_: list[tuple[str, str]], raw: bytes, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_bytes("".join(f'{name}="{value}"\n' for name, value in given_).encode() + raw)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(Settings.model_config, "env_file", str(file))
        try:
            environment.load().today()
        except SettingsError as refused:
            in_lines(refused)
        environment.receivers()
        assert all(line.isprintable() for line in environment.not_understood())


@BOUNDED
@given(held=st.one_of(st.binary(max_size=60), st.binary(max_size=4).map(lambda some: some * 30_000)))
def test_a_file_of_a_secret_of_any_bytes_is_read_or_refused_in_words(held: bytes, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(held)
    try:
        assert content("ARREARS_REST_TOKEN", str(tmp_path / "secret"), False).encode() in held
    except KeptError as refused:
        in_words(refused)


# --- what the store says of itself ------------------------------------------------------------------------------------

CUSTOMERS = DATASETS["customers"]


def landed(landing: Landing, number: int) -> None:
    page = pa.Table.from_pylist(
        [{"customer_id": f"C{number}", "name": "A", "updated_at": "2025-06-01T00:00:00Z"}], page_schema(CUSTOMERS)
    )
    landing.land(CUSTOMERS, Delivery(iter([page]), full=False, origin="test"), MORNING + timedelta(days=number))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two packed loads and one by itself."""
    home = tmp_path_factory.mktemp("store")
    landing = Landing(home / "landing", home / "quarantine")
    for number in range(3):
        landed(landing, number)
        if number == 1:
            landing.compact(CUSTOMERS)
    return home


@settings(BOUNDED, max_examples=max(EXAMPLES // 2, 5))
@given(
    where=st.sampled_from(("manifest.json", "pack.json", "customers.json", "customers.seen.json")),
    changes=st.lists(st.tuples(st.floats(0, 1), ODD), min_size=1, max_size=2),
    sealed=st.booleans(),
    raw=st.one_of(st.none(), st.binary(max_size=30)),
)
def test_a_description_of_any_bytes_is_what_was_written_or_is_refused_in_words(
    where: str, changes: list[tuple[float, Any]], sealed: bool, raw: bytes | None, told: Path
) -> None:
    with TemporaryDirectory() as folder:
        landing = Landing(told / "landing", told / "quarantine").twin(Path(folder) / "landing")
        for path in landing.folder.rglob(where):
            said = path.read_bytes()
            for place, put in changes:
                said = changed(said, place, put)
            said = said if raw is None else raw
            if sealed and raw is None and isinstance(again := json.loads(said), dict):
                said = json.dumps({**again, "seal": seal_of(again)}).encode()
            path.write_bytes(said)
        for ask in (
            lambda: landing.sound(),
            lambda: landing.sound(MORNING),
            lambda: landing.damages(whole=True),
            lambda: landing.cursor(CUSTOMERS, MORNING),
            lambda: landing.whole_on(CUSTOMERS, MORNING),
            lambda: list(landing.refused(CUSTOMERS, MORNING)),
            lambda: landed(landing, 5),
            lambda: landing.compact(CUSTOMERS),
            lambda: landing.give_up(CUSTOMERS),
        ):
            try:
                ask()
            except LandingError as refused:
                in_lines(LandingError(str(refused)))
