"""What every mapping of a scenario has in common: no unknown key, frozen once read, names and quarters in one form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from tapeout.errors import InputError
from tapeout.scenario.quantity import fault
from tapeout.scenario.quarters import Quarter, quarter

_NAME = r"^[a-z0-9][a-z0-9-]{0,59}$"


class Entry(BaseModel):
    """A mapping of a scenario file: unknown keys are refused, values cannot be changed, unset keys take their default."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, validate_default=False, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class AtQuarter:
    """Reads a calendar quarter such as `2023Q4`."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(given: object) -> Quarter:
            try:
                return quarter(given)
            except InputError as error:
                raise fault(error) from error

        return core_schema.no_info_plain_validator_function(read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d{4}Q[1-4]$"}


@dataclass(frozen=True, slots=True)
class Named:
    """Reads a name that the scenario gives to one of its parts."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(given: object) -> str:
            if not isinstance(given, str) or not re.match(_NAME, given):
                raise fault(
                    InputError("not a name", given=given, allowed="small letters, digits and hyphens, such as abilene or h100-reserved")
                )
            return given

        return core_schema.no_info_plain_validator_function(read, json_schema_input_schema=core_schema.str_schema(pattern=_NAME))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": _NAME}


AQuarter = Annotated[Quarter, AtQuarter()]
Name = Annotated[str, Named()]
Line = Annotated[str, Field(min_length=1, max_length=200, strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=2000, strict=True)]
