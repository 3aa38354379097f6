"""The scenario as the file spells it; the study turns it into the problem to solve.

Scalars stand for what the planner decides (counts, dates, names, precision, latency limits, budget, shares) and for the structure of
an own chip; everything that the world decides is an assumption with source and range.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from tapeout.hardware.chip import NumberFormat
from tapeout.provenance import Grade
from tapeout.scenario.assumption import ASSUMPTION_TITLE, POLICY, Assumed, Assumption, Forecast
from tapeout.scenario.contracts import AnyContract
from tapeout.scenario.entry import AQuarter, Entry, Line, Name, Text
from tapeout.scenario.quantity import Quantity, Whole
from tapeout.scenario.quarters import Quarter, Series
from tapeout.scenario.supply import AnyProgramme, OwnChip, Prepayment, Site
from tapeout.scenario.uncertainty import Branch, Outcomes, Process, StatedOutcome, Uncertainty
from tapeout.units import MEGA, MONTH, Dimensionless, PerYear, QueriesPerSecond, Seconds, Tokens, Usd, UsdPerQuery


class Debt(Entry):
    """Money that may be borrowed beyond the budget; all of it is repaid in the last quarter."""

    limit: Annotated[Series[Usd], Forecast("USD")] = Field(description="Most that may be owed in each quarter.")
    interest: Annotated[Assumption[PerYear], Assumed("1/year")] = Field(description="Interest on what is owed, such as 12 %/year.")


class Risk(Entry):
    """How much the worst futures count beside the mean of all."""

    weight: Annotated[Dimensionless, Quantity("1", share=True)] = Field(
        description="0 minimises the expected cost, 100 % the mean cost of the worst futures."
    )
    tail: Annotated[Dimensionless, Quantity("1", share=True, positive=True)] = Field(
        0.1, description="Share of the futures that are the worst, by probability."
    )


class Finance(Entry):
    """Money and dependence."""

    discount: Annotated[Assumption[PerYear], Assumed("1/year")] = Field(description="Discount rate, such as 10 %/year.")
    budget: Annotated[Series[Usd], Forecast("USD", policy=True)] = Field(description="Most cash that may be spent in each quarter.")
    largest_supplier_share: Annotated[Dimensionless, Quantity("1", share=True, positive=True)] = Field(
        1.0, description="Most of the served throughput that may depend on one supplier."
    )
    concentration: Annotated[Dimensionless, Quantity("1", share=True, positive=True)] = Field(
        1.0, description="Most that the Herfindahl-Hirschman index of the suppliers' shares may be, from 0 to 1."
    )
    share_from: AQuarter | None = Field(None, description="First quarter in which both are enforced; the start unless said.")
    debt: Debt | None = Field(None, description="What may be borrowed; nothing unless said.")
    risk: Risk | None = Field(None, description="The weight of the worst futures; the expected cost alone counts unless said.")


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


class ServedModel(Entry):
    """A model that is served, and how many ask for it."""

    title: Line = Field("", description="A line for tables and charts; the name unless said.", validate_default=False)
    architecture: Line = Field(description="Hugging Face id of a known model, or the path of a config.json, relative to the scenario.")
    precision: Annotated[tuple[NumberFormat, ...], BeforeValidator(_listed, json_schema_input_type=NumberFormat | list[NumberFormat])] = (
        Field(
            min_length=1,
            description="Number formats in which it may be served, best liked first; each chip uses the first that it computes.",
        )
    )
    prompt: Annotated[Assumption[Tokens], Assumed("token", positive=True)] = Field(description="Mean input tokens of a query.")
    answer: Annotated[Assumption[Tokens], Assumed("token", positive=True)] = Field(description="Mean output tokens of a query.")
    time_to_first_token: Annotated[Seconds, Quantity("s", positive=True)] = Field(
        description="Latency limit of the first token, such as 2 s."
    )
    time_per_output_token: Annotated[Seconds, Quantity("s", positive=True)] = Field(
        description="Latency limit of each further token, such as 50 ms."
    )
    attainment: Annotated[Dimensionless, Quantity("1", share=True, positive=True)] = Field(
        0.9, description="Share of the queries that must keep both limits under traffic."
    )
    demand: Annotated[Series[QueriesPerSecond], Forecast("query/s")] = Field(description="Mean rate of queries, such as 10 Mquery/day.")
    peak_to_mean: Annotated[Assumption[Dimensionless], Assumed("1", positive=True)] = Field(
        description="Rate to provision for, over the mean rate."
    )
    unmet_penalty: Annotated[Assumption[UsdPerQuery], Assumed("USD/query")] = Field(description="Cost of a query that is not served.")
    why: Text | None = Field(None, description="Why this model stands in for what is served.")

    def located(self, folder: Path) -> str:
        """The name under which `workload.catalog` knows the model: its id, or the path of its config.json seen from `folder`."""
        return str((folder / self.architecture).absolute()) if self.architecture.endswith(".json") else self.architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumptionRow:
    """One assumption of a scenario as the file writes it, for tables: `path` is its place, such as `sites.abilene.pue`."""

    path: str
    value: str
    low: str
    high: str
    source: str
    place: str
    grade: Grade
    why: str


class Scenario(Entry):
    """A decision to take: what must be served, what can be had, and within which limits."""

    tapeout: Literal[1] = Field(description="Version of this schema.")
    name: Name = Field(description="Name of the scenario; names the folder of its results.")
    title: Line = Field(description="A line for the head of the report.")
    question: Text = Field(description="The decision, in words.")
    currency_year: Annotated[int, Whole(2000, 2100)] = Field(description="Year of the dollars of all money in this file.")
    start: AQuarter = Field(description="First quarter of the plan.")
    quarters: Annotated[int, Whole(1, 60)] = Field(description="Number of quarters planned.")
    decisions_every: Annotated[int | None, Whole(1, 60, quarters=True)] = Field(
        None, description="How often what comes whole is decided, such as a start; a year unless said, a quarter if all is sure."
    )
    finance: Finance
    models: dict[Name, ServedModel] = Field(min_length=1, description="What is served, by name.")
    contracts: dict[Name, AnyContract] = Field(min_length=1, description="How chips can be had, by name.")
    sites: dict[Name, Site] = Field(default_factory=dict, description="Where owned chips can stand, by name.")
    programmes: dict[Name, AnyProgramme] = Field(default_factory=dict, description="How own chips can come about, by name.")
    prepayments: dict[Name, Prepayment] = Field(default_factory=dict, description="Capacity that can be paid for ahead, by name.")
    own_chips: dict[Name, OwnChip] = Field(default_factory=dict, description="Own chips, by name.")
    uncertainty: Uncertainty | None = Field(None, description="What may turn out differently; all is sure unless said.")

    @property
    def uncertain(self) -> bool:
        """Whether anything may turn out differently."""
        return self.uncertainty is not None or any(programme.outcomes for programme in self.programmes.values())

    @property
    def every(self) -> int:
        """Quarters from one quarter of decision to the next."""
        return self.decisions_every or (4 if self.uncertain else 1)

    @property
    def horizon(self) -> tuple[Quarter, ...]:
        """All quarters of the plan."""
        return tuple(self.start + step for step in range(self.quarters))

    @property
    def quarter_labels(self) -> tuple[str, ...]:
        """All quarters of the plan as text."""
        return tuple(str(quarter) for quarter in self.horizon)

    def assumptions(self) -> tuple[AssumptionRow, ...]:
        """Every assumption with its place, value, range, source and grade, in the order of the schema; policies are left out."""
        return tuple(_rows(self, ""))


def _rows(part: Any, path: str) -> Iterator[AssumptionRow]:
    if isinstance(part, (Assumption, Series)):
        if part.source != POLICY:
            value, low, high = part.written
            why = part.note if isinstance(part, Assumption) else part.why
            yield AssumptionRow(path=path, value=value, low=low, high=high, source=part.source, place=part.place, grade=part.grade, why=why)
    elif isinstance(part, Process):
        for at, branches in part.steps.items():
            yield _branches(part, f"{path}.{at}", {name: _change(branch) for name, branch in branches.items()}, branches)
    elif isinstance(part, Outcomes):
        if part.cases:
            yield _branches(part, path, {name: _outcome(case) for name, case in part.cases.items()}, part.cases)
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _rows(getattr(part, name), f"{path}.{name}".removeprefix("."))
    elif isinstance(part, Mapping):
        for name, item in part.items():
            yield from _rows(item, f"{path}.{name}")


def _branches(
    part: Process | Outcomes, path: str, effects: Mapping[str, str], branches: Mapping[str, Branch | StatedOutcome]
) -> AssumptionRow:
    """Branches as one row: their probabilities, and the first and the last of them as its range."""
    names = list(branches)
    ends = [f"{name}: {effects[name]}" for name in (names[0], names[-1])]
    value = ", ".join(f"{branch.probability:.4g} {name}" for name, branch in branches.items())
    return AssumptionRow(
        path=path, value=value, low=ends[0], high=ends[1], source=part.source, place=part.place or "", grade=part.trust, why=part.why or ""
    )  # fmt: skip


def _change(branch: Branch) -> str:
    changes = {"": branch, **{f" of {place}": change for place, change in branch.also.items()}}
    said = [f"x {change.factor:.4g}{of}" for of, change in changes.items() if change.factor != 1]
    said += [f"{change.delay} quarters later{of}" for of, change in changes.items() if change.delay]
    return ", ".join(said) or "as forecast"


def _outcome(case: StatedOutcome) -> str:
    late = "never" if case.failed else f"{case.delay / MONTH:+.3g} months"
    return f"{late}, {case.extra / MEGA:+.4g} MUSD"


def export_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a scenario file, for editors; each form of assumption is written once, under `$defs`."""
    schema = Scenario.model_json_schema(by_alias=True)
    forms = dict[str, Any]()
    shared = _share(schema, forms)
    shared["$defs"] = dict(sorted((shared["$defs"] | forms).items()))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **shared}


def schema_text() -> str:
    """The text of `scenarios/scenario.schema.json`."""
    return json.dumps(export_schema(), indent=1, ensure_ascii=False) + "\n"


def _share(node: Any, forms: dict[str, Any]) -> Any:
    """`node` with each assumption in it replaced by a reference to `forms`, which are filled on the way."""
    if isinstance(node, list):
        return [_share(item, forms) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("title"), str) and node["title"].startswith(ASSUMPTION_TITLE):
        form = {key: value for key, value in node.items() if key not in ("default", "description")}
        name = node["title"].replace(" ", "-").replace("/", "-per-")
        forms[name] = form
        return {"$ref": f"#/$defs/{name}"} | {key: node[key] for key in ("default", "description") if key in node}
    return {key: _share(item, forms) for key, item in node.items()}
