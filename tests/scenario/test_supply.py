"""Own chips as a scenario states them."""

import pytest

from tapeout.errors import InputError
from tapeout.hardware.parameters import BaseLayer
from tapeout.scenario.document import parse_document
from tapeout.scenario.hardware import chips_of
from tapeout.scenario.reader import scenario_of
from tapeout.units import MIB
from tests.scenario.own_contract import own_contract

CONTRACT = own_contract("partner")
REST = """\
programmes:
  partner: {mode: partner, profile: [50 %, 50 %]}
own_chips:
  mine:
    node: tsmc-5
    package: cowos-s
    dies: 8
    matrix_units: 304
    rows: 16
    columns: 32
    formats: [bf16, fp8]
    clock: 1.2 GHz
    on_chip_memory: 64 MiB
    memory: {generation: hbm3, stacks: 8}
    link: {bandwidth: 448 GB/s, topology: mesh, domain: 8}
    base: {node: tsmc-6, dies: 4, on_chip_memory: 256 MiB}
"""


def stated(small: str, old: str = "", new: str = ""):
    text = small.replace("sites:\n  cage", CONTRACT + "sites:\n  cage") + REST
    assert old in text
    return scenario_of(parse_document(text.replace(old, new) if old else text, "f.yaml"))


def test_base_dies_reach_the_chip_its_area_and_its_cost(small):
    scenario = stated(small)
    own = scenario.own_chips["mine"].parameters("mine")
    assert own.base == BaseLayer(node="tsmc-6", dies=4, on_chip_memory=256 * MIB)
    found = chips_of(scenario)
    silicon, memory = found.by_name["mine"].silicon, found.by_name["mine"].on_chip_memory
    assert (silicon.base.node, silicon.base.dies) == ("tsmc-6", 4)
    assert memory.value == pytest.approx(320 * MIB)
    assert found.own_costs["mine"].mid.base_dies > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("base: {node: tsmc-6", "base: {node: tsmc-66", r"own_chips\.mine\.base\.node: unknown process node, given 'tsmc-66'"),
        ("dies: 4", "dies: 3", r"own_chips\.mine: units must divide into the dies, dies and stacks into the base dies"),
        ("on_chip_memory: 256 MiB}", "on_chip_memory: 256 GHz}", r"base\.on_chip_memory: wrong unit"),
        ("dies: 4, ", "", r"own_chips\.mine\.base\.dies"),
    ],
)
def test_bad_base_dies_are_refused_with_their_field(small, old, new, message):
    with pytest.raises(InputError, match=message):
        stated(small, old, new)
