"""Charts of the page: Vega-Lite drawn to SVG at night, so that the page holds no script and asks nobody for anything.

Belongs here: what each chart shows and how it looks. Does not belong here: the figures (`figures.py`), where a chart stands (the
template). Colours are the page's own variables, so that a chart is light or dark with the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

WIDTH: Final = 640
HEIGHT: Final = 220

Row = Mapping[str, Any]

_CONFIG: Final = {
    "background": "transparent",
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--quiet)",
        "titleColor": "var(--quiet)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--quiet)",
        "labelFontSize": 11,
        "orient": "top",
        "title": None,
        "symbolType": "square",
    },
}

_MONTHS: Final = {
    "field": "month",
    "type": "ordinal",
    "axis": {"title": None, "labelAngle": 0, "labelOverlap": True, "labelExpr": "substring(datum.value, 0, 7)"},
}


def lines(rows: Sequence[Row], series: Mapping[str, str], unit: str) -> str:
    """Figures by month, a line each. `rows` have `month`, `series` and `value`; `series` gives each its colour. A series named with a
    trailing `·` is drawn dashed: it is aimed at, not measured."""
    dashed = [name for name in series if name.endswith("·")]
    return _drawn(
        {
            "data": {"values": [dict(row) for row in rows if row["value"] is not None]},
            "mark": {"type": "line", "strokeWidth": 2.5, "point": False},
            "encoding": {
                "x": _MONTHS,
                "y": {
                    "field": "value",
                    "type": "quantitative",
                    "axis": {"title": unit, "tickCount": 5},
                    "scale": {"zero": False},
                },
                "color": _colours(series) | ({"legend": None} if len(series) == 1 else {}),
                "strokeDash": {
                    "condition": {"test": f"indexof({dashed}, datum.series) >= 0", "value": [5, 4]},
                    "value": [1, 0],
                },
            },
        }
    )


def river(rows: Sequence[Row], series: Mapping[str, str], unit: str) -> str:
    """Amounts by month on top of each other, in the order of `series`."""
    order = {name: place for place, name in enumerate(series)}
    return _drawn(
        {
            "data": {"values": [{**row, "place": order[row["series"]]} for row in rows]},
            "mark": {"type": "area", "line": False},
            "encoding": {
                "x": _MONTHS,
                "y": {"field": "value", "type": "quantitative", "stack": "zero", "axis": {"title": unit, "format": "~s"}},
                "color": _colours(series),
                "order": {"field": "place", "type": "quantitative"},
            },
        }
    )


def bars(rows: Sequence[Row], colour: str, unit: str) -> str:
    """An amount by name, the longest bar first as given."""
    return _drawn(
        {
            "data": {"values": [dict(row) for row in rows]},
            "mark": {"type": "bar", "color": colour, "height": {"band": 0.7}},
            "encoding": {
                "y": {"field": "name", "type": "nominal", "sort": None, "axis": {"title": None, "labelLimit": 220}},
                "x": {"field": "value", "type": "quantitative", "axis": {"title": unit, "format": "~s", "tickCount": 5}},
            },
        },
        height=max(60, 28 * len(rows)),
    )


def _colours(series: Mapping[str, str]) -> dict[str, Any]:
    return {
        "field": "series",
        "type": "nominal",
        "scale": {"domain": list(series), "range": list(series.values())},
        "sort": None,
    }


def _drawn(spec: Mapping[str, Any], height: int = HEIGHT) -> str:
    """A specification as SVG that takes the width it is given; empty where there is nothing to draw."""
    import vl_convert

    if not spec["data"]["values"]:
        return ""
    whole = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": WIDTH,
        "height": height,
        "config": _CONFIG,
        **spec,
    }
    svg = str(vl_convert.vegalite_to_svg(whole, allowed_base_urls=[]))
    size = re.search(r'width="([\d.]+)" height="([\d.]+)"', svg)
    assert size
    return svg.replace(size[0], f'style="width:100%;max-width:{size[1]}px;height:auto"', 1)
