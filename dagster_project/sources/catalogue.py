"""Which source a setting names. A new connector is one module beside this one and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import date

from dagster_project.contract import Dataset
from dagster_project.settings import Settings
from dagster_project.sources import Source


class Sources:
    """A run's sources, each opened when it is first asked for and closed with the rest. The demo's server lives as long."""

    def __init__(self, settings: Settings, as_of: date):
        self._settings = settings
        self._as_of = as_of
        self._opened: dict[str, Source] = {}
        self._stack = ExitStack()

    def of(self, dataset: Dataset) -> Source | None:
        """The source a dataset comes from; None where there is none, as with the bureau `none`.

        Raises:
            SourceError: it cannot be opened.
        """
        name = self._settings.bureau_name if dataset.group == "bureau" else self._settings.source
        if name == "none":
            return None
        if name not in self._opened:
            self._opened[name] = _OPENERS[name](self._settings, self._as_of, self._stack)
        return self._opened[name]

    def close(self) -> None:
        self._stack.close()


def _files(settings: Settings, as_of: date, stack: ExitStack) -> Source:
    from dagster_project.sources.files import FilesSource

    assert settings.files_dir is not None
    return FilesSource(settings.files_dir)


def _rest(settings: Settings, as_of: date, stack: ExitStack) -> Source:
    from dagster_project.sources.rest import RestSource

    assert settings.rest_url is not None
    return RestSource(settings.rest_url, settings.rest_token.get_secret_value() if settings.rest_token else None)


def _demo(settings: Settings, as_of: date, stack: ExitStack) -> Source:
    from dagster_project import demo
    from dagster_project.sources.rest import RestSource

    endpoint = stack.enter_context(demo.serve(as_of))
    return RestSource(endpoint.url, endpoint.token)


_OPENERS: Mapping[str, Callable[[Settings, date, ExitStack], Source]] = {"files": _files, "rest": _rest, "demo": _demo}
