"""The embedded demo: an invented ERP and bureau, served over real HTTP for as long as a run lives.

Belongs here: starting it and asking it as any other server. Does not belong here: its company (`dagster_project/demo/`).
"""

from __future__ import annotations

from dagster_project.sources import Connector, ConnectorSettings, Opening, Source


class DemoSettings(ConnectorSettings):
    """Nothing: it is all there."""


def _opened(own: DemoSettings, opening: Opening) -> Source:
    from dagster_project import demo
    from dagster_project.sources.rest import RestSource

    endpoint = (opening.demo or opening.stack.enter_context(demo.start(opening.as_of))).wait()
    return RestSource(endpoint.url, endpoint.token)


CONNECTOR = Connector(name="demo", settings=DemoSettings, opened=_opened, words=lambda own: "the embedded ERP and bureau")
