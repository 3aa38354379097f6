"""Markers for the fields of a scenario that hold one number: `Annotated[Watts, Quantity("W")]` reads "1.2 GW".

A quantity alone is a decision of the planner: a limit, a policy, a count. What the world decides is an assumption.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tapeout.errors import InputError
from tapeout.units import Unit, parse

QUANTITY_PATTERN = r"^[+-]?(\d[\d_]*\.?[\d_]*|\.\d+)([eE][+-]?\d+)? *[^ ]*"


def fault(error: InputError, *below: str | int) -> PydanticCustomError:
    """`error` in the form that a pydantic validator may raise; `below` leads from the validated field to the place of the fault."""
    return PydanticCustomError("tapeout", "bad input", {"error": error, "below": below})


@dataclass(frozen=True, slots=True)
class Quantity(Unit):
    """A quantity in `symbol` or a multiple of it; not negative unless `signed`, above zero if `positive`, at most 1 if `share`."""

    positive: bool = False
    share: bool = False
    signed: bool = False

    def number(self, given: object) -> float:
        """The number in `symbol`; raises InputError for a wrong type, unit or range."""
        if not isinstance(given, (str, int, float)) or isinstance(given, bool):
            raise InputError("expected a quantity", given=given, allowed=self.allowed)
        if isinstance(given, float) and not math.isfinite(given):
            raise InputError("expected a finite number", given=given, allowed=self.allowed)
        number = parse(given, self)
        if (number < 0 and not self.signed) or (number == 0 and self.positive) or (number > 1 and self.share):
            raise InputError("out of range", given=given, allowed=self.allowed)
        return number

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        kind = (
            "a share such as 40 %"
            if self.share
            else "a number"
            if self.symbol == "1"
            else f"a quantity in {self.symbol} or a multiple of it"
        )
        return kind + (", from 0 to 1" if self.share else ", above 0" if self.positive else "" if self.signed else ", at least 0")

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(given: object) -> float:
            try:
                return self.number(given)
            except InputError as error:
                raise fault(error) from error

        return core_schema.no_info_plain_validator_function(read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.json()

    def json(self) -> dict[str, Any]:
        """The JSON Schema of the text."""
        if self.symbol == "1":
            return {"type": ["number", "string"], "pattern": QUANTITY_PATTERN}
        return {"type": "string", "pattern": QUANTITY_PATTERN, "title": f"quantity in {self.symbol}"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number of things or, with a unit of time, of quarters: `12`, `10_000`, `3 year`; from `least` to `most`."""

    least: int = 0
    most: int = 10**9
    quarters: bool = False

    def number(self, given: object) -> int:
        """The whole number; raises InputError for anything else."""
        try:
            number = Quantity("quarter" if self.quarters else "1").number(given)
        except InputError as error:
            raise InputError(error.what, given=given, allowed=self.allowed) from error
        if abs(number - round(number)) > 1e-9 or not self.least <= round(number) <= self.most:
            raise InputError("not a whole number" if number != round(number) else "out of range", given=given, allowed=self.allowed)
        return round(number)

    @property
    def allowed(self) -> str:
        """What may be written, in words."""
        kind = "a whole number of quarters, such as 3 quarter or 2 year" if self.quarters else "a whole number"
        return f"{kind}, from {self.least} to {self.most}" if self.most < 10**9 else f"{kind}, at least {self.least}"

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(given: object) -> int:
            try:
                return self.number(given)
            except InputError as error:
                raise fault(error) from error

        return core_schema.no_info_plain_validator_function(read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return (
            {"type": "string", "examples": ["3 year"]}
            if self.quarters
            else {"type": ["integer", "string"], "minimum": self.least, "maximum": self.most}
        )
