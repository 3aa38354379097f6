"""A design as rows, tables and words."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np

from tapeout.hardware.parameters import OwnChip
from tapeout.hardware.power import idle_powers
from tapeout.report.design_floorplan import BLOCKS
from tapeout.report.design_run import Designed, deployment_label
from tapeout.report.numbers import COUNT, PERCENT, NumberStyle
from tapeout.report.tables import Column, Row, Table

MILLION_TOKENS = NumberStyle(scale=1e6, prefix="$", digits=3)
DOLLARS = NumberStyle(prefix="$", digits=4)
HOURLY = NumberStyle(prefix="$", digits=3)
JOULES = NumberStyle(suffix=" J", digits=3)
WATTS = NumberStyle(suffix=" W", digits=3)
SQUARE_MM = NumberStyle(scale=1e6, suffix=" mm²", digits=3)
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
    """What `design.json` holds; money in USD, chips for volumes, None where the design never breaks even."""
    best, certificate, band = found.best, found.found.certificate, band_of(found)
    rival = found.rivals[0] if found.rivals else None
    return {
        "scenario": found.scenario.name,
        "own_chip": found.brief.name,
        "aim": found.found.aim.value,
        "best": parameters_row(best.parameters),
        "usd_per_million_output_tokens": 1e6 * best.usd_per_token,
        "unit_cost_usd": best.unit_cost,
        "break_even_units": found.break_even if math.isfinite(found.break_even) else None,
        "evaluated": certificate.combinations + found.looked_at,
        "binding": found.margins[0].name,
        "joules_per_output_token": best.joules_per_token,
        "usd_per_chip_hour": best.hour,
        "one_off_usd": best.one_off,
        "power_w": best.power,
        "die_area_mm2": 1e6 * float(found.built.dies.total[0]),
        "needed_units": found.brief.peak * best.seconds,
        "volume": found.brief.question.economics.volume,
        "arrives": found.brief.arrives,
        "best_merchant": None if rival is None else rival.rival.chip.id,
        "merchant_usd_per_million_output_tokens": None if rival is None else 1e6 * rival.usd_per_token,
        "break_even_band": band,
        "certificate": {
            "combinations": certificate.combinations,
            "candidates": certificate.candidates,
            "dropped": certificate.dropped,
            "best_on_grid_usd_per_million_output_tokens": 1e6 * found.found.best.usd_per_token,
            "holds": certificate.holds,
        },
        "margins": {one.name: one.margin for one in found.margins},
        "serves": {one.name: {"output_tokens_per_s_per_chip": one.rate, "sequences_per_rank": one.load} for one in best.served},
    }


def band_of(found: Designed) -> dict[str, float | None]:
    """Break-even volume at 5, 50 and 95 % of the draws, and the share of them in which there is one."""
    draws = found.break_even_draws
    ends = {f"p{share}": float(np.percentile(draws, share, method="higher")) for share in (5, 50, 95)}
    return {name: end if math.isfinite(end) else None for name, end in ends.items()} | {"share": float(np.mean(np.isfinite(draws)))}


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
    rows = [{"parameter": name.replace("_", " "), "best": _word(best[name]), "grid": _word(on_grid[name])} for name in best]
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
    """The design and the chips on offer on the same mix, cheapest token first."""
    own: dict[str, Any] = {
        "chip": f"{found.brief.name} (own)", "contract": f"at {found.brief.question.economics.volume:,.0f} chips", "hour": found.best.hour,
        "usd_per_token": found.best.usd_per_token,
    }  # fmt: skip
    own |= {one.name: one.rate for one in found.best.served}
    rows = [own]
    for each in found.rivals:
        rates = {one.name: float(part.rate[0]) for one, part in zip(each.workloads, each.carried, strict=True)}
        rows.append(
            {"chip": each.rival.chip.id, "contract": each.rival.contract, "hour": each.rival.hour, "usd_per_token": each.usd_per_token}
            | rates
        )
    columns = (
        Column(key="chip", heading="Chip"),
        Column(key="contract", heading="Contract"),
        Column(key="hour", heading="$/chip-hour", style=HOURLY),
        Column(key="usd_per_token", heading="$/Mtok out", style=MILLION_TOKENS),
        *(Column(key=one.name, heading=f"{one.name}, tokens/s", style=NumberStyle(digits=4)) for one in found.brief.question.workloads),
    )
    ordered = sorted(rows, key=lambda row: row["usd_per_token"])
    return Table(id="rivals", title="Against the chips on offer", columns=columns, rows=ordered)


def served_table(found: Designed) -> Table:
    """How the design serves each workload."""
    domain = found.best.parameters.domain
    rows = [
        {
            "workload": one.name, "share": one.weight, "precision": str(one.demand.precision),
            "deployment": deployment_label(one, domain, part.deployment), "load": part.load, "rate": part.rate,
        }
        for one, part in zip(found.brief.question.workloads, found.best.served, strict=True)
    ]  # fmt: skip
    columns = (
        Column(key="workload", heading="Workload"), Column(key="share", heading="Share of tokens", style=PERCENT),
        Column(key="precision", heading="Precision"), Column(key="deployment", heading="Deployment"),
        Column(key="load", heading="Sequences a rank", style=NumberStyle()),
        Column(key="rate", heading="Tokens/s per chip", style=NumberStyle(digits=4)),
    )  # fmt: skip
    return Table(id="served", title="How it serves", columns=columns, rows=rows)


def limit_table(found: Designed) -> Table:
    """The limits from the nearest to the farthest."""
    rows = [{"limit": one.name, "need": one.given, "allowed": one.allowed, "margin": one.margin} for one in found.margins]
    columns = (
        Column(key="limit", heading="Limit"), Column(key="need", heading="Design"), Column(key="allowed", heading="Allowed"),
        Column(key="margin", heading="Room", style=PERCENT),
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


def verdict(found: Designed) -> tuple[str, ...]:
    """In words: what the chip costs, whether and why it wins, from how many chips on, and which limit binds."""
    best, economics, certificate = found.best, found.brief.question.economics, found.found.certificate
    nearest = found.margins[0]
    rivalry, *rest = _against(found)
    return (
        f"The best chip found makes a million output tokens for {MILLION_TOKENS.show(best.usd_per_token)} at {economics.volume:,.0f} "
        f"chips, its one-off cost of ${best.one_off / 1e6:,.0f} million included. {rivalry}",
        *rest,
        f"The peak of the plan needs {found.brief.peak * best.seconds:,.0f} of them.",
        f"The limit that binds is {nearest.name}: {nearest.given}; the limit is {nearest.allowed}.",
        f"Of {certificate.combinations:,} designs on the grid {certificate.candidates:,} can be built and serve all workloads; smaller "
        f"steps around the best looked at {found.looked_at:,} more.",
    )


def _against(found: Designed) -> list[str]:
    if not found.rivals or not math.isfinite(found.rivals[0].usd_per_token):
        return ["No chip on offer serves all of the workloads."]
    best, rival = found.best, found.rivals[0]
    ratio = rival.usd_per_token / best.usd_per_token
    hour, speed = rival.rival.hour / best.hour, best.seconds * rival.rival.hour / 3600 / rival.usd_per_token
    band, volume = band_of(found), found.break_even
    even = "At no volume does it break even: its recurring cost alone is above that."
    if math.isfinite(volume):
        ends = " to ".join("never" if band[end] is None else f"{band[end]:,.0f}" for end in ("p5", "p95"))
        even = f"It breaks even from {volume:,.0f} chips on (5 to 95 % of the draws: {ends})."
    return [
        f"It {'wins' if ratio > 1 else 'loses'}: on {rival.rival.chip.name}, the cheapest of the chips on offer, they cost "
        f"{MILLION_TOKENS.show(rival.usd_per_token)}, {ratio:.2f} times as much. An hour of that chip costs {hour:.2f} times as much, "
        f"and it serves {speed:.2f} times as many tokens.",
        even,
    ]


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
