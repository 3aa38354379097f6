"""Speculative decoding: a draft proposes tokens that the model then checks in one step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.serving.compiled import compiled_openly
from tapeout.units import Unit

Small = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """After each token that a sequence gets, a draft proposes as many as `acceptance` has places.

    `acceptance[j]` is the chance that place `j` is accepted if all before it were. `draft_seconds[s]` is what the proposals of a step
    take for `s` sequences.
    """

    acceptance: tuple[Annotated[float, Unit("1")], ...]
    draft_seconds: Annotated[NDArray[np.float64], Unit("s")]

    def __post_init__(self) -> None:
        if not self.acceptance or not all(0 <= chance <= 1 for chance in self.acceptance):
            raise InputError("bad acceptance of drafts", given=list(self.acceptance), allowed="a chance from 0 to 1 for each place")
        seconds = self.draft_seconds
        if not (len(seconds) > 1 and np.isfinite(seconds).all() and (seconds >= 0).all()):
            raise InputError("draft_seconds must hold finite times of 0 or more, for 0, 1, ... sequences", given=f"{len(seconds)} entries")

    @property
    def tokens(self) -> int:
        """Tokens that a draft proposes."""
        return len(self.acceptance)

    @property
    def mean_tokens(self) -> float:
        """Tokens that a sequence gets from a step on the mean.

        >>> Speculation(acceptance=(0.5, 0.5), draft_seconds=np.zeros(2)).mean_tokens
        1.75
        """
        return 1 + sum(math.prod(self.acceptance[: place + 1]) for place in range(self.tokens))


def accepted_draws(speculation: Speculation, draws: int, seed: int) -> Small:
    """Accepted tokens of `draws` independent drafts."""
    reach = np.cumprod(np.array(speculation.acceptance))
    found: Small = (np.random.default_rng(seed).random(draws)[:, None] < reach).sum(axis=1).astype(np.int32)
    return found


@compiled_openly
def draw_at(request: int, generated: int, draws: int) -> int:
    """The draw, of a power of two of them, for the draft after `generated` tokens of `request`: whatever else runs, the same."""
    mixed = (request * 2654435761 + generated * 2246822519) & 0xFFFFFFFF
    mixed ^= mixed >> 15
    mixed = (mixed * 2654435761) & 0xFFFFFFFF
    mixed ^= mixed >> 13
    return int(mixed & (draws - 1))
