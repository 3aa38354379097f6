"""The operators of trials in PyTorch, each in every way that it knows: which one is fast, or there at all, depends on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from tapeout.calibration.benchmark_trial import Attention, Collective, GroupedProduct, Product, Trial
from tapeout.errors import UnsupportedTrialError

Tensor = Any
Call = Callable[[], object]
Take = Callable[[tuple[int, ...], Any], Tensor]
"""Operands of a shape and a type, filled, and not in any cache."""

FP8_TYPES = ("float8_e4m3fn", "float8_e4m3fnuz")
"""The two layouts of 8-bit floating point with 4 bits of exponent; a device has at most one of them."""
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run an operator: `build` takes operands and returns the call; calls run inside `setting`."""

    name: str
    build: Callable[[Take], Call]
    setting: Callable[[], AbstractContextManager[Any]] = field(default=nullcontext)


def ways(trial: Trial, device: Any) -> list[Way]:
    """All ways to run `trial`; that one of them is listed does not say that the device has it."""
    match trial:
        case Product():
            return list(_products(trial, device))
        case GroupedProduct():
            return list(_grouped_products(trial, device))
        case Attention():
            return list(_decodes(trial) if trial.new_tokens == 1 else _prefills(trial))
        case Collective():
            raise UnsupportedTrialError("a collective needs several processes")


Multiply = Callable[[Tensor, Tensor], Tensor]
"""Rows in bf16 times weights in the format of the trial, to rows in bf16: a linear layer, with the conversion of what comes in."""


def _products(trial: Product, device: Any) -> Iterator[Way]:
    match trial.format:
        case "bf16":
            yield Way(name="mm", build=partial(_product, trial, torch.bfloat16, torch.mm))
        case "int8":
            scale = torch.ones((), dtype=torch.bfloat16, device=device)
            yield Way(name="_int_mm", build=partial(_product, trial, torch.int8, partial(_integer_product, scale)))
        case "fp8":
            for dtype in _fp8_types():
                yield Way(name=f"_scaled_mm {_name(dtype)}", build=partial(_product, trial, dtype, _scaled(dtype, device)))
        case _:
            raise UnsupportedTrialError(f"PyTorch has no product in {trial.format}")


def _product(trial: Product, dtype: Any, multiply: Multiply, take: Take) -> Call:
    # Weights lie as a linear layer stores them, so that they enter the product transposed.
    return partial(multiply, take((trial.rows, trial.inner), torch.bfloat16), take((trial.outer, trial.inner), dtype).t())


def _fp8_types() -> list[Any]:
    return [getattr(torch, name) for name in FP8_TYPES if hasattr(torch, name)]


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _integer_product(scale: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
    return torch._int_mm(rows.to(torch.int8), weights) * scale


def _scaled(dtype: Any, device: Any) -> Multiply:
    """A product of 8-bit operands with one scale each, accumulated as fast as the device can, as serving stacks do."""
    return partial(_scaled_product, torch.ones((), device=device), dtype, device.type != "cpu")


def _scaled_product(one: Tensor, dtype: Any, fast: bool, rows: Tensor, weights: Tensor) -> Tensor:
    return torch._scaled_mm(rows.to(dtype), weights, one, one, out_dtype=torch.bfloat16, use_fast_accum=fast)


# ---------------------------------------------------------------- experts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Routing:
    """Which token goes to which expert of the busiest chip: `token` sorted by expert, `counts` by expert, the last two for the sum.

    `place` is where the rows of a token lie among those sorted, where all its experts are on this chip.
    """

    token: Tensor
    counts: tuple[int, ...]
    ends: Tensor
    weight: Tensor
    place: Tensor | None


def _routing(trial: GroupedProduct, device: Any) -> _Routing:
    """Every token to distinct experts by chance; of several chips the one with the most to do."""
    generator = torch.Generator().manual_seed(SEED)
    chosen = torch.rand((trial.rows, trial.experts), generator=generator).topk(trial.experts_per_token).indices
    local = trial.experts // trial.expert_peers
    busiest = int(torch.bincount(chosen.flatten() // local, minlength=trial.expert_peers).argmax())
    here = (chosen // local == busiest).flatten()
    expert = chosen.flatten()[here] % local
    order = torch.argsort(expert, stable=True)
    token = torch.arange(trial.rows).repeat_interleave(trial.experts_per_token)[here][order]
    counts = torch.bincount(expert, minlength=local)
    return _Routing(
        token=token.to(device),
        counts=tuple(counts.tolist()),
        ends=counts.cumsum(0).to(torch.int32).to(device),
        weight=torch.full((len(token), 1), 1 / trial.experts_per_token, dtype=torch.bfloat16, device=device),
        place=torch.argsort(order).to(device) if bool(here.all()) else None,
    )


Group = Callable[[_Routing, Tensor, Tensor], Tensor]
"""Rows in bf16, sorted by expert, times the weights (experts, inner, outer) of each, to rows in bf16."""


def _grouped_products(trial: GroupedProduct, device: Any) -> Iterator[Way]:
    groups: list[tuple[str, Any, Group]]
    match trial.format:
        case "bf16":
            one_by_one = partial(_one_by_one, torch.mm)
            groups = [(name, torch.bfloat16, run) for name, run in (("_grouped_mm", _grouped), ("bmm", _padded), ("mm", one_by_one))]
        case "fp8":
            groups = [(f"_scaled_grouped_mm {_name(dtype)}", dtype, partial(_scaled_grouped, dtype)) for dtype in _fp8_types()]
            groups += [(f"_scaled_mm {_name(dtype)}", dtype, partial(_one_by_one, _scaled(dtype, device))) for dtype in _fp8_types()]
        case _:
            raise UnsupportedTrialError(f"PyTorch has no grouped product in {trial.format}")
    routing = _routing(trial, device)
    for name, dtype, group in groups:
        yield Way(name=name, build=partial(_mixture, trial, routing, dtype, group))


def _mixture(trial: GroupedProduct, routing: _Routing, dtype: Any, group: Group, take: Take) -> Call:
    experts = len(routing.counts)
    tokens = take((trial.rows, trial.inner), torch.bfloat16)
    into = take((experts, 2 * trial.outer, trial.inner), dtype).transpose(1, 2)
    out = take((experts, trial.inner, trial.outer), dtype).transpose(1, 2)
    return partial(_run_mixture, routing, group, tokens, into, out)


def _run_mixture(routing: _Routing, group: Group, tokens: Tensor, into: Tensor, out: Tensor) -> Tensor:
    """Gather rows by expert, both products with the gating between them, and the weighted sum by token."""
    gate, up = group(routing, tokens[routing.token], into).chunk(2, dim=-1)
    rows = group(routing, functional.silu(gate) * up, out) * routing.weight
    if routing.place is not None:
        return rows[routing.place].view(len(tokens), -1, rows.shape[-1]).sum(1)
    return rows.new_zeros((len(tokens), rows.shape[-1])).index_add_(0, routing.token, rows)


def _grouped(routing: _Routing, rows: Tensor, weights: Tensor) -> Tensor:
    return torch._grouped_mm(rows, weights, offs=routing.ends)


def _scaled_grouped(dtype: Any, routing: _Routing, rows: Tensor, weights: Tensor) -> Tensor:
    by_row = torch.ones(len(rows), device=rows.device)
    by_column = torch.ones((weights.shape[0], weights.shape[2]), device=rows.device)
    return torch._scaled_grouped_mm(
        rows.to(dtype), weights, by_row, by_column, offs=routing.ends, out_dtype=torch.bfloat16, use_fast_accum=True
    )


def _padded(routing: _Routing, rows: Tensor, weights: Tensor) -> Tensor:
    """One batched product: each expert's rows filled up to the most of any."""
    most = max(routing.counts)
    starts = routing.ends - torch.diff(routing.ends, prepend=routing.ends.new_zeros(1))
    reach = torch.arange(most, device=rows.device)
    picked = (starts[:, None] + reach).clamp(max=len(rows) - 1)
    filled = torch.bmm(rows[picked], weights)
    expert = torch.searchsorted(routing.ends, torch.arange(len(rows), device=rows.device, dtype=torch.int32), right=True)
    return filled[expert, torch.arange(len(rows), device=rows.device) - starts[expert]]


def _one_by_one(multiply: Multiply, routing: _Routing, rows: Tensor, weights: Tensor) -> Tensor:
    parts = zip(rows.split(routing.counts), weights, strict=True)
    return torch.cat([multiply(part, weight) for part, weight in parts if len(part)])


# ---------------------------------------------------------------- attention


def _kernels() -> Iterator[tuple[str, Any]]:
    """The fused kernels of attention that PyTorch knows: all but the one that writes out the scores."""
    for name, backend in SDPBackend.__members__.items():
        if backend not in (SDPBackend.ERROR, SDPBackend.MATH):
            yield name.lower().replace("_", " "), backend


def _prefills(trial: Attention) -> Iterator[Way]:
    if trial.context:
        raise UnsupportedTrialError("PyTorch's causal mask starts at the first key, so that prompts on a cache cannot be measured")
    for name, backend in _kernels():
        yield Way(name=name, build=partial(_prefill, trial), setting=partial(sdpa_kernel, backend))


def _decodes(trial: Attention) -> Iterator[Way]:
    # One query attends to everything, so the query heads of a group may stand as its queries: the same numbers, keys read once.
    for name, backend in _kernels():
        yield Way(name=name, build=partial(_decode, trial, False), setting=partial(sdpa_kernel, backend))
        yield Way(name=f"{name}, heads as queries", build=partial(_decode, trial, True), setting=partial(sdpa_kernel, backend))


def _prefill(trial: Attention, take: Take) -> Call:
    queries = take((trial.sequences, trial.heads, trial.new_tokens, trial.head_size), torch.bfloat16)
    keys, values = _cache(trial, take)
    return partial(functional.scaled_dot_product_attention, queries, keys, values, is_causal=True, enable_gqa=trial.heads > trial.kv_heads)


def _decode(trial: Attention, as_queries: bool, take: Take) -> Call:
    group = trial.heads // trial.kv_heads
    shape = (trial.kv_heads, group, trial.head_size) if as_queries else (trial.heads, 1, trial.head_size)
    queries = take((trial.sequences, *shape), torch.bfloat16)
    keys, values = _cache(trial, take)
    grouped = not as_queries and group > 1
    return partial(functional.scaled_dot_product_attention, queries, keys, values, enable_gqa=grouped)


def _cache(trial: Attention, take: Take) -> tuple[Tensor, Tensor]:
    shape = (trial.sequences, trial.kv_heads, trial.context + trial.new_tokens, trial.head_size)
    return take(shape, torch.bfloat16), take(shape, torch.bfloat16)
