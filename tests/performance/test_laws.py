"""The laws of `performance`, whatever the numbers: over catalogue and perturbed chips, models, deployments and batches.

1. A step never takes less time when its sequences, their context or their new tokens grow (new tokens from 2 on: a single one
   is decoded, more are prefilled, by another kernel).
2. A step never takes more time on a chip with more memory bandwidth, a higher peak or faster links.
3. Doubling every rate and halving every latency halves every time: of a step, to the first token, per output token.
4. The FLOPs of a step are 2 x the weights that a token meets x tokens, plus 2 x the head for each sequence, plus attention's pairs.
5. A model on one chip has no collective.
6. A chip whose memory and network are infinite and whose launches take no time is bound by compute.
7. No prediction beats the roofline: FLOPs at the peak, and weights and cache at the bandwidth of the memory, with no overhead.
8. A rack of 72 joined chips is never slower than the same chips joined by eight.
9. What a case takes does not depend on the cases that are timed with it.
10. Replicas that stand idle speed nothing up: with fewer users than replicas a token takes as long as with one user each.

A law is a function of a `World` (the functions under test) and a `Situation`. Each is searched for a counterexample in the world
as it is, where there is none, and in a world that is broken in one place, where there must be one.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tapeout.hardware.catalog import chips
from tapeout.hardware.chip import Chip
from tapeout.performance.deployment import Deployment
from tapeout.performance.predict import Case, Kind, Prediction, Refusal, predict
from tapeout.performance.rates import Rates, compute_format, rates
from tapeout.performance.steady import Steady, closed_loop
from tapeout.performance.step import BINDING, Layout, StepTime, layout, step_time
from tapeout.provenance import Sourced
from tapeout.units import Unit
from tapeout.workload.architecture import Architecture, FeedForward
from tapeout.workload.catalog import model
from tapeout.workload.numerics import FORMAT_BYTES, PRECISIONS, numerics
from tapeout.workload.operators import Batch, Operator, Role, Sharding, operators
from tapeout.workload.shapes import concatenated, shapes

DUST = 1 + 1e-9
PLAIN = (
    "meta-llama/Llama-3.1-8B",
    "tiiuae/falcon-40b",
    "google/gemma-2-9b",
    "Qwen/Qwen3-30B-A3B",
    "openai/gpt-oss-120b",
    "deepseek-ai/DeepSeek-V2-Lite",
    "deepseek-ai/DeepSeek-V3",
)
"""Models of attention and feed-forward alone, for which law 4 has a closed form."""
OTHERS = (
    "deepseek-ai/DeepSeek-V3.2",
    "deepseek-ai/DeepSeek-V4-Flash",
    "moonshotai/Kimi-K3",
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
    "Qwen/Qwen3.5-35B-A3B",
)
"""Models with indexers, merged caches, linear attention and state-space layers."""
RACKS = tuple(chip for chip in chips().values() if chip.scale_up.domain >= 72)


@dataclass(frozen=True)
class World:
    """The functions under test."""

    rates: Callable[[Sequence[tuple[Chip, Any]]], Rates] = rates
    operators: Callable[..., list[Operator]] = operators
    step: Callable[[Layout, Sequence[Batch]], StepTime] = step_time
    closed_loop: Callable[..., Steady] = closed_loop
    predict: Callable[[Sequence[Case]], list[Prediction | Refusal]] = predict


@dataclass(frozen=True)
class Situation:
    """A model at a precision on a chip, sharded, with a decode batch and perhaps prompts; two users' lengths and a factor for the laws."""

    chip: Chip
    model: Architecture
    precision: str
    tensor: int
    pipeline: int
    expert: int
    batches: tuple[tuple[float, float, float], ...]
    prompt: int
    output: int
    users: int
    factor: float


# ---------------------------------------------------------------- situations


def scaled(number: Sourced[float], factor: float) -> Sourced[float]:
    return replace(number, value=number.value * factor, low=number.low * factor, high=number.high * factor)


def faster(chip: Chip, *, peak: float = 1.0, bandwidth: float = 1.0, link: float = 1.0, scale_out: float = 1.0) -> Chip:
    """The chip with some of its rates multiplied."""
    return replace(
        chip,
        peak={name: scaled(rate, peak) for name, rate in chip.peak.items()},
        memory=replace(chip.memory, bandwidth=scaled(chip.memory.bandwidth, bandwidth)),
        scale_up=replace(chip.scale_up, bandwidth=scaled(chip.scale_up.bandwidth, link)),
        scale_out=scaled(chip.scale_out, scale_out) if chip.scale_out else None,
    )


FACTORS = st.floats(0.2, 5.0)


@st.composite
def some_chips(draw: st.DrawFn, among: Sequence[Chip] = tuple(chips().values())) -> Chip:
    chip = draw(st.sampled_from(among))
    if draw(st.booleans()):
        chip = faster(chip, peak=draw(FACTORS), bandwidth=draw(FACTORS), link=draw(FACTORS), scale_out=draw(FACTORS))
    return chip


@st.composite
def some_models(draw: st.DrawFn, among: Sequence[str]) -> Architecture:
    known = model(draw(st.sampled_from(among)))
    if draw(st.booleans()):
        return known
    groups = tuple(
        replace(group, count=draw(st.integers(1, 90)), feed_forward=_resized(draw, group.feed_forward)) for group in known.groups
    )
    return replace(known, vocabulary=draw(st.integers(1000, 300_000)), groups=groups)


def _resized(draw: st.DrawFn, given_: FeedForward | None) -> FeedForward | None:
    return given_ and replace(given_, size=128 * draw(st.integers(1, 256)), gated=draw(st.booleans()))


LENGTHS = st.integers(0, 14).map(lambda power: 2**power)


@st.composite
def situations(draw: st.DrawFn, among: Sequence[Chip] = tuple(chips().values()), models: Sequence[str] = PLAIN + OTHERS) -> Situation:
    found = draw(some_models(models))
    heads = math.gcd(*(heads for group in found.groups for heads in group.heads))
    experts = math.gcd(*(group.experts for group in found.groups))
    tensor = draw(st.sampled_from([size for size in (1, 2, 4, 8, 16) if heads % size == 0]))
    expert = 1
    if found.has_experts:
        wide = [size for size in (16, 32) if tensor == 1]
        expert = draw(st.sampled_from([size for size in (1, tensor, *wide) if experts % size == 0]))
    decode = (float(draw(LENGTHS)), 1.0, float(draw(st.integers(0, 60_000))))
    prefill = (float(draw(st.integers(1, 8))), float(draw(st.integers(2, 8192))), float(draw(st.integers(0, 30_000))))
    shape = draw(st.sampled_from(("decode", "prefill", "mixed")))
    return Situation(
        chip=draw(some_chips(among)),
        model=found,
        precision=draw(st.sampled_from(PRECISIONS)),
        tensor=tensor,
        pipeline=draw(st.sampled_from((1, 1, 2))),
        expert=expert,
        batches={"decode": (decode,), "prefill": (prefill,), "mixed": (decode, prefill)}[shape],
        prompt=draw(st.integers(2, 16_000)),
        output=draw(st.integers(2, 4_000)),
        users=draw(LENGTHS),
        factor=draw(st.floats(1.0, 8.0)),
    )


def batches(*given_: tuple[float, float, float]) -> list[Batch]:
    return [Batch(sequences=np.array([one[0]]), new_tokens=np.array([one[1]]), context=np.array([one[2]])) for one in given_]


def sharding(case: Situation) -> Sharding:
    return Sharding(tensor=np.array([float(case.tensor)]), pipeline=np.array([float(case.pipeline)]), expert=np.array([float(case.expert)]))


def arranged(world: World, case: Situation, change: Callable[[Rates], Rates] = lambda found: found) -> Layout:
    found = change(world.rates([(case.chip, numerics(case.model, case.precision))]))
    return layout(shapes(case.model), np.array([len(case.model.groups)]), sharding(case), found)


def seconds(world: World, case: Situation, *given_: tuple[float, float, float]) -> float:
    return float(world.step(arranged(world, case), batches(*(given_ or case.batches))).seconds[0])


def by_unit(factors: dict[str, float]) -> Callable[[Rates], Rates]:
    """Multiplies every field of `Rates` whose unit is in `factors`."""
    hints = get_type_hints(Rates, include_extras=True)
    units = {name: next(extra for extra in get_args(hint)[1:] if isinstance(extra, Unit)).symbol for name, hint in hints.items()}
    return lambda found: replace(found, **{name: getattr(found, name) * factors[unit] for name, unit in units.items() if unit in factors})


# ---------------------------------------------------------------- the laws


def gathers(case: Situation, batch: tuple[float, float, float]) -> bool:
    """Whether prompts meet a choice of their context, by another kernel than prompts that meet all of it."""
    chosen = [group.attention.chosen for group in case.model.groups if group.attention is not None and group.attention.chosen is not None]
    return any(batch[1] + batch[2] > most for most in chosen)


def more_work_takes_no_less_time(world: World, case: Situation) -> bool:
    base = seconds(world, case)
    grown = []
    for position, (sequences, new_tokens, context) in enumerate(case.batches):
        larger = [(sequences * case.factor, new_tokens, context), (sequences, new_tokens, context * case.factor + 1)]
        if new_tokens > 1:
            larger.append((sequences, new_tokens * case.factor, context))
        same = [one for one in larger if new_tokens <= 1 or gathers(case, one) == gathers(case, (sequences, new_tokens, context))]
        grown += [(*case.batches[:position], one, *case.batches[position + 1 :]) for one in same]
    return all(seconds(world, case, *one) * DUST >= base for one in grown)


def faster_chips_take_no_more_time(world: World, case: Situation) -> bool:
    base, more = seconds(world, case), case.factor
    changes: list[dict[str, float]] = [{"peak": more}, {"bandwidth": more}, {"link": more}, {"scale_out": more}]
    return all(seconds(world, replace(case, chip=faster(case.chip, **change))) <= base * DUST for change in changes)


def twice_the_rates_take_half_the_time(world: World, case: Situation) -> bool:
    once, twice = arranged(world, case), arranged(world, case, by_unit({"FLOP/s": 2.0, "B/s": 2.0, "s": 0.5}))

    def times(where: Layout) -> np.ndarray:
        lengths = (np.array([float(size)]) for size in (case.prompt, case.output, case.users, case.users))
        loop = world.closed_loop(where, *lengths)
        return np.concatenate([world.step(where, batches(*case.batches)).seconds, loop.ttft, loop.tpot, 1 / loop.output_rate])

    return bool(np.allclose(2 * times(twice), times(once), rtol=1e-9, atol=0.0))


def flops_equal_the_closed_form(world: World, case: Situation) -> bool:
    """For one rank of attention; splitting experts between ranks moves the work of tokens, and leaves its amount."""
    alone = replace(case, tensor=1, pipeline=1)
    found = world.operators(shapes(case.model), batches(*case.batches), sharding(alone))
    counted = sum(float(np.sum(part.calls * part.flops)) for part in found)
    tokens = sum(sequences * new_tokens for sequences, new_tokens, _ in case.batches)
    sequences = sum(one[0] for one in case.batches)
    head = case.model.hidden * case.model.vocabulary
    expected = 2 * tokens * _weights_met(case.model) + 2 * sequences * head + _attention_flops(case)
    return math.isclose(counted, expected, rel_tol=1e-9)


def _weights_met(found: Architecture) -> float:
    """Elements of the matrices that one token passes in all layers of a plain model, written out from the shape."""
    met = 0
    for group in found.groups:
        attention, inner, hidden = group.attention, group.feed_forward, found.hidden
        assert attention is not None
        assert inner is not None
        if attention.latent:
            rank, per_head = attention.latent, attention.head_size - attention.latent.rope_size + attention.value_size
            query = attention.heads * attention.head_size
            projections = hidden * (rank.kv_rank + rank.rope_size) + rank.kv_rank * attention.heads * per_head
            projections += rank.query_rank * (hidden + query) if rank.query_rank else hidden * query
        else:
            projections = hidden * (attention.heads + attention.kv_heads) * attention.head_size
            projections += hidden * attention.kv_heads * attention.value_size
        projections += attention.heads * attention.value_size * hidden
        matrices = 3 if inner.gated else 2
        passed = inner.experts_per_token if inner.experts else 1
        met += group.count * (projections + matrices * hidden * (passed * inner.size + inner.shared_size) + hidden * inner.experts)
    return met


def _attention_flops(case: Situation) -> float:
    """2 FLOPs for each element of a key and of a value, for each pair of a query and a token it looks at, counted one by one."""
    flops = 0.0
    for group in case.model.groups:
        attention = group.attention
        assert attention is not None
        for sequences, new_tokens, context in case.batches:
            seen = np.arange(context, context + new_tokens) + 1
            pairs = float(np.minimum(seen, attention.window or np.inf).sum())
            sizes = attention.head_size + attention.value_size
            if attention.latent and new_tokens == 1:
                sizes = 2 * attention.latent.kv_rank + attention.latent.rope_size
            flops += group.count * 2 * sequences * attention.heads * pairs * sizes
    return flops


def one_chip_has_no_collective(world: World, case: Situation) -> bool:
    alone = replace(case, tensor=1, pipeline=1, expert=1)
    return float(world.step(arranged(world, alone), batches(*case.batches)).shares[BINDING.index("network")][0]) == 0.0


def infinite_memory_and_network_leave_compute(world: World, case: Situation) -> bool:
    boundless = arranged(world, case, by_unit({"B/s": 1e30, "s": 0.0}))
    return world.step(boundless, batches(*case.batches)).binding() == ["compute"]


def nothing_beats_the_roofline(world: World, case: Situation) -> bool:
    return seconds(world, case) > _roofline(case, case.batches) and _predictions_keep_the_roofline(world, case)


def _roofline(case: Situation, given_: Sequence[tuple[float, float, float]]) -> float:
    """The larger of FLOPs at their peaks, and weights and cache read at the bandwidth of the memory, on one chip of the deployment."""
    formats, compute, read = numerics(case.model, case.precision), 0.0, 0.0
    by_role = {Role.LINEAR: formats.linear, Role.EXPERT: formats.expert, Role.HEAD: formats.head}
    fastest = max(rate.value for rate in case.chip.peak.values())
    for part in operators(shapes(case.model), batches(*given_), sharding(case)):
        if part.role in by_role:
            stored = by_role[part.role]
            compute += float(np.sum(part.calls * part.flops)) / case.chip.peak[compute_format(case.chip, stored)].value
            read += float(np.sum(part.calls * part.weights)) * FORMAT_BYTES[stored]
        else:
            compute += float(np.sum(part.calls * part.flops)) / fastest
        if part.role in (Role.PREFILL_ATTENTION, Role.DECODE_ATTENTION):
            read += float(np.sum(part.calls * part.cache)) * FORMAT_BYTES[formats.kv_cache]
    return max(compute, read / case.chip.memory.bandwidth.value)


def _predictions_keep_the_roofline(world: World, case: Situation) -> bool:
    """Time to first token against the prompt alone, time per token against one sequence, rate against the FLOPs of a token."""
    joined = max(1, case.expert // case.tensor)
    asked = Case(
        kind=Kind.ONLINE, chip=case.chip, chips=case.tensor * case.pipeline * joined, model=case.model, precision=case.precision,
        prompt=case.prompt, output=case.output, concurrency=float(case.users * case.pipeline * joined),
        deployments=(Deployment(tensor=case.tensor, pipeline=case.pipeline, expert=case.expert, data=joined),),
    )  # fmt: skip
    found, saturated = world.predict([asked, replace(asked, kind=Kind.OFFLINE, concurrency=None)])
    if isinstance(found, Refusal) or isinstance(saturated, Refusal):
        return True
    peak = max(rate.value for rate in case.chip.peak.values())
    flops = 2 * _weights_met(case.model) if case.model.name in PLAIN else 0.0
    return (
        min(found.ttft.value, saturated.ttft.value) > flops * case.prompt / peak / (case.tensor * joined)
        and min(found.tpot.value, saturated.tpot.value) > _roofline(case, ((1 / joined, 1.0, float(case.prompt)),))
        and max(found.output_rate_per_chip.value, saturated.output_rate_per_chip.value) * flops < peak
        and found.output_rate_per_chip.value * found.tpot.value * asked.chips <= asked.concurrency * DUST
    )


def a_rack_is_no_slower_than_servers(world: World, case: Situation) -> bool:
    rack = replace(case.chip, scale_up=replace(case.chip.scale_up, domain=72))
    servers = replace(rack, id="by-eight", scale_up=replace(rack.scale_up, domain=8))
    if seconds(world, replace(case, chip=rack)) > seconds(world, replace(case, chip=servers)) * DUST:
        return False
    asked = Case(kind=Kind.OFFLINE, chip=rack, chips=32, model=case.model, precision=case.precision, prompt=case.prompt, output=case.output)
    joined, apart = world.predict([asked, replace(asked, chip=servers)])
    if isinstance(apart, Refusal):
        return True
    return isinstance(joined, Prediction) and joined.output_rate_per_chip.value * DUST >= apart.output_rate_per_chip.value


def company_changes_nothing(world: World, case: Situation) -> bool:
    other = replace(case, chip=chips()["amd-mi300x"], model=model("tiiuae/falcon-40b"), tensor=4, pipeline=1, expert=1)
    pair = world.rates([(one.chip, numerics(one.model, one.precision)) for one in (case, other)])
    split = Sharding(**{
        field.name: np.concatenate([getattr(sharding(one), field.name) for one in (case, other)]) for field in dataclasses.fields(Sharding)
    })  # fmt: skip
    groups = np.array([len(case.model.groups), len(other.model.groups)])
    together = world.step(layout(concatenated([case.model, other.model]), groups, split, pair), batches(*case.batches)).seconds
    return math.isclose(float(together[0]), seconds(world, case), rel_tol=1e-12)


def idle_replicas_speed_nothing_up(world: World, case: Situation) -> bool:
    expert = case.expert if case.expert <= case.tensor else 1
    one_each = Case(
        kind=Kind.ONLINE, chip=case.chip, chips=8 * case.tensor, model=case.model, precision=case.precision, prompt=case.prompt,
        output=case.output, concurrency=8.0, deployments=(Deployment(tensor=case.tensor, expert=expert),),
    )  # fmt: skip
    found = world.predict([replace(one_each, concurrency=users) for users in (8.0, 5.0, 1.0)])
    tpots = [one.tpot.value for one in found if isinstance(one, Prediction)]
    return all(math.isclose(tpot, tpots[0], rel_tol=1e-9) for tpot in tpots)


# ---------------------------------------------------------------- each law holds, and fails in a world that is broken in one place


def changed_step(change: Callable[[StepTime, Sequence[Batch]], dict[str, Any]]) -> World:
    def step(cases: Layout, given_: Sequence[Batch]) -> StepTime:
        found = step_time(cases, given_)
        return replace(found, **change(found, given_))

    return World(step=step)


def changed_chips(change: Callable[[Chip], Chip]) -> World:
    return World(rates=lambda pairs: rates([(change(chip), formats) for chip, formats in pairs]))


def inverted(rate: float) -> float:
    """A factor that makes a rate the larger the smaller it was."""
    return 1e24 / rate**2


def by_inverted_links(chip: Chip) -> Chip:
    return faster(chip, link=inverted(chip.scale_up.bandwidth.value), scale_out=inverted(chip.scale_out.value if chip.scale_out else 1e12))


def by_inverted_domain(chip: Chip) -> Chip:
    return replace(chip, scale_up=replace(chip.scale_up, domain=576 // chip.scale_up.domain))


def without_the_output_projection(*given_: Any) -> list[Operator]:
    return [part for part in operators(*given_) if part.name != "attention out"]


def too_good(cases: Sequence[Case], latency: str) -> list[Prediction | Refusal]:
    def better(one: Prediction) -> Prediction:
        band = getattr(one, latency)
        return replace(one, **{latency: replace(band, value=band.value / 100)})

    return [one if isinstance(one, Refusal) else better(one) for one in predict(cases)]


def by_users(cases: Sequence[Case]) -> list[Prediction | Refusal]:
    """Each answer faster the fewer users there are."""
    found = predict(cases)
    return [
        one
        if isinstance(one, Refusal)
        else replace(one, tpot=replace(one.tpot, value=one.tpot.value * (1 + (case.concurrency or 0) / 100)))
        for case, one in zip(cases, found, strict=True)
    ]


def slow_racks(cases: Sequence[Case]) -> list[Prediction | Refusal]:
    return predict([replace(case, chip=faster(case.chip, peak=8 / case.chip.scale_up.domain)) for case in cases])


Law = Callable[[World, Situation], bool]
LAWS: tuple[tuple[Law, tuple[World, ...]], ...] = (
    (
        more_work_takes_no_less_time,
        (
            changed_step(lambda found, given_: {"seconds": found.seconds / sum(one.sequences for one in given_)}),
            changed_step(lambda found, given_: {"seconds": found.seconds / (1 + given_[-1].context)}),
            changed_step(lambda found, given_: {"seconds": found.seconds / given_[-1].new_tokens}),
        ),
    ),
    (
        faster_chips_take_no_more_time,
        (
            changed_chips(lambda chip: faster(chip, peak=inverted(max(rate.value for rate in chip.peak.values())))),
            changed_chips(lambda chip: faster(chip, bandwidth=inverted(chip.memory.bandwidth.value))),
            changed_chips(by_inverted_links),
        ),
    ),
    (
        twice_the_rates_take_half_the_time,
        (
            changed_step(lambda found, given_: {"seconds": found.seconds + 1e-6}),
            World(closed_loop=lambda *given_: (lambda found: replace(found, ttft=found.ttft + 1e-3))(closed_loop(*given_))),
        ),
    ),
    (flops_equal_the_closed_form, (World(operators=without_the_output_projection),)),
    (
        one_chip_has_no_collective,
        (changed_step(lambda found, given_: {"shares": found.shares + 1e-6}),),
    ),
    (
        infinite_memory_and_network_leave_compute,
        (changed_step(lambda found, given_: {"shares": found.shares[[1, 0, 2, 3]]}),),
    ),
    (
        nothing_beats_the_roofline,
        (
            changed_chips(lambda chip: faster(chip, peak=4, bandwidth=4)),
            World(predict=lambda cases: too_good(cases, "ttft")),
            World(predict=lambda cases: too_good(cases, "tpot")),
        ),
    ),
    (
        a_rack_is_no_slower_than_servers,
        (changed_chips(by_inverted_domain), World(predict=slow_racks)),
    ),
    (
        company_changes_nothing,
        (changed_step(lambda found, given_: {"seconds": found.seconds[::-1]}),),
    ),
    (idle_replicas_speed_nothing_up, (World(predict=by_users),)),
)
SEARCH = settings(max_examples=500, derandomize=True, database=None, deadline=None, phases=[Phase.generate])


def searched(law: Law) -> st.SearchStrategy[Situation]:
    if law is a_rack_is_no_slower_than_servers:
        return situations(RACKS)
    return situations(models=PLAIN) if law is flops_equal_the_closed_form else situations()


@pytest.mark.parametrize("law", [law for law, _ in LAWS], ids=lambda law: law.__name__)
@given(data=st.data())
def test_the_law_holds(law: Law, data: st.DataObject) -> None:
    assert law(World(), data.draw(searched(law)))


@pytest.mark.parametrize(
    ("law", "broken"), [(law, world) for law, worlds in LAWS for world in worlds], ids=lambda part: getattr(part, "__name__", "")
)
def test_the_law_fails_in_a_broken_world(law: Law, broken: World) -> None:
    assert find(searched(law), lambda case: not law(broken, case), settings=SEARCH)
