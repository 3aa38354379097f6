"""The fast loop against the plain one, on random clusters with all options mixed: the same to the bit."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from tapeout.serving import plain_cluster, simulator
from tapeout.serving.cluster import Cluster, Phase, Pool, Routing
from tapeout.serving.outcome import Outcome, Steps, one_by_one
from tapeout.serving.plain_outcome import PlainOutcome, PlainSteps
from tapeout.serving.step_model import StepModel

from .configurations import random_run

BY_REQUEST = ("arrival", "scheduled", "first_token", "completion", "preemptions", "retries", "found", "engine")
BY_STEP = ("tokens", "decodes", "context", "running", "preempted")
TOTALS = ("busy", "block_seconds", "most_blocks", "steps", "preemptions", "powered")


def pools_by_engine(cluster: Cluster) -> list[Pool]:
    """The pool of each engine."""
    return [pool for pool in cluster.pools for _ in range(pool.slots * pool.ranks)]


def apart(steps: Steps, model: StepModel) -> Steps:
    """The same steps with one record each, none where there are none."""
    return one_by_one(steps, model) if len(steps.count) else steps


def step_differences(plain: PlainSteps, fast: Steps, model: StepModel) -> list[str]:
    """The names of what differs in the steps of an engine, each with the first step where it does."""
    each, first = apart(fast, model), np.cumsum(fast.count) - fast.count
    if len(each.count) != len(plain.start):
        return [f"{len(plain.start)} steps plain, {len(each.count)} fast"]
    pairs = [(name, getattr(plain, name), getattr(each, name)) for name in BY_STEP]
    # Those of a record in a row are known of its first step; its later ones are added up again here, in another order.
    pairs += [(name, getattr(plain, name)[first], getattr(fast, name)) for name in ("start", "seconds", "waiting", "blocks")]
    pairs += [(f"rounded {name}", np.rint(getattr(plain, name) * 1e9), np.rint(getattr(each, name) * 1e9)) for name in ("start", "seconds")]
    found = []
    for name, ours, theirs in pairs:
        differs = np.abs(ours - theirs) > 1 if name.startswith("rounded") else ours != theirs
        if differs.any():
            place = int(np.argmax(differs))
            found.append(f"{name} at {place}: {ours[place]} plain, {theirs[place]} fast")
    return found


def gaps(outcome: Outcome) -> np.ndarray:
    """Every time between two tokens of a request, in order of size."""
    models = [pool.engine.step_model for pool in pools_by_engine(outcome.cluster)]
    each = [apart(steps, model) for steps, model in zip(outcome.steps, models, strict=True)]
    return np.sort(np.concatenate([outcome.late_gaps, *(np.repeat(steps.seconds, steps.gaps) for steps in each)]))


def differences(plain: PlainOutcome, fast: Outcome) -> list[str]:
    """What differs at all, each with the first place where it does."""
    found = []
    for name in BY_REQUEST:
        ours, theirs = getattr(plain, name), np.asarray(getattr(fast, name))
        if not np.array_equal(ours, theirs):
            row = int(np.argmax(ours != theirs))
            found.append(f"{name} of request {row}: {ours[row]} plain, {theirs[row]} fast")
    for engine, pool in enumerate(pools_by_engine(plain.cluster)):
        found += [f"engine {engine}: {what}" for what in step_differences(plain.steps[engine], fast.steps[engine], pool.engine.step_model)]
        for name in TOTALS:
            mine, other = getattr(plain.totals[engine], name), getattr(fast.totals[engine], name)
            if mine != pytest.approx(other, rel=1e-12, abs=1e-12):
                found.append(f"engine {engine}: {name} {mine} plain, {other} fast")
    ours, theirs = np.sort(plain.gaps), gaps(fast)
    if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=0, atol=1e-9):
        found.append(f"gaps: {len(ours)} plain, {len(theirs)} fast")
    return found


def events(plain: PlainOutcome, fast: Outcome) -> set[str]:
    """What happened in a run, of all that is to be compared."""
    cluster, pools = plain.cluster, pools_by_engine(plain.cluster)
    end = [pools[engine].phase for engine in plain.engine]
    span = plain.completion.max() - plain.arrival.min()
    slots = [slot for pool in cluster.pools for slot in range(pool.slots) for _ in range(pool.ranks)]
    by_engine = list(zip(pools, slots, plain.totals, plain.steps, strict=True))
    happened = {
        "preemptions": plain.preemptions.any(),
        "swaps": any(pool.engine.policy.swap and totals.preemptions for pool, _, totals, _ in by_engine),
        "hits": plain.found.any(),
        "retries": plain.retries.any(),
        "hand-overs": Phase.DECODE in end,
        "preemptions after hand-over": any(pool.phase is Phase.DECODE and totals.preemptions for pool, _, totals, _ in by_engine),
        "retries after hand-over": any(phase is Phase.DECODE and again for phase, again in zip(end, plain.retries, strict=True)),
        "drafts": any(
            pool.engine.policy.speculation and (steps.tokens > steps.decodes)[steps.decodes > 0].any() for pool, _, _, steps in by_engine
        ),
        "scaling up": any(slot >= pool.replicas and totals.powered for pool, slot, totals, _ in by_engine),
        "scaling down": any(slot < pool.replicas and totals.powered < span * (1 - 1e-9) for pool, slot, totals, _ in by_engine),
        "ranks": any(pool.ranks > 1 for pool in pools),
        "limits of prompts": len({pool.longest for pool in cluster.pools if pool.phase is not Phase.DECODE}) > 1,
        "prompts first": any(pool.engine.policy.prompts_first for pool in pools),
        "empty steps": any((steps.tokens == 0).any() for steps in plain.steps),
        "noise": cluster.noise > 0,
        "closed loops": plain.requests.users is not None,
        "jumps": any((steps.count > 1).any() for steps in fast.steps),
        **{routing.value: cluster.routing is routing and len(set(plain.engine.tolist())) > 1 for routing in Routing},
    }
    return {name for name, happens in happened.items() if happens}


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_a_thousand_clusters_equal_the_plain_loop(first: int) -> None:
    happened = Counter[str]()
    for seed in range(first, first + 100):
        cluster, requests = random_run(seed)
        plain, fast = plain_cluster.simulate(cluster, requests), simulator.simulate(cluster, requests)
        assert differences(plain, fast) == [], f"seed {seed}: {cluster}"
        happened.update(events(plain, fast))
    # What is to be compared does happen, all of it.
    assert len(happened) == 20, happened


def test_a_difference_is_found() -> None:
    found = 0
    for seed in range(60):
        cluster, requests = random_run(seed)
        engine = cluster.pools[0].engine
        policy = dataclasses.replace(engine.policy, most_sequences=engine.policy.most_sequences + 1)
        pool = dataclasses.replace(cluster.pools[0], engine=dataclasses.replace(engine, policy=policy))
        other = dataclasses.replace(cluster, pools=(pool, *cluster.pools[1:]))
        found += differences(plain_cluster.simulate(cluster, requests), simulator.simulate(other, requests)) != []
    assert found > 5


def test_steps_one_by_one_are_those_taken_together() -> None:
    for seed in range(40):
        cluster, requests = random_run(seed)
        alone = simulator.simulate(cluster, requests, jumps=False)
        assert all((steps.count == 1).all() for steps in alone.steps)
        assert differences(plain_cluster.simulate(cluster, requests), alone) == []


def test_without_records_the_rest_is_the_same() -> None:
    for seed in range(40):
        cluster, requests = random_run(seed)
        kept, lost = (simulator.simulate(cluster, requests, records=records) for records in (True, False))
        assert lost.records is None
        assert kept.totals == lost.totals
        for name in BY_REQUEST:
            assert np.array_equal(getattr(kept, name), getattr(lost, name))
