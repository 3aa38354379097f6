"""Which shapes to measure, and in which order: shapes that occur in served models, from one row to thousands.

There are enough shapes of each operator to fit its coefficients, with some to spare for what a device refuses. A run may stop at
any time, so the order mixes the operators and covers the range of sizes coarsely first: after any number of trials each operator
has been measured about as often, over its whole range.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from tapeout.calibration.benchmark_trial import Attention, Collective, GroupedProduct, Product, Trial, flops, operand_bytes
from tapeout.calibration.operator_table import Measured
from tapeout.errors import InputError, did_you_mean

PRODUCT_FORMATS = ("bf16", "fp8", "int8")
GROUPED_FORMATS = ("bf16", "fp8")
MOST_CACHED = 4 * 1024 * 1024
"""Tokens in the cache of one decode trial: what a few of today's largest chips hold of one layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The shapes of each operator: every combination of the parts, each from small to large.

    `layers` are (inner, outer) of products, `mixtures` (hidden, inner size of an expert, experts, experts per token, chips), `heads`
    (query heads, KV heads, size), `prompts` (sequences, new tokens); decode takes `sequences` on `contexts`.
    """

    layers: tuple[tuple[int, int], ...]
    rows: tuple[int, ...]
    mixtures: tuple[tuple[int, int, int, int, int], ...]
    expert_rows: tuple[int, ...]
    heads: tuple[tuple[int, int, int], ...]
    prompts: tuple[tuple[int, int], ...]
    sequences: tuple[int, ...]
    contexts: tuple[int, ...]
    messages: tuple[int, ...]


# Contexts are one less than a round number: with the new token the cache has its round length, as kernels meet it in blocks.
_MESSAGES = tuple(size for exponent in range(10, 30) for size in (1 << exponent, 3 << exponent - 1))
_PROMPTS = tuple(1 << exponent for exponent in range(6, 16))
FULL = Grid(
    layers=((2048, 2048), (1024, 8192), (8192, 1280), (4096, 4096), (7168, 2112), (4096, 6144), (5120, 5120), (3584, 8192), (14336, 4096),
            (8192, 10240), (4096, 28672), (8192, 57344)),
    rows=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384),
    mixtures=((2048, 768, 128, 8, 1), (2880, 2880, 32, 4, 1), (4096, 14336, 8, 2, 1), (4096, 1536, 128, 8, 4), (7168, 2048, 256, 8, 8)),
    expert_rows=tuple(1 << exponent for exponent in range(16)),
    heads=((8, 1, 128), (16, 16, 128), (32, 8, 128), (64, 8, 64)),
    prompts=tuple((sequences, tokens) for sequences in (1, 4, 16) for tokens in _PROMPTS if sequences * tokens <= 65536),
    sequences=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    contexts=(127, 511, 1023, 4095, 16383, 65535, 131071),
    messages=_MESSAGES,
)  # fmt: skip
QUICK = Grid(
    layers=((2048, 2048), (8192, 1280), (4096, 4096), (4096, 6144), (14336, 4096), (4096, 28672)),
    rows=(1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384),
    mixtures=((2048, 768, 128, 8, 1), (2880, 2880, 32, 4, 1), (4096, 14336, 8, 2, 1), (4096, 1536, 128, 8, 4)),
    expert_rows=(1, 2, 4, 8, 16, 64, 128, 256, 512, 1024, 2048, 4096, 8192),
    heads=((8, 1, 128), (16, 16, 128), (32, 8, 128), (64, 8, 64)),
    prompts=tuple((sequences, tokens) for sequences in (1, 4) for tokens in _PROMPTS if sequences * tokens <= 16384),
    sequences=(1, 8, 64, 256),
    contexts=(127, 511, 1023, 4095, 16383),
    messages=_MESSAGES,
)


def operators(text: str) -> tuple[Measured, ...]:
    """The operators named in `text`, separated by commas; all where it is empty. Raises InputError for an unknown one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in tuple(Measured):
            raise InputError("unknown operator", given=name, allowed=Measured, hint=did_you_mean(name, Measured))
    return tuple(Measured(name) for name in names) or tuple(Measured)


def plan(wanted: Sequence[Measured], grid: Grid, peers: Sequence[int] = ()) -> tuple[Trial, ...]:
    """The trials of the operators `wanted` over `grid` in the order in which to run them; collectives once for each number of `peers`.

    >>> [str(trial) for trial in plan([Measured.PRODUCT], QUICK)[:3]]
    ['product bf16 1 x 2048 x 2048', 'product fp8 1 x 2048 x 2048', 'product int8 1 x 2048 x 2048']
    """
    turns = [_spread(group) for operator in dict.fromkeys(wanted) for group in _groups(operator, grid, peers)]
    return tuple(trial for trial in chain.from_iterable(zip_longest(*turns)) if trial is not None)


def _groups(operator: Measured, grid: Grid, peers: Sequence[int]) -> Iterable[Sequence[Trial]]:
    """The trials of one operator in groups that take turns: a group is what one kernel runs."""
    match operator:
        case Measured.PRODUCT:
            yield from (_products(grid, name) for name in PRODUCT_FORMATS)
        case Measured.GROUPED_PRODUCT:
            yield from (_grouped_products(grid, name) for name in GROUPED_FORMATS)
        case Measured.PREFILL_ATTENTION:
            yield _prefills(grid)
        case Measured.DECODE_ATTENTION:
            yield _decodes(grid)
        case _:
            yield from (
                [Collective(operator=operator, peers=p, message_bytes=size) for size in grid.messages] for p in _pairs(operator, peers)
            )


def _pairs(operator: Measured, peers: Sequence[int]) -> Sequence[int]:
    """A send has two ends, however many chips there are."""
    return peers if operator is not Measured.SEND else [number for number in peers if number == 2]


def _products(grid: Grid, name: str) -> Sequence[Trial]:
    return [Product(format=name, rows=rows, inner=inner, outer=outer) for inner, outer in grid.layers for rows in grid.rows]


def _grouped_products(grid: Grid, name: str) -> Sequence[Trial]:
    return [
        GroupedProduct(format=name, rows=rows, inner=hidden, outer=size, experts=experts, experts_per_token=chosen, expert_peers=chips)
        for hidden, size, experts, chosen, chips in grid.mixtures
        for rows in grid.expert_rows
    ]


def _prefills(grid: Grid) -> Sequence[Trial]:
    return [_attention(heads, sequences, tokens, 0) for heads in grid.heads for sequences, tokens in grid.prompts]


def _decodes(grid: Grid) -> Sequence[Trial]:
    loads = [(sequences, context) for sequences in grid.sequences for context in grid.contexts if sequences * context <= MOST_CACHED]
    return [_attention(heads, sequences, 1, context) for heads in grid.heads for sequences, context in loads]


def _attention(heads: tuple[int, int, int], sequences: int, new_tokens: int, context: int) -> Attention:
    queries, keys, size = heads
    return Attention(sequences=sequences, new_tokens=new_tokens, context=context, heads=queries, kv_heads=keys, head_size=size)


def _spread(trials: Sequence[Trial]) -> list[Trial]:
    """From small to large by work, then in the order of van der Corput: any beginning of the list covers the whole range evenly."""
    by_size = sorted(trials, key=lambda trial: (flops(trial), operand_bytes(trial)))
    return [by_size[index] for index in _van_der_corput(len(by_size))]


def _van_der_corput(count: int) -> list[int]:
    """The numbers below `count` in the order of their reversed bits.

    >>> _van_der_corput(8)
    [0, 4, 2, 6, 1, 5, 3, 7]
    """
    bits = max(count - 1, 0).bit_length()
    reversed_bits = (int(f"{index:0{bits}b}"[::-1], 2) if bits else index for index in range(1 << bits))
    return [index for index in reversed_bits if index < count]
