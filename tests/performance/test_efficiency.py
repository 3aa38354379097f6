"""Coefficients from a file: the shipped ones read as themselves, others take their place, and a fault is named where it stands."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tapeout.errors import FactError, UnknownNameError
from tapeout.hardware.catalog import chip
from tapeout.performance.best import Demand, Serving, best_servings
from tapeout.performance.cases import COLUMNS, answered
from tapeout.performance.efficiency import efficiencies, efficiency, read_efficiencies
from tapeout.provenance import DATA
from tapeout.workload.catalog import model

SHIPPED = (DATA / "efficiencies.toml").read_text()
ROW = dict(
    zip(
        COLUMNS,
        ("a", "online", "nvidia-h100-sxm", "1", "meta-llama/Llama-3.1-8B", "bf16", "1024", "256", "1", "1", "", "", "16"),
        strict=True,
    )
)


def smallest(kin: str = "", format: str = "bf16", compute: str = "0.7", launch: str = "4 us") -> str:  # noqa: A002 - the field's name
    """A generation with one product, the shipped one of hopper in bf16 but for what is given."""
    section = SHIPPED.partition("[hopper.products.bf16]\n")[2].partition("\n[")[0]
    source = 'source = "user-supplied", place = "my bench", grade = "measured"'
    for name, value in (("compute", compute), ("launch", f'"{launch}"')):
        section = re.sub(rf"^{name} = .*$", f"{name} = {{ value = {value}, {source} }}", section, flags=re.MULTILINE)
    return f'\n[mine]\nkin = "{kin}"\n[mine.products.{format}]\n{section}\n'


def test_a_copy_of_the_shipped_file_reads_as_the_shipped_coefficients(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SHIPPED)
    assert read_efficiencies(tmp_path / "mine.toml") == efficiencies()


def test_a_users_coefficients_count_in_every_answer_and_nowhere_else(tmp_path: Path) -> None:
    """A host that takes 20 ms more a step adds as much to every TPOT; the shipped coefficients stay what they are."""
    own = efficiency("hopper", efficiencies())
    assert own.host is not None
    slower = {
        **efficiencies(),
        "hopper": replace(own, host=replace(own.host, step=replace(own.host.step, value=own.host.step.value + 20e-3))),
    }
    (before,), (changed,), (after,) = answered([ROW]), answered([ROW], slower), answered([ROW])
    assert float(changed["tpot_ms"]) == pytest.approx(float(before["tpot_ms"]) + 20, abs=1)
    assert after == before
    demand = Demand(model=model("meta-llama/Llama-3.1-8B"), precision="bf16", prompt=1024, output=256)
    shipped, own_serving = (best_servings(demand, [chip("nvidia-h100-sxm")], table)[0] for table in (None, slower))
    assert isinstance(shipped, Serving)
    assert isinstance(own_serving, Serving)
    assert own_serving.prediction.output_rate_per_chip.value < shipped.prediction.output_rate_per_chip.value


def test_a_generation_of_the_users_own_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(SHIPPED + smallest(kin="hopper"))
    table = read_efficiencies(tmp_path / "mine.toml")
    assert set(table) - set(efficiencies()) == {"mine"}
    assert efficiency("mine", table).products["bf16"].compute.value == 0.7
    assert efficiency("mine", table).host == efficiency("hopper", table).host
    with pytest.raises(UnknownNameError):
        efficiency("mine", efficiencies())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"mine.toml: the file has no coefficients"),
        ("mine = 3", r"mine.toml: mine: wrong type or value, given 3, allowed: a table"),
        (smallest(kin="hoper"), r"mine.toml: mine.kin: unknown generation, given 'hoper'"),
        (smallest(kin="mine"), r"mine.toml: mine.kin: kin lead back to where they began, given 'mine -> mine'"),
        (smallest(format="fp9"), r"mine.toml: mine.products.fp9: unknown number format, given 'fp9'"),
        (smallest(format="fp8"), r"mine.toml: mine: neither it nor its kin have products.bf16"),
        (smallest(compute="0.0"), r"mine.toml: mine.products.bf16.compute: impossible number, given 0.0, allowed: above 0"),
        (smallest(launch="-4 us"), r"mine.toml: mine.products.bf16.launch: impossible number, given -4e-06, allowed: at least 0"),
        (smallest().replace("user-supplied", "my-bench"), r"unknown source, given 'my-bench'; a file of your own cites user-supplied"),
        (smallest().replace("launch =", "lunch ="), r"mine.toml: mine.products.bf16.lunch: unknown field.*did you mean launch\?"),
        ("[mine", r"mine.toml: not valid TOML"),
    ],
)
def test_a_fault_of_the_file_is_named_where_it_stands(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(FactError, match=message):
        read_efficiencies(tmp_path / "mine.toml")


def test_a_launch_of_no_time_is_possible(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(smallest(launch="0 us"))
    assert read_efficiencies(tmp_path / "mine.toml")["mine"].products["bf16"].launch.value == 0.0
