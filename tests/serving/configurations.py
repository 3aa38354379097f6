"""Random small clusters with requests, all options mixed, for the comparison of the fast loop with the plain one."""

import math

import numpy as np

from tapeout.serving.cluster import Autoscaling, Cluster, Engine, Failure, Link, Phase, Pool, Routing
from tapeout.serving.policy import Order, Policy
from tapeout.serving.speculation import Speculation
from tapeout.serving.step_model import AttentionCost, DecodeCost, RecurrenceCost, StepModel
from tapeout.traffic.requests import Names, Requests

SIZE = 256
GRID = 1 / 128
"""Seconds; where all times are whole multiples of it, events and the ends of steps often fall on one moment."""


def some(generator: np.random.Generator, *values: float) -> float:
    """One of `values`."""
    return float(generator.choice(values))


def chance(generator: np.random.Generator, of: float) -> bool:
    """True so often."""
    return bool(generator.random() < of)


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


def step_model_on_the_grid(generator: np.random.Generator) -> StepModel:
    """One whose steps take whole multiples of `GRID`."""
    return StepModel(
        token_seconds=GRID * generator.integers(0, 3, SIZE + 1),
        sequence_seconds=np.zeros(SIZE + 1),
        host_step=GRID,
        request=GRID * some(generator, 0, 1, 2),
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


def random_speculation(generator: np.random.Generator, gridded: bool) -> Speculation:
    """Drafts of one to four tokens, likely or not."""
    places = int(generator.integers(1, 5))
    seconds = GRID * generator.integers(0, 2, SIZE + 1) if gridded else 1e-4 * generator.random(SIZE + 1)
    acceptance = tuple(generator.choice([0.0, 0.3, 0.7, 0.95, 1.0], places).tolist())
    return Speculation(acceptance=acceptance, draft_seconds=seconds)


def random_policy(generator: np.random.Generator, *, most: int, block_size: int, caching: bool, gridded: bool) -> Policy:
    """One under which sequences of `most` tokens just fit, or fit well."""
    least, slow = -(-most // block_size), GRID if gridded else 1e-4
    return Policy(
        token_budget=int(generator.choice([1, 4, 16, 64, SIZE])),
        most_sequences=int(generator.choice([1, 2, 4, 16, 64])),
        blocks=int(least * some(generator, 1, 1.2, 2, 6) + generator.integers(0, 3)),
        block_size=block_size,
        chunk=[None, None, 1, 3, 16][int(generator.integers(5))],
        order=[Order.FIRST_COME, Order.PRIORITY][int(generator.integers(2))],
        swap=None if caching else [None, 0.0, slow, slow][int(generator.integers(4))],
        prefix_caching=caching,
        prompts_first=chance(generator, 0.3),
        admits_by_chunk=chance(generator, 0.3),
        speculation=random_speculation(generator, gridded) if chance(generator, 0.3) else None,
    )


def random_pool(
    generator: np.random.Generator, phase: Phase, longest: float, most: int, block_size: int, gridded: bool, span: float
) -> Pool:
    """One that takes prompts of up to `longest` tokens and fits sequences of `most`; with prefix caching only at `block_size`."""
    caching = chance(generator, 0.45)
    size = block_size if caching or chance(generator, 0.7) else int(generator.choice([1, 2, 4, 16]))
    policy = random_policy(generator, most=most, block_size=size, caching=caching, gridded=gridded)
    model = step_model_on_the_grid(generator) if gridded else random_step_model(generator)
    replicas = int(generator.choice([1, 1, 2, 3]))
    return Pool(
        engine=Engine(step_model=model, policy=policy), replicas=replicas, ranks=int(generator.choice([1] * 6 + [2, 3])), phase=phase,
        longest=longest, weight=some(generator, 1, 1, 0.5, 3),
        autoscaling=random_autoscaling(generator, replicas, gridded, span) if chance(generator, 0.4) else None,
    )  # fmt: skip


BOTH, PREFILL, DECODE = Phase.BOTH, Phase.PREFILL, Phase.DECODE
KINDS = (
    (0.3, [BOTH]), (0.15, [BOTH, BOTH]), (0.1, [BOTH, BOTH, BOTH]), (0.2, [PREFILL, DECODE]), (0.1, [PREFILL, DECODE, PREFILL]),
    (0.05, [PREFILL, DECODE, DECODE]), (0.1, [PREFILL, DECODE, BOTH]),
)  # fmt: skip


def random_pools(generator: np.random.Generator, requests: Requests, block_size: int, gridded: bool, span: float) -> tuple[Pool, ...]:
    """One to three pools that take all of `requests` between them; some of those that take new ones take short prompts alone."""
    kinds = KINDS[int(generator.choice(len(KINDS), p=[share for share, _ in KINDS]))][1]
    longest, held = int(requests.prompt.max()), requests.prompt + requests.output - 1
    short = max(1, longest // 3)
    pools = list[Pool]()
    for phase in kinds:
        is_short = phase is not DECODE and any(pool.phase is not DECODE for pool in pools) and chance(generator, 0.5)
        limit = short if is_short else longest
        most = limit if phase is PREFILL else int(held[requests.prompt <= limit].max(initial=1))
        takes = float(limit) if is_short else some(generator, longest, math.inf) if len(kinds) == 1 else math.inf
        pools.append(random_pool(generator, phase, takes, most, block_size, gridded, span))
    return tuple(pools[place] for place in generator.permutation(len(pools)))


def moment(generator: np.random.Generator, span: float, gridded: bool) -> float:
    """A time above 0 and up to `span` or so."""
    drawn = float(generator.uniform(0, span))
    return GRID * (1 + round(drawn / GRID)) if gridded else drawn + 1e-6


def random_autoscaling(generator: np.random.Generator, replicas: int, gridded: bool, span: float) -> Autoscaling:
    """Bounds around `replicas`, and times that let it act several times in `span`."""
    return Autoscaling(
        least=int(generator.integers(1, replicas + 1)),
        most=replicas + int(generator.integers(0, 3)),
        target=some(generator, 0.5, 1, 2.5, 6),
        interval=moment(generator, span / some(generator, 4, 20), gridded),
        start_up=some(generator, 0, 1) * moment(generator, span / 6, gridded),
        patience=some(generator, 0, 1) * moment(generator, span / 6, gridded),
    )


def random_failures(generator: np.random.Generator, pools: tuple[Pool, ...], gridded: bool, span: float) -> tuple[Failure, ...]:
    """None, or up to five, in no order, some of them at one moment."""
    found = list[Failure]()
    for _ in range(int(generator.choice([0, 0, 1, 2, 5]))):
        pool = int(generator.integers(len(pools)))
        at = found[-1].at if found and chance(generator, 0.3) else moment(generator, span, gridded)
        restart = moment(generator, span / some(generator, 1, 10), gridded)
        found.append(Failure(pool=pool, replica=int(generator.integers(pools[pool].slots)), at=at, restart=restart))
    return tuple(found)


def random_requests(generator: np.random.Generator, gridded: bool, block_size: int) -> Requests:
    """A few dozen requests, open or closed, alone or in crowds, with or without priorities and names."""
    count = int(generator.integers(2, 40))
    prompt = generator.integers(1, int(generator.choice([4, 40, 200])) + 1, count)
    output = generator.integers(1, int(generator.choice([2, 20, 60, 60])) + 1, count)
    users = None if chance(generator, 0.65) else int(generator.integers(1, count + 1))
    gaps = generator.exponential(some(generator, 1e-4, 1e-2, 0.1), users or count)
    if gridded:
        gaps = GRID * np.rint(gaps / GRID)
    elif chance(generator, 0.3):
        gaps *= generator.random(len(gaps)) < 0.4
    return Requests(
        arrival=np.cumsum(gaps), prompt=prompt, output=output, users=users,
        priority=None if chance(generator, 0.3) else generator.integers(-1, 3, count),
        names=random_names(generator, prompt, output, block_size * int(generator.choice([1, 2]))) if chance(generator, 0.8) else None,
    )  # fmt: skip


def random_run(seed: int) -> tuple[Cluster, Requests]:
    """One configuration, with every option on or off by chance."""
    generator = np.random.default_rng(seed)
    gridded, block_size = chance(generator, 0.25), int(generator.choice([1, 2, 4, 16]))
    requests = random_requests(generator, gridded, block_size)
    # About as long as it runs, so that what happens at some time happens within.
    span = float(requests.arrival[-1]) + 2e-3 * len(requests) * float(requests.output.mean()) ** 0.5
    pools = random_pools(generator, requests, block_size, gridded, span)
    link = Link(
        token=some(generator, 0, 1, 10, 50) * (GRID / 8 if gridded else 3.3e-5),
        latency=some(generator, 0, 1) * (GRID if gridded else 2.7e-3),
    )
    cluster = Cluster(
        pools=pools, routing=list(Routing)[int(generator.integers(3))], slack=some(generator, 0, 1.5, 8),
        link=link if any(pool.phase is DECODE for pool in pools) else None, failures=random_failures(generator, pools, gridded, span),
        noise=some(generator, 0.2, 0.01) if chance(generator, 0.15) else 0.0, seed=seed,
    )  # fmt: skip
    return cluster, requests
