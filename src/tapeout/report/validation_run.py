"""A validation from a table of measurements to what is printed and written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tapeout.calibration.measurements import Measurement, published, read_measurements, scored
from tapeout.calibration.serving_table import refitted
from tapeout.calibration.validation import Comparison, Group, checked, compared, comparisons, left_out
from tapeout.errors import InputError, Place
from tapeout.fleet.published import simulated_answers
from tapeout.performance.efficiency import Table as Efficiencies
from tapeout.performance.efficiency import operator_efficiencies
from tapeout.performance.predict import Kind, predict
from tapeout.report.tables import Table, to_csv, to_json
from tapeout.report.validation_page import validation_page
from tapeout.report.validation_view import rows_table, summary_table

OWN = "the published results that come with Tapeout"


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All measured rows, and the comparisons of those that are scored; of simulated ones those of the `closed_form` too."""

    title: str
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...]
    closed_form: tuple[Comparison, ...] = ()

    @property
    def unanswered(self) -> int:
        """Rows without an answer."""
        return len({one.measurement.name for one in self.comparisons if one.prediction is None})

    @property
    def excluded(self) -> int:
        """Rows that are not scored."""
        return sum(bool(one.excluded) for one in self.measurements)


def validation(cases: Path | None = None, efficiencies: Efficiencies | None = None) -> Validation:
    """Predictions beside the measurements in the file `cases`, or beside the package's own; raises InputError for a bad table."""
    found = _measurements(cases)
    return Validation(title=_title(cases), measurements=found, comparisons=tuple(compared(found, efficiencies)))


def left_out_validation(cases: Path | None, efficiencies: Efficiencies | None, say: Callable[[str], None]) -> Validation:
    """As `validation`, with each chip's rows predicted by coefficients whose serving side was fitted on all other chips' rows."""
    found, start = _measurements(cases), efficiencies or operator_efficiencies()

    def fit(rows: Sequence[Measurement]) -> Efficiencies:
        left = {one.chip for one in found} - {one.chip for one in rows}
        say(f"fitting without {', '.join(sorted(left))}")
        return refitted(rows, start)[0]

    comparisons = tuple(left_out(found, Group.CHIP, fit))
    return Validation(title=f"{_title(cases)}, each chip left out of the fit", measurements=found, comparisons=comparisons)


def simulated_validation(cases: Path | None = None, efficiencies: Efficiencies | None = None) -> Validation:
    """As `validation`, for the online rows alone, each driven through the simulator as its benchmark ran it.

    Raises InputError also where there is no online row.
    """
    found = _measurements(cases)
    rows = [one for one in scored(found) if one.kind is Kind.ONLINE]
    if not rows:
        raise InputError("no online row to simulate", place=Place(file=str(cases)) if cases else None)
    known = [one for one in rows if one.case is not None]
    answers = predict([one.case for one in known if one.case is not None], efficiencies)
    simulated = comparisons(rows, simulated_answers(known, answers, efficiencies))
    return Validation(
        title=f"{_title(cases)}, online rows simulated", measurements=found, comparisons=tuple(simulated),
        closed_form=tuple(comparisons(rows, answers)),
    )  # fmt: skip


def _measurements(cases: Path | None) -> tuple[Measurement, ...]:
    return tuple(checked(read_measurements(cases) if cases else published()))


def _title(cases: Path | None) -> str:
    return f"Predictions beside {cases.name if cases else OWN}"


def printed(found: Validation, by: Group) -> Table:
    """The table that the command prints."""
    return summary_table(found.comparisons, by, found.title, found.closed_form)


def files(found: Validation, *, version: str, date: str) -> dict[str, bytes]:
    """What a validation leaves in a folder: every comparison as CSV and JSON, and the page."""
    rows = rows_table(found.comparisons)
    page = validation_page(
        title=found.title, measurements=found.measurements, comparisons=found.comparisons, colophon=f"Tapeout {version}, {date}.",
        closed_form=found.closed_form,
    )  # fmt: skip
    return {"rows.csv": to_csv(rows).encode(), "rows.json": to_json(rows).encode(), "validation.html": page.encode()}
