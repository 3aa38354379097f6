"""A plan with its proof, as Python users get it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from tapeout.errors import InputError
from tapeout.sourcing.certificate import Certificate
from tapeout.sourcing.plan import Plan
from tapeout.study import PlanStudy
from tapeout.units import Dimensionless, Usd

if TYPE_CHECKING:
    import xarray

EXTRA = {"linopy", "xarray"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A plan and its re-simulation; `study` has all between the scenario and the plan, None for the plan of a program one has changed."""

    plan: Plan
    certificate: Certificate
    study: PlanStudy | None = None

    @property
    def cost(self) -> Usd:
        """The expected discounted cost."""
        return self.plan.cost

    @property
    def bound(self) -> Usd:
        """No plan has a lower goal."""
        return self.plan.bound

    @property
    def gap(self) -> Dimensionless:
        """Relative distance of the goal from the bound."""
        return self.plan.gap

    def to_xarray(self, by: str = "expected") -> xarray.Dataset:
        """The plan as labelled arrays: `expected` by quarter, by `scenario` and quarter, or by `node` of the tree of futures.

        Raises InputError for another word, and where the extra `api` is not installed.
        """
        found: xarray.Dataset = part("tapeout.api.labels").dataset(self.plan, by)
        return found


def part(name: str) -> ModuleType:
    """A module that needs the extra `api`; raises InputError where that is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in EXTRA:
            raise
        raise InputError(f"this needs {error.name}", hint="install the extra: pip install 'tapeout[api]'") from None
