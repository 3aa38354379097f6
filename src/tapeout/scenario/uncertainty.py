"""What may turn out differently, as the file spells it: processes that branch in given quarters, and outcomes of programmes.

Branches are an assumption like any other: they have a source or, for a guess, a reason; their spread is their range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

from tapeout.errors import InputError, did_you_mean
from tapeout.outlook.reduction import MOST_BRANCHES
from tapeout.provenance import Grade
from tapeout.scenario.assumption import COST_MODEL, GUESS
from tapeout.scenario.entry import AQuarter, Entry, Line, Name, Text
from tapeout.scenario.quantity import Quantity, Whole, fault
from tapeout.units import Dimensionless, Seconds, Usd


class Evidenced(Entry):
    """Something assumed that is no single number."""

    source: Line = Field(description="guess, or the id of a source (tapeout catalog sources lists them).")
    place: Line | None = Field(None, description="Where in the source: page, table, section.")
    grade: Grade | None = Field(None, description="How far it can be trusted; estimate unless said.")
    why: Text | None = Field(None, description="Why these branches and probabilities; a guess must say it.")

    @property
    def trust(self) -> Grade:
        """The grade, also where it is not said."""
        return self.grade or (Grade.GUESS if self.source == GUESS else Grade.ESTIMATE)


class Change(Entry):
    """What happens to a forecast from a quarter on."""

    factor: Annotated[Dimensionless, Quantity("1")] = Field(1.0, description="What its values are multiplied by, such as 150 %.")
    delay: Annotated[int, Whole(0, 60, quarters=True)] = Field(
        0, description="For how long the forecast stands still before it goes on, such as 2 quarter."
    )


class Branch(Change):
    """One thing that may happen to what the process moves."""

    probability: Annotated[Dimensionless, Quantity("1", share=True)] = Field(
        description="How probable it is; those of a step sum to 100 %."
    )
    also: dict[Line, Change] = Field(default_factory=dict, description="What happens to other forecasts at the same time, by place.")


def _listed(given: object) -> object:
    return [given] if isinstance(given, str) else given


class Process(Evidenced):
    """Something that branches once or several times, whatever the other processes do."""

    moves: Annotated[tuple[Line, ...], BeforeValidator(_listed, json_schema_input_type=Line | list[Line])] = Field(
        min_length=1, description="Places of forecasts in this file, such as models.chat.demand or contracts.*.price."
    )
    steps: dict[AQuarter, Annotated[dict[Line, Branch], Field(min_length=1, max_length=MOST_BRANCHES)]] = Field(
        min_length=1, description="What may happen, by the quarter in which it is known; later steps come on top of earlier ones."
    )


class Uncertainty(Entry):
    """Independent processes, of which all combinations are planned for."""

    scenarios: Annotated[int, Whole(1, 4096)] = Field(8, description="To how many scenarios the combinations are reduced.")
    processes: dict[Name, Process] = Field(min_length=1, description="What may turn out differently, by name.")


class StatedOutcome(Entry):
    """One way in which a programme may go, against its plan."""

    probability: Annotated[Dimensionless, Quantity("1", share=True)] = Field(
        description="How probable it is; those of all outcomes sum to 100 %."
    )
    delay: Annotated[Seconds, Quantity("s", signed=True)] = Field(0.0, description="How much later than planned chips can be ordered.")
    extra: Annotated[Usd, Quantity("USD", signed=True)] = Field(
        0.0, description="What it costs above the planned one-off cost; where it fails, above what is spent until that shows."
    )
    failed: bool = Field(False, description="Whether it never comes to a chip.")
    shows: Annotated[Seconds | None, Quantity("s")] = Field(
        None,
        description="Time from the start after which it is known; the planned duration unless said, and no later than the first chips.",
    )


class Outcomes(Evidenced):
    """How a programme may go: cases with their probabilities, or what the cost model draws (source: cost model)."""

    cases: dict[Line, StatedOutcome] = Field(default_factory=dict, description="The outcomes, by name.")


def worded(given: object) -> object:
    """The words `cost model` as the mapping that they stand for."""
    if given == COST_MODEL:
        return {"source": COST_MODEL}
    if not isinstance(given, Mapping):
        allowed = f"the words {COST_MODEL}, or a mapping with source, why and cases"
        hint = did_you_mean(given, [COST_MODEL]) if isinstance(given, str) else None
        raise fault(InputError("unknown word", given=given, allowed=allowed, hint=hint))
    return given
