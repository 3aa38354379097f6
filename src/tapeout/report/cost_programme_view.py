"""Chip programmes for people and machines: what each mode costs, when it reaches volume, and what it pays by quarter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from tapeout.cost.draws import Percentiles, percentiles
from tapeout.cost.outcomes import Outcome, Plan
from tapeout.cost.programme import ProgrammeDraws
from tapeout.report.figures import Figure, Key, Mark, Option, lines_figure
from tapeout.report.numbers import PERCENT, USD, NumberStyle
from tapeout.report.palette import SERIES
from tapeout.report.tables import Column, Table
from tapeout.units import MONTH

MONTHS = NumberStyle(scale=1 / MONTH, digits=3)
NEARLY_ALL = 0.99
"""Share of the arrivals at volume after which charts by quarter end."""

PHASE_WORDS = {
    "integration": "integration of the firm",
    "architecture": "architecture to verified design",
    "tape_out": "physical design to tape-out",
    "foundry_queue": "queue at the foundry",
    "fabrication": "fabrication",
    "assembly": "assembly",
    "bring_up": "bring-up",
    "respins": "respins",
    "ramp": "ramp",
    "packaging_wait": "wait for packaging",
}


def spread(found: Percentiles[float]) -> dict[str, float]:
    """The percentiles as a row has them."""
    return asdict(found)


def shown_quarters(found: Sequence[ProgrammeDraws]) -> int:
    """Quarters that charts show: until nearly all programmes that are not stopped are in volume."""
    return max(int(np.searchsorted(each.in_volume(each.quarters), NEARLY_ALL * (1 - each.failure))) + 1 for each in found)


def programme_rows(
    found: Sequence[ProgrammeDraws], *, node: str, area: float, plans: Sequence[Plan], outcomes: Sequence[tuple[Outcome, ...]]
) -> list[dict[str, Any]]:
    """One row a mode, unrounded: USD, seconds and shares, with everything by quarter; `area` of the die in m2.

    `plans` and `outcomes` are those of each mode, in the same order.
    """
    return [_row(each, node, area) | outcome_row(plan, ends) for each, plan, ends in zip(found, plans, outcomes, strict=True)]


def outcome_row(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The plan of a programme and what can become of it; a delay is none where volume is never reached."""
    lines = [
        {
            "outcome": str(one.kind),
            "probability": one.probability,
            "end_s": one.end,
            "delay_s": None if one.delay_quarters is None else one.delay,
            "delay_quarters": one.delay_quarters,
            "extra_cost_usd": one.extra_cost,
            "known_s": one.known,
        }
        for one in outcomes
    ]
    return {"plan": {"duration_s": plan.duration, "cost_usd": plan.cost, "spins": plan.spins}, "outcomes": lines}


def _row(found: ProgrammeDraws, node: str, area: float) -> dict[str, Any]:
    quarters = found.quarters
    cash, chance = found.cash(quarters), found.in_volume(quarters)
    planned, paid = found.planned(), found.paid()
    low, middle, high = np.percentile(cash, (5, 50, 95), axis=0)
    return {
        "mode": found.mode.id,
        "node": node,
        "die_area_m2": area,
        "one_off_usd": spread(percentiles(found.one_off)),
        "expected_paid_usd": float(cash.sum(axis=1).mean()),
        "volume_s": spread(percentiles(found.calendar.volume)),
        "in_volume_probability": 1 - found.failure,
        "spins_mean": float(found.calendar.spins.mean()),
        "margin": spread(percentiles(found.margin)),
        "one_off_by_phase_usd": {name: spread(percentiles(each)) for name, each in planned.items()},
        "expected_paid_by_phase_usd": {name: float(each.mean()) for name, each in paid.items()},
        "time_by_phase_s": {name: spread(each) for name, each in found.calendar.phases().items()},
        "cash_by_quarter_usd": {"p5": low.tolist(), "p50": middle.tolist(), "p95": high.tolist(), "mean": cash.mean(axis=0).tolist()},
        "in_volume_by_quarter": chance.tolist(),
    }


def programme_table(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    """The modes side by side."""
    columns = (
        Column(key="mode", heading="Mode"),
        *(Column(key=f"one_off_usd.{key}", heading=f"One-off {key}", style=USD) for key in ("p5", "p50", "p95")),
        Column(key="expected_paid_usd", heading="Expected paid", style=USD),
        *(Column(key=f"volume_s.{key}", heading=f"Months {key}", style=MONTHS) for key in ("p5", "p50", "p95")),
        Column(key="in_volume_probability", heading="Ever in volume", style=PERCENT),
        Column(key="spins_mean", heading="Spins", style=NumberStyle()),
        Column(key="margin.p50", heading="Margin of others", style=PERCENT),
    )
    note = "One-off cost as planned; expected paid counts programmes that stop. Margin is what others take of the price of each chip."
    return Table(id="programmes", title=title, columns=columns, rows=rows, note=note)


def outcome_table(rows: Sequence[dict[str, Any]]) -> Table:
    """What becomes of a programme by mode, against its plan."""
    columns = (
        Column(key="mode", heading="Mode"),
        Column(key="outcome", heading="Outcome"),
        Column(key="probability", heading="Probability", style=PERCENT),
        Column(key="end_s", heading="Ends after, months", style=MONTHS),
        Column(key="delay_s", heading="Delay, months", style=MONTHS),
        Column(key="extra_cost_usd", heading="Paid above plan", style=USD),
        Column(key="known_s", heading="Known after, months", style=MONTHS),
    )
    lines = [{"mode": row["mode"]} | one for row in rows for one in row["outcomes"]]
    plans = "; ".join(
        f"{row['mode']} {MONTHS.show(row['plan']['duration_s'])} months and {USD.show(row['plan']['cost_usd'])}" for row in rows
    )
    note = f"The plan has every fact at its middle and one respin: {plans}. The price of a firm or a licence is not in it."
    return Table(id="programme-outcomes", title="What becomes of it", columns=columns, rows=lines, note=note)


def phase_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Months of each phase by mode, at the median."""
    columns = (
        Column(key="phase", heading="Phase, months"),
        *(Column(key=row["mode"], heading=row["mode"], style=MONTHS) for row in rows),
    )
    phases = [{"phase": words} | {row["mode"]: row["time_by_phase_s"][name]["p50"] for row in rows} for name, words in PHASE_WORDS.items()]
    return Table(
        id="programme-phases", title="Phases", columns=columns, rows=phases, note="Medians, which do not add up to the median of the whole."
    )


def cost_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Expected payments by phase and mode; each column adds up to what the mode is expected to pay."""
    names = list(dict.fromkeys(name for row in rows for name in row["expected_paid_by_phase_usd"]))
    columns = (Column(key="phase", heading="Paid for"), *(Column(key=row["mode"], heading=row["mode"], style=USD) for row in rows))
    found = [{"phase": name} | {row["mode"]: row["expected_paid_by_phase_usd"].get(name, 0.0) for row in rows} for name in names]
    return Table(id="programme-payments", title="Payments", columns=columns, rows=found, note="Means, programmes that stop included.")


def volume_figure(found: Sequence[ProgrammeDraws], quarters: int) -> Figure:
    """Probability of being in volume by quarter, a line for each mode."""
    chances = {each.mode.id: each.in_volume(quarters) for each in found}
    columns = (
        Column(key="quarter", heading="Quarter"),
        *(Column(key=each.mode.id, heading=each.mode.name, style=PERCENT) for each in found),
    )
    rows = [{"quarter": f"{index + 1}"} | {name: float(chance[index]) for name, chance in chances.items()} for index in range(quarters)]
    table = Table(id="in-volume", title="In volume", columns=columns, rows=rows)
    caption = (
        "Probability that chips come in volume by the end of each quarter from the start; what is missing to 100 % at the end is stopped."
    )
    return lines_figure(table, id="in-volume", title="In volume by quarter", caption=caption, style=PERCENT)


def cash_figure(found: ProgrammeDraws, quarters: int) -> Figure:
    """Cash of one mode by quarter as a fan: the middle 90 % and the middle half of the draws, and their mean."""
    cash = found.cash(quarters)
    ends = dict(zip(("p5", "p25", "p75", "p95"), np.percentile(cash, (5, 25, 75, 95), axis=0), strict=True))
    mean = cash.mean(axis=0)
    columns = (
        Column(key="quarter", heading="Quarter"),
        Column(key="mean", heading="Mean", style=USD),
        *(Column(key=name, heading=name, style=USD) for name in ends),
    )
    rows = [
        {"quarter": f"{index + 1}", "mean": float(mean[index])} | {name: float(each[index]) for name, each in ends.items()}
        for index in range(quarters)
    ]
    table = Table(id=f"cash-{found.mode.id}", title=f"Cash, {found.mode.name.lower()}", columns=columns, rows=rows)
    figure = lines_figure(
        replace(table, columns=columns[:2]),
        id=table.id,
        title=table.title,
        caption="US dollars paid in each quarter from the start, programmes that stop included.",
        style=USD,
    )
    bands = (("p5 to p95", "p5", "p95", f"@{SERIES[4]}"), ("p25 to p75", "p25", "p75", f"@{SERIES[0]}"))
    figure.option["series"] = [*(_band(name, rows, low, high, colour) for name, low, high, colour in bands), *figure.option["series"]]
    keys = (*(Key(name=name, colour=colour, mark=Mark.BAR) for name, _, _, colour in bands), *figure.keys)
    return replace(figure, keys=keys, table=table, height=320)


def _band(name: str, rows: Sequence[dict[str, Any]], low: str, high: str, colour: str) -> Option:
    data = [[index, row[low], row[high]] for index, row in enumerate(rows)]
    drawn: Option = {"type": "custom", "renderItem": "@fan", "encode": {"x": 0, "y": [1, 2]}, "clip": True}
    return drawn | {"name": name, "data": data, "itemStyle": {"color": colour}, "emphasis": {"disabled": True}}
