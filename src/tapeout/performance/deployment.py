"""Deployments: how a model lies on chips, whether it fits, and how many sequences it can hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from tapeout.hardware.chip import Chip
from tapeout.performance.step import Layout
from tapeout.units import Unit
from tapeout.workload.architecture import Architecture
from tapeout.workload.footprint import kv_bytes_per_sequence, weight_bytes
from tapeout.workload.numerics import Numerics
from tapeout.workload.operators import Role

Array = NDArray[np.float64]

ACTIVATION_COPIES = 12
"""Activation buffers of the hidden size alive at once per token of the budget, a generous count for the workspace."""
LISTED = 12
"""Allowed values that a message lists before it shortens the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`tensor` x `pipeline` chips hold one copy of attention; `data` such ranks form a replica; `expert` splits the experts."""

    tensor: int
    pipeline: int = 1
    expert: int = 1
    data: int = 1

    @property
    def chips(self) -> int:
        """Chips of one replica."""
        return self.tensor * self.pipeline * self.data

    @property
    def label(self) -> str:
        """The deployment in words, such as `tp 4, ep 4`; what is 1 is left out, `tp` never is."""
        return _label(self)

    def refusal(self, architecture: Architecture, chip: Chip, chips: int) -> str | None:
        """Why the deployment is impossible on `chips` chips, with the values that would work, or None where it is possible."""
        for group in architecture.groups:
            experts = group.experts
            for heads in group.heads:
                if heads % self.tensor:
                    common = math.gcd(chips, *(other for one in architecture.groups for other in one.heads))
                    fits = [size for size in _divisors(common) if size <= chip.scale_up.domain]
                    return f"tp {self.tensor} does not divide {heads} heads, allowed: {_listed(fits)}"
            if experts and experts % self.expert:
                return f"ep {self.expert} does not divide {experts} experts, allowed: {self._expert_splits(experts)}"
        if self.pipeline > architecture.layers:
            return f"pp {self.pipeline} exceeds {architecture.layers} layers, allowed: 1 to {architecture.layers}"
        if self.expert > 1 and not architecture.has_experts:
            return f"ep {self.expert} but {architecture.name} has no experts, allowed: 1"
        if self.tensor * self.data % self.expert or (self.expert > self.tensor and self.expert % self.tensor):
            experts = max(group.experts for group in architecture.groups)
            return f"ep {self.expert} does not divide tp x dp = {self.tensor * self.data}, allowed: {self._expert_splits(experts)}"
        if self.chips > chips:
            return f"tp x pp x dp = {self.chips} exceeds {chips} chips, allowed: {_listed(_divisors(chips))}"
        if chips % self.chips:
            return f"tp x pp x dp = {self.chips} does not divide {chips} chips, allowed: {_listed(_divisors(chips))}"
        if self.tensor > chip.scale_up.domain:
            fits = [size for size in _divisors(self.tensor) if size <= chip.scale_up.domain]
            return f"tp {self.tensor} exceeds the scale-up domain of {chip.scale_up.domain}, allowed: {_listed(fits)}, with more pp or dp"
        return None

    def _expert_splits(self, experts: int) -> str:
        splits = [size for size in _divisors(experts) if self.tensor * self.data % size == 0]
        return _listed([size for size in splits if size <= self.tensor or size % self.tensor == 0])


def _divisors(number: int) -> list[int]:
    small = [size for size in range(1, math.isqrt(number) + 1) if number % size == 0]
    return sorted({*small, *(number // size for size in small)})


def _listed(sizes: list[int]) -> str:
    shown = [str(size) for size in sizes]
    return ", ".join(shown if len(shown) <= LISTED else [*shown[: LISTED - 1], "...", shown[-1]])


@cache
def _label(found: Deployment) -> str:
    rest = (("pp", found.pipeline), ("ep", found.expert), ("dp", found.data))
    return ", ".join([f"tp {found.tensor}", *(f"{name} {size}" for name, size in rest if size > 1)])


def deployments(architecture: Architecture, chip: Chip, chips: int) -> list[Deployment]:
    """The deployments worth trying on `chips` chips: powers of two in tensor and pipeline, experts split with the tensors or over all."""
    powers = [2**exponent for exponent in range(chips.bit_length()) if chips % 2**exponent == 0]
    candidates = [Deployment(tensor=tensor, pipeline=stages) for tensor in powers for stages in powers if stages <= 4]
    if architecture.has_experts:
        candidates += [Deployment(tensor=tensor, expert=tensor) for tensor in powers if tensor > 1]
        candidates += [Deployment(tensor=1, expert=ranks, data=ranks) for ranks in powers if ranks > 1]
    return [candidate for candidate in candidates if candidate.refusal(architecture, chip, chips) is None]


def weight_formats(numerics: list[Numerics]) -> dict[Role, NDArray[np.int64]]:
    """Format codes by role for each case, as `weight_bytes` takes them."""
    return {
        Role.LINEAR: np.array([found.linear for found in numerics]),
        Role.EXPERT: np.array([found.expert for found in numerics]),
        Role.HEAD: np.array([found.head for found in numerics]),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """By case: bytes of weights and of free memory on a chip, and the sequences that fit a rank, as admitted and at full length."""

    weights: Annotated[Array, Unit("B")]
    free: Annotated[Array, Unit("B")]
    sequences: Annotated[Array, Unit("1")]
    full_sequences: Annotated[Array, Unit("1")]

    @property
    def fits(self) -> NDArray[np.bool_]:
        """Whether weights and at least one sequence of full length fit."""
        return self.full_sequences >= 1


def capacity(cases: Layout, numerics: list[Numerics], prompt: Array, output: Array) -> Capacity:
    """How much of each case's memory is left for KV cache and how many sequences it holds.

    A scheduler keeps room for a part of the tokens still to come, so `sequences` counts each between its mean length and its end.
    """
    formats = {role: codes[cases.case] for role, codes in weight_formats(numerics).items()}
    cache = np.array([found.kv_cache for found in numerics])[cases.case]
    weights = np.add.reduceat(weight_bytes(cases.shapes, cases.row_sharding, formats), cases.starts)
    hidden = cases.shapes.hidden[cases.starts]
    free = cases.rates.capacity - weights - ACTIVATION_COPIES * 2 * cases.rates.token_budget * hidden / cases.sharding.tensor

    room = np.maximum(free, 0.0)

    def held(tokens: Array) -> Array:
        rows = kv_bytes_per_sequence(cases.shapes, cases.row_sharding, tokens[cases.case], cache)
        return np.add.reduceat(rows, cases.starts)

    counted = prompt + output * (1 + cases.rates.reserved) / 2
    return Capacity(weights=weights, free=free, sequences=room / held(counted), full_sequences=room / held(prompt + output))
