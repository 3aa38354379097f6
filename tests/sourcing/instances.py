"""Small random problems on trees, each with some of the options of a big one."""

import numpy as np

from tapeout.sourcing.problem import ContractKind, Debt, Prepayment, Risk, Tier

OPTIONS = ("tiers", "minimum", "prepayment", "debt", "risk", "share", "cancellation", "modules", "every")


def random_tree(make, draw):
    quarters = int(draw.integers(5, 7))
    when = draw.choice(np.arange(1, quarters), size=draw.integers(1, 3), replace=False)
    return make.branching(quarters, **{f"q{quarter}": tuple(draw.dirichlet((3.0, 3.0))) for quarter in when})


def random_programme(make, draw):
    lead, spend = int(draw.integers(1, 3)), draw.uniform(10e3, 70e3, 2)
    chances = draw.dirichlet((3.0, 2.0, 1.0)[: draw.integers(2, 4)])
    late = np.r_[spend, draw.uniform(5e3, 60e3)]
    cases = [
        make.outcome("on time", chances[0], spend, lead=lead, revealed=lead),
        make.outcome("late", chances[1], late, lead=lead + 1, revealed=lead),
    ]
    if len(chances) > 2:
        cases.append(make.outcome("failed", chances[2], spend[:1], lead=None, revealed=1))
    gates = tuple(sorted(draw.choice([1, 2, 3], size=draw.integers(0, 3), replace=False).tolist()))
    window = {"first_start": int(draw.integers(0, 2)), "last_start": int(draw.integers(2, 4))}
    return make.programme("tapeout", spend, lead=lead, outcomes=tuple(cases), gates=gates, **window)


def random_problem(make, seed):
    """A small problem with some of the options of a big one."""
    draw = np.random.default_rng(seed)
    on = {option: bool(draw.random() < 0.35) for option in OPTIONS}
    tree = random_tree(make, draw)
    size, models = tree.size, int(draw.integers(1, 3))
    level = np.ones(size)
    for node in range(1, size):
        level[node] = level[tree.parent[node]] * draw.uniform(0.8, 1.6)
    demand = np.array([level * draw.uniform(5, 20) for _ in range(models)])
    speeds = draw.uniform(0.5, 2.0, (3, models))
    sites = ("hall", "barn")[: draw.integers(1, 3)]
    rent = draw.uniform(2.0, 5.0) * draw.uniform(0.7, 1.2, size)
    offers = [make.offer("cloud", size, rent=rent, supplier="one", throughput=speeds[0])]
    term = int(draw.integers(2, 9))
    if draw.random() < 0.5:
        fee = float(draw.uniform(0, 0.6)) if on["cancellation"] else None
        fields = {"rent": rent * draw.uniform(0.5, 0.9), "term": term, "lead": int(draw.integers(0, 2)), "cancellation": fee}
        offers.append(make.offer("reserved", size, kind=ContractKind.RESERVED, initial=3.0, initial_term=1, **fields, throughput=speeds[1]))
    else:
        fields = {"price": draw.uniform(5e3, 15e3) * draw.uniform(0.8, 1.2, size), "term": term, "lead": int(draw.integers(0, 2))}
        fields |= {"residual": float(draw.uniform(0, 0.8)), "allocation": draw.uniform(4, 20, size), "sites": sites, "upkeep": 0.2}
        fields |= {"minimum": float(draw.uniform(3, 12))} if on["minimum"] else {}
        if on["tiers"]:
            fields["residual"] = min(fields["residual"], 0.5)
            fields["tiers"] = (Tier(volume=float(draw.uniform(2, 8)), factor=0.8), Tier(volume=float(draw.uniform(9, 15)), factor=0.5))
        offers.append(make.offer("bought", size, kind=ContractKind.PURCHASE, **fields, throughput=speeds[1]))
    own = {"price": draw.uniform(1e3, 4e3), "lead": int(draw.integers(0, 2)), "term": 8, "residual": 0.3, "sites": sites}
    own |= {"allocation": draw.uniform(5, 30), "programme": "tapeout", "throughput": speeds[2] * 1.5}
    offers.append(make.offer("own", size, kind=ContractKind.OWN, **own))
    hall = {"available": 40e3, "rent": 1e-6, "term": 12, "residual": 0.5, "pue": 1.2, "load": 0.8, "module": 7e3 if on["modules"] else 0.0}
    halls = []
    for name in sites:
        drawn = {"initial": draw.uniform(0, 10e3), "capex": draw.uniform(0, 1), "energy": draw.uniform(0, 4e-8)}
        halls.append(make.site(name, size, lead=int(draw.integers(0, 2)), **drawn, **hall))
    fields = {}
    if on["debt"]:
        fields["debt"] = Debt(limit=np.full(size, 60e3), interest=0.2)
    if on["prepayment"]:
        fields["prepayments"] = (
            Prepayment(
                id="capacity", offers=(offers[1].id, "own"), price=np.full(size, 8e3), lead=1, chips=10.0, offtake=4.0, shortfall=1e3,
                first=0, last=2,
            ),
        )  # fmt: skip
    if on["risk"]:
        fields["risk"] = Risk(weight=float(draw.uniform(0.2, 1.0)), tail=float(draw.uniform(0.1, 0.6)))
    if on["share"]:
        fields |= {"largest_share": 0.7, "share_from": 2}
    return make.problem(
        offers, demand, tree=tree, sites=halls, programmes=[random_programme(make, draw)], discount=0.1, every=2 if on["every"] else 1,
        penalty=draw.uniform(1e-3, 3e-3), budget=draw.uniform(5e4, 4e5) if draw.random() < 0.6 else np.inf, **fields,
    )  # fmt: skip
