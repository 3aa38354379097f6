from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tapeout import provenance
from tapeout.errors import FactError, InputError, UnitError, UnknownNameError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.provenance import Grade, Sourced, facts_within, load_toml, read_facts, source, sources
from tapeout.units import BytesPerSecond, Dimensionless, Unit, UsdPerHour


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    bandwidth: Sourced[BytesPerSecond]
    topology: Topology = Topology.SWITCH

    def __post_init__(self) -> None:
        if self.bandwidth.value < 0:
            raise InputError("bandwidth must not be negative", given=self.bandwidth.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    id: str
    count: int
    inner: Inner
    names: tuple[str, ...] = ()
    peaks: dict[NumberFormat, Sourced[Dimensionless]] | None = None
    price: Sourced[UsdPerHour] | None = None
    ready: bool = True


def number(value: Any, **more: Any) -> dict[str, Any]:
    return {"value": value, "source": "tapeout-estimate", "place": "here", "grade": "guess"} | more


def table(**more: Any) -> dict[str, Any]:
    return {"id": "a", "count": 2, "inner": {"bandwidth": number("3 TB/s")}} | more


def test_a_table_is_read_by_the_annotations() -> None:
    given = table(
        inner={"bandwidth": number("3 TB/s", low="2.5 TB/s", high="4 TB/s", note="about"), "topology": "torus-2d"},
        names=["x", "y"],
        peaks={"fp8": number(0.5)},
        price=number("2 USD/h", currency_year=2024),
    )
    read = read_facts(Outer, given, "a.toml")
    bandwidth = read.inner.bandwidth
    assert (bandwidth.value, bandwidth.low, bandwidth.high) == (3e12, 2.5e12, 4e12)
    assert (bandwidth.unit, bandwidth.grade, bandwidth.source, bandwidth.note) == (Unit("B/s"), Grade.GUESS, "tapeout-estimate", "about")
    assert read.inner.topology is Topology.TORUS_2D
    assert read.names == ("x", "y")
    assert read.peaks is not None
    assert list(read.peaks) == [NumberFormat.FP8]
    assert read.price is not None
    assert (read.price.value, read.price.currency_year) == (2.0, 2024)


def test_a_range_that_is_not_given_is_the_value() -> None:
    bandwidth = read_facts(Outer, table(), "a.toml").inner.bandwidth
    assert bandwidth.low == bandwidth.value == bandwidth.high


def test_defaults_fill_what_the_file_lacks() -> None:
    given = table()
    del given["id"]
    assert read_facts(Outer, given, "b.toml", defaults={"id": "b"}).id == "b"


REFUSED = [
    (table(cuont=3), "a.toml: cuont: unknown field, given 'cuont'", "did you mean count?"),
    ({"id": "a", "count": 2}, "a.toml: inner: missing field", ""),
    (table(count="2"), "a.toml: count: wrong type or value, given '2', allowed: int", ""),
    (table(count=True), "a.toml: count: wrong type or value, given True, allowed: int", ""),
    (table(count=2.0), "a.toml: count: wrong type or value, given 2.0", ""),
    (table(names="x"), "a.toml: names: wrong type or value, given 'x', allowed: a list", ""),
    (table(names=[1]), "a.toml: names[0]: wrong type or value, given 1, allowed: str", ""),
    (table(inner=3), "a.toml: inner: wrong type or value, given 3, allowed: a table", ""),
    (table(peaks=[1]), "a.toml: peaks: wrong type or value", ""),
    (table(peaks={"fp9": number(1)}), "a.toml: peaks.fp9: wrong type or value, given 'fp9', allowed: fp32 | bf16 | fp8 | int8 | fp4", ""),
    (table(inner={"bandwidth": number("3 TB/s"), "topology": "star"}), "a.toml: inner.topology: wrong type or value, given 'star'", ""),
    (table(inner={"bandwidth": "3 TB/s"}), "a.toml: inner.bandwidth: wrong type or value, given '3 TB/s', allowed: { value = ", ""),
    (
        table(inner={"bandwidth": number("3 TB/s", sauce="x")}),
        "a.toml: inner.bandwidth: unknown field, given 'sauce'",
        "did you mean source?",
    ),
    (table(inner={"bandwidth": number("3 TB")}), "a.toml: inner.bandwidth.value: wrong unit, given '3 TB'", ""),
    (table(inner={"bandwidth": number(3)}), "a.toml: inner.bandwidth.value: missing unit", ""),
    (table(inner={"bandwidth": number([3])}), "a.toml: inner.bandwidth.value: expected a quantity", ""),
    (table(inner={"bandwidth": number("3 TB/s", low="4 TB/s")}), "a.toml: inner.bandwidth: the range excludes the value", ""),
    (table(inner={"bandwidth": number("3 TB/s", high="2 TB/s")}), "a.toml: inner.bandwidth: the range excludes the value", ""),
    (table(inner={"bandwidth": number("3 TB/s", low="2 W")}), "a.toml: inner.bandwidth.low: wrong unit", ""),
    (
        table(inner={"bandwidth": number("3 TB/s", source="tapeout-estimat")}),
        "a.toml: inner.bandwidth: unknown source",
        "did you mean tapeout-estimate?",
    ),
    (table(inner={"bandwidth": number("3 TB/s", source="zzz")}), "a.toml: inner.bandwidth: unknown source", "user-supplied"),
    (table(inner={"bandwidth": number("3 TB/s", source=["x"])}), "a.toml: inner.bandwidth: wrong type or value", ""),
    (
        table(inner={"bandwidth": number("3 TB/s", grade="sure")}),
        "a.toml: inner.bandwidth.grade: wrong type or value, given 'sure', allowed: measured |",
        "",
    ),
    (table(inner={"bandwidth": number("3 TB/s", currency_year=2024)}), "a.toml: inner.bandwidth: money states its currency_year", ""),
    (table(price=number("2 USD/h")), "a.toml: price: money states its currency_year", ""),
    (table(price=number("2 USD/h", currency_year="2024")), "a.toml: price: wrong type or value, given '2024', allowed: a year", ""),
    (table(inner={"bandwidth": number("-3 TB/s")}), "a.toml: inner: bandwidth must not be negative", ""),
]


@pytest.mark.parametrize(("given", "message", "hint"), REFUSED, ids=[message for _, message, _ in REFUSED])
def test_a_fact_that_breaks_the_form_is_refused_by_file_and_field(given: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        read_facts(Outer, given, "a.toml")
    assert str(caught.value).startswith(message)
    assert hint in str(caught.value)


@pytest.mark.parametrize("key", ["value", "source", "place", "grade"])
def test_a_number_needs_each_part_of_its_provenance(key: str) -> None:
    broken = number("3 TB/s")
    del broken[key]
    with pytest.raises(FactError, match=f"inner.bandwidth: missing {key}"):
        read_facts(Outer, table(inner={"bandwidth": broken}), "a.toml")


def test_facts_within_lists_every_number_by_path_in_order() -> None:
    read = read_facts(Outer, table(peaks={"fp8": number(1), "bf16": number(2)}, price=number("1 USD/h", currency_year=2024)), "a.toml")
    assert [path for path, _ in facts_within(read)] == ["inner.bandwidth", "peaks.fp8", "peaks.bf16", "price"]
    assert facts_within((read.price,), "prices") == [("prices.0", read.price)]


def test_a_toml_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    cases = {"broken.toml": b"a = ", "bytes.toml": b"a = '\xff'", "deep.toml": b"a = " + b"[" * 5000, "long.toml": b"a = " + b"9" * 5000}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FactError, match=rf"{name}.*not valid TOML"):
            load_toml(tmp_path / name)
    for name in ("absent.toml", "."):
        with pytest.raises(FactError, match="cannot read the file"):
            load_toml(tmp_path / name)


def test_an_unknown_source_proposes_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean tapeout-estimate"):
        source("tapeout-estimates")
    assert source("tapeout-estimate").publisher == "Tapeout"


def test_every_source_states_title_publisher_and_address() -> None:
    for identifier, entry in sources().items():
        assert entry.id == identifier
        assert entry.title
        assert entry.publisher
        assert entry.address


def test_a_source_file_with_an_unknown_field_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources.toml").write_text("[a]\ntitel = 'x'\n")
    monkeypatch.setattr(provenance, "DATA", tmp_path)
    with pytest.raises(FactError, match=r"sources.toml: a.titel: unknown field.*did you mean title"):
        sources.__wrapped__()


def test_a_unit_error_inside_a_fact_stays_a_unit_error() -> None:
    with pytest.raises(UnitError):
        read_facts(Outer, table(inner={"bandwidth": number("3 W")}), "a.toml")
