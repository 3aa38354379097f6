import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.design.throughput import LOADS, UNSERVED, Workload, carried, chip_seconds, deployments_for, mix
from tapeout.errors import InputError
from tapeout.hardware.catalog import chip
from tapeout.performance.best import Demand
from tapeout.performance.predict import Case, Kind, Prediction, predict
from tapeout.performance.rates import rates
from tapeout.workload.catalog import model

CHAT = Workload(
    name="chat",
    weight=3.0,
    demand=Demand(model=model("deepseek-ai/DeepSeek-V3"), precision="fp8", prompt=2000, output=600, ttft=2, tpot=0.05),
)
DENSE = Workload(
    name="dense",
    weight=1.0,
    demand=Demand(model=model("meta-llama/Llama-3.3-70B-Instruct"), precision="fp8", prompt=3000, output=250, ttft=2.0, tpot=0.04),
)


def brute_force(workload, found):
    """Every deployment at every load by `predict`, which knows nothing of the search by halving."""
    demand = workload.demand
    cases = [
        Case(
            kind=Kind.OFFLINE, chip=found, chips=one.chips, model=demand.model, precision=demand.precision, prompt=demand.prompt,
            output=demand.output, concurrency=load * one.data, deployments=(one,),
        )
        for one in deployments_for(workload, found.scale_up.domain)
        for load in LOADS
    ]  # fmt: skip
    kept = [
        answer.output_rate_per_chip.value
        for case, answer in zip(cases, predict(cases), strict=True)
        if isinstance(answer, Prediction)
        and answer.ttft.value <= demand.ttft
        and answer.tpot.value <= demand.tpot
        # where memory holds fewer, the load is not the one asked for
        and case.concurrency <= answer.decoding * case.deployments[0].data * (1 + 1e-9) + 1e-9
    ]
    return max(kept, default=0.0)


@pytest.mark.parametrize("workload", [CHAT, DENSE])
@pytest.mark.parametrize("name", ["nvidia-b200", "nvidia-gb200", "amd-mi300x", "google-tpu-v6e"])
def test_the_best_load_is_that_of_brute_force(workload, name):
    found = chip(name)
    served = carried(workload, rates([(found, workload.numerics)]))
    assert served.rate[0] == pytest.approx(brute_force(workload, found))
    assert (served.deployment[0] == UNSERVED) == (served.rate[0] == 0)


@settings(max_examples=15, deadline=None)
@given(
    share=st.floats(1.0, 3.0), name=st.sampled_from(["nvidia-b200", "amd-mi300x"]), resource=st.sampled_from(["flops", "bytes", "capacity"])
)
def test_more_of_a_resource_never_serves_less(share, name, resource):
    found = rates([(chip(name), DENSE.numerics)])
    more = {field.name: getattr(found, field.name) * share for field in dataclasses.fields(found) if field.name.endswith(resource)}
    assert carried(DENSE, dataclasses.replace(found, **more)).rate[0] >= carried(DENSE, found).rate[0]


def test_what_does_not_fit_is_not_served():
    found = rates([(chip("nvidia-b200"), DENSE.numerics)])
    small = dataclasses.replace(found, capacity=np.array([1e9]))
    served = carried(DENSE, small)
    assert (served.rate[0], served.deployment[0], served.load[0]) == (0.0, UNSERVED, 0.0)
    assert np.isinf(chip_seconds([DENSE], [served])[0])


def test_chips_in_one_table_do_not_see_each_other():
    pairs = [(chip(name), DENSE.numerics) for name in ("nvidia-b200", "amd-mi300x", "google-tpu-v6e")]
    together = carried(DENSE, rates(pairs))
    assert together.rate == pytest.approx([carried(DENSE, rates([pair])).rate[0] for pair in pairs], rel=1e-12)


def test_a_mix_is_the_weighted_sum_of_chip_time():
    workloads = mix([CHAT, DENSE])
    assert [one.weight for one in workloads] == [0.75, 0.25]
    found = [carried(one, rates([(chip("nvidia-b200"), one.numerics)])) for one in workloads]
    assert chip_seconds(workloads, found)[0] == pytest.approx(0.75 / found[0].rate[0] + 0.25 / found[1].rate[0], rel=1e-12, abs=0)


@pytest.mark.parametrize(
    ("workloads", "message"),
    [
        ([], "needs a workload"),
        ([dataclasses.replace(DENSE, weight=0.0)], "weight of dense must be positive"),
        ([dataclasses.replace(DENSE, demand=dataclasses.replace(DENSE.demand, prompt=1e6))], "longer than the model's context"),
    ],
)
def test_bad_mixes_are_refused(workloads, message):
    with pytest.raises(InputError, match=message):
        mix(workloads)
