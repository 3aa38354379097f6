"""Runs of HiGHS: duals are slopes, a basis begins where another program ended, fixed integers stay and relaxed ones do not."""

import copy

import numpy as np
import pytest

from tapeout.sourcing.linear_program import LinearProgram
from tapeout.sourcing.solver import Outcome, run


def knapsack(*, integer=False, room=7.0):
    """Max 3 x + 2 y with 2 x + y <= room, x <= 3, y <= 2.5, as a least cost."""
    program = LinearProgram()
    both = program.variables((2,), upper=[3.0, 2.5], integer=integer)
    rows = program.rows((1,), [(both[None], np.array([[2.0, 1.0]]))], upper=room)
    program.add_cost(both, np.array([-3.0, -2.0]))
    return program, both, rows


def solved(program, **options):
    return run(program, gap=0.0, time_limit=10.0, **options)


def test_duals_are_the_rise_of_the_objective_per_unit_of_a_row():
    program, _, rows = knapsack()
    found, more = solved(program), solved(knapsack(room=7.5)[0])
    assert found.duals is not None
    assert found.duals[rows[0]] == pytest.approx(-1.5)
    assert more.objective - found.objective == pytest.approx(0.5 * found.duals[rows[0]])


def test_a_program_with_integers_left_has_neither_duals_nor_a_basis():
    found = solved(knapsack(integer=True)[0])
    assert found.objective == pytest.approx(-11.0)
    assert found.duals is None
    assert found.basis is None


def test_fixed_integers_stay_and_relaxed_ones_may_be_parts():
    program, both, _ = knapsack(integer=True)
    fixed = np.array([1.0, np.nan])
    kept = solved(program, fixed=fixed)
    assert kept.values is not None
    assert kept.values[both] == pytest.approx([1.0, 2.0])
    parts = solved(program, fixed=fixed, relaxed=True)
    assert parts.values is not None
    assert parts.values[both] == pytest.approx([1.0, 2.5], abs=1e-6)
    assert solved(program, relaxed=True).objective == pytest.approx(-11.75)


def test_a_run_may_begin_at_the_basis_of_another_program_and_finds_the_same():
    basis = copy.deepcopy(solved(knapsack()[0]).basis)
    assert basis is not None
    assert (basis.columns.size, basis.rows.size) == (2, 1)
    for room in (2.0, 7.0, 20.0):
        program = knapsack(room=room)[0]
        assert solved(program, basis=basis).objective == pytest.approx(solved(program).objective)
    limited, _, _ = knapsack()
    limited.limit_cost(-10.0)
    assert solved(limited, basis=basis.with_rows(1)).objective == pytest.approx(-11.75)


def test_an_impossible_program_is_said_to_be():
    found = solved(knapsack(room=-1.0)[0], basis=solved(knapsack()[0]).basis)
    assert found.outcome is Outcome.INFEASIBLE
    assert found.values is None
    assert found.duals is None
