"""Clusters worked out by hand, step by step: routing, ranks, the link, failures, autoscaling and noise."""

import dataclasses
import itertools

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving.cluster import Autoscaling, Cluster, Engine, Failure, Link, Phase, Pool, Routing, noise_factors
from tapeout.serving.plain_cluster import simulate
from tapeout.serving.policy import Policy
from tapeout.serving.step_model import StepModel
from tapeout.traffic.requests import Names, Requests

from .schedules import flat, trace

WIDE = Policy(token_budget=64, most_sequences=8, blocks=100, block_size=4)
ONE_BY_ONE = dataclasses.replace(WIDE, most_sequences=1)
CACHING = dataclasses.replace(WIDE, prefix_caching=True)


def pool(policy: Policy = WIDE, model: StepModel | None = None, **changes: object) -> Pool:
    """Engines whose steps take a second."""
    return Pool(engine=Engine(step_model=model or flat(1.0), policy=policy), **changes)  # type: ignore[arg-type]


def shared(requests: Requests, *names: list[int]) -> Requests:
    """The same with names of blocks of 4 tokens."""
    start = np.concatenate(([0], np.cumsum([len(own) for own in names])))
    return dataclasses.replace(requests, names=Names(name=np.array(list(itertools.chain(*names))), start=start, block=4))


# ---------------------------------------------------------------- routing


def test_round_robin_goes_by_number_over_pools_and_ranks() -> None:
    cluster = Cluster(pools=(pool(replicas=2), pool(ranks=2)))
    outcome = simulate(cluster, trace(*[(0.1 * row, 4, 1) for row in range(6)]))
    assert outcome.engine.tolist() == [0, 1, 2, 3, 0, 1]


def test_round_robin_passes_over_those_that_are_down() -> None:
    cluster = Cluster(pools=(pool(replicas=3),), failures=(Failure(pool=0, replica=1, at=0.05, restart=10.0),))
    outcome = simulate(cluster, trace(*[(0.1 * row, 4, 1) for row in range(1, 6)]))
    assert outcome.engine.tolist() == [0, 2, 0, 2, 0]


def test_least_loaded_counts_who_is_not_answered_and_divides_by_the_weight() -> None:
    cluster = Cluster(pools=(pool(ONE_BY_ONE), pool(ONE_BY_ONE, weight=2.0)), routing=Routing.LEAST_LOADED)
    outcome = simulate(cluster, trace((0, 4, 1), (0, 4, 5), (0, 4, 1), (0, 4, 1), (1, 4, 1), (1.5, 4, 1)))
    # Loads over weights (0, 0), (1, 0), (1, 1/2), (1, 1): of equals the first. At 1 the first request has its answer: (1, 1).
    # At 1.5 they are (2, 1).
    assert outcome.engine.tolist() == [0, 1, 1, 0, 0, 1]


def test_an_answer_that_comes_at_the_end_of_the_step_under_way_still_counts_as_load() -> None:
    cluster = Cluster(pools=(pool(replicas=2),), routing=Routing.LEAST_LOADED)
    early, late = (simulate(cluster, trace((0, 4, 1), (0.5, 4, 9), (moment, 4, 1))) for moment in (0.75, 1.0))
    assert early.engine.tolist() == [0, 1, 0]
    assert late.engine.tolist() == [0, 1, 0]
    third = simulate(cluster, trace((0, 4, 1), (0.5, 4, 9), (0.75, 4, 1), (0.8, 4, 1)))
    assert third.engine.tolist() == [0, 1, 0, 1]


def test_by_prefix_goes_where_most_of_the_prompt_is_within_the_slack() -> None:
    requests = shared(trace((0, 9, 1), (0.1, 9, 1), (5, 9, 9), (6, 9, 9), (7, 9, 1)), [1, 2], [3, 4], [3, 4], [3, 9], [3, 4])
    cluster = Cluster(pools=(pool(CACHING, replicas=2),), routing=Routing.PREFIX, slack=1.0)
    outcome = simulate(cluster, requests)
    # The second goes to the idle engine, and those that begin as it did follow, until two wait there more than elsewhere.
    assert outcome.engine.tolist() == [0, 1, 1, 1, 0]
    assert outcome.found.tolist() == [0, 0, 8, 4, 0]
    assert simulate(dataclasses.replace(cluster, slack=2.0), requests).engine.tolist() == [0, 1, 1, 1, 1]


def test_the_last_token_of_a_prompt_is_not_looked_for() -> None:
    # Both engines hold the one block that is looked for; the second block of 8 tokens would be looked for only were there a ninth.
    requests = shared(trace((0, 4, 1), (0.1, 8, 1), (5, 8, 1)), [1], [1, 2], [1, 2])
    outcome = simulate(Cluster(pools=(pool(CACHING, replicas=2),), routing=Routing.PREFIX, slack=0.0), requests)
    assert outcome.engine.tolist() == [0, 1, 0]


def test_prompts_go_to_the_pools_with_the_least_limit_that_takes_them() -> None:
    cluster = Cluster(pools=(pool(), pool(longest=8), pool(longest=16), pool(longest=8)))
    outcome = simulate(cluster, trace(*[(0.1 * row, prompt, 1) for row, prompt in enumerate([9, 8, 17, 1, 2, 16])]))
    assert outcome.engine.tolist() == [2, 1, 0, 3, 1, 2]


def test_a_prompt_longer_than_all_limits_is_refused() -> None:
    with pytest.raises(InputError, match=r"no pool takes .*request 1, given .*9 tokens.*, allowed: at most 8 tokens"):
        simulate(Cluster(pools=(pool(longest=8), pool(longest=4))), trace((0, 8, 1), (0, 9, 1)))


def test_a_request_is_there_when_its_engine_has_taken_it_in() -> None:
    cluster = Cluster(pools=(pool(model=flat(1.0, request=0.25)), pool(model=flat(1.0, request=0.5))))
    outcome = simulate(cluster, trace((0, 4, 1), (0, 4, 1)))
    assert outcome.scheduled.tolist() == [0.25, 0.5]


# ---------------------------------------------------------------- ranks


def by_token() -> StepModel:
    """A second for each token."""
    return StepModel(token_seconds=np.arange(65.0), sequence_seconds=np.zeros(65))


def test_ranks_take_as_long_as_the_slowest() -> None:
    outcome = simulate(Cluster(pools=(pool(model=by_token(), ranks=2),)), trace((0, 10, 2), (0, 3, 4)))
    # Ten tokens beside three, then one beside one; then the first has its answer and writes no record.
    first, second = outcome.steps
    assert first.seconds.tolist() == [10, 1]
    assert second.start.tolist() == [0, 10, 11, 12]
    assert second.seconds.tolist() == [10, 1, 1, 1]
    assert outcome.completion.tolist() == [11, 13]
    assert [totals.busy for totals in outcome.totals] == [11, 13]


def test_a_rank_waits_for_the_step_of_the_others() -> None:
    outcome = simulate(Cluster(pools=(pool(model=by_token(), ranks=2),)), trace((0, 10, 1), (1, 3, 1)))
    assert outcome.scheduled.tolist() == [0, 10]
    alone = simulate(Cluster(pools=(pool(model=by_token(), replicas=2),)), trace((0, 10, 1), (1, 3, 1)))
    assert alone.scheduled.tolist() == [0, 1]


# ---------------------------------------------------------------- prefill, link and decode


def apart(prefill: Pool | None = None, decode: Pool | None = None, **changes: object) -> Cluster:
    """One prefill pool and one decode pool; a token takes a quarter of a second on the link, which is 0.5 s long."""
    return Cluster(
        pools=(
            dataclasses.replace(prefill or pool(), phase=Phase.PREFILL),
            dataclasses.replace(decode or pool(model=flat(0.125)), phase=Phase.DECODE),
        ),
        link=Link(token=0.25, latency=0.5),
        **changes,  # type: ignore[arg-type]
    )


def test_prefill_and_decode_apart_are_the_sum_of_their_parts() -> None:
    outcome = simulate(apart(), trace((0, 4, 6), (20, 8, 1)))
    # A step for the prompt, its 4 tokens on the link, and five more steps; the second is answered by its first token.
    assert outcome.first_token.tolist() == [1, 21]
    assert outcome.completion.tolist() == [1 + 1 + 0.5 + 5 * 0.125, 21]
    assert outcome.engine.tolist() == [1, 0]
    assert sorted(outcome.gaps.tolist()) == [0.125] * 4 + [1 + 0.5 + 0.125]
    assert outcome.steps[1].context.tolist() == [4, 5, 6, 7, 8]
    assert outcome.steps[1].tokens.tolist() == [1] * 5


def test_caches_of_an_engine_go_over_the_link_one_after_the_other() -> None:
    outcome = simulate(apart(), trace((0, 4, 2), (0, 8, 2)))
    # The second cache waits for the first: 1 + 1 + 2 s and the latency.
    assert outcome.completion.tolist() == [2.625, 4.625]
    each = simulate(apart(pool(replicas=2)), trace((0, 4, 2), (0, 8, 2)))
    assert each.completion.tolist() == [2.625, 3.625]


def test_blocks_stay_with_the_sender_until_the_cache_is_there() -> None:
    small = dataclasses.replace(WIDE, blocks=2)
    outcome = simulate(apart(pool(small)), trace((0, 8, 2), (0, 4, 2), (9, 8, 1)))
    # Two blocks for the first, which travels from 1 to 3.5; only then the second can start.
    assert outcome.scheduled.tolist() == [0, 3.5, 9]
    assert outcome.steps[0].start.tolist() == [0, 3.5, 9]


def test_what_comes_over_the_link_shares_named_blocks_there() -> None:
    requests = shared(trace((0, 9, 9), (0.1, 9, 9)), [1, 2], [1, 2])
    outcome = simulate(apart(pool(CACHING), pool(CACHING)), requests)
    # When the second comes, the first holds 13 tokens in four blocks; the second shares two of them and takes one, or three.
    assert outcome.steps[1].blocks[outcome.steps[1].running == 2].min() == 5
    plain = simulate(apart(pool(CACHING), pool()), requests)
    assert plain.steps[1].blocks[plain.steps[1].running == 2].min() == 7


def test_what_comes_over_the_link_is_not_charged_as_swapped() -> None:
    swapping = dataclasses.replace(WIDE, swap=10.0)
    assert simulate(apart(pool(swapping), pool(swapping)), trace((0, 4, 3))).completion.tolist() == [1 + 1 + 0.5 + 2]


def test_decode_engines_are_chosen_by_load_even_where_prompts_go_by_prefix() -> None:
    requests = shared(trace((0, 8, 30), (0.1, 8, 30), (0.2, 8, 30)), [1, 2], [1, 2], [1, 2])
    cluster = apart(pool(CACHING), pool(CACHING, replicas=2), routing=Routing.PREFIX, slack=9.0)
    assert simulate(cluster, requests).engine.tolist() == [1, 2, 1]


def test_a_prompt_is_found_again_where_it_was_handed_over_from() -> None:
    requests = shared(trace((0, 9, 2), (0.5, 9, 2)), [1, 2], [1, 2])
    assert simulate(apart(pool(CACHING)), requests).found.tolist() == [0, 8]


def test_who_is_preempted_after_the_link_computes_its_prompt_there() -> None:
    outcome = simulate(apart(decode=pool(dataclasses.replace(WIDE, blocks=12, block_size=1))), trace((0, 4, 8), (0, 4, 8)))
    assert outcome.totals[1].preemptions == 1
    assert outcome.steps[1].tokens.max() > 4
    assert (outcome.first_token == 1).all()


def test_decode_requests_wait_for_an_engine_that_is_up() -> None:
    outcome = simulate(apart(failures=(Failure(pool=1, replica=0, at=0.5, restart=9.5),)), trace((0, 4, 2)))
    assert outcome.completion.tolist() == [10 + 0.125]
    assert outcome.retries.tolist() == [0]


# ---------------------------------------------------------------- failures


def test_a_failure_sends_all_that_is_not_answered_again() -> None:
    cluster = Cluster(pools=(pool(ONE_BY_ONE),), failures=(Failure(pool=0, replica=0, at=2.5, restart=4.0),))
    outcome = simulate(cluster, trace((0, 4, 2), (0, 4, 3), (0, 4, 1)))
    # The first is answered at 2. The step from 2 to 3 gave the second its first token, which is lost; at 6.5 it begins anew.
    assert outcome.completion.tolist() == [2, 9.5, 10.5]
    assert outcome.first_token.tolist() == [1, 7.5, 10.5]
    assert outcome.scheduled.tolist() == [0, 6.5, 9.5]
    assert outcome.retries.tolist() == [0, 1, 1]
    assert outcome.arrival.tolist() == [0, 0, 0]
    assert outcome.totals[0].powered == 10.5


def test_what_a_replica_loses_goes_to_the_others() -> None:
    cluster = Cluster(pools=(pool(replicas=2),), failures=(Failure(pool=0, replica=0, at=1.5, restart=100.0),))
    outcome = simulate(cluster, trace((0, 4, 9), (0, 4, 2)))
    # What the step until 2 gave is lost as well, and the request comes again when that would have ended.
    assert outcome.engine.tolist() == [1, 1]
    assert outcome.scheduled.tolist() == [2, 0]
    assert outcome.completion.tolist() == [11, 2]


def test_what_is_lost_comes_again_in_the_order_in_which_it_stood() -> None:
    cluster = Cluster(pools=(pool(ONE_BY_ONE, model=flat(1.0, request=0.25)),), failures=(Failure(pool=0, replica=0, at=2.5, restart=1.0),))
    outcome = simulate(cluster, trace((0, 4, 9), (0.5, 4, 2), (1, 4, 2), (2.375, 4, 2)))
    # One runs, two wait, and one is being taken in.
    assert (np.diff(outcome.scheduled) > 0).all()
    assert outcome.retries.tolist() == [1, 1, 1, 1]


def test_a_failure_empties_the_cache() -> None:
    requests = shared(trace((0, 9, 1), (9, 9, 1)), [1, 2], [1, 2])
    cluster = Cluster(pools=(pool(CACHING),), failures=(Failure(pool=0, replica=0, at=4.0, restart=1.0),))
    assert simulate(cluster, requests).found.tolist() == [0, 0]
    assert simulate(dataclasses.replace(cluster, failures=()), requests).found.tolist() == [0, 8]


def test_a_cache_on_the_link_arrives_although_its_sender_failed() -> None:
    cluster = apart(pool(model=flat(1.0, request=0.25)), failures=(Failure(pool=0, replica=0, at=1.5, restart=1.0),))
    outcome = simulate(cluster, trace((0, 4, 2), (1.375, 4, 1)))
    # The first has left at 1.25; the second is still being taken in.
    assert outcome.retries.tolist() == [0, 1]
    assert outcome.completion.tolist() == [1.25 + 1 + 0.5 + 0.125, 1.5 + 1 + 0.25 + 1]


def test_a_failure_of_a_replica_that_is_down_is_none() -> None:
    failures = tuple(Failure(pool=0, replica=0, at=at, restart=2.0) for at in (0.5, 1.5))
    outcome = simulate(Cluster(pools=(pool(),), failures=failures), trace((0, 4, 2)))
    assert outcome.retries.tolist() == [1]
    assert outcome.completion.tolist() == [4.5]


def test_a_step_under_way_still_gives_its_answers() -> None:
    outcome = simulate(Cluster(pools=(pool(),), failures=(Failure(pool=0, replica=0, at=0.5, restart=2.0),)), trace((0, 4, 1)))
    assert outcome.retries.tolist() == [0]
    assert outcome.completion.tolist() == [1]


# ---------------------------------------------------------------- autoscaling


def scaled(policy: Policy = ONE_BY_ONE, replicas: int = 1, **changes: float) -> Cluster:
    """One to three replicas, looked at every 2 s, one for each two requests; they start in 1 s."""
    scaling = Autoscaling(**{"least": 1, "most": 3, "target": 2.0, "interval": 2.0, "start_up": 1.0, "patience": 4.0, **changes})  # type: ignore[arg-type]
    return Cluster(pools=(pool(policy, replicas=replicas, autoscaling=scaling),), routing=Routing.LEAST_LOADED)


def test_what_lacks_is_started_and_takes_requests_when_it_is_up() -> None:
    outcome = simulate(scaled(), trace((0, 4, 9), (0, 4, 9), (0, 4, 9), (2.5, 4, 1), (3, 4, 1), (3.5, 4, 1)))
    # Three are there at 2, which asks for two replicas; the second is up from 3 on, and at 3 a request comes before it is.
    assert outcome.engine.tolist() == [0, 0, 0, 0, 0, 1]
    # At 4 all six are left, which asks for a third. From 9 on four are left, so at 10 and 12 it is too much; it drains, idle, at 12.
    # From 28 on one is left, but the run ends at 29.
    assert outcome.completion.tolist() == [9, 18, 27, 28, 29, 4.5]
    assert [totals.powered for totals in outcome.totals] == [29, 27, 8]


def test_what_is_too_much_for_long_drains_and_is_off_with_its_last_answer() -> None:
    outcome = simulate(scaled(replicas=2), trace((0, 4, 30), (0, 4, 9)))
    # One replica would do from 2 on; at 4 it has been so for 4 s. The second, which drains, gives its answer at 9.
    assert outcome.completion.tolist() == [30, 9]
    assert [totals.powered for totals in outcome.totals] == [30, 9, 0]
    more = simulate(scaled(replicas=2), trace((0, 4, 30), (0, 4, 9), (5, 4, 1)))
    assert more.engine.tolist() == [0, 1, 0]


def test_a_replica_that_drains_and_fails_is_off() -> None:
    cluster = dataclasses.replace(scaled(replicas=2), failures=(Failure(pool=0, replica=1, at=5.5, restart=0.5),))
    outcome = simulate(cluster, trace((0, 4, 20), (0, 4, 9)))
    # It drains from 4 on. At 5.5 its request is lost, and begins anew on the other, which has it wait; nothing comes up at 6.
    assert outcome.engine.tolist() == [0, 0]
    assert outcome.completion.tolist() == [20, 29]
    assert outcome.retries.tolist() == [0, 1]
    assert [totals.powered for totals in outcome.totals] == [29, 5.5, 0]


def test_power_counts_from_the_first_arrival_to_the_last_answer() -> None:
    outcome = simulate(scaled(replicas=2, target=4.0), trace((7, 4, 1), (7.5, 4, 2)))
    # Idle, the second was off at 4; the third never ran.
    assert [totals.powered for totals in outcome.totals] == [3, 0, 0]
    late = simulate(scaled(replicas=2), trace((1, 4, 5), (1, 4, 9)))
    # The second drains from 4 on and has the last answer.
    assert [totals.powered for totals in late.totals] == [9, 9, 0]
    later = simulate(scaled(replicas=2), trace((1, 4, 9), (1, 4, 7)))
    # It gave its last answer between two looks, the last of them after the run.
    assert [totals.powered for totals in later.totals] == [9, 7, 0]


def test_a_replica_that_is_idle_is_off_at_once_and_loses_its_cache() -> None:
    requests = shared(trace((0, 9, 40), (0.5, 9, 1), (9.5, 9, 1), (9.5, 9, 1), (13, 9, 1)), [1, 2], [3, 4], [5], [6], [3, 4])
    policy = dataclasses.replace(CACHING, most_sequences=8)
    outcome = simulate(scaled(policy, replicas=2, target=1.0), requests)
    # Off from 4 on; at 10 three are there, and both slots are started and up at 11; at 14 they are too much again, and the run ends at 40.
    assert outcome.engine.tolist() == [0, 1, 0, 0, 1]
    assert outcome.found.tolist() == [0, 0, 0, 0, 0]
    assert [totals.powered for totals in outcome.totals] == [40, 4 + 4, 4]
    patient = simulate(scaled(policy, replicas=2, target=1.0, patience=100.0), requests)
    assert patient.engine.tolist() == [0, 1, 1, 0, 1]
    assert patient.found.tolist() == [0, 0, 0, 0, 8]


def test_requests_that_find_nobody_wait_in_line_and_count() -> None:
    cluster = dataclasses.replace(scaled(), failures=(Failure(pool=0, replica=0, at=0.5, restart=20.0),))
    outcome = simulate(cluster, trace((1, 4, 1), (1, 4, 1), (1.5, 4, 1)))
    # At 2 three wait, which asks for two: the one that is down and one more, up at 3, which takes all of the line in order.
    assert outcome.scheduled.tolist() == [3, 4, 5]
    assert outcome.engine.tolist() == [1, 1, 1]


# ---------------------------------------------------------------- noise, closed loops


def test_noise_multiplies_the_steps_of_each_replica_with_its_own_draws() -> None:
    cluster = Cluster(pools=(pool(replicas=2),), noise=0.2, seed=7)
    outcome = simulate(cluster, trace((0, 4, 5), (0, 4, 3)))
    factors = noise_factors(cluster)
    assert outcome.steps[0].seconds.tolist() == factors[:5].tolist()
    assert outcome.steps[1].seconds.tolist() == factors[7919:7922].tolist()
    assert factors.mean() == pytest.approx(1, abs=5 * 0.2 / len(factors) ** 0.5)


def test_a_user_sends_the_next_request_wherever_the_last_was_answered() -> None:
    requests = Requests(arrival=np.zeros(2), prompt=np.full(6, 4), output=np.array([2, 5, 1, 1, 1, 1]), users=2)
    outcome = simulate(Cluster(pools=(pool(replicas=2),)), requests)
    assert outcome.arrival.tolist() == [0, 0, 2, 3, 4, 5]
    assert outcome.engine.tolist() == [0, 1, 0, 1, 0, 1]
