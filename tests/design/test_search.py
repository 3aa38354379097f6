import dataclasses
import itertools
import math
import random

import numpy as np
import pytest

from tapeout.cost.nre import one_off_cost
from tapeout.cost.tco import owner_usd_per_hour
from tapeout.cost.unit import price_with_margin
from tapeout.design import sweep
from tapeout.design.explore import UNSERVED, explore
from tapeout.design.kin import on_chip_memory_per_peak
from tapeout.design.refine import around, neighbours, only, refined
from tapeout.design.search import Aim, front_rows, search
from tapeout.design.store import PREFIX
from tapeout.design.throughput import carried
from tapeout.errors import CancelledError, InfeasibleError
from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.custom import broken_limits, own_chip
from tapeout.hardware.process import process
from tapeout.performance.rates import rates

from .questions import ECONOMICS, QUESTION, SPACE, WORKLOADS


def token_cost(chip, cost):
    """Dollars of an output token of the mix on one chip, step by step from the parts of cost and performance."""
    peak = chip.peak[NumberFormat.BF16].value
    if chip.on_chip_memory.value < peak * on_chip_memory_per_peak(SPACE.formats) * (1 - 1e-9):
        return math.inf
    one_off = one_off_cost(process(chip.silicon.node), chip.silicon.die_area.value).total
    capital = float(price_with_margin(cost.mid.total, ECONOMICS.margin)) + one_off / ECONOMICS.volume + ECONOMICS.host_price
    hour = owner_usd_per_hour(
        capital=capital, power=chip.power.value + ECONOMICS.host_power, rate=ECONOMICS.rate, life=ECONOMICS.life,
        hosting=ECONOMICS.hosting, energy_price=ECONOMICS.energy_price, pue=ECONOMICS.pue, load=ECONOMICS.load,
        operations=ECONOMICS.operations, availability=ECONOMICS.availability,
    ).total  # fmt: skip
    seconds = 0.0
    for one in WORKLOADS:
        rate = carried(one, rates([(chip, one.numerics)])).rate[0]
        seconds += one.weight / rate if rate else math.inf
    return float(hour) / 3600 * seconds


@pytest.fixture(scope="module")
def found():
    return search(QUESTION, workers=1)


@pytest.fixture(scope="module")
def plain():
    return explore(SPACE, token_cost)


def named(parameters):
    return dataclasses.replace(parameters, id="", name="")


def test_the_optimum_is_that_of_brute_force(found, plain):
    assert found.best.usd_per_token == pytest.approx(plain.best.cost_per_token, rel=1e-12, abs=0)
    assert found.best.parameters == plain.best.parameters
    assert found.certificate.candidates == len(plain.ranked)
    assert sorted(found.usd_per_token) == pytest.approx([each.cost_per_token for each in plain.ranked], rel=1e-12, abs=0)
    assert found.best.unit_cost == pytest.approx(plain.best.unit_cost.mid.total)


def test_the_certificate_counts_every_combination(found, plain):
    certificate = found.certificate
    assert certificate.holds
    assert certificate.combinations == SPACE.size
    assert certificate.runner_up == pytest.approx(plain.ranked[1].cost_per_token, rel=1e-12, abs=0)
    assert {"stacks per side", sweep.STAGING} <= set(certificate.dropped)


def test_no_design_of_the_front_breaks_a_limit(found):
    assert len(found.front) > 1
    for design in found.front:
        assert broken_limits(design.parameters) == ()
        assert own_chip(design.parameters).power.value == pytest.approx(design.power)


def test_the_front_is_what_pairwise_comparison_leaves(found):
    points = list(zip(found.usd_per_token, found.joules_per_token, strict=True))
    left = {
        (dollars, joules)
        for dollars, joules in points
        if not any(a <= dollars and b <= joules and (a, b) != (dollars, joules) for a, b in points)
    }
    assert {(each.usd_per_token, each.joules_per_token) for each in found.front} == left


def test_of_equal_points_one_stands_on_the_front():
    assert front_rows(np.array([1.0, 1.0, 2.0, 3.0]), np.array([5.0, 5.0, 6.0, 4.0])).tolist() == [0, 3]


@pytest.mark.parametrize("seed", range(3))
def test_the_optimum_does_not_change_with_the_order_of_the_grid(found, seed):
    shuffle = random.Random(seed)  # noqa: S311
    axes = ("nodes", "dies", "matrix_units", "clocks", "on_chip_memories", "memories", "scale_ups")
    space = dataclasses.replace(SPACE, **{name: tuple(shuffle.sample(getattr(SPACE, name), len(getattr(SPACE, name)))) for name in axes})
    other = search(dataclasses.replace(QUESTION, space=space), workers=1)
    assert named(other.best.parameters) == named(found.best.parameters)
    assert other.best.usd_per_token == found.best.usd_per_token
    assert [named(each.parameters) for each in other.front] == [named(each.parameters) for each in found.front]
    assert other.certificate == found.certificate


def test_the_optimum_does_not_change_with_the_number_of_processes_or_the_size_of_the_jobs(found, monkeypatch):
    monkeypatch.setattr(sweep, "POINTS_PER_JOB", 7)
    both = search(QUESTION, workers=2)
    assert both.best == found.best
    assert both.front == found.front
    assert np.array_equal(both.usd_per_token, found.usd_per_token)


def test_an_interrupted_search_goes_on_where_it_was_and_ends_alike(found, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "POINTS_PER_JOB", 4)
    done = itertools.count()
    work = sweep.carried_by

    def stopped(question, wanted):
        if next(done) == 3:
            raise KeyboardInterrupt
        return work(question, wanted)

    monkeypatch.setattr(sweep, "carried_by", stopped)
    with pytest.raises(CancelledError, match="goes on from there"):
        search(QUESTION, workers=1, keep_in=tmp_path)
    done = itertools.count(1)
    with pytest.raises(CancelledError, match="goes on from there"):
        search(QUESTION, workers=1, keep_in=tmp_path)
    kept = sorted(path.name for folder in tmp_path.glob(f"{PREFIX}*") for path in folder.iterdir())
    assert kept == ["built-000000.npz", *(f"carried-{place:06d}.npz" for place in range(5))]
    counted = []
    monkeypatch.setattr(sweep, "carried_by", lambda question, wanted: counted.append(len(wanted)) or work(question, wanted))
    again = search(QUESTION, workers=1, keep_in=tmp_path)
    jobs = -(-len(np.unique(sweep.built(QUESTION, 0, SPACE.size).point)) // 4)
    assert len(counted) == jobs - 5
    assert again.best == found.best
    assert again.front == found.front
    assert list(tmp_path.iterdir()) == []


def test_what_another_question_left_is_not_read(monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "carried_by", lambda question, wanted: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(CancelledError):
        search(QUESTION, workers=1, keep_in=tmp_path)
    other = dataclasses.replace(QUESTION, economics=dataclasses.replace(ECONOMICS, volume=1000.0))
    with pytest.raises(CancelledError):
        search(other, workers=1, keep_in=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_aim_of_energy_finds_the_other_end_of_the_front(found):
    least = search(QUESTION, aim=Aim.ENERGY, workers=1)
    assert least.best.joules_per_token == found.joules_per_token.min()
    assert named(least.best.parameters) == named(found.front[-1].parameters)


@pytest.mark.parametrize(
    ("name", "value"), [("energy_price", 0.5), ("host_price", 0.5), ("margin", 0.5), ("volume", 2.0), ("hosting", 0.5), ("operations", 0.5)]
)
def test_a_cheaper_world_never_makes_the_optimum_worse(found, name, value):
    better = dataclasses.replace(ECONOMICS, **{name: getattr(ECONOMICS, name) * value})
    assert search(dataclasses.replace(QUESTION, economics=better), workers=1).best.usd_per_token < found.best.usd_per_token


def test_more_power_and_more_choice_never_make_the_optimum_worse(found):
    freer = dataclasses.replace(SPACE, power_limit=None)
    wider = dataclasses.replace(freer, clocks=(*SPACE.clocks, 1.4e9))
    costs = [search(dataclasses.replace(QUESTION, space=space), workers=1).best.usd_per_token for space in (freer, wider)]
    assert found.best.usd_per_token >= costs[0] >= costs[1]


def test_an_empty_grid_says_which_limits_emptied_it():
    with pytest.raises(InfeasibleError, match=r"dropped by .*clock \d+.*; each of them breaks the limit of clock"):
        search(dataclasses.replace(QUESTION, space=dataclasses.replace(SPACE, clocks=(9e9,))), workers=1)
    tight = dataclasses.replace(SPACE, dies=(1,), memories=SPACE.memories[1:2], clocks=(1.2e9, 9e9))
    with pytest.raises(InfeasibleError, match="each of them breaks the limit of stacks per side"):
        search(dataclasses.replace(QUESTION, space=tight), workers=1)
    hasty = tuple(dataclasses.replace(one, demand=dataclasses.replace(one.demand, tpot=1e-6)) for one in WORKLOADS)
    with pytest.raises(InfeasibleError, match=rf"{UNSERVED} \d+.*can be built, and none serves dense or sparse within its latency limits"):
        search(dataclasses.replace(QUESTION, workloads=hasty), workers=1)
    one = (WORKLOADS[0], hasty[1])
    with pytest.raises(InfeasibleError, match="none serves sparse within"):
        search(dataclasses.replace(QUESTION, workloads=one), workers=1)


def test_refinement_finds_a_better_design_that_can_be_built(found):
    better, looked_at = refined(found)
    assert better.usd_per_token < found.best.usd_per_token
    assert looked_at > 0
    assert broken_limits(better.parameters) == ()
    alone = search(dataclasses.replace(QUESTION, space=only(SPACE, better.parameters)), workers=1)
    assert alone.best.usd_per_token == better.usd_per_token


def test_what_is_around_a_design_holds_it_and_its_neighbours_differ_in_one_parameter(found):
    own = found.best.parameters
    near = around(SPACE, own, 0.04)
    assert named(own) in [named(each) for each in near.designs() if each is not None]
    for name, space in neighbours(SPACE, own, 1.2).items():
        other = space.design(0)
        fields = [field.name for field in dataclasses.fields(own) if getattr(own, field.name) != getattr(other, field.name)]
        assert len(set(fields) - {"id", "name"}) == 1, name
