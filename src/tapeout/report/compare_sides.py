"""The two sides of a comparison: a plan as its folder holds it, or as a scenario gives it when it is planned on the way."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tapeout import study
from tapeout.errors import InputError, Place
from tapeout.report.assumptions import assumptions_table
from tapeout.report.plan_evidence import evidence
from tapeout.report.plan_expected import results_record
from tapeout.report.tables import Row, plain
from tapeout.scenario.document import dotted, read_document
from tapeout.sourcing.certificate import certify
from tapeout.sourcing.search import solve
from tapeout.study import Say
from tapeout.units import Dimensionless, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One plan: its `plan.json` as `record`, its assumptions by name, and by place all else that its scenario file says."""

    label: str
    title: str
    record: Mapping[str, Any]
    assumptions: Mapping[str, Row]
    settings: Mapping[str, str]

    @property
    def expected(self) -> Mapping[str, Any]:
        """What it decides and costs, as `plan_expected.expected_record` says."""
        found: Mapping[str, Any] = self.record["expected"]
        return found


def sides(first: Path, second: Path, *, gap: Dimensionless, time_limit: Seconds, say: Say) -> tuple[Side, Side]:
    """Both sides, each from a folder that `tapeout plan` wrote or from a scenario file; raises InputError for anything else."""
    for path in (first, second):
        if not path.exists():
            raise InputError("no such file or folder", place=Place(file=str(path)), allowed="a scenario, or a folder of tapeout plan")
    found = [
        folder_side(path) if path.is_dir() else scenario_side(path, gap=gap, time_limit=time_limit, say=say) for path in (first, second)
    ]
    alike = found[0].title == found[1].title
    return labelled(found[0], first, alike), labelled(found[1], second, alike)


def labelled(side: Side, path: Path, by_path: bool) -> Side:
    """The side under its title, or under its path where both have the same title."""
    return Side(
        label=str(path) if by_path else side.title,
        title=side.title,
        record=side.record,
        assumptions=side.assumptions,
        settings=side.settings,
    )


def scenario_side(path: Path, *, gap: Dimensionless, time_limit: Seconds, say: Say) -> Side:
    """The side of a scenario, planned now: its plan alone, checked by re-simulation, without what else `tapeout plan` finds out."""
    asked = study.asked_of(path, say)
    plan = solve(asked.problem, gap=gap, time_limit=time_limit, say=say)
    certify(plan).check()
    rows = [plain(row) for row in assumptions_table(evidence(asked)).rows]
    title = asked.scenario.title
    return Side(label=title, title=title, record=plain(results_record(plan)), assumptions=_named(rows), settings=settings(path))


def folder_side(folder: Path) -> Side:
    """The side of a folder that `tapeout plan` wrote, from its `plan.json`, its assumptions and its scenario."""
    record = _json(folder / "plan.json")
    if not isinstance(record, dict) or not isinstance(record.get("expected"), dict):
        raise InputError("this plan says too little to be compared", place=Place(file=str(folder / "plan.json")), hint="plan it again")
    files = _json(folder / "inputs" / "inputs.json")
    names = [item["name"] for item in files.get("files", ()) if item.get("frozen")] if isinstance(files, dict) else []
    if not names:
        raise InputError("this folder does not say of which scenario it is", place=Place(file=str(folder / "inputs" / "inputs.json")))
    table = folder / "tables" / "assumptions.csv"
    try:
        rows: list[Row] = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _not_a_run(table) from error
    scenario = folder / "inputs" / names[0]
    title = str(read_document(scenario).data.get("title", record.get("scenario", folder.name)))
    return Side(label=str(folder), title=title, record=record, assumptions=_named(rows), settings=settings(scenario))


def settings(scenario: Path) -> dict[str, str]:
    """What a scenario file says that is no assumption, by its place: decisions, dates, names, limits and contracts."""
    return {dotted(location): str(value) for location, value in _leaves(read_document(scenario).data, ())}


def _leaves(part: Any, location: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(part, dict):
        if "source" in part:  # an assumption, which has its own table
            return
        for key, item in part.items():
            yield from _leaves(item, (*location, key))
    elif isinstance(part, list):
        yield location, ", ".join(str(item) for item in part)
    else:
        yield location, part


def _named(rows: list[Row]) -> dict[str, Row]:
    """Assumptions by name; those of one name in one, since only together they say what is assumed."""
    found = dict[str, Row]()
    for row in rows:
        name, known = str(row["name"]), found.get(str(row["name"]))
        said = {key: str(row.get(key) or "") for key in ("value", "low", "high", "source", "grade")}
        found[name] = {key: f"{known[key]}; {text}" for key, text in said.items()} if known else said
    return found


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _not_a_run(path) from error


def _not_a_run(path: Path) -> InputError:
    return InputError("not a folder that `tapeout plan` wrote", place=Place(file=str(path)), hint="give one, or a scenario file")
