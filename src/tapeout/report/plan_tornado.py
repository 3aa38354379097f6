"""What moves the cost of a plan: the tornado of its assumptions, as a table and a chart."""

from __future__ import annotations

import math

from tapeout.appraisal.tornado import Tornado
from tapeout.report.figures import Figure, Key, Mark, Option, frame
from tapeout.report.numbers import USD
from tapeout.report.tables import Column, Table

MOST_BARS = 16
ROW_HEIGHT = 26


def tornado_table(found: Tornado) -> Table:
    """The cost with one assumption at either end of its range, widest first."""
    columns = (
        Column(key="assumption", heading="Assumption"),
        Column(key="low_usd", heading="Cost at its low end", style=USD),
        Column(key="high_usd", heading="Cost at its high end", style=USD),
        Column(key="swing_usd", heading="Between them", style=USD),
    )
    rows = [{"assumption": bar.name, "low_usd": bar.low, "high_usd": bar.high, "swing_usd": bar.swing} for bar in found.bars]
    note = f"The plan costs {USD.show(found.planned)}. Orders are decided anew at each end; a dash means that no plan keeps to it."
    return Table(id="tornado", title="What moves the cost", columns=columns, rows=rows, note=note)


def tornado_figure(found: Tornado) -> Figure:
    """The cost with one assumption at either end of its range, as bars from what is planned, widest first."""
    most, table = [bar for bar in found.bars if math.isfinite(bar.swing)][:MOST_BARS], tornado_table(found)
    series, keys = [], []
    for name, colour in (("low end", "@series-4"), ("high end", "@series-1")):
        data = []
        for row, bar in enumerate(most):
            cost = bar.low if name == "low end" else bar.high
            ends = sorted((cost, found.planned))
            data.append({"value": [row, *ends], "name": bar.name, "lines": [(name, USD.show(cost)), ("planned", USD.show(found.planned))]})
        drawn: Option = {"type": "custom", "renderItem": "@span", "encode": {"x": [1, 2], "y": 0}, "clip": True}
        series.append(drawn | {"name": name, "data": data, "itemStyle": {"color": colour}, "emphasis": {"disabled": True}})
        keys.append(Key(name=name, colour=colour, mark=Mark.BAR))
    label, line = {"color": "@soft", "fontSize": 12}, {"lineStyle": {"color": "@line"}}
    option = frame() | {"series": series}
    option["tooltip"] = {"trigger": "item", "confine": True, "axisPointer": {"type": "none"}, "formatter": "@point"}
    option["xAxis"] = {
        "type": "value",
        "scale": True,
        "axisLabel": label | {"formatter": "@across", "hideOverlap": True},
        "splitLine": line,
    }
    names = {"type": "category", "data": [bar.name for bar in most], "inverse": True, "axisLabel": label | {"interval": 0}}
    option["yAxis"] = names | {"axisLine": {"show": False}, "axisTick": {"show": False}}
    option["grid"] |= {"left": 32, "right": 40}
    return Figure(
        id="tornado", title=table.title, caption="Expected cost with one assumption at an end of its range, US dollars, discounted.",
        option=option, keys=tuple(keys), table=table, style=USD, across=USD, wide=True, height=70 + ROW_HEIGHT * len(most),
    )  # fmt: skip
