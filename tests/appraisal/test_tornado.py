"""The tornado in closed form, sorted, and never lower where whole decisions are kept than where all is decided anew."""

import math

import numpy as np
import pytest

from tapeout.appraisal.decided import decided
from tapeout.appraisal.knobs import Scaled, knob
from tapeout.appraisal.tornado import tornado, tornado_anew
from tapeout.sourcing.problem import ContractKind
from tapeout.sourcing.search import solve


def case(make):
    offers = [make.offer("cloud", 4, rent=2.0, allocation=60.0), make.offer("spot", 4, rent=5.0)]
    return make.problem(offers, np.full(4, 100.0), discount=0.1)


def test_a_bar_is_the_bill_times_the_change(make):
    problem = case(make)
    known = decided(solve(problem, gap=1e-9))
    found = tornado(known, [knob("cloud", ["contracts.cloud.price"], 0.8, 1.2), knob("spot", ["contracts.spot.price"], 0.9, 1.1)])
    assert [bar.name for bar in found.bars] == ["cloud", "spot"]
    assert found.planned == pytest.approx(known.goal)
    for bar, part, change in zip(found.bars, (120.0 / 320, 200.0 / 320), (0.2, 0.1), strict=True):
        assert bar.low == pytest.approx(known.goal * (1 - part * change))
        assert bar.high == pytest.approx(known.goal * (1 + part * change))
        assert bar.swing == pytest.approx(2 * known.goal * part * change)


def test_an_end_that_nothing_can_meet_comes_first(make):
    problem = make.problem([make.offer("cloud", 4, rent=2.0, allocation=110.0)], np.full(4, 100.0))
    knobs = [knob("price", ["contracts.cloud.price"], 0.1, 10.0), knob("demand", ["models.model-0.demand"], 0.9, 1.2)]
    found = tornado(decided(solve(problem)), knobs)
    assert found.bars[0].name == "demand"
    assert found.bars[0].high == math.inf
    assert found.bars[0].swing == math.inf
    assert tornado_anew(problem, found.planned, knobs, 1e-6, 10.0).bars[0].high == math.inf


def test_what_comes_whole_is_kept_in_one_and_decided_anew_in_the_other(make):
    own = make.offer("own", 6, kind=ContractKind.OWN, price=4e3, programme="tapeout", allocation=1e4)
    problem = make.problem(
        [make.offer("cloud", 6, rent=2.0), own], np.full(6, 100.0), programmes=[make.programme("tapeout", [9e5], lead=2)]
    )
    plan = solve(problem, gap=1e-9)
    assert plan.starts.sum() == 1
    knobs = [knob("rent", ["contracts.cloud.price"], 0.2, 1.0)]
    (kept,), (anew,) = tornado(decided(plan), knobs).bars, tornado_anew(problem, plan.goal, knobs, 1e-9, 30.0).bars
    assert kept.high == pytest.approx(anew.high)
    assert anew.low < kept.low - 1e5


def test_processes_give_what_one_gives(make):
    known = decided(solve(case(make), gap=1e-9))
    knobs = [knob("cloud", ["contracts.cloud.price"], 0.8, 1.2)]
    assert tornado(known, knobs, workers=2) == tornado(known, knobs)


def test_a_turn_is_any_function_of_a_problem(make):
    problem = case(make)
    turned = Scaled(targets=("contracts.cloud.price", "contracts.spot.price"), factor=2.0)(problem)
    assert solve(turned).goal == pytest.approx(2 * solve(problem).goal)
