"""From words to a simulated fleet: kinds of chips together, prefill apart, drafts, autoscaling, failures and noise, with their mistakes."""

import dataclasses
import re

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.fleet.cluster_settings import Outages, autoscaling, drafts
from tapeout.report.simulated import Simulated
from tapeout.report.simulation_files import files
from tapeout.report.simulation_run import simulation
from tapeout.report.simulation_view import simulation_row
from tapeout.report.simulation_wanted import Wanted
from tapeout.serving.cluster import Phase, Routing
from tapeout.serving.metrics import duration, queueing, tpot, ttft

DATE = "2026-11-25"
H100, MI300X = "nvidia-h100-sxm", "amd-mi300x"
BASE = Wanted(
    model="meta-llama/Llama-3.1-8B", on=(f"{H100}:2",), traffic="poisson:20", prompt=500, output=100, requests=500, parallel=(1, 1, 1, 1)
)


def simulated(*, search: bool = False, **changes: object) -> Simulated:
    return simulation(dataclasses.replace(BASE, **changes), date=DATE, search=search, say=print)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> Simulated:
    return simulated()


def test_two_kinds_of_chips_share_the_load_by_what_each_can_do() -> None:
    found = simulated(on=(f"{H100}:1", f"{MI300X}:1"), traffic="poisson:60", requests=1000)
    assert [part.chip.id for part in found.parts] == [H100, MI300X]
    assert found.title.startswith(f"meta-llama/Llama-3.1-8B at fp8 on 1 x {H100} and 1 x {MI300X}")
    weights = [pool.weight for pool in found.outcome.cluster.pools]
    assert max(weights) == 1
    served = np.bincount(found.outcome.engine, minlength=2)
    # Under load each kind gets what it can do; the faster more.
    assert served[int(np.argmax(weights))] > served[int(np.argmin(weights))] > 0
    row = simulation_row(found)
    assert row["chip"] == f"{H100} + {MI300X}"
    prices = [part.hour for part in found.parts]
    assert row["usd_per_chip_hour"] == pytest.approx(np.mean(prices))
    power = [
        part.chip.power.value * totals.busy / duration(found.outcome)
        for part, totals in zip(found.parts, found.outcome.totals, strict=True)
    ]
    assert row["power_watts"] == pytest.approx(sum(power), rel=1e-6)


def test_prompts_and_answers_on_chips_of_their_own(plain: Simulated) -> None:
    found = simulated(split=(1, 1))
    assert [pool.phase for pool in found.outcome.cluster.pools] == [Phase.PREFILL, Phase.DECODE]
    assert found.outcome.cluster.link is not None
    assert set(found.outcome.engine) == {1}
    assert simulation_row(found)["deployment"] == "tp 1 for prefill + tp 1 for decode"
    assert found.fleet == f"2 x {H100}"
    # Decode alone is never held up by a prompt.
    assert np.quantile(tpot(found.outcome), 0.99) < np.quantile(tpot(plain.outcome), 0.99)
    wide = simulated(on=(f"{H100}:3",), split=(1, 2), decode_tensor=2)
    assert [part.group.deployment.tensor for part in wide.parts] == [1, 2]
    # The decoding engine is two chips.
    busy = [totals.busy / duration(wide.outcome) for totals in wide.outcome.totals]
    assert simulation_row(wide)["power_watts"] == pytest.approx(700 * busy[0] + 1400 * busy[1], rel=1e-6)


def test_without_a_deployment_the_best_pair_is_taken() -> None:
    found = simulated(on=(f"{H100}:4",), split=(1, 3), parallel=None, requests=200)
    assert [part.chips for part in found.parts] == [1, 3]


def test_drafts_bring_several_tokens_a_step(plain: Simulated) -> None:
    found = simulated(drafts=drafts("3:0.8"))
    assert simulation_row(found)["deployment"] == "tp 1, drafts of 3"
    gained = tpot(plain.outcome).mean() / tpot(found.outcome).mean()
    assert 1.5 < gained < 1 + 0.8 + 0.8**2 + 0.8**3
    slow = simulated(drafts=drafts("3:0.8:HuggingFaceTB/SmolLM2-1.7B"))
    assert tpot(slow.outcome).mean() > tpot(found.outcome).mean()


def test_what_is_off_is_not_paid() -> None:
    always = simulated(on=(f"{H100}:4",), traffic="poisson:4", requests=400)
    found = simulated(on=(f"{H100}:4",), traffic="poisson:4", requests=400, autoscaling=autoscaling("1:4:16:30s"))
    row, full = simulation_row(found), simulation_row(always)
    assert 0.25 <= row["powered_share"] < 0.5
    assert full["powered_share"] == 1
    powered = sum(totals.powered for totals in found.outcome.totals)
    paid = powered / 3600 * found.parts[0].hour  # type: ignore[operator]
    assert row["usd_per_query"] * 400 == pytest.approx(paid)
    assert row["usd_per_query"] < 0.5 * full["usd_per_query"]
    assert b'id="figure-cost"' not in files(found, row, version="1", date=DATE)["simulation.html"]


def test_failed_replicas_try_again() -> None:
    found = simulated(outages=Outages(between=10.0, restart=5.0))
    assert len(found.outcome.completion) == 500
    assert found.outcome.retries.sum() > 0
    assert simulation_row(found)["retries"] == found.outcome.retries.sum()
    # Failures go on as long as the run does.
    assert max(failure.at for failure in found.outcome.cluster.failures) > 0.8 * found.outcome.completion.max()
    with pytest.raises(InputError, match="fail faster than they answer"):
        simulated(requests=20, outages=Outages(between=0.05, restart=1000.0))


def test_noise_and_routing_change_what_happens_and_a_seed_repeats_it(plain: Simulated) -> None:
    noisy, again = (simulated(noise=0.3) for _ in range(2))
    assert (noisy.outcome.completion == again.outcome.completion).all()
    assert (noisy.outcome.completion != plain.outcome.completion).any()
    dealt = simulated(routing=Routing.ROUND_ROBIN)
    assert (dealt.outcome.engine == np.arange(500) % 2).all()
    assert queueing(dealt.outcome).mean() > 0


def test_goodput_of_a_fleet_with_prefill_apart() -> None:
    found = simulated(split=(1, 1), search=True, requests=300, slo="500ms/20ms")
    assert found.highest is not None
    assert found.highest.rate > 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"on": (f"{H100}:2", f"{H100}:2")}, "names a chip twice"),
        ({"on": (f"{H100}:2", f"{MI300X}:2"), "split": (1, 1)}, "takes one kind of chip"),
        ({"on": (f"{H100}:2", f"{MI300X}:2"), "autoscaling": autoscaling("1:2:8:1s")}, "autoscaling takes one kind"),
        ({"split": (1, 2)}, "does not add up.*allowed: 2 x nvidia"),
        ({"decode_tensor": 2}, "--decode-tp needs --disaggregate"),
        ({"decode_tensor": 2, "split": (1, 1), "parallel": None}, "--decode-tp needs --tp"),
        ({"autoscaling": autoscaling("1:8:8:1s")}, "as many as the chips hold.*allowed: 2 replicas of tp 1 on 2 chips"),
        ({"drafts": drafts("3:0.7:Llama-3.1-8X")}, "unknown model|not a file"),
        ({"drafts": drafts("3:0.7:meta-llama/Llama-3.1-405B-Instruct")}, "beside the draft model"),
        ({"users": 4}, "give either --traffic or --users"),
    ],
)
def test_what_does_not_go_together_is_told(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as found:
        simulated(**changes)  # type: ignore[arg-type]
    assert re.search(message, str(found.value)), found.value


@pytest.mark.parametrize("changes", [{"noise": 0.1}, {"on": (f"{H100}:2", f"{MI300X}:2")}, {"outages": Outages(between=1.0, restart=1.0)}])
def test_goodput_takes_one_kind_of_chip_and_nothing_that_befalls_it(changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match="--goodput takes one kind"):
        simulated(search=True, **changes)  # type: ignore[arg-type]


def test_a_first_token_never_comes_before_its_request(plain: Simulated) -> None:
    assert (ttft(plain.outcome) > 0).all()
