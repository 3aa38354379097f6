"""Fleets as clusters: who moves together, what micro-batches share, and what a link carries, by arithmetic of their own."""

import dataclasses

import pytest

from tapeout.errors import InputError
from tapeout.fleet.candidates import candidates
from tapeout.fleet.engines import Fleet, Group, best_fleet, disaggregated, fleet, fleets, simulated
from tapeout.fleet.transfer import link
from tapeout.hardware import catalog
from tapeout.performance.deployment import Deployment
from tapeout.performance.predict import Case, Kind, Prediction, predict
from tapeout.serving.cluster import Phase, Routing
from tapeout.serving.metrics import Slo, summary
from tapeout.serving.step_table import engine
from tapeout.traffic.arrivals import closed_loop, poisson
from tapeout.workload.catalog import model
from tapeout.workload.traffic import Lengths
from tests.serving.queues import server

H100 = catalog.chip("nvidia-h100-sxm")
LLAMA = model("meta-llama/Llama-3.1-8B")
SHORT = closed_loop(1, 1, Lengths(prompt=1000, output=200), seed=1)


# Deployment, chips; engines in all, replicas, engines that move together.
@pytest.mark.parametrize(
    ("deployment", "chips", "expected"),
    [
        (Deployment(tensor=2), 8, (4, 4, 1)),
        (Deployment(tensor=2, pipeline=2), 8, (4, 2, 2)),
        (Deployment(tensor=1, data=4), 8, (8, 8, 1)),
        (Deployment(tensor=1, expert=4, data=4), 8, (8, 8, 1)),
        (Deployment(tensor=2, expert=2), 8, (4, 4, 1)),
        (Deployment(tensor=2, expert=8, data=4), 16, (8, 8, 1)),
        (Deployment(tensor=1, pipeline=2, expert=2, data=2), 8, (8, 4, 2)),
    ],
)
def test_engines_in_lockstep_are_those_of_a_pipeline(deployment: Deployment, chips: int, expected: tuple[int, int, int]) -> None:
    group = Group(deployment=deployment, engine=server(), chips=chips)
    pool = group.pool
    assert (group.engines, pool.replicas, pool.ranks) == expected
    assert Fleet(chip=H100, groups=(group,)).cluster.engines == expected[0]


def test_a_fleet_is_a_cluster_that_deals_to_the_least_loaded() -> None:
    found = fleet(H100, 4, LLAMA, "fp8", Deployment(tensor=2), SHORT, ["most_sequences=32"])
    assert found.cluster.routing is Routing.LEAST_LOADED
    assert found.cluster.pools[0].engine.policy.most_sequences == 32
    assert (found.chips, found.engines, found.label) == (4, 2, "tp 2")


def test_micro_batches_share_memory_and_places() -> None:
    """A pipeline of two holds the weights once in twice the memory; each of its two micro-batches has half of the rest."""
    whole = engine(H100, LLAMA, "bf16", Deployment(tensor=1), prompt=1000, output=200)
    half = engine(H100, LLAMA, "bf16", Deployment(tensor=1, pipeline=2), prompt=1000, output=200)
    weights, block = 8.03e9 * 2, 16 * 131_072
    room = whole.policy.blocks * block + weights
    assert half.policy.blocks * block * 2 == pytest.approx(2 * room - weights, rel=0.02)
    assert half.policy.most_sequences * 2 == whole.policy.most_sequences
    with pytest.raises(InputError, match="no room for one request of full length in each micro-batch"):
        engine(H100, LLAMA, "bf16", Deployment(tensor=1, pipeline=2), prompt=800_000, output=10)


def in_closed_loop(stages: int, lengths: Lengths) -> tuple[float, float]:
    """Tokens/s and TPOT of a simulated pipeline in a closed loop over those of the steady state, warm-up and end left out."""
    users, deployment = 64 * stages, Deployment(tensor=1, pipeline=stages)
    requests = closed_loop(6 * users, users, lengths, seed=1)
    found = summary(simulated(fleet(H100, stages, LLAMA, "bf16", deployment, requests), requests), rows=slice(2 * users, 5 * users))
    case = Case(
        kind=Kind.ONLINE, chip=H100, chips=stages, model=LLAMA, precision="bf16", prompt=lengths.mean_prompt, output=lengths.mean_output,
        concurrency=float(users), deployments=(deployment,),
    )  # fmt: skip
    (predicted,) = predict([case])
    assert isinstance(predicted, Prediction)
    assert found.tpot is not None
    return found.output_rate / stages / predicted.output_rate_per_chip.value, found.tpot.mean / predicted.tpot.value


@pytest.mark.parametrize("stages", [2, 4])
def test_a_pipeline_of_equal_micro_batches_is_the_steady_state(stages: int) -> None:
    """Prompts are short and answers long, so that hardly a step is longer than the others and no stage waits for one."""
    rate, per_token = in_closed_loop(stages, Lengths(prompt=16, output=512, shortest=0.9))
    assert rate == pytest.approx(1, abs=0.1)
    assert per_token == pytest.approx(1, abs=0.1)


def test_long_prompts_make_bubbles_that_a_mean_does_not_have() -> None:
    """One micro-batch with a prompt holds up the others, the more there are."""
    few, _ = in_closed_loop(2, Lengths(prompt=1024, output=128, shortest=0.8))
    many, _ = in_closed_loop(4, Lengths(prompt=1024, output=128, shortest=0.8))
    assert many < few < 0.95


def test_a_link_carries_the_cache_of_a_token_over_the_scale_out_network() -> None:
    """8 heads x 128 x 2 (key and value) x 32 layers x 2 bytes at 50 GB/s; halved where two chips send at once."""
    least = 131_072 / H100.scale_out.value if H100.scale_out else 0.0
    one = link(H100, LLAMA, "bf16", Deployment(tensor=1), Deployment(tensor=1), prompt=1000)
    two = link(H100, LLAMA, "bf16", Deployment(tensor=2), Deployment(tensor=2), prompt=1000)
    assert least < one.token < 2 * least, "no collective reaches the whole of the link"
    assert two.token == pytest.approx(one.token / 2)
    # Two chips that send to one wait for the one that receives.
    assert link(H100, LLAMA, "bf16", Deployment(tensor=2), Deployment(tensor=1), prompt=1000).token == pytest.approx(one.token)
    # What has no context to send, such as a state, comes once.
    hybrid = model("Qwen/Qwen3-Next-80B-A3B-Instruct")
    stateful = link(H100, hybrid, "bf16", Deployment(tensor=1), Deployment(tensor=1), prompt=1000)
    assert stateful.latency > 100 * one.latency


def test_prefill_apart_from_decode_is_two_pools_with_a_link() -> None:
    found = disaggregated(H100, LLAMA, "bf16", (Deployment(tensor=1), 2), (Deployment(tensor=2), 6), SHORT)
    prefill, decode = found.cluster.pools
    assert (prefill.phase, prefill.replicas, decode.phase, decode.replicas) == (Phase.PREFILL, 2, Phase.DECODE, 3)
    assert found.cluster.link is not None
    assert found.cluster.link.token > 0
    assert (found.chips, found.engines, found.label) == (8, 5, "prefill 2 x tp 1, decode 3 x tp 2")


def test_candidates_are_every_deployment_under_every_pair_of_limits() -> None:
    alike = fleets(H100, 4, LLAMA, "fp8", SHORT)
    found = candidates(H100, 4, LLAMA, "fp8", SHORT, token_budgets=(512, 8192, 100_000), most_sequences=(16, 64))
    # 100,000 tokens are more than a step may have, so they are the chip's own 8,192 once more.
    assert len(found) == len(alike) * 2 * 2
    limits = {(one.engine.policy.token_budget, one.engine.policy.most_sequences) for one in found}
    assert limits == {(512, 16), (512, 64), (8192, 16), (8192, 64)}
    with pytest.raises(InputError, match="token_budgets must be at least 1"):
        candidates(H100, 4, LLAMA, "fp8", SHORT, token_budgets=(0,))


def test_candidates_part_the_chips_in_every_way_that_copies_allow() -> None:
    found = [one for one in candidates(H100, 4, LLAMA, "fp8", SHORT, disaggregation=True) if one.link]
    ways = {(*(group.deployment.label for group in one.groups), one.groups[0].chips) for one in found}
    assert {("tp 1", "tp 1", 1), ("tp 1", "tp 1", 2), ("tp 1", "tp 1", 3), ("tp 1", "tp 2", 2), ("tp 2", "tp 1", 2)} <= ways
    assert len(ways) == len(found)
    for one in found:
        assert one.chips == 4
        assert all(group.chips % group.deployment.chips == 0 for group in one.groups)
        assert one.cluster.engines == one.engines
    assert dataclasses.replace(found[0], routing=Routing.ROUND_ROBIN).cluster.routing is Routing.ROUND_ROBIN


def test_a_request_longer_than_the_cache_is_refused() -> None:
    huge = closed_loop(1, 1, Lengths(prompt=4_000_000, output=10), seed=1)
    with pytest.raises(InputError, match="does not fit: no room for one request of full length"):
        fleets(H100, 2, LLAMA, "fp8", huge)


def test_the_best_fleet_keeps_more_limits_than_the_others() -> None:
    requests = poisson(200, 2.0, Lengths(prompt=512, output=32), seed=1)
    found = fleets(H100, 2, LLAMA, "bf16", requests)
    assert best_fleet(found, requests, Slo(tpot=0.0055)).deployment.tensor == 2
