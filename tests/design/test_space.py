import dataclasses

import pytest

from tapeout.design.space import LARGEST, MatrixUnits, MemoryChoice, ScaleUp, Space
from tapeout.errors import InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.designs import Designs, designs_of
from tapeout.units import GB, MIB

SPACE = Space(
    nodes=("tsmc-5", "tsmc-3"),
    dies=(1, 2),
    matrix_units=(MatrixUnits(number=8, rows=128, columns=128), MatrixUnits(number=15, rows=128, columns=128)),
    clocks=(1.2e9,),
    on_chip_memories=(64 * MIB, 128 * MIB, 256 * MIB),
    memories=(MemoryChoice(generation="hbm3e", stacks=4),),
    scale_ups=(ScaleUp(bandwidth=400 * GB, domain=64, topology=Topology.TORUS_3D),),
    power_limit=900.0,
    released="2028",
)


def test_every_combination_is_made_once_and_carries_the_common_parameters():
    designs = list(SPACE.designs())
    assert len(designs) == SPACE.size == 2 * 2 * 2 * 3
    made = [design for design in designs if design is not None]
    assert len({design.id for design in made}) == len(made)
    assert len({(design.node, design.dies, design.matrix_units, design.on_chip_memory) for design in made}) == len(made)
    assert {(design.power_limit, design.released, design.formats) for design in made} == {
        (900.0, "2028", (NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4))
    }


def test_units_that_do_not_divide_into_the_dies_are_none():
    # 15 units do not divide into two dies: one of two unit choices, one of two die counts, over the two nodes and three memories.
    assert sum(design is None for design in SPACE.designs()) == 2 * 3


def test_a_design_by_its_number_is_the_one_in_the_order():
    assert [SPACE.design(number) for number in range(SPACE.size)] == list(SPACE.designs())


def test_the_order_is_fixed():
    assert [design and design.id for design in SPACE.designs()] == [design and design.id for design in SPACE.designs()]


def test_the_grid_holds_the_same_designs_as_arrays():
    designs, divides = SPACE.grid()
    made = list(SPACE.designs())
    assert [design is not None for design in made] == list(divides)
    apart = designs_of([design for design in made if design is not None])
    together = designs.take(divides)
    for field in dataclasses.fields(Designs):
        assert getattr(together, field.name) == pytest.approx(getattr(apart, field.name), nan_ok=True), field.name


def test_empty_and_huge_spaces_are_refused():
    with pytest.raises(InputError, match="no value for clocks"):
        dataclasses.replace(SPACE, clocks=())
    with pytest.raises(InputError, match=f"up to {LARGEST} designs"):
        dataclasses.replace(SPACE, clocks=tuple(1e9 + step for step in range(LARGEST // 24 + 1)))
