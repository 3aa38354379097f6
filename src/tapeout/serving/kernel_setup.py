"""A cluster and a trace as the arrays of the fast loop, before the first arrival."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tapeout.serving import kernel_fleet as fl
from tapeout.serving import kernel_state as at
from tapeout.serving.cluster import DRAWS, Cluster, Phase, Pool, Routing, noise_factors
from tapeout.serving.kernel_fleet import Fleet
from tapeout.serving.kernel_state import Floats, Small, State, Trace, Whole
from tapeout.serving.names import block_names
from tapeout.serving.policy import Order
from tapeout.serving.speculation import accepted_draws
from tapeout.traffic.requests import Requests

RULES = {Routing.ROUND_ROBIN: fl.ROUND_ROBIN, Routing.LEAST_LOADED: fl.LEAST_LOADED, Routing.PREFIX: fl.PREFIX}
MOST_PENDING = 1_000_000
"""Starts of one replica that may be on their way at once."""


def trace_of(cluster: Cluster, requests: Requests) -> Trace:
    """The requests as the fast loop takes them; what no policy uses is left empty."""
    policies = [pool.engine.policy for pool in cluster.pools]
    caching = [policy for policy in policies if policy.prefix_caching]
    name, start = block_names(requests, caching[0].block_size) if caching else (np.zeros(0), np.zeros(1))
    ordered = any(policy.order is Order.PRIORITY for policy in policies) and requests.priority is not None
    return Trace(
        prompt=requests.prompt.astype(np.int64, copy=False), output=requests.output.astype(np.int64, copy=False),
        priority=(requests.priority if ordered and requests.priority is not None else np.zeros(1)).astype(np.int64),
        name=name.astype(np.int32), start=start.astype(np.int64),
    )  # fmt: skip


def fleet_of(cluster: Cluster, requests: Requests, *, jumps: bool, keeps: bool) -> Fleet:
    """The pools and replicas, before anything has happened but what is known to come."""
    pools = cluster.pools
    pool = np.repeat(np.arange(len(pools)), [one.slots for one in pools])
    ranks = np.array([pools[index].ranks for index in pool])
    first = np.cumsum(ranks) - ranks
    slot = np.concatenate([np.arange(one.slots) for one in pools])
    closed = requests.users is not None
    makes = np.array([closed or pools[index].phase is Phase.PREFILL for index in pool])
    tables = [one.engine.step_model.tables() for one in pools]
    kind, upper, decode_class = _classes(pools)
    sequences = np.array([one.engine.policy.most_sequences for one in pools])
    failed = [np.flatnonzero(pool == failure.pool)[failure.replica] for failure in cluster.failures]
    known = [(failure.at, fl.FAILS, index) for index, failure in enumerate(cluster.failures)]
    known += [(one.autoscaling.interval, fl.TICKS, index) for index, one in enumerate(pools) if one.autoscaling]
    noted = sorted((time, serial, kind, item) for serial, (time, kind, item) in enumerate(known))
    room = _events(cluster, requests)
    status = np.where(slot < np.array([one.replicas for one in pools])[pool], fl.ALIVE, fl.OFF)
    engines = np.repeat(np.arange(len(pool)), ranks)
    fleet = Fleet(
        limits=np.array([_limits(cluster, one, closed=closed, jumps=jumps, keeps=keeps) for one in pools], dtype=np.int64),
        limit_times=np.array([(one.engine.policy.swap or 0.0, one.engine.step_model.request) for one in pools]),
        tokens=_stacked([table.tokens for table in tables]), sequences=_stacked([table.sequences for table in tables]),
        decode=_stacked([table.decode for table in tables]), prefill=_stacked([table.prefill for table in tables]),
        recurrent=_stacked([table.recurrent for table in tables]), host=np.array([table.host for table in tables]),
        drafts=_stacked([_draft_seconds(one) for one in pools]),
        accepted=_stacked([_accepted(one, cluster.seed) for one in pools]).astype(np.int32), noise=noise_factors(cluster),
        replicas=np.stack([pool, first, ranks, makes, status, np.zeros_like(pool), np.zeros_like(pool)], axis=1),
        moments=np.tile([0.0, 0.0, 0.0, 0.0, math.inf], (len(pool), 1)),
        engines=np.stack([engines, np.zeros_like(engines)], axis=1), pools=np.concatenate([kind[:, None], _scaling_bounds(pools)], axis=1),
        pool_times=_scaling_times(pools), upper=upper, classes=np.tile([-1, -1, 0, -1], (len(upper), 1)),
        tally=np.array([len(known), len(known), 0, requests.users or len(requests)]), event_time=np.zeros(room),
        events=np.zeros((room, 3), dtype=np.int64),
        failed=np.array(failed, dtype=np.int64), restart=np.array([failure.restart for failure in cluster.failures], dtype=float),
        rule=RULES[cluster.routing], slack=float(cluster.slack), decode_class=decode_class, users=requests.users or len(requests),
        makers=int(makes.sum()), most_records=int(ranks.max()) if keeps else 0,
        most_gaps=int((ranks * sequences[pool]).max()) if keeps else 0,
        link_token=cluster.link.token if cluster.link else 0.0, link_latency=cluster.link.latency if cluster.link else 0.0,
    )  # fmt: skip
    # Events in order of time are a heap.
    for place, event in enumerate(noted):
        fleet.event_time[place], fleet.events[place] = event[0], event[1:]
    return fleet


def _events(cluster: Cluster, requests: Requests) -> int:
    """The most events that may be noted at once."""
    waits = sum(
        one.slots * min(int(one.autoscaling.start_up / one.autoscaling.interval) + 3, MOST_PENDING)
        for one in cluster.pools
        if one.autoscaling
    )
    pending = len(requests) if cluster.link or cluster.failures else requests.users or 0
    return pending + 2 * len(cluster.failures) + len(cluster.pools) + waits + 8


def _classes(pools: Sequence[Pool]) -> tuple[Whole, Floats, int]:
    """The class of each pool, the limits of the classes in order, and the class that decodes, -1 where there is none."""
    entries = sorted({one.longest for one in pools if one.phase is not Phase.DECODE})
    decodes = any(one.phase is Phase.DECODE for one in pools)
    kind = [len(entries) if one.phase is Phase.DECODE else entries.index(one.longest) for one in pools]
    return np.array(kind), np.array([*entries, *([math.inf] if decodes else [])], dtype=float), len(entries) if decodes else -1


def _limits(cluster: Cluster, pool: Pool, *, closed: bool, jumps: bool, keeps: bool) -> list[int]:
    policy = pool.engine.policy
    return [
        policy.token_budget, policy.most_sequences, policy.blocks, policy.block_size, policy.chunk or policy.token_budget,
        policy.speculation.tokens if policy.speculation else 0, policy.order is Order.PRIORITY, policy.swap is not None,
        policy.prefix_caching, policy.prompts_first, policy.admits_by_chunk,
        pool.phase is Phase.PREFILL, pool.phase is Phase.DECODE, closed, jumps, keeps,
        keeps and cluster.noise > 0,
    ]  # fmt: skip


def _draft_seconds(pool: Pool) -> Floats:
    speculation = pool.engine.policy.speculation
    return np.zeros(1) if speculation is None else np.asarray(speculation.draft_seconds, dtype=float)


def _accepted(pool: Pool, seed: int) -> Floats:
    speculation = pool.engine.policy.speculation
    return np.zeros(1) if speculation is None else accepted_draws(speculation, DRAWS, seed).astype(float)


def _stacked(arrays: Sequence[Floats]) -> Floats:
    """Arrays of like dimensions as one, filled up with zeros: costs of nothing."""
    shape = np.max([array.shape for array in arrays], axis=0)
    found = np.zeros((len(arrays), *shape))
    for place, array in enumerate(arrays):
        inside: tuple[slice, ...] = tuple(slice(size) for size in array.shape)
        found[place][inside] = array
    return found


def _scaling_bounds(pools: Sequence[Pool]) -> Whole:
    return np.array([(one.autoscaling.least, one.autoscaling.most) if one.autoscaling else (one.replicas, one.replicas) for one in pools])


def _scaling_times(pools: Sequence[Pool]) -> Floats:
    """What pools are scaled by, 0 s of calm so far, and their weights."""
    found = np.zeros((len(pools), 6))
    for place, one in enumerate(pools):
        found[place, fl.WEIGHT] = one.weight
        if one.autoscaling:
            scaling = one.autoscaling
            found[place, : fl.CALM] = scaling.target, scaling.interval, scaling.start_up, scaling.patience
    return found


def states_of(cluster: Cluster, requests: Requests, trace: Trace, *, keeps: bool, records: int) -> State:
    """Every engine empty, with room for `records` records of steps."""
    policies = [pool.engine.policy for pool in cluster.pools]
    engines, size = cluster.engines, len(requests)
    most = max(policy.most_sequences for policy in policies)
    names = int(trace.name.max()) + 1 if len(trace.name) else 0
    caching = any(policy.prefix_caching for policy in policies)
    ordered = any(policy.order is Order.PRIORITY for policy in policies)
    keeps_cache = any(policy.swap is not None for policy in policies) or cluster.link is not None
    tally = np.zeros((engines, at.COUNTS), dtype=np.int64)
    tally[:, [at.FIRST, at.LAST, at.HEAD, at.TAIL, at.INBOX, at.OUTBOX, at.OLDEST, at.YOUNGEST]] = -1
    blocks = np.repeat([policy.blocks for policy in policies], [pool.slots * pool.ranks for pool in cluster.pools])
    tally[:, at.FREE] = tally[:, at.EMPTY] = blocks
    # Those of an open trace are never written.
    arrival = np.ascontiguousarray(requests.arrival, dtype=float)
    if requests.users is not None:
        arrival = np.concatenate([arrival, np.full(size - len(arrival), -1.0)])
    widest = max(pool.ranks * pool.engine.policy.most_sequences for pool in cluster.pools)
    used = {at.FOUND: caching, at.KEPT: keeps_cache, at.RANK: ordered, at.RETRIES: bool(cluster.failures)}

    def small(*shape: int) -> Small:
        return np.zeros(shape, dtype=np.int32)

    named = small(engines, names, 4)
    named[:, :, at.HOLDERS] = at.ABSENT
    return State(
        tally=tally, clock=np.zeros((engines, at.MOMENTS)), ends=np.zeros((engines, 4 * most + 64), dtype=np.int64),
        lists=small(engines, 2, most + 1),
        phases=np.zeros((engines, max(policy.block_size for policy in policies)), dtype=np.int64),
        urgent=np.zeros((engines, size if ordered else 1), dtype=np.int64), urgent_request=small(engines, size if ordered else 1),
        names=named, arrival=arrival, when=np.full((size, 4), -1.0), status=np.zeros(size, dtype=np.int8),
        of=small(size, 1 + max((column for column, is_used in used.items() if is_used), default=at.PREEMPTIONS)),
        engine=np.zeros(size if engines > 1 else 0, dtype=np.int16), shared=np.zeros(4, dtype=np.int64),
        gaps=np.zeros(2 * widest + 64 if keeps else 1), times=np.zeros((records, 2)), counts=small(records, at.COLUMNS + (engines > 1)),
    )  # fmt: skip
