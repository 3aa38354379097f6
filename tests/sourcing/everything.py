"""A problem on a tree that has every kind of thing: an uncertain programme with gates, tiers, a prepayment, debt, risk, modules, shares."""

import numpy as np

from tapeout.sourcing.problem import ContractKind, Debt, Prepayment, Risk, Tier

SITES = ("hall", "barn")


def everything(make, seed=0):
    """Two models over eight quarters that branch in the fourth, five offers, two sites; its numbers are drawn."""
    draw = np.random.default_rng(seed)
    tree = make.branching(8, q3=(0.4, 0.6))
    time, size = tree.quarter, tree.size

    def near(base, count=size):
        return base * draw.uniform(0.7, 1.4, count)

    rented = {"rent": near(2.2), "term": 6, "throughput": (1.0, 0.5), "supplier": "one", "initial": 4.0, "initial_term": 3}
    lease = {"rent": near(1.9), "term": 4, "lead": 1, "throughput": (0.8, 0.0), "supplier": "two", "minimum": 5.0, "allocation": near(25.0)}
    bought = {"price": near(16e3), "upkeep": near(0.15), "lead": 1, "term": 7, "sites": SITES, "initial": 5.0, "initial_term": 3}
    bought |= {"residual": 0.6, "tiers": (Tier(volume=10.0, factor=0.8), Tier(volume=30.0, factor=0.6)), "allocation": near(15.0)}
    own = {
        "price": near(6e3),
        "upkeep": near(0.1),
        "lead": 1,
        "term": 6,
        "residual": 0.2,
        "throughput": (1.5, 1.0),
        "allocation": near(8.0),
    }
    offers = [
        make.offer("cloud", size, rent=near(4.0), throughput=(1.0, 0.5), initial=6.0, supplier="one"),
        make.offer("reserved", size, kind=ContractKind.RESERVED, cancellation=0.3, allocation=near(12.0), **rented),
        make.offer("lease", size, kind=ContractKind.LEASE, **lease),
        make.offer("bought", size, kind=ContractKind.PURCHASE, supplier="one", throughput=(1.0, 0.6), **bought),
        make.offer("own", size, kind=ContractKind.OWN, sites=("hall",), supplier="own", programme="tapeout", **own),
    ]
    hall = {"available": 60e3, "rent": near(1e-5), "energy": near(2e-8), "initial": 10e3, "lead": 1, "term": 20, "residual": 0.8}
    barn = {"available": np.where(time < 1, 0, 80e3), "energy": near(1e-8), "module": 20e3, "lead": 2}
    sites = [make.site("hall", size, capex=near(1.0), pue=1.2, load=0.7, **hall), make.site("barn", size, capex=near(1.0), **barn)]
    outcomes = (
        make.outcome("on time", 0.5, [20e3, 10e3, 20e3], lead=2, revealed=1),
        make.outcome("late", 0.2, [20e3, 25e3, 15e3, 15e3], lead=3, revealed=1),
        make.outcome("failed", 0.3, [20e3, 20e3, 20e3, 20e3], lead=None, revealed=1),
    )
    fab = {"price": near(20e3), "lead": 1, "chips": 15.0, "offtake": 6.0, "shortfall": 1e3, "first": 0, "last": 6}
    demand = np.array([np.linspace(15, 70, 8)[time], np.linspace(5, 15, 8)[time]]) * near(1.0, (2, size))
    return make.problem(
        offers, demand, tree=tree, sites=sites, penalty=2e-3, discount=0.1, every=2,
        programmes=[make.programme("tapeout", [20e3, 10e3, 20e3], lead=2, last_start=4, outcomes=outcomes, gates=(1, 2))],
        budget=near(3e5), debt=Debt(limit=near(2e5), interest=0.08), risk=Risk(weight=0.3, tail=0.25),
        largest_share=0.8, concentration=0.6, share_from=3, share_weights=np.array([1.0, 4.0]),
        prepayments=(Prepayment(id="fab", offers=("bought",), **fab),),
    )  # fmt: skip
