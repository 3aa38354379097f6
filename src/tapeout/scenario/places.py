"""The forecasts of a scenario that a process can move, by their places in the file, such as `sites.abilene.available`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from tapeout.scenario.schema import Scenario

FORECASTS: dict[str, tuple[str, ...]] = {
    "models": ("demand",),
    "contracts": ("price", "allocation"),
    "sites": ("available", "electricity", "rent", "capital"),
    "prepayments": ("price",),
    "finance": ("budget", "debt.limit"),
}
"""The fields of each section that can move; they may be left to the catalogue."""


def places(scenario: Scenario) -> tuple[str, ...]:
    """All places of this scenario that a process can move, in the order of the file's sections."""
    found = [
        f"{section}.{name}.{field}"
        for section in ("models", "contracts", "sites", "prepayments")
        for name in getattr(scenario, section)
        for field in FORECASTS[section]
    ]
    return (*found, "finance.budget", *(("finance.debt.limit",) if scenario.finance.debt else ()))


def matching(scenario: Scenario, pattern: str) -> tuple[str, ...]:
    """The places that a pattern names, in which `*` stands for any letters of a name."""
    depth = pattern.count(".")
    return tuple(place for place in places(scenario) if place.count(".") == depth and fnmatchcase(place, pattern))


def forms() -> tuple[str, ...]:
    """All kinds of places, for messages."""
    named = [f"{section}.*.{field}" for section, fields in FORECASTS.items() if section != "finance" for field in fields]
    return (*named, *(f"finance.{field}" for field in FORECASTS["finance"]))
