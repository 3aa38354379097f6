"""The limits and rules of one engine's scheduler."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from tapeout.errors import InputError
from tapeout.serving.speculation import Speculation
from tapeout.units import Seconds


class Order(StrEnum):
    """Who of those waiting starts next, and who of those running goes first where blocks run out: the last come of the least urgent."""

    FIRST_COME = "first come"
    PRIORITY = "priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Limits of one engine: tokens and sequences of a step, and `blocks` of `block_size` tokens in the KV cache.

    A request starts where all its tokens find room, or, with `admits_by_chunk` (vLLM before March 2026), those of its first step. A
    step takes at most `chunk` tokens of one prompt. A request that must make room loses what it computed and computes it again;
    with `swap`, its blocks are copied to the host and back instead, at so many seconds a block. With `prefix_caching` blocks of
    prompts stay findable by their names until their room is needed. With `prompts_first`, the order of SGLang without its estimates, a
    step that can take tokens of prompts takes nothing else, and who decodes waits; a request sent away counts as a prompt until it has
    caught up. With `speculation` a sequence may get several tokens from a step.
    """

    token_budget: int
    most_sequences: int
    blocks: int
    block_size: int = 16
    chunk: int | None = None
    order: Order = Order.FIRST_COME
    swap: Seconds | None = None
    prefix_caching: bool = False
    prompts_first: bool = False
    admits_by_chunk: bool = False
    speculation: Speculation | None = None

    def __post_init__(self) -> None:
        for name in ("token_budget", "most_sequences", "blocks", "block_size", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1", given=value)
        if self.swap is not None and not (0 <= self.swap < math.inf):
            raise InputError("the time to swap a block must be finite and not below 0", given=self.swap)
        if self.swap is not None and self.prefix_caching:
            raise InputError(
                "swapping and prefix caching exclude each other", hint="with prefix caching, what is lost is mostly found again"
            )

    def blocks_for(self, tokens: int) -> int:
        """Blocks that hold `tokens` tokens of one sequence.

        >>> Policy(token_budget=8, most_sequences=2, blocks=9, block_size=16).blocks_for(17)
        2
        """
        return -(-tokens // self.block_size)
