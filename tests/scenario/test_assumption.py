import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.errors import InputError
from tapeout.provenance import Grade
from tapeout.scenario.document import parse_document
from tapeout.scenario.quantity import Quantity, Whole
from tapeout.scenario.quarters import Quarter
from tapeout.scenario.reader import scenario_of


@given(st.floats(0, 1e12))
def test_a_quantity_is_read_in_its_unit(number: float) -> None:
    assert Quantity("B/s").number(f"{number!r} GB/s") == pytest.approx(number * 1e9)


@pytest.mark.parametrize("given_", [True, None, [], {}, "", "abc", "12", float("nan"), float("inf"), "-1 W", "1e999 W", 3])
def test_what_is_no_power_is_refused(given_: object) -> None:
    with pytest.raises(InputError):
        Quantity("W").number(given_)


def test_bounds_of_quantities() -> None:
    assert Quantity("1", share=True).number("100 %") == 1
    assert Quantity("1", signed=True).number("-3 %") == -0.03
    for marker, text in [(Quantity("1", share=True), "101 %"), (Quantity("s", positive=True), "0 s"), (Quantity("1"), -1)]:
        with pytest.raises(InputError, match="out of range"):
            marker.number(text)


def test_whole_numbers_and_quarters() -> None:
    assert Whole().number("10_000") == Whole().number(10_000) == Whole().number("1e4") == 10_000
    assert Whole(1, 80, quarters=True).number("2 year") == 8
    assert Whole(1, 80, quarters=True).number("3 quarter") == 3
    for given_ in (True, 1.5, "1.5", -1, 10**10, "1 s"):
        with pytest.raises(InputError):
            Whole().number(given_)


def demand(small: str, text: str) -> str:
    """The small scenario with another demand."""
    start, rest = small.split("    demand:\n")
    return f"{start}    demand: {text}\n    peak_to_mean{rest.split('    peak_to_mean')[1]}"


def test_a_forecast_may_grow_from_one_value(small: str) -> None:
    text = "{value: 2 Mquery/day, low: 1 Mquery/day, high: 3 Mquery/day, grow: 10 %, source: guess, why: so}"
    series = scenario_of(parse_document(demand(small, text), "f.yaml")).models["chat"].demand
    assert series.over(Quarter(2026, 4), 3) * 86_400 / 1e6 == pytest.approx([2, 2.2, 2.42])
    assert (series.low_factor, series.high_factor) == pytest.approx((0.5, 1.5))
    assert series.grade is Grade.GUESS


def test_a_sourced_assumption_needs_no_range_and_is_an_estimate(small: str) -> None:
    text = "{value: 2 Mquery/day, source: tapeout-estimate, place: page 3}"
    series = scenario_of(parse_document(demand(small, text), "f.yaml")).models["chat"].demand
    assert (series.low_factor, series.high_factor, series.grade, series.place) == (1, 1, Grade.ESTIMATE, "page 3")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 Mquery/day", "an assumption states its range, source and reason, given '2 Mquery/day'"),
        ("{source: guess, low: 50 %, high: 200 %, why: so}", "a forecast has a value or values by_quarter"),
        ("{value: 1 query/s, by_quarter: {2026Q4: 1 query/s}, source: tapeout-estimate}", "a forecast has a value or values by_quarter"),
        ("{by_quarter: {}, source: tapeout-estimate}", "demand.by_quarter: wrong type"),
        ("{by_quarter: [1], source: tapeout-estimate}", "demand.by_quarter: wrong type"),
        ("{by_quarter: {2026Q5: 1 query/s}, source: tapeout-estimate}", "demand.by_quarter.2026Q5: not a quarter"),
        ("{by_quarter: {2026Q4: 1 USD/s}, source: tapeout-estimate}", "demand.by_quarter.2026Q4: wrong unit"),
        ("{value: 1 query/s, grow: -100 %, source: tapeout-estimate}", "demand.grow: nothing is left after such a loss"),
        ("{value: 0 query/s, low: 0 query/s, high: 1 query/s, source: guess, why: so}", "demand.high: a forecast of 0 cannot have a range"),
        ("{value: 1 query/s, source: tapeout-estimate, grade: guess}", "demand.low: missing key; a guess states low, high and why"),
        ("{value: 1 query/s, source: tapeout-estimate, grade: gess}", "did you mean guess?"),
        ("{value: 1 query/s, source: tapeout-estimate, why: 3}", "demand.why: wrong type, given 3, allowed: text"),
    ],
)
def test_forecasts_that_say_too_little_or_too_much(small: str, text: str, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario_of(parse_document(demand(small, text), "f.yaml"))
    assert expected in str(caught.value)
