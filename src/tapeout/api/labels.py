"""A plan as labelled arrays: an xarray Dataset by node of the futures, by scenario and quarter, or expected by quarter.

Needs the extra `api`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import xarray as xr

from tapeout.errors import InputError
from tapeout.outlook.tree import Tree
from tapeout.sourcing.plan import Plan
from tapeout.sourcing.problem import Array, Problem
from tapeout.sourcing.variables import ages

HOSTED = "hosted"
UNITS = {
    "orders": "chip", "installed": "chip", "fleet": "chip", "ended": "chip", "cheaper": "chip", "short": "chip", "starts": "1",
    "stops": "1", "prepaid": "1", "served": "query/s", "unmet": "query/s", "demand": "query/s", "site_orders": "W", "site_power": "W",
    "spend": "USD", "debt": "USD",
}  # fmt: skip
DIMENSIONS = {
    "orders": ("offer",), "installed": ("offer",), "fleet": ("offer", "place"), "ended": ("offer", "age"), "cheaper": ("offer", "tier"),
    "served": ("offer", "model"), "unmet": ("model",), "demand": ("model",), "site_orders": ("site",), "site_power": ("site",),
    "starts": ("programme",), "stops": ("programme",), "prepaid": ("prepayment",), "short": ("prepayment",), "spend": ("category",),
    "debt": (),
}  # fmt: skip


class By(StrEnum):
    """What the last axes of the arrays are: the nodes of the futures, each scenario in each quarter, or the mean of each quarter."""

    NODE = "node"
    SCENARIO = "scenario"
    EXPECTED = "expected"


def node_names(tree: Tree, quarters: tuple[str, ...]) -> tuple[str, ...]:
    """A name for each node: its quarter, with a number where the quarter has several, such as `2026Q1.3`."""
    alone = np.bincount(tree.quarter, minlength=tree.quarters) == 1
    seen = np.zeros(tree.quarters, dtype=np.int64)
    names = []
    for quarter in tree.quarter.tolist():
        seen[quarter] += 1
        names.append(quarters[quarter] if alone[quarter] else f"{quarters[quarter]}.{seen[quarter]}")
    return tuple(names)


def coordinates(problem: Problem) -> dict[str, Any]:
    """The labels of the axes of a problem's arrays; `age` is in years of service."""
    return {
        "offer": [offer.id for offer in problem.offers],
        "place": [HOSTED, *(site.id for site in problem.sites)],
        "model": list(problem.models),
        "site": [site.id for site in problem.sites],
        "programme": [programme.id for programme in problem.programmes],
        "prepayment": [prepayment.id for prepayment in problem.prepayments],
        "age": [age // 4 for age in ages(problem)],
    }


def dataset(plan: Plan, by: str) -> xr.Dataset:
    """The decisions, service and spend of a plan (undiscounted); `node` and `scenario` carry their probability and branches.

    Each array says its unit in `attrs`; the dataset's own have the plan's cost, goal and bound in USD and its status.
    Raises InputError where `by` is no word of `By`.
    """
    if by not in list(By):
        raise InputError("not a way to lay out a plan", given=by, allowed=list(By))
    problem, tree = plan.problem, plan.problem.tree
    arrays = {name: getattr(plan, name) for name in DIMENSIONS if hasattr(plan, name)}
    arrays |= {"demand": problem.demand, "spend": np.array(list(plan.spend.values()))}
    labels = coordinates(problem) | {
        "tier": list(range(1, plan.cheaper.shape[1] + 1)),
        "category": list(plan.spend),
        "quarter": list(problem.quarters),
    }
    last: tuple[str, ...]
    match By(by):
        case By.NODE:
            names, last = node_names(tree, problem.quarters), ("node",)
            words = [tree.words(node) for node in range(tree.size)]
            parents = ["" if parent < 0 else names[parent] for parent in tree.parent]
            del labels["quarter"]
            labels |= {
                "node": list(names),
                "quarter": ("node", [problem.quarters[quarter] for quarter in tree.quarter]),
                "branch": ("node", words),
                "parent": ("node", parents),
                "probability": ("node", tree.probability),
            }
        case By.SCENARIO:
            arrays, last = {name: array[..., tree.paths] for name, array in arrays.items()}, ("scenario", "quarter")
            labels |= {
                "scenario": list(range(1, len(tree.leaves) + 1)),
                "branch": ("scenario", [tree.words(int(leaf)) for leaf in tree.leaves]),
                "probability": ("scenario", tree.probability[tree.leaves]),
            }
        case By.EXPECTED:
            arrays, last = {name: plan.expected(array) for name, array in arrays.items()}, ("quarter",)
    held = {name: _array(name, array, last) for name, array in arrays.items()}
    attributes = {"cost_usd": plan.cost, "goal_usd": plan.goal, "bound_usd": plan.bound, "status": plan.status}
    return xr.Dataset(held, coords=labels, attrs=attributes)


def _array(name: str, values: Array, last: tuple[str, ...]) -> xr.Variable:
    return xr.Variable((*DIMENSIONS[name], *last), values, attrs={"units": UNITS[name]})
