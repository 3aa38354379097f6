"""Lengths as they were seen: prompts and answers drawn together, so that what belongs together stays together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tapeout.errors import InputError
from tapeout.traffic.requests import Requests
from tapeout.workload.traffic import TokenNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class EmpiricalLengths:
    """Pairs of `prompt` and `output` tokens; each request draws one of them, all equally likely.

    >>> seen = EmpiricalLengths(prompt=np.array([100, 2000]), output=np.array([300, 20]))
    >>> prompt, output = seen.sample(1000, np.random.default_rng(1))
    >>> sorted(set(zip(prompt.tolist(), output.tolist())))
    [(100, 300), (2000, 20)]
    """

    prompt: TokenNumbers
    output: TokenNumbers

    def __post_init__(self) -> None:
        if len(self.prompt) != len(self.output):
            raise InputError("prompt and output differ in length", given=f"{len(self.prompt)} prompts, {len(self.output)} outputs")
        if len(self.prompt) == 0:
            raise InputError("no lengths to draw from")
        if min(self.prompt.min(), self.output.min()) < 1:
            raise InputError("a length is 1 token or more", given=int(min(self.prompt.min(), self.output.min())))

    def sample(self, requests: int, generator: np.random.Generator) -> tuple[TokenNumbers, TokenNumbers]:
        """Input and output tokens of `requests` independent requests, each of shape (requests,)."""
        rows = generator.integers(len(self.prompt), size=requests)
        return self.prompt[rows], self.output[rows]


def lengths_of(requests: Requests) -> EmpiricalLengths:
    """The lengths of a trace, without its times."""
    return EmpiricalLengths(prompt=requests.prompt, output=requests.output)
