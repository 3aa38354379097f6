"""Published benchmarks in the simulator: what is sent, a lone user by hand, bands and refusals, and the rows that come along."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tapeout.calibration.measurements import Measurement, Quantity, published, scored
from tapeout.calibration.scores import scores
from tapeout.calibration.validation import checked, comparisons
from tapeout.fleet.published import ANY_OTHER, MOST_USERS, SCATTER, benchmark, benchmarks, requests_sent, simulated_answers, steps_waited
from tapeout.hardware.catalog import chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.efficiency import Table, efficiencies
from tapeout.performance.predict import Case, Kind, Prediction, Refusal, predict
from tapeout.provenance import Sourced
from tapeout.serving.step_model import Step
from tapeout.serving.step_table import engine
from tapeout.workload.catalog import model

CASE = Case(
    kind=Kind.ONLINE, chip=chip("nvidia-h100-sxm"), chips=1, model=model("meta-llama/Llama-3.1-8B"), precision="fp8", prompt=1000,
    output=50, concurrency=8, deployments=(Deployment(tensor=1),),
)  # fmt: skip


HELD_BACK = replace(CASE, model=model("meta-llama/Llama-3.3-70B-Instruct"), chips=4, prompt=1024, output=1024, deployments=())


def measurement(case: Case | None = CASE, source: str = "", submitter: str = "", software: str = "") -> Measurement:
    return Measurement(
        name="a", kind=Kind.ONLINE, chip="nvidia-h100-sxm", model="meta-llama/Llama-3.1-8B", precision="fp8", cells={}, case=case,
        tpot=0.01, source=source, submitter=submitter, software=software,
    )  # fmt: skip


def simulated(cases: Sequence[Case], source: str = "", table: Table | None = None, software: str = "") -> list[Prediction | Refusal]:
    return simulated_answers([measurement(case, source, software=software) for case in cases], predict(cases, table), table)


def answered(case: Case, source: str = "", table: Table | None = None, software: str = "") -> Prediction:
    (found,) = simulated([case], source, table, software)
    assert isinstance(found, Prediction)
    return found


def test_rows_are_known_by_their_source_or_their_submitter() -> None:
    known = [benchmark(measurement(source="inferencex-results")), benchmark(measurement(submitter="SemiAnalysis InferenceX"))]
    assert known == [benchmarks()["inferencex"]] * 2
    assert benchmark(measurement(source="mine.csv", submitter="me")) == benchmarks()[ANY_OTHER]
    inferencex = {one.name for one in published() if benchmark(one) == benchmarks()["inferencex"]}
    assert inferencex == {one.name for one in published() if one.source == "inferencex-results"}
    assert len(inferencex) > 50


@pytest.mark.parametrize(("name", "shortest"), [("inferencex", 0.8), ("genai-perf", 1 - SCATTER)])
def test_all_users_start_at_once_and_send_what_the_benchmark_says(name: str, shortest: float) -> None:
    sent = requests_sent(replace(CASE, prompt=1000, output=2000, concurrency=50), benchmarks()[name])
    assert (sent.users, len(sent)) == (50, 500)
    assert (sent.arrival == 0).all()
    for tokens, stated in ((sent.prompt, 1000), (sent.output, 2000)):
        assert shortest * stated <= tokens.min() < (shortest + 0.01) * stated
        assert 0.99 * stated < tokens.max() <= stated
        # The mean of a uniform distribution, within five of its standard errors.
        error = stated * (1 - shortest) / np.sqrt(12 * len(sent))
        assert abs(tokens.mean() - stated * (1 + shortest) / 2) < 5 * error


def test_a_lone_user_sees_the_steps_of_each_request_alone() -> None:
    """By hand, request by request: the host and one step for the first token, then a step for each further one."""
    case = replace(CASE, concurrency=1)
    found, sent = answered(case), requests_sent(case, benchmarks()[ANY_OTHER])
    steps = engine(case.chip, case.model, case.precision, Deployment(tensor=1), prompt=1000, output=50).step_model
    first, later, span = [], [], 0.0
    for prompt, output in zip(sent.prompt.tolist(), sent.output.tolist(), strict=True):
        ttft = steps.request + steps.seconds(Step(prefills=1, prefill_tokens=prompt, pairs=prompt * (prompt + 1) // 2))
        rest = sum(steps.seconds(Step(decodes=1, context=prompt + place)) for place in range(output - 1))
        first.append(ttft)
        later.append(rest / (output - 1))
        span += ttft + rest
    assert found.ttft.value == pytest.approx(np.mean(first), rel=1e-9)
    assert found.tpot.value == pytest.approx(np.mean(later), rel=1e-9)
    assert found.output_rate_per_chip.value == pytest.approx(sent.output.sum() / span, rel=1e-9)


def test_the_first_burst_counts() -> None:
    """Prompts of a whole step each, answers so long that users meet only at the start, where they wait for one another."""
    case = replace(CASE, prompt=8000, output=400, concurrency=4)
    alone, together = answered(replace(case, concurrency=1)), answered(case)
    prompt = alone.ttft.value
    # A tenth of the requests waits for one and a half prompts on average; those who meet later wait in addition.
    assert together.ttft.value - prompt > 0.1 * 1.5 * prompt * 0.9


def test_servers_hold_prompts_back_where_their_benchmark_says_so() -> None:
    four, source = Deployment(tensor=4), "inferencex-results"
    assert steps_waited(measurement(HELD_BACK, source, software="TensorRT-LLM, version not stated"), four) == 20
    assert steps_waited(measurement(HELD_BACK, source, software="trtllm"), four) == 20
    others = (
        (measurement(HELD_BACK, source, software="vLLM"), four),
        (measurement(HELD_BACK, "other", software="trtllm"), four),
        (measurement(replace(HELD_BACK, output=8192), source, software="trtllm"), four),
        (measurement(replace(HELD_BACK, model=CASE.model), source, software="trtllm"), four),
        (measurement(HELD_BACK, source, software="trtllm"), Deployment(tensor=8)),
        (measurement(None, source, software="trtllm"), four),
    )
    assert [steps_waited(*other) for other in others] == [0] * len(others)


def test_all_but_the_first_burst_are_held_back() -> None:
    """A lone user is not, the first time: nine of ten requests wait for 20 steps of what decodes, whose time is known."""
    case = replace(HELD_BACK, concurrency=1, deployments=(Deployment(tensor=4),))
    free, held = (answered(case, "inferencex-results", software=software) for software in ("vLLM", "TensorRT-LLM"))
    sent = requests_sent(case, benchmarks()["inferencex"])
    steps = engine(case.chip, case.model, case.precision, Deployment(tensor=4), prompt=1024, output=1024).step_model
    waited = 20 * steps.seconds(Step(decodes=1, context=round(float(sent.prompt.mean() + sent.output.mean() / 2))))
    assert held.ttft.value - free.ttft.value == pytest.approx(0.9 * waited, rel=1e-6)
    assert held.tpot.value == pytest.approx(free.tpot.value, rel=1e-9)
    spans = [float(sent.output.sum()) / one.output_rate_per_chip.value / case.chips for one in (free, held)]
    assert spans[1] - spans[0] == pytest.approx(9 * waited, rel=1e-6)


def test_rows_beside_one_another_are_as_alone() -> None:
    changes = ({"concurrency": 1}, {"concurrency": 4}, {"concurrency": 16}, {"output": 60_000}, {"precision": "bf16"}, {"chips": 2})
    cases = [replace(CASE, **change) for change in changes]
    alone = [answered(case) for case in cases]
    assert simulated(cases) == alone
    assert len({one.tpot.value for one in alone}) == len(cases)


def test_the_rate_is_that_of_each_chip() -> None:
    """Two copies with half of the users each do per chip what one does with its half."""
    one, two = answered(replace(CASE, concurrency=1)), answered(replace(CASE, concurrency=2, chips=2))
    assert two.output_rate_per_chip.value == pytest.approx(one.output_rate_per_chip.value, rel=0.01)


def test_bands_keep_their_width_and_the_rest_stays() -> None:
    (closed,) = predict([CASE])
    found = answered(CASE)
    assert isinstance(closed, Prediction)
    for name in ("ttft", "tpot", "output_rate_per_chip"):
        before, after = getattr(closed, name), getattr(found, name)
        assert after.value != before.value
        assert (after.low / after.value, after.high / after.value) == pytest.approx((before.low / before.value, before.high / before.value))
    assert (found.deployment, found.binding) == (closed.deployment, closed.binding)


def test_a_row_that_cannot_be_simulated_says_why_and_stops_no_other() -> None:
    crowd = replace(CASE, concurrency=MOST_USERS + 1)
    heavy = replace(CASE, model=model("meta-llama/Llama-3.1-405B"))
    few, many, none = simulated([CASE, crowd, heavy])
    assert isinstance(few, Prediction)
    assert isinstance(many, Refusal)
    assert many.status == "not simulated"
    assert "too many users to simulate, given 100001, allowed: up to 100000" in many.detail
    assert none == predict([heavy])[0]


def test_answers_of_one_token_have_no_time_between_tokens() -> None:
    found, (closed,) = answered(replace(CASE, output=1)), predict([replace(CASE, output=1)])
    assert isinstance(closed, Prediction)
    assert found.tpot == closed.tpot
    assert found.ttft != closed.ttft


def test_other_coefficients_give_other_answers() -> None:
    def longer(fact: Sourced[float]) -> Sourced[float]:
        return replace(fact, value=fact.value + 1.0, high=fact.high + 1.0)

    slow = {
        name: replace(entry, host=replace(entry.host, request=longer(entry.host.request))) if entry.host else entry
        for name, entry in efficiencies().items()
    }
    assert answered(CASE, table=slow).ttft.value == pytest.approx(answered(CASE).ttft.value + 1.0, abs=0.1)


def test_own_rows_keep_what_the_simulator_must_reach() -> None:
    """Median errors of the online rows: TTFT within 25 %, TPOT no worse than by the closed form."""
    rows = [one for one in scored(checked(published())) if one.kind is Kind.ONLINE]
    closed = predict([one.case for one in rows if one.case])
    before, after = (
        {one.quantity: one for one in scores(comparisons(rows, answers))} for answers in (closed, simulated_answers(rows, closed))
    )
    assert all(one.answered == one.rows > 100 for one in after.values())
    assert (after[Quantity.TTFT].median or 1) < 0.25
    assert (after[Quantity.TPOT].median or 1) <= (before[Quantity.TPOT].median or 0)
