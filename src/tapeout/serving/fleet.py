"""Several engines alike: requests dealt round robin, each engine simulated alone, and what all of them did as one outcome."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.cluster import Engine
from tapeout.serving.outcome import Outcome, Steps, Totals
from tapeout.serving.requests import Requests
from tapeout.serving.simulator import simulate

Floats = NDArray[np.float64]


def dealt(requests: Requests, rows: slice, users: int | None) -> Requests:
    """The requests `rows`; of a closed loop those of so many `users`."""
    names = requests.names
    if names is not None:
        chosen = np.arange(len(requests))[rows]
        counts = np.diff(names.start)[chosen]
        places = np.concatenate([np.arange(names.start[row], names.start[row + 1]) for row in chosen])
        start = np.concatenate(([0], np.cumsum(counts)))
        names = dataclasses.replace(names, name=names.name[places.astype(np.int64)], start=start)
    return Requests(
        arrival=requests.arrival[rows] if users is None else np.zeros(users),
        prompt=requests.prompt[rows], output=requests.output[rows], users=users,
        priority=None if requests.priority is None else requests.priority[rows], names=names,
    )  # fmt: skip


def simulate_fleet(engine: Engine, requests: Requests, engines: int, *, records: bool = True) -> Outcome:
    """`requests` dealt round robin to `engines` that are like `engine`; users of a closed loop stay with theirs.

    The outcome is that of all: blocks are those of all engines, `busy` is their mean, `most_blocks` the sum of the most of each.
    Raises InputError where a request is longer than the cache of an engine.
    """
    if engines < 1:
        raise InputError("a fleet needs at least one engine", given=engines)
    if requests.users is not None and requests.users < engines:
        raise InputError(
            "fewer users than engines", given=f"{requests.users} users, {engines} engines", hint="give more users or fewer chips"
        )
    found, rows = [], []
    for place in range(min(engines, len(requests))):
        users = None if requests.users is None else len(range(place, requests.users, engines))
        own = dealt(requests, slice(place, None, engines), users)
        found.append(simulate(engine.step_model, own, engine.policy, records=records))
        rows.append(slice(place, None, engines))
    if len(found) == 1 and engines == 1:
        return found[0]
    return _together(requests, found, rows, engines)


def _together(requests: Requests, found: list[Outcome], rows: list[slice], engines: int) -> Outcome:
    columns = {}
    for name in ("arrival", "scheduled", "first_token", "completion", "preemptions", "found"):
        first = getattr(found[0], name)
        columns[name] = np.zeros(len(requests), dtype=first.dtype)
        for own, place in zip(found, rows, strict=True):
            columns[name][place] = getattr(own, name)
    sums = {field.name: sum(getattr(one.totals, field.name) for one in found) for field in dataclasses.fields(Totals)}
    totals = Totals(**{**sums, "busy": sums["busy"] / engines})
    kept = [one.records for one in found if one.records is not None]
    records = None
    if len(kept) == len(found):
        records = Steps(**{field.name: np.concatenate([getattr(one, field.name) for one in kept]) for field in dataclasses.fields(Steps)})
    return Outcome(
        requests=requests, policy=dataclasses.replace(found[0].policy, blocks=found[0].policy.blocks * engines), totals=totals,
        records=records, late_gaps=np.concatenate([one.late_gaps for one in found]), **columns,
    )  # fmt: skip
