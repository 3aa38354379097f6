import pytest

from tapeout.errors import (
    CancelledError,
    FactError,
    InfeasibleError,
    InputError,
    LimitNotMetError,
    Place,
    TapeoutError,
    UnitError,
    UnknownNameError,
    UnsupportedModelError,
    closest,
    did_you_mean,
)

FULL = Place(file="scenarios/lab.yaml", line=12, column=10, path="sites.abilene.power", excerpt="  power: 200 GW/h")


def test_an_error_says_where_what_given_allowed_and_how_to_mend_with_a_caret() -> None:
    error = UnitError("wrong unit", place=FULL, given="200 GW/h", allowed=["W", "kW"], hint="write 200 MW")
    assert str(error) == (
        "scenarios/lab.yaml:12:10: sites.abilene.power: wrong unit, given '200 GW/h', allowed: W, kW; write 200 MW\n"
        "      power: 200 GW/h\n"
        "             ^"
    )


def test_the_caret_stands_under_the_column() -> None:
    _, source, caret = str(InputError("bad", place=FULL)).split("\n")
    assert source[caret.index("^")] == FULL.excerpt[FULL.column - 1] == "2"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (Place(file="a.toml"), "a.toml: bad"),
        (Place(file="a.toml", path="power.value"), "a.toml: power.value: bad"),
        (Place(file="a.yaml", line=3), "a.yaml:3: bad"),
        (Place(file="a.yaml", line=3, excerpt="x: 1"), "a.yaml:3: bad"),
        (None, "bad"),
    ],
)
def test_what_is_not_known_of_a_place_is_left_out(place: Place | None, text: str) -> None:
    assert str(InputError("bad", place=place)) == text


def test_a_given_number_is_not_quoted_and_zero_is_said() -> None:
    assert str(InputError("bad", given=0)) == "bad, given 0"
    assert str(InputError("bad", given="")) == "bad, given ''"


def test_at_adds_a_place_once_and_keeps_kind_and_parts() -> None:
    error = FactError("bad", given=1, allowed="2", hint="use 2").at(Place(file="a"))
    assert type(error) is FactError
    assert str(error) == "a: bad, given 1, allowed: 2; use 2"
    assert error.at(Place(file="b")) is error


@pytest.mark.parametrize("kind", [InputError, UnitError, FactError, UnknownNameError, UnsupportedModelError, InfeasibleError])
def test_bad_input_exits_with_two(kind: type[InputError]) -> None:
    assert issubclass(kind, TapeoutError)
    assert kind.exit_code == 2


def test_the_other_exit_codes() -> None:
    assert (TapeoutError.exit_code, LimitNotMetError.exit_code, CancelledError.exit_code) == (1, 3, 130)
    assert not issubclass(LimitNotMetError, InputError)


def test_a_near_name_is_proposed_and_a_far_one_is_not() -> None:
    options = ["nvidia-h100-sxm", "nvidia-h100-pcie", "amd-mi300x"]
    assert closest("nvidia-h100-smx", options) == "nvidia-h100-sxm"
    assert did_you_mean("amd-mi300", options) == "did you mean amd-mi300x?"
    assert did_you_mean("AMD-MI300", options) == "did you mean amd-mi300x?"
    assert did_you_mean("abacus", options) is None


def test_a_name_that_holds_the_word_is_nearer_than_one_that_differs_by_a_letter() -> None:
    assert did_you_mean("nvidia-h100", ["nvidia-h800", "nvidia-h100-sxm"]) == "did you mean nvidia-h100-sxm?"


def test_a_part_of_a_name_proposes_the_names_that_hold_it() -> None:
    options = ["nvidia-h100-sxm", "nvidia-h100-pcie", "amd-mi300x"]
    assert did_you_mean("H100", options) == "did you mean nvidia-h100-sxm or nvidia-h100-pcie?"
    assert did_you_mean("h1", options) is None
    assert closest("llama-3.1-70b", ["meta-llama/Llama-3.1-70B"]) == "meta-llama/Llama-3.1-70B"
