"""Bands over the futures of a plan, quarter by quarter, and the distribution of what it costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tapeout.report.curves import Level, curves_figure
from tapeout.report.figures import LOG_SPAN, Figure, Key, Mark, Option, lines_figure, reference_line
from tapeout.report.numbers import CENTS, COUNT, PER_SECOND, PERCENT, USD, NumberStyle
from tapeout.report.palette import SERIES
from tapeout.report.plan_paths import LEVELS, Paths
from tapeout.report.plan_tables import QUARTER
from tapeout.report.tables import Column, Table
from tapeout.sourcing.problem import Array

BANDS = (("9 in 10 futures", "p5", "p95", f"@{SERIES[4]}"), ("half of the futures", "p25", "p75", f"@{SERIES[0]}"))
HEADINGS = {"p5": "5 %", "p25": "25 %", "p50": "Median", "p75": "75 %", "p95": "95 %", "mean": "Mean"}


def fan_figures(quarters: tuple[str, ...], found: Paths, reference: float | None = None, reference_text: str = "") -> tuple[Figure, ...]:
    """The bands of demand, fleet, spend and cost per query; `reference` is a cost of a query in USD to compare with."""
    per_query = found.bands(found.cost_per_query) | {"mean": found.mean_cost_per_query}
    return (
        fan_figure(
            band_table("cost-per-query", "Cost of a query", quarters, per_query, CENTS), style=CENTS, reference=reference,
            reference_text=reference_text,
            caption="US cents per query served: rent, energy and upkeep as paid, capital spread over the quarters that it serves. "
            "The mean is expected cost over expected queries.",
        ),
        fan_figure(
            band_table("demand-futures", "Demand in the futures", quarters, found.bands(found.demand), PER_SECOND), style=PER_SECOND,
            caption="Peak queries per second, all models together.",
        ),
        fan_figure(
            band_table("fleet-futures", "The fleet in the futures", quarters, found.bands(found.chips), COUNT), style=COUNT,
            caption="Chips in service, of all kinds together.",
        ),
        fan_figure(
            band_table("spend-futures", "Spend in the futures", quarters, found.bands(found.cash), USD), style=USD,
            caption="Cash of each quarter, US dollars, not discounted.",
        ),
    )  # fmt: skip


def band_table(id: str, title: str, quarters: tuple[str, ...], bands: dict[str, Array], style: NumberStyle) -> Table:  # noqa: A002
    """Quantiles and mean by quarter; `bands` has each of them by name, (Q,)."""
    columns = (QUARTER, *(Column(key=key, heading=heading, style=style) for key, heading in HEADINGS.items()))
    rows: list[dict[str, Any]] = [
        {"quarter": quarter} | {key: float(bands[key][index]) for key in HEADINGS} for index, quarter in enumerate(quarters)
    ]
    return Table(id=id, title=title, columns=columns, rows=rows)


def fan_figure(table: Table, *, caption: str, style: NumberStyle, reference: float | None = None, reference_text: str = "") -> Figure:
    """Two bands, the median and the mean of a `band_table`; the axis is logarithmic where values span far above zero."""
    middle = tuple(column for column in table.columns if column.key in ("quarter", "p50"))
    figure = lines_figure(replace(table, columns=middle), id=table.id, title=table.title, caption=caption, style=style)
    mean = [row["mean"] for row in table.rows]
    dashed = lines_figure(
        replace(table, columns=tuple(column for column in table.columns if column.key in ("quarter", "mean"))),
        id=table.id, title=table.title, caption=caption, style=style,
    ).option["series"][0]  # fmt: skip
    dashed["lineStyle"] |= {"color": "@ink", "type": "dashed"}
    dashed["itemStyle"] = {"color": "@ink"}
    option, keys = figure.option, [*(Key(name=name, colour=colour, mark=Mark.BAR) for name, _, _, colour in BANDS), *figure.keys]
    option["series"] = [*(_band(table, *band) for band in BANDS), *option["series"], dashed]
    keys.append(Key(name="Mean", colour="@ink", mark=Mark.DASHED))
    if reference is not None:
        line, key = reference_line(reference, reference_text, len(table.rows))
        option["series"].append(line)
        keys.append(key)
    values = np.array([[row[key] for key in LEVELS] for row in table.rows] + [[value] * len(LEVELS) for value in mean], dtype=float)
    known = values[np.isfinite(values)]
    if known.size and known.min() > 0 and known.max() > LOG_SPAN * known.min():
        option["yAxis"] |= {"type": "log"}
    return replace(figure, keys=tuple(keys), table=table, height=320)


def _band(table: Table, name: str, low: str, high: str, colour: str) -> Option:
    data = [[index, row[low], row[high]] for index, row in enumerate(table.rows)]
    drawn: Option = {"type": "custom", "renderItem": "@fan", "encode": {"x": 0, "y": [1, 2]}, "clip": True}
    return drawn | {"name": name, "data": data, "itemStyle": {"color": colour}, "emphasis": {"disabled": True}}


def cost_figure(found: Paths) -> Figure:
    """The share of the futures whose discounted cost is at most so much, with the mean and the mean of the worst."""
    order = np.argsort(found.cost, kind="stable")
    costs, shares = found.cost[order], np.cumsum(found.probability[order])
    steps = [(costs[0], 0.0)]
    for index, cost in enumerate(costs.tolist()):
        steps += [(cost, steps[-1][1]), (cost, float(shares[index]))]
    rows = [{"cost_usd": float(cost), "share": min(1.0, float(share))} for cost, share in steps]
    columns = (
        Column(key="cost_usd", heading="Discounted cost", style=USD),
        Column(key="share", heading="Futures", style=PERCENT),
    )
    table = Table(id="cost-distribution", title="What the plan costs in the futures", columns=columns, rows=rows)
    mean, worst = float(found.probability @ found.cost), found.worst_cost
    levels = (
        Level(name=f"mean, {USD.show(mean)}", at=mean),
        Level(name=f"mean of the worst {PERCENT.show(found.tail)}, {USD.show(worst)}", at=worst),
    )
    caption = "Share of the futures in which the plan costs at most so much, discounted, in US dollars."
    return curves_figure(
        table, id=table.id, title=table.title, caption=caption, style=PERCENT, across=USD, levels=levels, highest=1.0
    )  # fmt: skip


def concentration_figure(quarters: tuple[str, ...], found: Paths) -> Figure:
    """The Herfindahl-Hirschman index of the suppliers' shares, as bands over the futures."""
    table = band_table("concentration", "Concentration of suppliers", quarters, found.bands(found.concentration), NumberStyle())
    caption = "Herfindahl-Hirschman index of the suppliers' shares of what is served: 1 is a single supplier, 0.5 two alike."
    figure = fan_figure(table, caption=caption, style=NumberStyle())
    figure.option["yAxis"] |= {"min": 0, "max": 1, "type": "value"}
    return figure
