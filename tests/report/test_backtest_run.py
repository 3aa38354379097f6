"""How a backtest draws the outcomes of programmes."""

import numpy as np

from tapeout.report.backtest_run import drawn_outcomes
from tapeout.sourcing.problem import Programme, ProgrammeOutcome

SPEND = np.ones(4)


def programme(name, chances):
    outcomes = tuple(
        ProgrammeOutcome(name=f"{place}", probability=chance, spend=SPEND, lead=4, revealed=4) for place, chance in enumerate(chances)
    )
    return Programme(id=name, spend=SPEND, lead=4, first_start=0, last_start=9, outcomes=outcomes)


def test_outcomes_come_as_often_as_they_are_likely_and_each_by_itself():
    programmes = (programme("a", [0.2, 0.5, 0.3]), programme("b", [0.5, 0.5]), programme("c", []))
    draws = [drawn_outcomes(programmes, seed) for seed in range(2000)]
    first, second = np.array([draw[0] for draw in draws]), np.array([draw[1] for draw in draws])
    for case, chance in ((0, 0.2), (1, 0.5), (2, 0.3)):
        assert abs((first == case).mean() - chance) < 5 * np.sqrt(chance * (1 - chance) / 2000)
    both = ((first == 1) & (second == 1)).mean()
    assert abs(both - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 2000)
    assert {draw[2] for draw in draws} == {None}


def test_neither_order_nor_others_change_what_is_drawn():
    one, other = programme("a", [0.2, 0.5, 0.3]), programme("b", [0.5, 0.5])
    for seed in range(20):
        together = drawn_outcomes((one, other), seed)
        assert together == drawn_outcomes((other, one), seed)[::-1]
        assert drawn_outcomes((one,), seed) == together[:1]
