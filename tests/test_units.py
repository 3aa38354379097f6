import math
import typing

import pint
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout import units
from tapeout.errors import UnitError
from tapeout.units import Unit, in_unit, parse, scale_and_dimension, show

PINT = pint.UnitRegistry()
for line in (
    "FLOP = [operation]",
    "token = [token]",
    "query = [query]",
    "USD = [money]",
    "cent = 0.01 * USD",
    "chip = []",
    "quarter_of_a_year = year / 4",
):
    PINT.define(line)
PINT_NAMES = {
    "quarter": "quarter_of_a_year",
    "h": "hour",
    "min": "minute",
    "B": "byte",
    "%": "percent",
    "1": "dimensionless",
    "Hz": "1/second",
    "V": "volt",
}

# Symbols by dimension, so that any two of a row convert into each other; both sides of a quotient are drawn from such rows.
ROWS = [
    ["s", "ms", "us", "ns", "min", "h", "day", "week", "month", "quarter", "year"],
    ["B", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "bit", "Gbit"],
    ["FLOP", "GFLOP", "TFLOP", "PFLOP"],
    ["token", "ktoken", "Mtoken"],
    ["USD", "kUSD", "MUSD", "cent"],
    ["J", "kJ", "Wh", "kWh", "MWh"],
    ["W", "kW", "MW", "GW"],
    ["g", "kg", "mg"],
    ["m", "mm", "cm", "um", "nm"],
    ["m2", "cm2", "mm2"],
]


def oracle(symbol: str) -> pint.Quantity:
    """One of `symbol` in pint's own understanding."""
    result = PINT.Quantity(1.0)
    for position, factor in enumerate(symbol.split("/")):
        exponent = 2 if factor.endswith("2") and factor != "2" else 1
        name = factor.rstrip("2")
        unit = PINT.Quantity(1.0, PINT_NAMES.get(name, name)) ** exponent
        result = result * unit if position == 0 else result / unit
    return result


@st.composite
def convertible_symbols(draw: st.DrawFn) -> tuple[str, str]:
    over, under = draw(st.sampled_from(ROWS)), draw(st.sampled_from([*ROWS, None]))
    first, second = draw(st.sampled_from(over)), draw(st.sampled_from(over))
    if under is None:
        return first, second
    return f"{first}/{draw(st.sampled_from(under))}", f"{second}/{draw(st.sampled_from(under))}"


@given(st.floats(1e-6, 1e6), convertible_symbols())
def test_parse_agrees_with_pint(number: float, symbols: tuple[str, str]) -> None:
    written, held = symbols
    expected = (number * oracle(written) / oracle(held)).to_base_units()
    assert expected.dimensionless
    assert parse(f"{number!r} {written}", Unit(held)) == pytest.approx(expected.magnitude, rel=1e-12)


@given(st.sampled_from([symbol for row in ROWS for symbol in row]), st.sampled_from([symbol for row in ROWS for symbol in row]))
def test_dimensions_are_told_apart_as_pint_does(first: str, second: str) -> None:
    same = scale_and_dimension(first)[1] == scale_and_dimension(second)[1]
    assert same == any(first in row and second in row for row in ROWS)
    if not {first, second} & set(ROWS[1]):  # pint holds information to be dimensionless, we do not
        assert same == (oracle(first).dimensionality == oracle(second).dimensionality)


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("3.35 TB/s", "B/s", 3.35e12),
        ("80 GB", "B", 80e9),
        ("80 GiB", "B", 80 * 2**30),
        ("814 mm2", "m2", 814e-6),
        ("0.08 USD/kWh", "USD/J", 0.08 / 3.6e6),
        ("400 Gbit/s", "B/s", 50e9),
        ("2.69 USD/h", "USD/h", 2.69),
        ("24 USD/day", "USD/h", 1.0),
        ("2 USD/Mtoken", "USD/token", 2e-6),
        ("184 USD/kW/month", "USD/W/s", 0.184 / units.MONTH),
        ("30 month", "s", 2.5 * units.YEAR),
        ("12 %", "1", 0.12),
        ("1_000 W", "W", 1000.0),
        ("-3e2W", "W", -300.0),
        (7, "1", 7.0),
        (0.5, "1", 0.5),
    ],
)
def test_parse_of_known_quantities(text: str | float, unit: str, expected: float) -> None:
    assert parse(text, Unit(unit)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("symbol", ["USD/h", "1/year", "m2", "B/s", "USD/kWh", "%"])
def test_a_number_in_the_unit_of_its_field_is_kept_to_the_last_bit(symbol: str) -> None:
    assert parse(f"0.1 {symbol}", Unit(symbol)) == 0.1


@pytest.mark.parametrize(
    ("text", "unit", "message"),
    [
        ("80", "B", "missing unit"),
        (80, "B", "missing unit"),
        ("80 GB", "B/s", "wrong unit"),
        ("80 GBps", "B/s", "unknown unit 'GBps'"),
        ("80 gb", "B", "unknown unit 'gb'"),
        ("eighty GB", "B", "expected a quantity"),
        ("", "B", "expected a quantity"),
        ("nan", "1", "expected a quantity"),
        ("inf W", "W", "expected a quantity"),
        (math.nan, "1", "expected a finite number"),
        (math.inf, "1", "expected a finite number"),
        ("1e999 W", "W", "expected a finite number"),
        ("1e300 PFLOP", "FLOP", "expected a finite number"),
        pytest.param(10**400, "1", "expected a finite number", id="huge"),
        (True, "1", "expected a quantity"),
        (None, "1", "expected a quantity"),
        ([1], "W", "expected a quantity"),
        ("3 TB/", "B/s", "beside the slash"),
        ("3 USD//h", "USD/h", "beside the slash"),
    ],
)
def test_parse_refuses(text: object, unit: str, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        parse(text, Unit(unit))  # type: ignore[arg-type]


def test_a_wrong_unit_names_what_is_allowed() -> None:
    with pytest.raises(UnitError) as caught:
        parse("5 W", Unit("B/s"))
    assert (caught.value.given, caught.value.allowed) == ("5 W", "a quantity in B/s or a multiple of it")


@given(st.floats(1e-3, 1e3), convertible_symbols())
def test_in_unit_undoes_parse(number: float, symbols: tuple[str, str]) -> None:
    written, held = symbols
    assert in_unit(parse(f"{number!r} {written}", Unit(held)), Unit(held), written) == pytest.approx(number, rel=1e-12)


def test_in_unit_refuses_another_dimension() -> None:
    with pytest.raises(UnitError, match="wrong unit"):
        in_unit(1.0, Unit("B/s"), "GB")


@given(st.floats(1e-2, 1e20), st.sampled_from(["B/s", "FLOP/s", "W", "USD", "token/s", "B"]))
def test_show_can_be_read_back(value: float, symbol: str) -> None:
    assert parse(show(value, Unit(symbol), digits=6), Unit(symbol)) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(
    ("value", "symbol", "expected"),
    [
        (0.0, "W", "0 W"),
        (2.69, "USD/h", "2.69 USD/h"),
        (700.0, "W", "700 W"),
        (-2e9, "USD", "-2 GUSD"),
        (0.25, "1", "0.25"),
        (0.25, "s", "0.25 s"),
    ],
)
def test_show(value: float, symbol: str, expected: str) -> None:
    assert show(value, Unit(symbol)) == expected


def test_every_alias_has_a_unit_that_parse_knows() -> None:
    aliases = {name: value for name, value in vars(units).items() if typing.get_origin(value) is typing.Annotated}
    assert len(aliases) > 20
    for alias in aliases.values():
        kind, unit = typing.get_args(alias)
        assert kind is float
        assert scale_and_dimension(unit.symbol)[0] > 0
