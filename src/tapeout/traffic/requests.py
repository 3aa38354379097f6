"""A trace: requests with their arrivals, lengths, urgency and the names of what their prompts hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.errors import InputError
from tapeout.units import Unit

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Times = Annotated[Floats, Unit("s")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What blocks of requests hold: those of request `r` are `name[start[r]:start[r + 1]]`, each for `block` tokens.

    A name stands for all tokens up to the end of its block, so two requests with one name share everything up to there.
    """

    name: Integers
    start: Integers
    block: int

    def __post_init__(self) -> None:
        if self.block < 1:
            raise InputError("a named block holds at least 1 token", given=self.block)
        if len(self.start) == 0 or self.start[0] != 0 or self.start[-1] != len(self.name) or (np.diff(self.start) < 0).any():
            raise InputError(
                "starts of names must rise from 0 to their number", given=self.start[-1:].tolist(), allowed=str(len(self.name))
            )
        if (self.name < 0).any():
            raise InputError("a name is a whole number of 0 or more", given=int(self.name.min()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """A trace: `prompt` and `output` tokens of each request, and `arrival` times in order.

    With `users` it is a closed loop: `arrival` holds the times of the first `users` requests, and each completion sends the next.
    A lower `priority` is more urgent. `names` say what prompts share; they may reach into the answers, where later prompts repeat them.
    """

    arrival: Times
    prompt: Annotated[Integers, Unit("token")]
    output: Annotated[Integers, Unit("token")]
    users: int | None = None
    priority: Annotated[Integers, Unit("1")] | None = None
    names: Names | None = None

    def __post_init__(self) -> None:
        count, timed = len(self.prompt), len(self.prompt) if self.users is None else self.users
        if count == 0:
            raise InputError("the trace is empty")
        if len(self.output) != count:
            raise InputError("prompt and output differ in length", given=f"{count} prompts, {len(self.output)} outputs")
        if not 1 <= timed <= count or len(self.arrival) != timed:
            raise InputError("wrong number of arrival times", given=len(self.arrival), allowed=f"{timed}, between 1 and {count}")
        _reject(~np.isfinite(self.arrival) | (self.arrival < 0), self.arrival, "an arrival time", "a finite time of 0 s or more")
        _reject(np.diff(self.arrival, prepend=0.0) < 0, self.arrival, "arrival times", "times in order")
        for name, tokens in (("prompt", self.prompt), ("output", self.output)):
            if not np.issubdtype(tokens.dtype, np.integer):
                raise InputError(f"{name} must hold whole numbers of tokens", given=str(tokens.dtype))
            _reject(tokens < 1, tokens, f"{name} of a request", "1 token or more")
        if self.priority is not None:
            if len(self.priority) != count or not np.issubdtype(self.priority.dtype, np.integer):
                raise InputError("priority must hold a whole number for each request", given=f"{len(self.priority)} {self.priority.dtype}")
            _reject(np.abs(self.priority) > MOST_URGENT, self.priority, "priority", f"-{MOST_URGENT} to {MOST_URGENT}")
        if self.names is not None:
            if len(self.names.start) != count + 1:
                raise InputError("names must be given for each request", given=len(self.names.start) - 1, allowed=str(count))
            _reject(
                np.diff(self.names.start) * self.names.block > self.prompt + self.output, np.diff(self.names.start),
                "number of names", "as many as fill prompt and output",
            )  # fmt: skip

    def __len__(self) -> int:
        return len(self.prompt)


def some_of(requests: Requests, rows: Integers | slice, users: int | None = None) -> Requests:
    """The requests `rows`, in their order; of a closed loop those of so many `users`, or all at once."""
    names = requests.names
    if names is not None:
        counts, begins = np.diff(names.start)[rows], names.start[:-1][rows]
        start = np.concatenate(([0], np.cumsum(counts)))
        # Places of each one's names count up from where its own begin.
        places = np.arange(start[-1]) + np.repeat(begins - start[:-1], counts)
        names = Names(name=names.name[places], start=start, block=names.block)
    prompt = requests.prompt[rows]
    return Requests(
        arrival=requests.arrival[rows] if requests.users is None else np.zeros(users or len(prompt)),
        prompt=prompt, output=requests.output[rows], users=users,
        priority=None if requests.priority is None else requests.priority[rows], names=names,
    )  # fmt: skip


MOST_URGENT = 2**30 - 1


def _reject(bad: NDArray[np.bool_], values: NDArray[np.generic], what: str, allowed: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise InputError(f"bad {what}, at request {row}", given=values[row], allowed=allowed)
