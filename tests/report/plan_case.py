"""A plan on a small tree whose answer is known: a programme pays off where demand turns out high, and only there."""

from dataclasses import replace
from functools import cache

import numpy as np

from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import ContractKind, Problem
from tapeout.sourcing.search import solve
from tests.sourcing.conftest import branching, offer, outcome, problem, programme, site

QUARTERS, HIGH = 8, 0.4


def case() -> Problem:
    """Demand of 10 for sure, then of 100 (40 %) or 10; 6,574 USD a rented chip-quarter against a programme of 1 MUSD that may fail."""
    tree = branching(QUARTERS, q1=(HIGH, 1 - HIGH))
    high = np.array([tree.words(node) == "branch 0" for node in range(tree.size)])
    names = {"branch 0": "demand high", "branch 1": "demand low", "": ""}
    tree = replace(tree, names=tuple(names[name] for name in tree.names))
    spend = [5e5, 5e5]
    outcomes = (outcome("on time", 0.75, spend, lead=2, revealed=2), outcome("failed", 0.25, spend, lead=None, revealed=2))
    own = {"kind": ContractKind.OWN, "price": 1e3, "supplier": "own", "programme": "tapeout", "chip": "own-chip"}
    offers = [offer("cloud", tree.size, rent=3.0, supplier="cloud"), offer("own", tree.size, **own)]
    return problem(
        offers, np.where(high, 100.0, 10.0), tree=tree, sites=[site("hall", tree.size, available=1e6, capex=0.1, module=5e4, lead=1)],
        programmes=[programme("tapeout", spend, lead=2, first_start=1, outcomes=outcomes)], discount=0.1,
    )  # fmt: skip


@cache
def plan() -> Plan:
    """Its plan, at the optimum."""
    return solve(case(), gap=1e-6)


@cache
def one_path() -> Plan:
    """The plan where demand is known to be high, and the programme to be on time."""
    sure = case()
    leaf = int(sure.tree.leaves[0])
    known = replace(sure.along(leaf), programmes=(programme("tapeout", [5e5, 5e5], lead=2, first_start=1),))
    return solve(known, gap=1e-6)
