"""What the environment decides, typed and checked once.

Belongs here: environment variables (and `.env`), their defaults, and the paths that follow from them. Does not belong here:
policy — a number that finance would argue about is a seed row under `dbt/seeds/policy/`.
"""

from __future__ import annotations

import os
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from dagster_project.paths import ROOT

PACKS = "dbt/seeds/policy/risk_tier_terms.csv"
"""Where a policy pack begins: one is there once it has tiers."""

FIRST_MORNING = date(2010, 1, 1)
"""The first morning that can be asked for; ledgers older than this are replayed from it."""

MEMORY_LIMIT = "1500MB"
"""What DuckDB takes before it spills to disk: a night then fits a machine of 4 GB, whatever the book."""

SourceName = Literal["demo", "files", "rest"]
BureauName = Literal["demo", "files", "rest", "none"]


_NO_SETTINGS = {"ARREARS_WAREHOUSE", "ARREARS_THREADS", "ARREARS_UPDATE_GOLDEN", "ARREARS_PROOF_BOOKS", "ARREARS_READER_RUNS"}
"""What the build tells dbt, and what tests are asked."""


class SettingsError(Exception):
    """The environment does not describe a run. The message says which variable and what to put there."""


class Settings(BaseSettings):
    """The environment of a run. `.env.example` documents each variable; a variable is its field's name after `ARREARS_`."""

    model_config = SettingsConfigDict(
        env_prefix="ARREARS_", env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    home: Path = Path("data")
    source: SourceName = "demo"
    bureau: BureauName | None = None
    files_dir: Path | None = None
    rest_url: str | None = None
    rest_token: SecretStr | None = None
    policy: str = "net_terms"
    reporting_currency: str = Field(default="", pattern=r"^([A-Z]{3})?$")
    timezone: str = "UTC"
    keep_warehouses: int = Field(default=3, ge=0)
    memory_limit: str = Field(default=MEMORY_LIMIT, pattern=r"^[1-9]\d*(\.\d+)?(MB|GB|TB)$")
    payment_link: str = Field(default="", pattern=r"^(https://[^\s{}]+\{customer_id\}[^\s{}]*)?$")
    alert_webhook: str | None = None
    alert_email_to: str | None = None
    alert_email_from: str = "arrears@localhost"
    alert_smtp: str = Field(default="localhost:25", pattern=r"^[^:\s]+(:\d{1,5})?$")

    @field_validator("home", "files_dir")
    @classmethod
    def _from_root(cls, path: Path | None) -> Path | None:
        return path if path is None else ROOT / path

    @field_validator("policy")
    @classmethod
    def _known_pack(cls, name: str) -> str:
        from dagster_project.policy import packs

        if name not in (known := packs()):
            raise ValueError(f"{name!r} is not a policy pack; there is {', '.join(known)}, and others are rows in {PACKS}")
        return name

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as unknown:
            raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin") from unknown
        return name

    @model_validator(mode="after")
    def _complete(self) -> Self:
        used = {self.source, self.bureau_name}
        if "files" in used and self.files_dir is None:
            raise ValueError("the source `files` needs ARREARS_FILES_DIR, the folder of dataset files")
        if "rest" in used and not self.rest_url:
            raise ValueError("the source `rest` needs ARREARS_REST_URL, and ARREARS_REST_TOKEN where the server asks for one")
        return self

    @property
    def bureau_name(self) -> BureauName:
        """Where credit scores come from: as set, else from where the ledger comes."""
        return self.bureau or self.source

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
    def inbox(self) -> Path:
        return self.home / "inbox"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"


def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsError: a variable is missing or has a value that means nothing; one line for each.
    """
    try:
        return Settings()
    except ValidationError as invalid:
        lines = []
        for problem in invalid.errors():
            where = f"ARREARS_{str(problem['loc'][0]).upper()}: " if problem["loc"] else ""
            lines.append(f"{where}{problem['msg'].removeprefix('Value error, ')} (see .env.example)")
        raise SettingsError("\n".join(lines)) from invalid


def not_understood() -> list[str]:
    """A line for each variable that looks like a setting and is none: a slip of the pen would otherwise mean the default."""
    known = {f"ARREARS_{name.upper()}" for name in Settings.model_fields}
    file = Settings.model_config.get("env_file")
    given = {*os.environ, *(dotenv_values(str(file)) if file else ())}
    lines = []
    for name in sorted(name for name in given if name.startswith("ARREARS_") and name not in known | _NO_SETTINGS):
        meant = get_close_matches(name, known, 1, cutoff=0.8)
        lines.append(f"{name} is not a setting and was ignored" + (f"; {meant[0]} is one" if meant else ""))
    return lines
