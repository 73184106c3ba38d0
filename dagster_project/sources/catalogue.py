"""Which source a setting names. A new connector is one module beside this one and one line here."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from typing import TYPE_CHECKING

from dagster_project.contract import Dataset
from dagster_project.sources import (
    Connector,
    Opening,
    bureau_file,
    business_central,
    creditsafe,
    demo,
    dnb,
    ecb,
    erpnext,
    experian,
    files,
    netsuite,
    odoo,
    quickbooks,
    rest,
    sap_files,
    sql,
    stripe,
    tryton,
    xero,
)
from dagster_project.sources.understood import Understood

if TYPE_CHECKING:
    from dagster_project.demo import Demo
    from dagster_project.settings import Settings

CONNECTORS: dict[str, Connector] = {
    connector.name: connector
    for connector in (
        bureau_file.CONNECTOR,
        business_central.CONNECTOR,
        creditsafe.CONNECTOR,
        demo.CONNECTOR,
        dnb.CONNECTOR,
        ecb.CONNECTOR,
        erpnext.CONNECTOR,
        experian.CONNECTOR,
        files.CONNECTOR,
        netsuite.CONNECTOR,
        odoo.CONNECTOR,
        quickbooks.CONNECTOR,
        rest.CONNECTOR,
        sap_files.CONNECTOR,
        sql.CONNECTOR,
        stripe.CONNECTOR,
        tryton.CONNECTOR,
        xero.CONNECTOR,
    )
}


def names(gives: str) -> list[str]:
    """The connectors that can be asked for something: `ledger`, `scores` or `rates`."""
    return [name for name, connector in CONNECTORS.items() if gives in connector.gives]


class Sources:
    """A run's sources, each opened when it is first asked for and closed with the rest. The demo's server lives as long."""

    def __init__(self, settings: Settings, as_of: date, demo: Demo | None = None, *, is_trial: bool = False):
        """`demo` is the demo's server where one was started early; `is_trial`: nothing that costs money is asked for."""
        self._is_trial = is_trial
        self._demo = demo
        self._settings = settings
        self._as_of = as_of
        self._opened: dict[str, Understood] = {}
        self._stack = ExitStack()

    def of(self, dataset: Dataset) -> Understood | None:
        """The source a dataset comes from; None where there is none, as with the bureau `none`.

        Raises:
            SourceError: it cannot be opened.
        """
        name = self._name_of(dataset)
        if name == "none":
            return None
        if name not in self._opened:
            connector = CONNECTORS[name]
            own = self._settings
            opening = Opening(
                self._as_of, own.home, self._stack, self._demo, own.policy, self._is_trial, own.environment == "production"
            )
            self._opened[name] = Understood(connector.opened(self._settings.own(connector), opening), name)
        return self._opened[name]

    def sweep_due(self, dataset: Dataset, whole_on: date | None, as_of: date) -> bool:
        """Whether everything is to be asked for, since the source does not tell what was deleted: `whole_on` is when it last was."""
        connector = CONNECTORS.get(self._name_of(dataset))
        if connector is None or connector.sweep is None or not dataset.has_cursor:
            return False
        return whole_on is None or as_of - whole_on >= connector.sweep

    def _name_of(self, dataset: Dataset) -> str:
        if dataset.group == "bureau":
            return self._settings.bureau_name
        if dataset.group == "inquiries":
            name = self._settings.bureau_name
            return name if name != "none" and "inquiries" in CONNECTORS[name].gives else "none"
        return self._settings.rates_name if dataset.name == "exchange_rates" else self._settings.source

    def close(self) -> None:
        self._stack.close()
