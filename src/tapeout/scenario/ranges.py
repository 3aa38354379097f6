"""The ranges of a scenario's assumptions as knobs of its problem, for a tornado."""

from __future__ import annotations

from collections.abc import Iterator

from tapeout.appraisal.knobs import Knob, knob, targets
from tapeout.scenario.assumption import Assumption
from tapeout.scenario.quarters import Series
from tapeout.scenario.schema import Scenario
from tapeout.scenario.supply import Acquisition, AnyProgramme, Licence
from tapeout.sourcing.problem import Problem
from tapeout.units import Dimensionless


def knobs(scenario: Scenario, problem: Problem) -> tuple[Knob, ...]:
    """A knob for each assumption that has a range and reaches `problem`, to the ends of its range.

    What the outlook branches over moves around its branches: the range of a forecast multiplies all of them.
    """
    known = set(targets(problem))
    return tuple(
        knob(name, [target], low, high) for name, target, (low, high) in _ranges(scenario) if target in known and (low != 1 or high != 1)
    )


def _ranges(scenario: Scenario) -> Iterator[tuple[str, str, tuple[Dimensionless, Dimensionless]]]:
    """Name, place in the problem, and factors at the low and the high end of each range."""
    yield "discount rate", "finance.discount", _factors(scenario.finance.discount)
    for name, model in scenario.models.items():
        yield f"demand for {name}", f"models.{name}.demand", _factors(model.demand)
        yield f"peak over mean of {name}", f"models.{name}.peak", _factors(model.peak_to_mean)
        yield f"penalty of {name}", f"models.{name}.penalty", _factors(model.unmet_penalty)
    for name, contract in scenario.contracts.items():
        yield f"price of {name}", f"contracts.{name}.price", _factors(contract.price)
        yield f"allocation of {name}", f"contracts.{name}.allocation", _factors(contract.allocation)
    for name, site in scenario.sites.items():
        yield f"power at {name}", f"sites.{name}.available", _factors(site.available)
        yield f"electricity at {name}", f"sites.{name}.electricity", _factors(site.electricity)
        yield f"rent of {name}", f"sites.{name}.rent", _factors(site.rent)
        yield f"capital of {name}", f"sites.{name}.capital", _factors(site.capital)
    for name, programme in scenario.programmes.items():
        yield f"one-off cost of {name}", f"programmes.{name}.spend", _spend(programme)


def _spend(programme: AnyProgramme) -> tuple[Dimensionless, Dimensionless]:
    """The factors on all that a programme pays once, the price of a deal included."""
    if programme.nre is None:
        return 1.0, 1.0
    parts = (programme.nre, programme.price) if isinstance(programme, (Acquisition, Licence)) else (programme.nre,)
    value = sum(part.value for part in parts)
    return sum(part.low for part in parts) / value, sum(part.high for part in parts) / value


def _factors(given: object) -> tuple[Dimensionless, Dimensionless]:
    if isinstance(given, Series):
        return given.low_factor, given.high_factor
    if isinstance(given, Assumption) and given.value:
        return given.low / given.value, given.high / given.value
    return 1.0, 1.0
