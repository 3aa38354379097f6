import pytest

from tapeout.design.grid import usual_space
from tapeout.errors import InputError
from tapeout.hardware.process import memory_generation, process

from .questions import SPACE

LIKE = next(each for each in SPACE.designs() if each is not None and each.memory == "hbm3e")


def test_it_holds_about_a_million_designs_of_what_there_is_by_then():
    space = usual_space(LIKE, year=2023)
    assert 500_000 < space.size < 5_000_000
    assert {process(node).year for node in space.nodes} <= set(range(2018, 2024))
    fastest = memory_generation("hbm3e").bandwidth.value
    assert all(memory_generation(one.generation).bandwidth.value <= fastest for one in space.memories)
    assert len(usual_space(LIKE, year=2026).nodes) > len(space.nodes)


def test_what_is_not_searched_is_that_of_the_design_given():
    space = usual_space(LIKE, year=2026)
    assert (space.formats, space.power_limit, space.scale_out, space.spare) == (LIKE.formats, LIKE.power_limit, LIKE.scale_out, LIKE.spare)
    assert {(one.domain, one.topology) for one in space.scale_ups} == {(LIKE.domain, LIKE.topology)}


def test_a_year_before_all_nodes_is_refused():
    with pytest.raises(InputError, match="no process node"):
        usual_space(LIKE, year=2010)
