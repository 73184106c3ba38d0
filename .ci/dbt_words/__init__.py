"""What the SQL linter reads where dbt would put what a macro writes: a call of a function of the macro's name, which is SQL too.

Belongs here: stand-ins for the words of dbt and of the project's macros. Does not belong here: what a macro writes. That is
dbt's to say, and takes it seconds and a warehouse; a model is linted as it stands in its file.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import yaml

DBT = Path(__file__).resolve().parents[2] / "dbt"
MACROS = "".join(path.read_text("utf-8") for path in sorted((DBT / "macros").glob("*.sql")))
SELECTS = ("latest_version", "rows_of_words", "generate_series")
"""Macros that write a whole select."""
TABLES = ("policy_rows", "policy_values", "policy_history", "reporting_digits", "first_of", "whole_numbers")
"""Macros that stand where a table does; of `first_of`, the one that is named."""
LISTS = ("risk_factors", "kpi_catalogue", "kpi_scopes", "kpi_parts", "kpi_measures", "kpi_document_parts")
"""Macros that return what a model makes its columns from: these are asked."""


def _stand_in(name: str) -> Callable[..., str]:
    def written(*given: Any, **named: Any) -> str:
        if name in TABLES:
            return f"(select * from {given[0] if given else name})"
        return f"select * from {name}" if name in SELECTS else f"{name}()"

    return written


def _returned(name: str) -> Callable[[], Any]:
    """What a macro hands to `return`, for which jinja alone has no word."""

    def asked() -> Any:
        kept: list[Any] = []
        environment = jinja2.Environment()
        environment.globals |= {"return": kept.append, **{other: _returned(other) for other in LISTS if other != name}}
        macro = re.search(rf"\{{%-? *macro {name}\(.*?endmacro *-?%\}}", MACROS, re.DOTALL)
        assert macro, f"no macro {name} in dbt/macros"
        getattr(environment.from_string(macro.group()).module, name)()
        return kept[0]

    return asked


class _Dbt:
    """Its own macros, whatever they are: dbt.dateadd, dbt.last_day, …"""

    def __getattr__(self, name: str) -> Callable[..., str]:
        if name.startswith("_"):
            raise AttributeError(name)
        return _stand_in(name)


dbt = _Dbt()
var = yaml.safe_load((DBT / "dbt_project.yml").read_text("utf-8"))["vars"].__getitem__
for _name in re.findall(r"\{%-? *macro (\w+)\(", MACROS):
    globals()[_name] = _stand_in(_name)
for _name in LISTS:
    globals()[_name] = _returned(_name)
