from types import SimpleNamespace

import numpy as np
import pytest

from tapeout.outlook.tree import single, tree_of
from tapeout.sourcing.problem import ContractKind, Offer, Problem, Programme, ProgrammeOutcome, Site
from tapeout.units import QUARTER


def spread(quarters, **series):
    return {name: np.broadcast_to(np.asarray(values, dtype=float), quarters).copy() for name, values in series.items()}


def offer(
    identifier, quarters, *, kind=ContractKind.ON_DEMAND, rent=0.0, price=0.0, upkeep=0.0, allocation=np.inf, throughput=(1.0,), **fields
):
    defaults = {"supplier": identifier, "chip": identifier, "lead": 0, "term": 1, "hosted": True, "power": 0.0}
    if kind in (ContractKind.PURCHASE, ContractKind.PARTNER, ContractKind.OWN):
        defaults |= {"term": quarters, "hosted": False, "power": 1000.0, "sites": ("hall",)}
    series = spread(quarters, rent=rent, unit_price=price, upkeep=upkeep, allocation=allocation)
    return Offer(id=identifier, kind=kind, throughput=np.array(throughput, dtype=float), **series, **(defaults | fields))


def site(identifier, quarters, *, available=np.inf, capex=0.0, rent=0.0, energy=0.0, **fields):
    series = spread(quarters, available=available, capex=capex, rent=rent, energy=energy)
    return Site(id=identifier, **series, **({"lead": 0, "pue": 1.0, "load": 1.0} | fields))


def outcome(name, probability, spend, *, lead, revealed):
    return ProgrammeOutcome(name=name, probability=probability, spend=np.array(spend, dtype=float), lead=lead, revealed=revealed)


def programme(identifier, spend, *, lead=1, first_start=0, last_start=99, **fields):
    spend = np.array(spend, dtype=float)
    return Programme(id=identifier, spend=spend, lead=lead, first_start=first_start, last_start=last_start, **fields)


def branching(quarters, **splits):
    """A tree whose paths all split in some quarters, such as `q2=(0.5, 0.5)`; its nodes stand quarter by quarter."""
    quarter, parent, probability, names, last = [0], [-1], [1.0], [""], [0]
    for now in range(1, quarters):
        chances, nodes = splits.get(f"q{now}", (1.0,)), []
        for above in last:
            for branch, chance in enumerate(chances):
                nodes.append(len(quarter))
                quarter.append(now)
                parent.append(above)
                probability.append(probability[above] * chance)
                names.append(f"branch {branch}" if len(chances) > 1 else "")
        last = nodes
    return tree_of(quarter, parent, probability, tuple(names))


def problem(offers, demand, *, tree=None, sites=None, programmes=(), penalty=np.inf, budget=np.inf, discount=0.0, **fields):
    """A problem whose series run over the nodes of a tree, which is one path where none is given."""
    demand = np.atleast_2d(np.asarray(demand, dtype=float))
    models, quarters = demand.shape
    tree = single(quarters) if tree is None else tree
    return Problem(
        quarters=tuple(f"Q{quarter}" for quarter in range(tree.quarters)),
        tree=tree,
        models=tuple(f"model-{index}" for index in range(models)),
        demand=demand,
        volume=demand * QUARTER,
        unmet_penalty=np.broadcast_to(np.asarray(penalty, dtype=float), models).copy(),
        offers=tuple(offers),
        sites=(site("hall", quarters),) if sites is None else tuple(sites),
        programmes=tuple(programmes),
        budget=np.broadcast_to(np.asarray(budget, dtype=float), quarters).copy(),
        discount=discount,
        **fields,
    )


def full_case():
    """A small problem in which every constraint has something to say: two models, two sites, a programme, modules, shares."""
    quarters, both, fast, slow = 8, ("hall", "barn"), (1.0, 0.5), (0.8, 0.0)
    reserved = {"kind": ContractKind.RESERVED, "rent": np.linspace(2.0, 1.0, 8), "term": 3, "initial": 4.0, "allocation": 6.0}
    lease = {"kind": ContractKind.LEASE, "rent": 1.6, "term": 4, "allocation": 20.0}
    bought = {"kind": ContractKind.PURCHASE, "price": 8e3, "term": 5, "allocation": np.r_[0, 0, np.full(6, 30.0)], "residual": 0.5}
    own = {"kind": ContractKind.OWN, "price": 6e3, "term": 6, "allocation": 3.0, "residual": 0.2, "programme": "tapeout"}
    offers = [
        offer("cloud", quarters, rent=3.0, throughput=fast, initial=10.0, supplier="one"),
        offer("reserved", quarters, lead=1, supplier="one", throughput=fast, **reserved),
        offer("lease", quarters, lead=1, supplier="two", throughput=slow, **lease),
        offer(
            "bought", quarters, upkeep=0.1, lead=1, sites=both, supplier="one", throughput=(1.0, 0.6), initial=5.0, initial_term=3, **bought
        ),
        offer("own", quarters, upkeep=0.1, lead=1, sites=both, supplier="own", throughput=(1.5, 1.0), **own),
    ]
    sites = [
        site(
            "hall",
            quarters,
            available=30e3,
            capex=1.0,
            rent=1e-5,
            energy=2e-8,
            initial=10e3,
            lead=1,
            term=20,
            residual=1.0,
            pue=1.2,
            load=0.7,
        ),
        site("barn", quarters, available=np.r_[0, np.full(7, 60e3)], capex=1.0, energy=1e-8, module=20e3, lead=2),
    ]
    demand = np.array([np.linspace(15, 60, 8), np.linspace(5, 15, 8)])
    return problem(
        offers, demand, sites=sites, programmes=[programme("tapeout", [50e3, 50e3], lead=2, last_start=3)],
        penalty=(6e-4, np.inf), budget=9e5, discount=0.1, largest_share=0.7, share_from=3, share_weights=np.array([1.0, 4.0]),
    )  # fmt: skip


@pytest.fixture(scope="session")
def make():
    return SimpleNamespace(
        offer=offer, site=site, programme=programme, outcome=outcome, branching=branching, problem=problem, full_case=full_case
    )
