"""Settings whose value stands in a file: `ARREARS_REST_TOKEN_FILE=/run/secrets/erp` instead of `ARREARS_REST_TOKEN=…`.

Belongs here: reading such a file, and the class of settings that know of it. Does not belong here: which settings there are
(`settings.py`, each connector).

Any setting may be given so; it is meant for secrets, which a variable shows to every process of the user and to whoever lists them.
"""

from __future__ import annotations

import os
from typing import Any, Final

from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from dagster_project.paths import ROOT
from dagster_project.words import shown

ENDING: Final = "_FILE"

LONGEST: Final = 64 * 1024
"""Bytes of a value."""


class KeptError(ValueError):
    """A file that a variable names cannot be read, or the value is given twice. The message names the variable, never a value."""


class FromFiles(PydanticBaseSettingsSource):
    """The fields of a settings class that variables of the environment or of `.env` name files for."""

    def __init__(self, settings_class: type[BaseSettings], dotenv: PydanticBaseSettingsSource):
        super().__init__(settings_class)
        file = dotenv.env_file if isinstance(dotenv, DotEnvSettingsSource) else None
        files = [file] if isinstance(file, (str, os.PathLike)) else file or ()
        self._given = {name: value for each in files for name, value in dotenv_values(each).items()} | dict(os.environ)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.config.get('env_prefix', '')}{field_name}".upper()
        path = self._given.get(f"{variable}{ENDING}")
        return (content(variable, path, bool(self._given.get(variable))) if path else None), field_name, False

    def __call__(self) -> dict[str, Any]:
        values = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in values.items() if value is not None}


class KeptSettings(BaseSettings):
    """Variables of the environment, of `.env`, or of files that either names."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: Any,
        env_settings: Any,
        dotenv_settings: Any,
        file_secret_settings: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings, FromFiles(settings_cls, dotenv_settings)


def content(variable: str, path: str, twice: bool) -> str:
    """What stands in the file that a variable names.

    Raises:
        KeptError: it cannot be read, or the variable is given itself as well.
    """
    named = shown(path)
    if twice:
        raise KeptError(f"{variable} and {variable}{ENDING} are both set: leave one of them out")
    try:
        with open(ROOT / path, "rb", opener=_at_once) as file:
            found = file.read(LONGEST + 1)
        value = found.decode("utf-8").rstrip("\r\n")
    except OSError as refused:
        why = os.strerror(refused.errno) if refused.errno else "reading it failed"
        raise KeptError(f"{variable}{ENDING}: {named} cannot be read: {why}") from None
    except UnicodeDecodeError:
        raise KeptError(f"{variable}{ENDING}: {named} holds no text") from None
    except ValueError:
        raise KeptError(f"{variable}{ENDING}: {named} is not the name of a file") from None
    if not value or len(found) > LONGEST:
        raise KeptError(f"{variable}{ENDING}: {named} " + ("is too long for a value" if value else "is empty"))
    return value


def _at_once(path: str, flags: int) -> int:
    """Open a file without waiting for whoever is to write into a pipe of that name: nobody may."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor
