"""What `import tapeout` offers: the plan of a scenario, and its program for those who add constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tapeout import study
from tapeout.api.result import Result, part
from tapeout.units import Dimensionless, Seconds

if TYPE_CHECKING:
    from tapeout.api.program import PlanModel


def plan(
    scenario: str | Path,
    *,
    gap: Dimensionless | None = None,
    time_limit: Seconds = 300.0,
    scenarios: int | None = None,
    workers: int = 1,
    appraised: study.Appraised = study.Appraised.NOT,
    say: Callable[[str], None] = lambda text: None,
) -> Result:
    """The plan of the scenario in a file, as `tapeout plan` makes it; `say` is called with what goes on.

    Raises InputError for a bad scenario, InfeasibleError where there is no plan.
    """
    wanted = study.Wanted(gap=gap, time_limit=time_limit, scenarios=scenarios, workers=workers, appraised=appraised)
    found = study.plan(Path(scenario), wanted, say)
    return Result(plan=found.plan, certificate=found.certificate, study=found)


def model(scenario: str | Path, starts: Mapping[str, str] | None = None) -> PlanModel:
    """The program of the scenario in a file as a linopy model; `model.to_result()` makes a plan of its solution.

    `starts` names the programmes that start, with the quarter of each, such as `{"own-team": "2024Q4"}`; without it the program decides,
    which it can where no programme is uncertain. Raises InputError for a bad scenario or start, and where the extra `api` is missing.
    """
    programs = part("tapeout.api.program")
    found: PlanModel = programs.program(study.asked_of(Path(scenario)).problem, starts)
    return found
