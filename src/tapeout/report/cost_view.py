"""What `tapeout cost` prints: one record for JSON, and tables of the components, of what moves them, and of the owner's hour."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeout.cost.draws import percentiles
from tapeout.cost.hour import OwnerHourDraws
from tapeout.cost.rented import RentedHourDraws
from tapeout.cost.unit_draws import Influence, UnitDraws
from tapeout.report.cost_carbon_view import carbon_row
from tapeout.report.cost_run import Costed
from tapeout.report.numbers import PERCENT, NumberStyle
from tapeout.report.tables import Column, Table

Array = NDArray[np.float64]

DOLLARS = NumberStyle(prefix="$", digits=4)
HOURLY = NumberStyle(prefix="$", digits=3)
PER_CENT = NumberStyle(scale=100, digits=3, suffix=" %")
AREA = NumberStyle(scale=1e6, suffix=" mm2")
LENGTH = NumberStyle(scale=1e3, suffix=" mm")
DEFECTS = NumberStyle(scale=1e-4, suffix=" /cm2")
MOST_INFLUENCES = 12
"""Facts in the printed table and the chart."""

COMPONENTS = {
    "silicon": "Wafer and sort",
    "defects": "Dies lost to defects",
    "harvesting": "Saved by harvesting",
    "base_dies": "Base dies",
    "memory": "Memory",
    "package": "Package and bonding",
    "substrate": "Substrate",
    "loss": "Assembly loss",
    "escapes": "Test escapes",
    "test": "Final test",
    "module": "Module and power",
    "one_off": "One-off cost",
    "margin": "Seller's margin",
}
HOUR_COMPONENTS = {
    "chip": "Chip",
    "host": "Host",
    "network": "Network",
    "financing": "Financing",
    "hosting": "Hosting",
    "energy": "Electricity",
    "operations": "Operations",
}
RENT_COMPONENTS = {"rent": "Rent, on demand"}
UNUSED = {"downtime": "Hours not available", "idle": "Hours not used"}
"""What is added to an hour, so that the useful ones pay for all."""

FACTS = {
    "compute.area": ("Area of a compute die", AREA),
    "compute.wafer_price": ("Price of a wafer", DOLLARS),
    "compute.defect_density": ("Defect density", DEFECTS),
    "base.area": ("Area of a base die", AREA),
    "base.wafer_price": ("Price of a base wafer", DOLLARS),
    "base.defect_density": ("Defect density, base", DEFECTS),
    "clustering": ("Clustering of defects", NumberStyle()),
    "edge_loss": ("Edge of the wafer lost", LENGTH),
    "scribe_lane": ("Scribe lane", LENGTH),
    "harvest": ("Defective dies saved", PERCENT),
    "sort": ("Wafer sort", DOLLARS),
    "coverage": ("Bad dies that a test finds", PERCENT),
    "memory_price": ("Price of memory", NumberStyle(scale=1e9, prefix="$", suffix="/GB")),
    "package_price": ("Price of the package", NumberStyle(scale=1e-6, prefix="$", suffix="/mm2")),
    "area_factor": ("Package over its parts", NumberStyle()),
    "substrate": ("Substrate", DOLLARS),
    "carrier_yield": ("Yield of the carrier", PERCENT),
    "bonding_yield": ("Yield of a bond", PERCENT),
    "substrate_yield": ("Yield of the substrate", PERCENT),
    "stacking_yield": ("Yield of a stacked die", PERCENT),
    "final_test": ("Final test", DOLLARS),
    "module": ("Module", DOLLARS),
    "auxiliary": ("Power delivery", NumberStyle(prefix="$", suffix="/W")),
    "power": ("Power", NumberStyle(suffix=" W")),
}


def cost_row(found: Costed) -> dict[str, Any]:
    """All numbers of a costed chip, USD in plain units; percentiles are `p5`, `p50` and `p95`."""
    unit, hour = found.unit, found.hour or found.rented
    return {
        "chip": found.chip.id,
        "name": found.chip.name,
        "package": unit.build.package,
        "memory_units": unit.build.units,
        "volume": found.asked.volume,
        "programme_mode": found.mode,
        "year": found.asked.year,
        "draws": found.asked.draws,
        "seed": found.asked.seed,
        "currency_years": list(unit.build.currency_years),
        "unit_cost_usd": _percentiles(unit.unit),
        "price_usd": None if unit.price is None else _percentiles(unit.price),
        "owner_usd_per_hour": None if hour is None else _percentiles(hour.owned),
        "useful_usd_per_hour": None if hour is None or found.asked.utilisation is None else _percentiles(hour.total),
        "components": {name: _percentiles(part) for name, part in component_draws(unit).items()},
        "seller": unit.seller.name if unit.seller else None,
        "owner": found.owner.id,
        "site": found.site.id,
        "electricity": found.site.electricity,
        "hour_rule": found.hour_rule,
        "hour_components": {} if hour is None else {name: _percentiles(part) for name, part in hour_draws(hour).items()},
        "carbon": carbon_row(found.embodied, found.carbon, found.asked.tokens_per_second),
        "influences": [_influence(each) for each in unit.influences],
    }


def component_draws(unit: UnitDraws) -> dict[str, Array]:
    """The components of the price in order: of the recurring cost, the one-off cost at a volume, the seller's margin where known."""
    parts = dict(unit.components.by_name())
    if unit.one_off is not None:
        parts["one_off"] = unit.one_off
    if unit.price is not None:
        parts["margin"] = unit.price - unit.unit
    return parts


def hour_draws(hour: OwnerHourDraws | RentedHourDraws) -> dict[str, Array]:
    """The components of an hour in order, before hours that are not available or not used."""
    return {name: getattr(hour, name) for name in (HOUR_COMPONENTS if isinstance(hour, OwnerHourDraws) else RENT_COMPONENTS)}


def component_table(found: Costed) -> Table:
    """Each component, then the unit cost and the price; a component that is nothing in every draw is left out."""
    unit = found.unit
    total = float(np.mean(unit.unit))
    parts = {name: part for name, part in component_draws(unit).items() if np.any(part) and name != "margin"}
    rows = [_line(COMPONENTS[name], part, float(np.mean(part)) / total) for name, part in parts.items()]
    rows.append(_line("Unit cost", unit.unit, 1.0))
    if unit.price is not None and unit.seller is not None:
        rows.append(_line(f"Price: {unit.seller.name}", unit.price, float(np.mean(unit.price)) / total))
    columns = (Column(key="part", heading="Part"), *_usd(DOLLARS), Column(key="share", heading="Share of unit cost", style=PER_CENT))
    note = f"{found.asked.draws:,} draws, seed {found.asked.seed}; money of {_years(unit.build.currency_years)}, not inflated."
    note += " Shares are of means; percentiles of parts do not add up."
    return Table(id="components", title=_title(found), columns=columns, rows=rows, note=note)


def influence_table(found: Costed) -> Table:
    """What moves the recurring cost most, each fact from one end of its range to the other with all else at its value."""
    rows = [
        _influence(each)
        | {"fact": FACTS[each.name][0], "from": FACTS[each.name][1].show(each.fact.low), "to": FACTS[each.name][1].show(each.fact.high)}
        for each in found.unit.influences[:MOST_INFLUENCES]
    ]
    columns = (
        Column(key="fact", heading="Fact"),
        Column(key="from", heading="From"),
        Column(key="to", heading="To"),
        Column(key="at_low_usd", heading="Cost at the first", style=DOLLARS),
        Column(key="at_high_usd", heading="at the second", style=DOLLARS),
        Column(key="variance_share", heading="Share of variance", style=PER_CENT),
        Column(key="grade", heading="Grade", tag=True),
        Column(key="source", heading="Source"),
    )
    note = "Ends are the 5th and 95th percentile of each fact. Prices of one foundry move together, so their shares overlap."
    return Table(id="influences", title="What moves the cost", columns=columns, rows=rows, note=note)


def hour_table(found: Costed) -> Table | None:
    """The hour by component, in a cloud its rent, and the useful hour where a utilisation is asked for; none where there is no price."""
    hour, used = found.hour or found.rented, found.asked.utilisation
    if hour is None:
        return None
    total, names = float(np.mean(hour.owned)), HOUR_COMPONENTS | RENT_COMPONENTS
    rows = [_line(names[name], part, float(np.mean(part)) / total) for name, part in hour_draws(hour).items()]
    rows.append(_line("An hour", hour.owned, 1.0))
    if used is not None:
        unused = {words: getattr(hour, name) for name, words in UNUSED.items() if hasattr(hour, name)}
        rows += [_line(words, part, float(np.mean(part)) / total) for words, part in (unused | {"A useful hour": hour.total}).items()]
    if found.rented is not None:
        rows.append(_line("Rent, three years", found.rented.committed, float(np.mean(found.rented.committed)) / total))
    columns = (Column(key="part", heading="Part"), *_usd(HOURLY), Column(key="share", heading="Share", style=PER_CENT))
    title = f"A rented hour: {found.site.name}" if found.rented else f"An owner's hour: {found.owner.name}, {found.site.name}"
    note = f"{'The rent' if found.rented else 'The chip'} at {found.hour_rule}."
    note += " Every hour counts, used or not." if used is None else f" {PERCENT.show(used)} of the hours are used."
    return Table(id="hour", title=title, columns=columns, rows=rows, note=note)


def _title(found: Costed) -> str:
    words = [f"{found.chip.name}: unit cost in US dollars"]
    words += [f"in {found.asked.year}"] if found.asked.year else []
    words += [f"at {found.asked.volume:,} chips"] if found.asked.volume else []
    return ", ".join(words)


def _years(years: tuple[int, ...]) -> str:
    return f"{years[0]} to {years[-1]}" if len(years) > 1 else str(years[0])


def _usd(style: NumberStyle) -> tuple[Column, ...]:
    return tuple(Column(key=key, heading=key, style=style) for key in ("p5", "p50", "p95"))


def _line(part: str, numbers: Array, share: float) -> dict[str, Any]:
    return {"part": part} | _percentiles(numbers) | {"share": share}


def _percentiles(numbers: Array) -> dict[str, float]:
    return asdict(percentiles(numbers))


def _influence(each: Influence) -> dict[str, Any]:
    return {
        "name": each.name,
        "unit": each.fact.unit.symbol,
        "low": each.fact.low,
        "value": each.fact.value,
        "high": each.fact.high,
        "at_low_usd": each.at_low,
        "at_high_usd": each.at_high,
        "swing_usd": each.swing,
        "variance_share": each.variance_share,
        "source": each.fact.source,
        "grade": str(each.fact.grade),
    }
