"""A design as rows, tables and words."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from tapeout.design.sweep import STAGING
from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.power import idle_powers
from tapeout.performance.best import Serving
from tapeout.report.design_floorplan import BLOCKS
from tapeout.report.design_run import Against, Designed, Margin, deployment_label
from tapeout.report.numbers import COUNT, PERCENT, NumberStyle
from tapeout.report.tables import Column, Row, Table
from tapeout.units import Dimensionless, Unit

MILLION_TOKENS = NumberStyle(scale=1e6, prefix="$", digits=3)
DOLLARS = NumberStyle(prefix="$", digits=4)
HOURLY = NumberStyle(prefix="$", digits=3)
JOULES = NumberStyle(suffix=" J", digits=3)
WATTS = NumberStyle(suffix=" W", digits=3)
SQUARE_MM = NumberStyle(scale=1e6, suffix=" mm²", digits=3)
NO_ROOM: Dimensionless = 0.02
"""Room below which a limit binds, as a share of it."""
PARAMETERS = {
    "node": "Node",
    "dies": "Dies",
    "matrix_units": "Matrix units",
    "rows": "Rows of a matrix unit",
    "columns": "Columns of a matrix unit",
    "formats": "Number formats",
    "clock_ghz": "Clock, GHz",
    "on_chip_memory_mib": "On-chip memory, MiB",
    "memory": "Memory",
    "stacks": "Stacks or devices of it",
    "link_gb_per_s": "Links out of the chip, GB/s",
    "topology": "Scale-up fabric",
    "domain": "Chips in a domain",
    "scale_out_gb_per_s": "Links beyond the domain, GB/s",
    "power_limit_w": "Power limit, W",
}
CONSUMERS = {
    "matrix": "Matrix units",
    "vector": "Vector lanes",
    "operands": "Operands from on-chip memory",
    "memory": "Memory",
    "links": "Links",
    "die_to_die": "Die to die",
    "clock": "Clock tree",
    "leakage": "Leakage",
}


def design_row(found: Designed) -> dict[str, Any]:
    """What `design.json` holds; money in USD, chips for volumes, None for what is not served or never breaks even.

    Costs, energy, volumes and rates are those under traffic; `steady_state` has what the search went by.
    """
    best, certificate, even, rival = found.best, found.found.certificate, found.even, best_rival(found)
    steady = found.steady_rival
    peak = found.brief.peak * found.goodput.seconds
    return {
        "scenario": found.scenario.name,
        "own_chip": found.brief.name,
        "aim": found.found.aim.value,
        "best": parameters_row(best.parameters),
        "usd_per_million_output_tokens": _finite(1e6 * found.usd_per_token),
        "usd_per_million_output_tokens_band": None if even is None else _percentiles(1e6 * even.own),
        "unit_cost_usd": best.unit_cost,
        "break_even_units": None if even is None else _finite(even.middle),
        "break_even_band": None if even is None else _percentiles(even.draws) | {"share": float(np.mean(np.isfinite(even.draws)))},
        "evaluated": certificate.combinations + found.looked_at,
        "binding": binding_limits(found)[0].name,
        "binding_limits": [one.name for one in binding_limits(found)],
        "joules_per_output_token": _finite(found.joules_per_token),
        "usd_per_chip_hour": best.hour,
        "one_off_usd": best.one_off,
        "power_w": best.power,
        "die_area_mm2": 1e6 * float(found.built.dies.total[0]),
        "needed_units": _finite(peak),
        "volume": found.brief.question.economics.volume,
        "arrives": found.brief.arrives,
        "best_merchant": None if rival is None else rival.rival.chip.id,
        "merchant_usd_per_million_output_tokens": None if rival is None else 1e6 * rival.usd_per_token,
        "merchant_usd_per_million_output_tokens_band": None if even is None else _percentiles(1e6 * even.rival),
        "cheaper_than_best_merchant": None if even is None else float(np.mean(even.own < even.rival)),
        "steady_state": {
            "usd_per_million_output_tokens": 1e6 * best.usd_per_token,
            "joules_per_output_token": best.joules_per_token,
            "best_merchant": steady.rival.chip.id if steady and math.isfinite(steady.steady_seconds) else None,
            "merchant_usd_per_million_output_tokens": None if steady is None else _finite(1e6 * steady.steady_usd_per_token),
        },
        "certificate": {
            "combinations": certificate.combinations,
            "candidates": certificate.candidates,
            "dropped": certificate.dropped,
            "best_on_grid_usd_per_million_output_tokens": 1e6 * found.found.best.usd_per_token,
            "holds": certificate.holds,
        },
        "margins": {one.name: one.margin for one in found.margins},
        "serves": {
            one.name: {
                "output_tokens_per_s_per_chip": rate,
                "deployment": getattr(serving, "label", None),
                "steady_output_tokens_per_s_per_chip": one.rate,
                "steady_sequences_per_rank": one.load,
            }
            for one, serving, rate in zip(best.served, found.goodput.servings, found.goodput.rates, strict=True)
        },
    }


def best_rival(found: Designed) -> Against | None:
    """The chip on offer with the cheapest token under traffic, None where none serves all workloads."""
    return next((one for one in found.rivals if math.isfinite(one.goodput.seconds)), None)


def binding_limits(found: Designed) -> list[Margin]:
    """The limits with no more room than a step of the search, at least the nearest; without the rule on on-chip memory, which is none."""
    limits = [one for one in found.margins if one.name != STAGING]
    return [one for one in limits if one.margin <= max(NO_ROOM, limits[0].margin)]


def _percentiles(draws: Annotated[NDArray[np.float64], Unit("1")]) -> dict[str, float | None]:
    """5, 50 and 95 % of the draws, None for those that are infinite."""
    return {f"p{share}": _finite(float(np.percentile(draws, share, method="higher"))) for share in (5, 50, 95)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def parameters_row(own: OwnChip) -> dict[str, Any]:
    """The parameters that a scenario states, in its units."""
    return {
        "node": own.node,
        "dies": own.dies,
        "matrix_units": own.matrix_units,
        "rows": own.rows,
        "columns": own.columns,
        "formats": [str(name) for name in own.formats],
        "clock_ghz": own.clock / 1e9,
        "on_chip_memory_mib": own.on_chip_memory / 2**20,
        "memory": own.memory,
        "stacks": own.stacks,
        "link_gb_per_s": own.link_bandwidth / 1e9,
        "topology": str(own.topology),
        "domain": own.domain,
        "scale_out_gb_per_s": own.scale_out / 1e9,
        "power_limit_w": own.power_limit,
    }


def parameter_table(found: Designed) -> Table:
    """The best design and the best point of the grid, side by side."""
    best, on_grid = parameters_row(found.best.parameters), parameters_row(found.found.best.parameters)
    rows = [{"parameter": heading, "best": _word(best[name]), "grid": _word(on_grid[name])} for name, heading in PARAMETERS.items()]
    columns = (
        Column(key="parameter", heading="Parameter"),
        Column(key="best", heading="Found"),
        Column(key="grid", heading="Best of the grid"),
    )
    return Table(id="parameters", title="The chip found", columns=columns, rows=rows)


def front_table(found: Designed) -> Table:
    """The front of dollars against joules by rising dollars."""
    rows: list[Row] = [
        {"usd_per_token": one.usd_per_token, "joules_per_token": one.joules_per_token, "power_w": one.power, "unit_cost_usd": one.unit_cost}
        | parameters_row(one.parameters)
        for one in found.found.front
    ]
    columns = (
        Column(key="usd_per_token", heading="$/Mtok out", style=MILLION_TOKENS),
        Column(key="joules_per_token", heading="Energy a token", style=JOULES),
        Column(key="node", heading="Node"),
        Column(key="dies", heading="Dies", style=COUNT),
        Column(key="matrix_units", heading="Matrix units", style=COUNT),
        Column(key="rows", heading="Rows", style=COUNT),
        Column(key="clock_ghz", heading="Clock", style=NumberStyle(suffix=" GHz")),
        Column(key="memory", heading="Memory"),
        Column(key="stacks", heading="Stacks", style=COUNT),
        Column(key="link_gb_per_s", heading="Links", style=NumberStyle(suffix=" GB/s", digits=4)),
        Column(key="power_w", heading="Power", style=WATTS),
        Column(key="unit_cost_usd", heading="Unit cost", style=DOLLARS),
    )
    return Table(id="front", title="Dollars against joules", columns=columns, rows=rows)


def rival_table(found: Designed) -> Table:
    """The design and the chips on offer on the same mix under traffic, cheapest token first."""
    names = [one.name for one in found.brief.question.workloads]
    best = found.best
    rows: list[Row] = [
        {
            "chip": f"{found.brief.name} (own)", "contract": f"at {found.brief.question.economics.volume:,.0f} chips", "hour": best.hour,
            "usd_per_token": found.usd_per_token, "steady_usd_per_token": best.usd_per_token,
        }
        | dict(zip(names, found.goodput.rates, strict=True))
    ]  # fmt: skip
    rows += [
        {
            "chip": each.rival.chip.id, "contract": each.rival.contract, "hour": each.rival.hour,
            "usd_per_token": each.usd_per_token, "steady_usd_per_token": each.steady_usd_per_token,
        }
        | dict(zip(names, each.goodput.rates, strict=True))
        for each in found.rivals
    ]  # fmt: skip
    columns = (
        Column(key="chip", heading="Chip"),
        Column(key="contract", heading="Contract"),
        Column(key="hour", heading="$/chip-hour", style=HOURLY),
        Column(key="usd_per_token", heading="$/Mtok out", style=MILLION_TOKENS),
        Column(key="steady_usd_per_token", heading="by means", style=MILLION_TOKENS),
        *(Column(key=name, heading=f"{name}, tokens/s", style=NumberStyle(digits=4)) for name in names),
    )
    return Table(
        id="rivals", title="Against the chips on offer", columns=columns, rows=sorted(rows, key=lambda row: row["usd_per_token"]),
        note="Under traffic: Poisson arrivals, at the highest rate at which enough queries keep the limits. By means: where only mean "
        "latencies must, as in the search.",
    )  # fmt: skip


def served_table(found: Designed) -> Table:
    """How the design serves each workload, under traffic and in the steady state of the search."""
    domain = found.best.parameters.domain
    workloads = found.brief.question.workloads
    rows = []
    for one, part, serving in zip(workloads, found.best.served, found.goodput.servings, strict=True):
        row = {
            "workload": one.name, "share": one.weight, "precision": str(one.demand.precision), "steady_rate": part.rate,
            "steady_deployment": deployment_label(one, domain, part.deployment), "load": part.load,
        }  # fmt: skip
        if isinstance(serving, Serving):
            row |= {"deployment": serving.label, "rate": serving.rate.value, "low": serving.rate.low, "high": serving.rate.high}
        else:
            row |= {"deployment": serving.reason, "rate": 0.0}
        rows.append(row)
    rate = NumberStyle(digits=4)
    columns = (
        Column(key="workload", heading="Workload"), Column(key="share", heading="Share of tokens", style=PERCENT),
        Column(key="precision", heading="Precision"), Column(key="deployment", heading="Deployment"),
        Column(key="rate", heading="Tokens/s per chip", style=rate), Column(key="low", heading="Low", style=rate),
        Column(key="high", heading="High", style=rate), Column(key="steady_deployment", heading="By means: deployment"),
        Column(key="load", heading="Sequences a rank", style=NumberStyle()),
        Column(key="steady_rate", heading="Tokens/s per chip", style=rate),
    )  # fmt: skip
    note = "Low and high are the 80 % band of the prediction."
    return Table(id="served", title="How it serves", columns=columns, rows=rows, note=note)


def limit_table(found: Designed) -> Table:
    """The limits from the nearest to the farthest."""
    rows = [
        {"limit": one.name, "need": one.given, "allowed": one.allowed, "margin": one.margin, "source": one.source} for one in found.margins
    ]
    columns = (
        Column(key="limit", heading="Limit"), Column(key="need", heading="Design"), Column(key="allowed", heading="Allowed"),
        Column(key="margin", heading="Room", style=PERCENT), Column(key="source", heading="Source"),
    )  # fmt: skip
    return Table(id="limits", title="Limits", columns=columns, rows=rows)


def area_table(found: Designed) -> Table:
    """Area of one die by block."""
    total = float(found.built.dies.total[0])
    rows = [
        {"block": heading, "area": (area := float(getattr(found.built.dies, name)[0])), "share": area / total}
        for name, heading in BLOCKS.items()
        if float(getattr(found.built.dies, name)[0]) > 0
    ]
    columns = (
        Column(key="block", heading="Block"), Column(key="area", heading="Area of a die", style=SQUARE_MM),
        Column(key="share", heading="Share", style=PERCENT),
    )  # fmt: skip
    return Table(id="area", title="Area", columns=columns, rows=rows)


def power_table(found: Designed) -> Table:
    """Power by consumer, at full load and at rest."""
    load, idle = found.built.power, idle_powers(found.built.power)
    names = [field.name for field in fields(load)]
    rows = [{"consumer": CONSUMERS[name], "load": float(getattr(load, name)[0]), "idle": float(getattr(idle, name)[0])} for name in names]
    columns = (
        Column(key="consumer", heading="Consumer"), Column(key="load", heading="At full load", style=WATTS),
        Column(key="idle", heading="At rest", style=WATTS),
    )  # fmt: skip
    return Table(id="power", title="Power", columns=columns, rows=[row for row in rows if row["load"]])


def moved_table(found: Designed) -> Table:
    """What moves the token's cost."""
    rows = [{"what": one.name, "less": one.less, "more": one.more, "against": one.against} for one in found.moved]
    columns = (
        Column(key="what", heading="What"), Column(key="less", heading="With less", style=MILLION_TOKENS),
        Column(key="more", heading="With more", style=MILLION_TOKENS), Column(key="against", heading="Stands against it"),
    )  # fmt: skip
    return Table(id="moves", title="What moves the cost of a million output tokens", columns=columns, rows=rows)


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
