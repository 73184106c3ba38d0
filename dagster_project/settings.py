"""What the environment decides, typed and checked once.

Belongs here: environment variables (and `.env`), their defaults, and the paths that follow from them. Does not belong here: what only
one connector reads (it brings its own), policy — a number that finance would argue about is a seed row under `dbt/seeds/policy/`.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from dagster_project.duck import MEMORY_LIMIT
from dagster_project.kept import ENDING, KeptError, KeptSettings, content
from dagster_project.paths import ROOT
from dagster_project.words import shown

if TYPE_CHECKING:
    from dagster_project.sources import Connector

PACKS = "dbt/seeds/policy/risk_tier_terms.csv"
"""Where a policy pack begins: one is there once it has tiers."""

FIRST_MORNING = date(2010, 1, 1)
"""The first morning that can be asked for; ledgers older than this are replayed from it."""

_SERVER = r"^[^:\s]+(:(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))?$"
"""A host, and a port that there is."""

_GIVES = {"source": "ledger", "bureau": "scores", "rates": "rates"}
"""What a connector that a variable names must be able to give."""

_NO_SETTINGS = {
    "ARREARS_WAREHOUSE",
    "ARREARS_THREADS",
    "ARREARS_UPDATE_GOLDEN",
    "ARREARS_PROOF_BOOKS",
    "ARREARS_READER_RUNS",
    "ARREARS_FUZZ_EXAMPLES",
}
"""What the build tells dbt, and what tests are asked."""


class SettingsError(Exception):
    """The environment does not describe a run. The message says which variable and what to put there."""


class Receivers(BaseModel):
    """Who is told of nights, and how they are reached."""

    model_config = ConfigDict(frozen=True)

    heartbeat_url: SecretStr | None = None
    alert_webhook: SecretStr | None = None
    alert_email_to: str | None = None
    alert_email_from: str = "arrears@localhost"
    alert_smtp: str = Field(default="localhost:25", pattern=_SERVER, examples=["mail.example:25"])


class Settings(Receivers, KeptSettings):
    """The environment of a run. `.env.example` documents each variable; a variable is its field's name after `ARREARS_`."""

    model_config = SettingsConfigDict(env_prefix="ARREARS_", env_file=ROOT / ".env")

    home: Path = Path("data")
    landing_url: str | None = Field(
        default=None, pattern=r"^(s3a?://[^\s?#@]+|(gs|az|abfss?)://[^\s?#]+|file:///[^\s?#]+)$", examples=["s3://bucket/folder"]
    )
    source: str = "demo"
    bureau: str | None = None
    rates: str | None = None
    policy: str = "net_terms"
    reporting_currency: str = Field(default="", pattern=r"^([A-Z]{3})?$", examples=["EUR"])
    timezone: str = "UTC"
    keep_warehouses: int = Field(default=3, ge=0)
    published_group: str | None = None
    memory_limit: str = Field(default=MEMORY_LIMIT, pattern=r"^[1-9]\d{0,5}(\.\d{1,3})?(MB|GB|TB)$", examples=[MEMORY_LIMIT])
    engine: Literal["duckdb", "spark"] = "duckdb"
    spark_master: str = Field(default="", pattern=r"^\S*$", examples=["spark://host:7077"])
    spark_driver_memory: str = Field(default="4g", pattern=r"^[1-9]\d{0,5}[mg]$", examples=["4g"])
    spark_conf: Path | None = None
    spark_warehouse: str = ""
    payment_link: str = Field(
        default="", pattern=r"^(https://[^\s{}]+\{customer_id\}[^\s{}]*)?$", examples=["https://pay.example/{customer_id}"]
    )
    letterhead: Path | None = None
    environment: Literal["development", "production"] = "development"
    postgres_url: SecretStr | None = None
    mail_smtp: str | None = Field(default=None, pattern=_SERVER, examples=["mail.example:587"])
    mail_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_user: str | None = None
    mail_password: SecretStr | None = None
    mail_from: str = Field(default="arrears@localhost", pattern=r"^[^@\s]+@[^@\s]+$", examples=["arrears@example.com"])
    mail_folder: Path | None = None
    send_reminders: bool = False
    morning_webhook: SecretStr | None = None
    bureau_webhook: SecretStr | None = None
    mail_imap: str | None = Field(default=None, pattern=_SERVER, examples=["mail.example:993"])
    mail_imap_security: Literal["tls", "starttls", "none"] = "tls"
    mail_imap_user: str | None = None
    mail_imap_password: SecretStr | None = None

    @field_validator("home", "mail_folder", "letterhead", "spark_conf")
    @classmethod
    def _from_root(cls, path: Path | None) -> Path | None:
        return ROOT / path if path is not None else None

    @field_validator("source", "bureau", "rates")
    @classmethod
    def _known_source(cls, name: str | None, info: ValidationInfo) -> str | None:
        from dagster_project.sources.catalogue import names

        known = [*names(_GIVES[str(info.field_name)]), *(["none"] if info.field_name == "bureau" else [])]
        if name is not None and name not in known:
            raise ValueError(f"{_quoted(name)} is none of {', '.join(map(repr, known[:-1]))} or {known[-1]!r}")
        return name

    @field_validator("policy")
    @classmethod
    def _known_pack(cls, name: str) -> str:
        from dagster_project.policy import packs

        if name not in (known := packs()):
            raise ValueError(f"{_quoted(name)} is not a policy pack; there is {', '.join(known)}, and others are rows in {PACKS}")
        return name

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as unknown:
            raise ValueError(f"{_quoted(name)} is not a time zone of the IANA database, such as Europe/Berlin") from unknown
        return name

    @field_validator("postgres_url")
    @classmethod
    def _an_address(cls, url: SecretStr | None) -> SecretStr | None:
        # of two @ the second is part of a password, or its rest would be taken for the host and shown as one
        if url is not None and not re.fullmatch(r"postgres(ql)?(\+psycopg)?://([^@\s/]*@)?[^@\s]*", url.get_secret_value()):
            raise ValueError("write postgresql://user:password@host/database, with %40 for an @ and %2F for a / in the password")
        return url

    @field_validator("engine")
    @classmethod
    def _there(cls, name: str) -> str:
        if name == "spark":
            from dagster_project.engines.installed import lacking

            if why := lacking():
                raise ValueError(f"a night on Spark cannot run here: {why}")
        return name

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> Self:
        if self.mail_imap and self.mail_imap_security == "none" and not self.mail_imap.startswith(("127.0.0.1", "localhost")):
            raise ValueError(
                "ARREARS_MAIL_IMAP_SECURITY none: a password goes out under starttls or tls only, but for this machine's own server"
            )
        if self.mail_password and self.mail_security == "none":
            raise ValueError(
                "ARREARS_MAIL_SECURITY none and ARREARS_MAIL_PASSWORD: a password goes out under starttls or tls only"
            )
        return self

    @model_validator(mode="after")
    def _a_sender_customers_can_answer(self) -> Self:
        if self.send_reminders and self.mail_from.endswith("@localhost"):
            raise ValueError("ARREARS_SEND_REMINDERS: ARREARS_MAIL_FROM is to be an address that customers can answer")
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        from dagster_project.sources.catalogue import CONNECTORS

        for name in dict.fromkeys((self.source, self.bureau_name, self.rates_name)):
            if name != "none":
                self.own(CONNECTORS[name])
        return self

    def own(self, connector: Connector) -> Any:
        """A connector's own settings, of the type it declares.

        Raises:
            ValueError: one is missing or means nothing; the message names the variables.
        """
        try:
            return connector.settings(_env_file=self.model_config.get("env_file"))  # type: ignore[call-arg]
        except ValidationError as invalid:
            if any(problem["type"] == "missing" for problem in invalid.errors()):
                raise ValueError(f"the source `{connector.name}` needs {connector.needs}") from None
            told = [
                f"{connector.variables[str(problem['loc'][0])] + ': ' if problem['loc'] else ''}{_words(problem, connector.settings)}"
                for problem in invalid.errors()
            ]
            raise ValueError("; ".join(told)) from None

    @property
    def bureau_name(self) -> str:
        """Where credit scores come from: as set, else from where the ledger comes; `none` where that has none."""
        from dagster_project.sources.catalogue import names

        return self.bureau or (self.source if self.source in names("scores") else "none")

    @property
    def rates_name(self) -> str:
        """Where exchange rates come from: as set, else from where the ledger comes."""
        return self.rates or self.source

    def today(self) -> date:
        """This morning's date in the configured time zone: the newest `as_of` there is."""
        return datetime.now(ZoneInfo(self.timezone)).date()

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def quarantine(self) -> Path:
        return self.home / "quarantine"

    @property
    def warehouse(self) -> Path:
        return self.home / "warehouse"

    @property
    def published(self) -> Path:
        return self.home / "published"

    @property
    def worklists(self) -> Path:
        return self.home / "worklists"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def mail(self) -> Path:
        return self.home / "mail"

    @property
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def matches(self) -> Path:
        return self.home / "matches"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"


def _words(problem: Any, model: type[BaseModel]) -> str:
    """What is wrong with a value, without it: it may be a secret."""
    if problem["type"] == "string_pattern_mismatch":
        examples = model.model_fields[str(problem["loc"][0])].examples or ["another value"]
        return f"write it as in {examples[0]}"
    return str(problem["msg"]).removeprefix("Value error, ")


def _quoted(name: str) -> str:
    return repr(shown(name, 60))


def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable is missing or has a value that means nothing; one line for each.
    """
    try:
        return Settings()
    except KeptError as unreadable:
        raise SettingsError(f"{unreadable} (see .env.example)") from unreadable
    except (OSError, UnicodeDecodeError) as unreadable:
        raise SettingsError(_unreadable(unreadable)) from unreadable
    except ValidationError as invalid:
        lines = []
        for problem in invalid.errors():
            where = f"ARREARS_{str(problem['loc'][0]).upper()}: " if problem["loc"] else ""
            lines.append(f"{where}{_words(problem, Settings)} (see .env.example)")
        raise SettingsError("\n".join(lines)) from invalid


def _unreadable(failed: OSError | UnicodeDecodeError) -> str:
    """That the file of variables cannot be read; nothing else that is read before a night begins is left unnamed."""
    why = "it holds what is no UTF-8" if isinstance(failed, UnicodeDecodeError) else failed.strerror or "reading it failed"
    return f"{shown(str(Settings.model_config.get('env_file')))} cannot be read: {why}"


def receivers() -> Receivers:
    """Who is told that nothing could begin: each of their variables that can be read, whatever else cannot."""
    given, found = _given(), {}
    for name in Receivers.model_fields:
        variable = f"ARREARS_{name.upper()}"
        with suppress(KeptError, ValidationError):
            path = given.get(f"{variable}{ENDING}")
            if value := given.get(variable) or (content(variable, path, False) if path else None):
                found[name] = getattr(Receivers.model_validate({name: value}), name)
    return Receivers.model_construct(**found)


def home_named() -> Path:
    """The home as it is named, where the settings as a whole cannot be read."""
    return ROOT / (_given().get("ARREARS_HOME") or "data")


def _given() -> dict[str, str | None]:
    """Every variable there is, of `.env` and of the environment."""
    file, told = Settings.model_config.get("env_file"), {}
    with suppress(OSError, ValueError):
        told = dotenv_values(str(file)) if file else {}
    return {**told, **os.environ}


def variables() -> set[str]:
    """Every variable there is: the run's, and each connector's."""
    from dagster_project.sources.catalogue import CONNECTORS

    own = {variable for connector in CONNECTORS.values() for variable in connector.variables.values()}
    return {f"ARREARS_{name.upper()}" for name in Settings.model_fields} | own


def not_understood() -> list[str]:
    """A line for each variable that looks like a setting and is none: a slip of the pen would otherwise mean the default."""
    known, given = variables(), _given()
    lines = []
    for name in sorted(
        name for name in given if name.startswith("ARREARS_") and name.removesuffix(ENDING) not in known | _NO_SETTINGS
    ):
        slip, alike = (
            name.removeprefix("ARREARS_"),
            [each.removeprefix("ARREARS_") for each in known],
        )  # what all begin with is not alike
        meant = get_close_matches(slip, alike, 1, cutoff=0.8)
        lines.append(f"{shown(name, 60)} is not a setting and was ignored" + (f"; ARREARS_{meant[0]} is one" if meant else ""))
    return lines
