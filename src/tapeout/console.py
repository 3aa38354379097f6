"""What the commands share: the forms of output, where talk goes, and how options that are dates and times are read."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import Annotated

import typer

from tapeout.errors import InputError
from tapeout.units import Unit, parse


class Output(StrEnum):
    """How a table is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


OutputOption = Annotated[Output, typer.Option("-o", "--output", help="How to print the rows.")]


def say(text: str) -> None:
    """Talk, on standard error."""
    typer.echo(text, err=True)


def today() -> str:
    """The date of today, ISO."""
    return datetime.date.today().isoformat()


def iso_date(text: str) -> str:
    """A date that was given to `--date`; raises InputError where it is none."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise InputError("--date is not a date", given=text, allowed="an ISO date such as 2026-11-24") from None


def limit(option: str, text: str) -> float | None:
    """A limit given as a time, or as none."""
    return None if text.strip().lower() == "none" else seconds(option, text)


def seconds(option: str, text: str) -> float:
    """A positive time given to an option, in seconds; raises InputError where it is none."""
    try:
        value = parse(text, Unit("s"))
    except InputError as error:
        raise InputError(f"{option}: {error.what}", given=text, allowed="a time such as 2s or 50ms") from None
    if value <= 0:
        raise InputError(f"{option} must be positive", given=text)
    return value


def share(option: str, text: str) -> float:
    """A share given to an option, as a number or in per cent; raises InputError where it is none.

    >>> share("--attainment", "99%")
    0.99
    """
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = 0.0
    if rest or not 0 < value <= 1:
        raise InputError(f"{option} is not a share", given=text, allowed="above 0 and at most 1, such as 0.99 or 99%")
    return value


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """Whole numbers of 1 or more that were given to an option, separated by commas; raises InputError for anything else.

    >>> whole_numbers("--token-budgets", "512,2048")
    (512, 2048)
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() and int(part) >= 1 for part in parts):
        raise InputError(f"{option} must hold whole numbers of 1 or more", given=text, allowed="numbers such as 512,2048")
    return tuple(int(part) for part in parts)
