"""The fast loop against the plain one, on random configurations with all options mixed; what caching must and must not change."""

import dataclasses
import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from tapeout.errors import InputError
from tapeout.serving import scheduler, simulator
from tapeout.serving.outcome import Outcome, one_by_one
from tapeout.serving.policy import Order, Policy
from tapeout.serving.requests import Names, Requests
from tapeout.serving.step_model import AttentionCost, DecodeCost, RecurrenceCost, StepModel

SIZE = 256


def some(generator: np.random.Generator, *values: float) -> float:
    return float(generator.choice(values))


def random_step_model(generator: np.random.Generator) -> StepModel:
    """Every term at work in one model or another."""
    window = DecodeCost(key=2e-6, full=2e-6 * some(generator, 4, 20, 60), entry=some(generator, 0, 1e-6), longest=21.0)
    prefill = AttentionCost(
        window=some(generator, math.inf, 20), pair=some(generator, 0, 1e-6), key=1e-6, token=1e-6, launch=some(generator, 0, 1e-4),
        entry=some(generator, 0, 1e-6),
    )  # fmt: skip
    states = RecurrenceCost(alone=1e-6, together=1e-7, chunk=8.0, serial=1e-6, sequence=1e-6, token=1e-6, launch=1e-5)
    return StepModel(
        token_seconds=1e-3 + 1e-4 * np.arange(SIZE + 1) + 1e-6 * generator.random(SIZE + 1),
        sequence_seconds=some(generator, 0, 1e-5) * np.arange(SIZE + 1),
        decode=(DecodeCost(key=some(generator, 0, 1e-6), entry=some(generator, 0, 1e-6)), *[window] * int(generator.integers(0, 3))),
        prefill=(prefill, AttentionCost(above=30.0, pair=1e-6, query=1e-6)),
        recurrent=(states,) * int(generator.integers(0, 2)),
        decode_launch=some(generator, 0, 1e-4),
        decode_sequence=some(generator, 0, 1e-5),
        host_step=1e-4,
        host_sequence=some(generator, 0, 3e-4),
        dispatch=some(generator, 0, 5e-3),
        decode_dispatch=some(generator, 0, 1e-3),
        request=some(generator, 0, 0.01),
    )


def random_names(generator: np.random.Generator, prompt: np.ndarray, output: np.ndarray, block: int) -> Names:
    """Prompts that walk down one tree: few ways at first, each its own later; some names reach into the answers."""
    ways, depth, tree = int(generator.choice([1, 2, 4])), int(generator.choice([1, 2, 6])), dict[tuple[int, ...], int]()
    name, start = list[int](), [0]
    for tokens, answer in zip(prompt.tolist(), output.tolist(), strict=True):
        reaches = answer if generator.random() < 0.3 else 0
        shared, path = int(generator.integers(0, depth + 1)) * 3, tuple[int, ...]()
        for place in range((tokens + reaches) // block):
            path = (*path, int(generator.integers(0, ways) if place < shared else generator.integers(10, 10**9)))
            name.append(tree.setdefault(path, len(tree) + 5))
        start.append(len(name))
    return Names(name=np.array(name, dtype=np.int64), start=np.array(start), block=block)


def random_run(seed: int) -> tuple[StepModel, Requests, Policy]:
    """One configuration, with every option on or off by chance."""
    generator = np.random.default_rng(seed)
    count = int(generator.integers(2, 40))
    prompt = generator.integers(1, int(generator.choice([4, 40, 200])) + 1, count)
    output = generator.integers(1, int(generator.choice([2, 20, 60])) + 1, count)
    block_size = int(generator.choice([1, 2, 4, 16]))
    least = -(-int((prompt + output - 1).max()) // block_size)
    caching = bool(generator.random() < 0.4)
    policy = Policy(
        token_budget=int(generator.choice([1, 4, 16, 64, SIZE])),
        most_sequences=int(generator.choice([1, 2, 4, 16, 64])),
        blocks=int(least * some(generator, 1, 1.2, 2, 6) + generator.integers(0, 3)),
        block_size=block_size,
        chunk=[None, 1, 3, 16][int(generator.integers(4))],
        order=[Order.FIRST_COME, Order.PRIORITY][int(generator.integers(2))],
        swap=None if caching else [None, 0.0, 1e-4][int(generator.integers(3))],
        prefix_caching=caching,
        prompts_first=bool(generator.random() < 0.4),
    )
    users = None if generator.random() < 0.6 else int(generator.integers(1, count + 1))
    requests = Requests(
        arrival=np.cumsum(generator.exponential(some(generator, 1e-4, 1e-2, 0.1), users or count)),
        prompt=prompt,
        output=output,
        users=users,
        priority=None if generator.random() < 0.3 else generator.integers(-1, 3, count),
        names=random_names(generator, prompt, output, block_size * int(generator.choice([1, 2]))) if generator.random() < 0.8 else None,
    )
    return random_step_model(generator), requests, policy


# ---------------------------------------------------------------- the same steps

BY_REQUEST = ("arrival", "scheduled", "first_token", "completion", "preemptions", "found")
BY_STEP = ("tokens", "decodes", "context", "running", "preempted")


def gaps(outcome: Outcome, model: StepModel) -> np.ndarray:
    """Every time between two tokens of a request, in order of size."""
    each = one_by_one(outcome.steps, model)
    return np.sort(np.concatenate([np.repeat(each.seconds, each.gaps), outcome.late_gaps]))


def differences(plain: Outcome, fast: Outcome, model: StepModel) -> list[str]:
    """The names of what differs at all."""
    if len(gaps(plain, model)) != len(gaps(fast, model)) or not np.allclose(gaps(plain, model), gaps(fast, model), rtol=0, atol=1e-9):
        return ["gaps"]
    each, first = one_by_one(fast.steps, model), np.cumsum(fast.steps.count) - fast.steps.count
    found = [name for name in BY_REQUEST if not np.array_equal(getattr(plain, name), getattr(fast, name))]
    found += [name for name in BY_STEP if not np.array_equal(getattr(plain.steps, name), getattr(each, name))]
    if not found:
        found += [name for name in ("start", "seconds") if np.abs(getattr(plain.steps, name) - getattr(each, name)).max() > 1e-9]
        found += [name for name in ("waiting", "blocks") if (getattr(plain.steps, name)[first] != getattr(fast.steps, name)).any()]
    ours, theirs = dataclasses.asdict(plain.totals), dataclasses.asdict(fast.totals)
    return found + [name for name in ours if ours[name] != pytest.approx(theirs[name], rel=1e-12)]


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_a_thousand_configurations_equal_the_plain_loop(first: int) -> None:
    preempting = found = together = apart = 0
    for seed in range(first, first + 100):
        model, requests, policy = random_run(seed)
        plain, fast = scheduler.simulate(model, requests, policy), simulator.simulate(model, requests, policy)
        assert differences(plain, fast, model) == [], f"seed {seed}: {policy}"
        preempting += plain.totals.preemptions > 0
        found += plain.totals.found_tokens > 0
        together += len(fast.steps.count) < plain.totals.steps
        apart += policy.prompts_first and len(fast.late_gaps) > 0 and plain.totals.preemptions > 0
    # What is to be compared does happen.
    assert preempting > 10
    assert found > 10
    assert together > 50
    assert apart > 5


def test_a_difference_is_found() -> None:
    found = 0
    for seed in range(20):
        model, requests, policy = random_run(seed)
        plain = scheduler.simulate(model, requests, policy)
        other = simulator.simulate(model, requests, dataclasses.replace(policy, most_sequences=policy.most_sequences + 1))
        found += differences(plain, other, model) != []
    assert found > 5


def test_steps_one_by_one_are_those_taken_together() -> None:
    for seed in range(40):
        model, requests, policy = random_run(seed)
        together, alone = (simulator.simulate(model, requests, policy, jumps=jumps) for jumps in (True, False))
        assert (alone.steps.count == 1).all()
        assert differences(alone, together, model) == []


def test_without_records_the_rest_is_the_same() -> None:
    model, requests, policy = random_run(5)
    with_records, without = (simulator.simulate(model, requests, policy, records=records) for records in (True, False))
    assert (with_records.completion == without.completion).all()
    assert with_records.totals == without.totals
    with pytest.raises(InputError, match="were not kept; simulate with records=True"):
        _ = without.steps


def test_a_request_takes_less_than_200_bytes_with_records() -> None:
    generator = np.random.default_rng(3)
    count = 20_000
    requests = Requests(
        arrival=np.cumsum(generator.exponential(0.05, count)),
        prompt=generator.integers(1, 60, count),
        output=generator.integers(1, 30, count),
    )
    model, policy = random_step_model(generator), Policy(token_budget=64, most_sequences=16, blocks=200)
    simulator.simulate(model, requests, policy)
    tracemalloc.start()
    try:
        simulator.simulate(model, requests, policy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Half of the room or more is for records, so they cannot have been left out; the tables of the model are not by request.
    assert 100 < (peak - 8192) / count < 200


UNCOMPILED = """
import sys
sys.modules["numba"] = None
import numpy as np
from tapeout.serving import compiled, scheduler, simulator
from tapeout.serving.policy import Policy
from tapeout.serving.requests import Requests
from tapeout.serving.step_model import DecodeCost, StepModel
assert not compiled.COMPILES
model = StepModel(token_seconds=0.1 + 0.01 * np.arange(65), sequence_seconds=np.zeros(65), decode=(DecodeCost(key=0.001),))
generator = np.random.default_rng(1)
prompt, output = generator.integers(1, 40, 40), generator.integers(1, 20, 40)
requests = Requests(arrival=np.cumsum(generator.exponential(0.3, 40)), prompt=prompt, output=output)
policy = Policy(token_budget=16, most_sequences=8, blocks=20, block_size=4)
plain, fast = scheduler.simulate(model, requests, policy), simulator.simulate(model, requests, policy)
assert plain.totals.preemptions > 0
assert (plain.completion == fast.completion).all()
print(fast.completion.sum().hex())
"""


def test_without_the_compiler_it_is_the_same() -> None:
    command = [sys.executable, "-c", UNCOMPILED]
    without = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    compiles = UNCOMPILED.replace('sys.modules["numba"] = None\n', "").replace("assert not compiled.COMPILES\n", "")
    assert compiles != UNCOMPILED
    assert subprocess.run([sys.executable, "-c", compiles], capture_output=True, text=True, check=True).stdout == without


# ---------------------------------------------------------------- prefix caching


def without_sharing(requests: Requests, block: int) -> Requests:
    counts = requests.prompt // block
    start = np.concatenate(([0], np.cumsum(counts)))
    return dataclasses.replace(requests, names=Names(name=np.arange(start[-1]), start=start, block=block))


def test_prefix_caching_without_shared_prefixes_changes_nothing_but_what_a_preempted_request_finds_again() -> None:
    same = again = 0
    for seed in range(120):
        model, requests, policy = random_run(seed)
        policy = dataclasses.replace(policy, swap=None, prefix_caching=False)
        requests = without_sharing(requests, policy.block_size)
        plain = simulator.simulate(model, requests, policy, jumps=False)
        cached = simulator.simulate(model, requests, dataclasses.replace(policy, prefix_caching=True))
        assert cached.totals.found_tokens == 0
        if plain.totals.preemptions:
            again += int((cached.steps.tokens * cached.steps.count).sum() < plain.steps.tokens.sum())
        else:
            same += 1
            assert differences(plain, cached, model) == []
    assert min(same, again) > 10


def test_shared_prefixes_by_hand() -> None:
    model = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))
    # Two prompts of ten tokens share the first two blocks of four; the third block of each is not full.
    names = Names(name=np.array([7, 8, 7, 8]), start=np.array([0, 2, 4]), block=4)
    requests = Requests(arrival=np.array([0.0, 5.0]), prompt=np.array([10, 10]), output=np.array([2, 2]), names=names)
    policy = Policy(token_budget=64, most_sequences=4, blocks=3, block_size=4, prefix_caching=True)
    outcome = simulator.simulate(model, requests, policy)
    assert outcome.found.tolist() == [0, 8]
    assert one_by_one(outcome.steps, model).tokens.tolist() == [10, 1, 2, 1]
    assert (outcome.totals.prompt_tokens, outcome.totals.found_tokens) == (20, 8)


def test_a_whole_prompt_that_is_there_computes_its_last_block_again() -> None:
    model = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))
    names = Names(name=np.array([7, 8, 7, 8]), start=np.array([0, 2, 4]), block=4)
    requests = Requests(arrival=np.array([0.0, 5.0]), prompt=np.array([8, 8]), output=np.array([1, 1]), names=names)
    outcome = simulator.simulate(model, requests, Policy(token_budget=64, most_sequences=4, blocks=9, block_size=4, prefix_caching=True))
    assert outcome.found.tolist() == [0, 4]


def test_what_is_used_anew_is_lost_from_its_end() -> None:
    model = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))
    # The second request takes one block too many of the four; what goes is the last that the first one freed.
    names = Names(name=np.array([7, 8, 9, 7, 8, 9]), start=np.array([0, 3, 3, 6]), block=4)
    requests = Requests(arrival=np.array([0.0, 5.0, 9.0]), prompt=np.array([12, 8, 13]), output=np.array([1, 1, 1]), names=names)
    outcome = simulator.simulate(model, requests, Policy(token_budget=64, most_sequences=4, blocks=4, block_size=4, prefix_caching=True))
    assert outcome.found.tolist() == [0, 0, 8]


def test_those_who_end_together_come_free_in_the_order_in_which_they_started() -> None:
    model = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))
    # The second is more urgent, so its blocks come free first; of seven the third takes five, which leaves those of the first.
    names = Names(name=np.array([1, 2, 3, 4, 1, 2, 3, 4]), start=np.array([0, 2, 4, 4, 6, 8]), block=4)
    requests = Requests(
        arrival=np.array([0.0, 0.0, 5.0, 9.0, 9.0]), prompt=np.array([8, 8, 20, 9, 9]), output=np.array([2, 2, 1, 1, 1]),
        priority=np.array([1, 0, 0, 0, 0]), names=names,
    )  # fmt: skip
    policy = Policy(token_budget=64, most_sequences=4, blocks=7, block_size=4, order=Order.PRIORITY, prefix_caching=True)
    for outcome in (scheduler.simulate(model, requests, policy), simulator.simulate(model, requests, policy)):
        assert outcome.completion[:2].tolist() == [2, 2]
        assert outcome.found.tolist() == [0, 0, 0, 8, 0]


def test_an_answer_is_found_by_the_next_turn() -> None:
    model = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))
    # The first answers 5 tokens to 8, so 12 are computed; the second asks with all of it.
    names = Names(name=np.array([7, 8, 9, 7, 8, 9, 10]), start=np.array([0, 3, 7]), block=4)
    requests = Requests(arrival=np.array([0.0, 20.0]), prompt=np.array([8, 17]), output=np.array([5, 1]), names=names)
    outcome = simulator.simulate(model, requests, Policy(token_budget=64, most_sequences=4, blocks=9, block_size=4, prefix_caching=True))
    assert outcome.found.tolist() == [0, 12]


# ---------------------------------------------------------------- bad input


def test_bad_names_and_priorities_are_refused() -> None:
    one = Requests(arrival=np.zeros(1), prompt=np.array([8]), output=np.array([1]))
    with pytest.raises(InputError, match="bad number of names, at request 0, given 3"):
        dataclasses.replace(one, names=Names(name=np.arange(3), start=np.array([0, 3]), block=4))
    with pytest.raises(InputError, match="names must be given for each request, given 2"):
        dataclasses.replace(one, names=Names(name=np.arange(2), start=np.array([0, 1, 2]), block=4))
    with pytest.raises(InputError, match="starts of names must rise"):
        Names(name=np.arange(3), start=np.array([0, 2]), block=4)
    with pytest.raises(InputError, match="a name is a whole number"):
        Names(name=np.array([-1]), start=np.array([0, 1]), block=4)
    with pytest.raises(InputError, match="a named block holds at least 1 token, given 0"):
        Names(name=np.array([1]), start=np.array([0, 1]), block=0)
    with pytest.raises(InputError, match="priority must hold a whole number for each request"):
        dataclasses.replace(one, priority=np.array([0.5]))
    with pytest.raises(InputError, match="bad priority, at request 0"):
        dataclasses.replace(one, priority=np.array([2**31]))
    model = StepModel(token_seconds=np.full(65, 1.0), sequence_seconds=np.zeros(65))
    named = dataclasses.replace(one, names=Names(name=np.arange(2), start=np.array([0, 2]), block=4))
    with pytest.raises(InputError, match="named blocks must be a multiple of the engine's blocks, given '4 tokens', allowed: 16 x n"):
        simulator.simulate(model, named, Policy(token_budget=8, most_sequences=2, blocks=9, prefix_caching=True))


def test_bad_policies_are_refused() -> None:
    with pytest.raises(InputError, match="exclude each other"):
        Policy(token_budget=8, most_sequences=2, blocks=9, swap=0.1, prefix_caching=True)
    for swap in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="the time to swap a block must be finite"):
            Policy(token_budget=8, most_sequences=2, blocks=9, swap=swap)
