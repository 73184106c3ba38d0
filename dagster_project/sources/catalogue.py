"""Which source a setting names. A new connector is one module beside this one and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache

from dagster_project.contract import Dataset
from dagster_project.settings import Settings
from dagster_project.sources import Source


@dataclass(frozen=True)
class Sources:
    """Tonight's sources: one for the ledger, one for the bureau (None: there is none)."""

    erp: Source
    bureau: Source | None

    def of(self, dataset: Dataset) -> Source | None:
        return self.bureau if dataset.group == "bureau" else self.erp


@contextmanager
def opened(settings: Settings, as_of: date) -> Iterator[Sources]:
    """The sources the settings name, for the length of the `with`. The demo's server runs as long as it.

    Raises:
        SourceError: a source cannot be opened.
    """
    with ExitStack() as stack:

        @cache
        def source(name: str) -> Source:
            return _OPENERS[name](settings, as_of, stack)

        bureau = settings.bureau_name
        yield Sources(source(settings.source), None if bureau == "none" else source(bureau))


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
