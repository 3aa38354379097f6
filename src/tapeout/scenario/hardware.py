"""The chips that a scenario names: those of the catalogue, and its own chips made from their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from tapeout.cost.unit import UnitCost, unit_cost
from tapeout.hardware.catalog import chip
from tapeout.hardware.chip import Chip
from tapeout.hardware.custom import own_chip
from tapeout.hardware.process import packaging
from tapeout.scenario.contracts import Own
from tapeout.scenario.schema import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Chips:
    """`by_name` holds every chip that a contract names; `own_costs` the unit cost of the own ones."""

    by_name: dict[str, Chip]
    own_costs: dict[str, UnitCost]


def chips_of(scenario: Scenario) -> Chips:
    """The chips of all contracts; raises InputError for an own chip that breaks a limit of its node or package."""
    own = {name: own_chip(entry.parameters(name)) for name, entry in scenario.own_chips.items()}
    costs = {name: unit_cost(own[name], package=packaging(entry.package)) for name, entry in scenario.own_chips.items()}
    bought = {contract.chip: chip(contract.chip) for contract in scenario.contracts.values() if not isinstance(contract, Own)}
    return Chips(by_name=bought | own, own_costs=costs)
