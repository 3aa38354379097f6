import dataclasses
import itertools
import math

import pytest

from tapeout.cost.unit import price_with_margin, unit_cost
from tapeout.design.explore import DIVISION, UNSERVED, explore, pareto_front
from tapeout.design.space import MatrixUnits, MemoryChoice, ScaleUp, Space
from tapeout.errors import InfeasibleError, InputError
from tapeout.hardware.chip import NumberFormat, Topology
from tapeout.hardware.custom import broken_limits, own_chip
from tapeout.hardware.parameters import OwnChip
from tapeout.units import GB, MIB, YEAR

SPACE = Space(
    nodes=("tsmc-5", "tsmc-3"),
    dies=(1, 2),
    matrix_units=tuple(MatrixUnits(number=number, rows=128, columns=128) for number in (8, 32, 33)),
    clocks=(1.2e9, 3.0e9),
    on_chip_memories=(64 * MIB, 512 * MIB),
    memories=(
        MemoryChoice(generation="hbm3e", stacks=4),
        MemoryChoice(generation="hbm3e", stacks=8),
        MemoryChoice(generation="lpddr5x", stacks=4),
    ),
    scale_ups=(ScaleUp(bandwidth=400 * GB, domain=64, topology=Topology.TORUS_3D),),
)


def decode_cost(chip, cost):
    """Dollars per token of a decoder that reads 70 GB per token: chip and 4,000 of server over four years, power; it must hold 100 GB."""
    if chip.memory.capacity.value < 100 * GB:
        return math.inf
    seconds = 70 * GB / chip.memory.bandwidth.value
    return seconds * ((float(price_with_margin(cost.mid.total, 0.5)) + 4000) / (4 * YEAR) + chip.power.value * 1.2 * 0.08 / 3.6e6)


def brute_force(space):
    """The same search written out without the design layer."""
    found = []
    axes = (space.nodes, space.dies, space.matrix_units, space.clocks, space.on_chip_memories, space.memories)
    for node, dies, units, clock, on_chip, memory in itertools.product(*axes):
        if units.number % dies or memory.stacks % dies:
            continue
        own = OwnChip(
            id="x",
            name="x",
            node=node,
            dies=dies,
            matrix_units=units.number,
            rows=units.rows,
            columns=units.columns,
            formats=space.formats,
            clock=clock,
            on_chip_memory=on_chip,
            memory=memory.generation,
            stacks=memory.stacks,
            link_bandwidth=400 * GB,
            domain=64,
            topology=Topology.TORUS_3D,
            scale_out=space.scale_out,
        )
        if broken_limits(own):
            continue
        chip = own_chip(own)
        value = decode_cost(chip, unit_cost(chip))
        if math.isfinite(value):
            found.append((value, chip.power.value, dataclasses.replace(own, id="", name="")))
    return found


def test_best_design_is_that_of_brute_force():
    found, outcome = brute_force(SPACE), explore(SPACE, decode_cost)
    best = min(found, key=lambda each: each[0])
    assert outcome.best.cost_per_token == pytest.approx(best[0])
    assert dataclasses.replace(outcome.best.parameters, id="", name="") == best[2]
    assert len(outcome.ranked) == len(found)


def test_certificate_counts_every_combination_and_names_the_limits():
    outcome = explore(SPACE, decode_cost)
    certificate = outcome.certificate
    assert certificate.holds
    assert certificate.combinations == SPACE.size == 144
    assert certificate.candidates + certificate.infeasible == 144
    # 33 units never divide into two dies; the fast clock and the eight stacks on one die are refused; LPDDR is too small.
    assert certificate.dropped[DIVISION] == 2 * 2 * 2 * 3
    assert certificate.dropped["clock"] == 2 * 5 * 2 * 3
    assert {"stacks per side", "reticle", UNSERVED} <= set(certificate.dropped)
    assert certificate.runner_up >= certificate.best_cost


def test_a_certificate_with_a_missing_design_or_a_better_one_does_not_hold():
    certificate = explore(SPACE, decode_cost).certificate
    assert not dataclasses.replace(certificate, infeasible=certificate.infeasible - 1).holds
    assert not dataclasses.replace(certificate, runner_up=certificate.best_cost / 2).holds


def test_front_is_what_pairwise_comparison_leaves():
    outcome = explore(SPACE, decode_cost)
    left = {
        each.parameters.id
        for each in outcome.ranked
        if not any(
            other.cost_per_token <= each.cost_per_token
            and other.power <= each.power
            and (other.cost_per_token, other.power) != (each.cost_per_token, each.power)
            for other in outcome.ranked
        )
    }
    assert {each.parameters.id for each in outcome.front} == left
    assert outcome.front[0] == outcome.best
    assert len(outcome.front) > 1
    assert pareto_front(reversed(outcome.ranked)) == outcome.front


def test_more_memory_bandwidth_wins_a_decoder_and_the_formats_are_kept():
    best = explore(SPACE, decode_cost).best
    assert best.parameters.stacks == 8
    assert set(best.chip.peak) == {NumberFormat.BF16, NumberFormat.FP8, NumberFormat.FP4}


def test_no_design_left_names_the_limits():
    with pytest.raises(InfeasibleError, match=r"no design .* dropped by .*workloads not served"):
        explore(SPACE, lambda chip, cost: math.inf)
    with pytest.raises(InfeasibleError, match="clock"):
        explore(dataclasses.replace(SPACE, clocks=(9e9,)), decode_cost)


@pytest.mark.parametrize("value", [math.nan, -1.0])
def test_an_objective_that_is_no_cost_is_refused(value):
    with pytest.raises(InputError, match="not a cost"):
        explore(SPACE, lambda chip, cost: value)
