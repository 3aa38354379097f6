"""How long requests are: input and output tokens, fixed or spread below their nominal length, and mixes of several kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.units import Dimensionless, Tokens, Unit

TokenNumbers = Annotated[NDArray[np.int64], Unit("token")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Nominal tokens of a request, in and out; each is drawn uniformly from `shortest` to 1 times nominal, fixed where that is 1.

    >>> Lengths(prompt=1000, output=500, shortest=0.8).mean_prompt
    900.0
    """

    prompt: Tokens
    output: Tokens
    shortest: Dimensionless = 1.0

    def __post_init__(self) -> None:
        for name, value in (("prompt", self.prompt), ("output", self.output)):
            if not 1 <= value < np.inf:
                raise InputError(f"the {name} length must be at least 1 token", given=value)
        if not 0 < self.shortest <= 1:
            raise InputError("shortest is a share of the nominal length", given=self.shortest, allowed="above 0, at most 1")

    @property
    def mean_prompt(self) -> Tokens:
        """Mean tokens of the prompt."""
        return self.prompt * (1 + self.shortest) / 2

    @property
    def mean_output(self) -> Tokens:
        """Mean tokens of the answer."""
        return self.output * (1 + self.shortest) / 2

    def sample(self, requests: int, generator: np.random.Generator) -> tuple[TokenNumbers, TokenNumbers]:
        """Input and output tokens of `requests` independent requests, whole and at least 1, each of shape (requests,)."""
        shares = generator.uniform(self.shortest, 1.0, size=(2, requests))
        nominal = np.array([[self.prompt], [self.output]])
        drawn = np.maximum(1, np.rint(shares * nominal)).astype(np.int64)
        return drawn[0], drawn[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKind:
    """A kind of request and its `share` of all requests."""

    share: Dimensionless
    lengths: Lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMix:
    """Several kinds of requests, whose shares sum to 1.

    >>> chat, document = Lengths(prompt=500, output=300), Lengths(prompt=8000, output=500)
    >>> mix = RequestMix(kinds=(RequestKind(share=0.75, lengths=chat), RequestKind(share=0.25, lengths=document)))
    >>> mix.mean_prompt, mix.mean_output
    (2375.0, 350.0)
    """

    kinds: tuple[RequestKind, ...]

    def __post_init__(self) -> None:
        shares = [kind.share for kind in self.kinds]
        if not all(0 < share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            raise InputError("the shares of a mix must be positive and sum to 1", given=shares)

    @property
    def mean_prompt(self) -> Tokens:
        """Mean tokens of a prompt, over all kinds."""
        return sum(kind.share * kind.lengths.mean_prompt for kind in self.kinds)

    @property
    def mean_output(self) -> Tokens:
        """Mean tokens of an answer, over all kinds."""
        return sum(kind.share * kind.lengths.mean_output for kind in self.kinds)

    def sample(self, requests: int, generator: np.random.Generator) -> tuple[TokenNumbers, TokenNumbers]:
        """Input and output tokens of `requests` independent requests of mixed kinds, each of shape (requests,)."""
        chosen = generator.choice(len(self.kinds), size=requests, p=[kind.share for kind in self.kinds])
        drawn = np.array([kind.lengths.sample(requests, generator) for kind in self.kinds])
        columns = np.arange(requests)
        return drawn[chosen, 0, columns], drawn[chosen, 1, columns]
