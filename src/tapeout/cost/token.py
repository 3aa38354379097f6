"""From dollars per chip-hour and tokens per second to dollars per token and per query, and the joules of both.

Allocation between input and output: by chip time. A query occupies its share of a chip for input / prefill rate + output /
decode rate seconds; the first part is charged to its input tokens and the second to its output tokens, and a blended token is
the whole over all tokens. Published "dollars per million output tokens" of a saturated deployment charge everything to the
output; that is `usd_per_token` with the output rate, and `shared_cost` splits it by chip time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapeout.errors import InputError
from tapeout.units import HOUR, Unit

Array = NDArray[np.float64]
UsdPerTokenArray = Annotated[Array, Unit("USD/token")]

# of the normal distribution: the ends of the 80 % and of the 90 % band in standard deviations
_Z80, _Z90 = 1.2815515655446004, 1.6448536269514722


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCost:
    """Cost of serving: per input, output and blended token, per query, and the share of chip time spent on the input."""

    input: UsdPerTokenArray
    output: UsdPerTokenArray
    blended: UsdPerTokenArray
    query: Annotated[Array, Unit("USD/query")]
    prefill_share: Annotated[Array, Unit("1")]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCostBand:
    """Cost of one kind of token: the middle, its 80 % band and the 5th and 95th percentile of the same distribution."""

    value: UsdPerTokenArray
    low: UsdPerTokenArray
    high: UsdPerTokenArray
    p5: UsdPerTokenArray
    p95: UsdPerTokenArray


def usd_per_token(usd_per_hour: ArrayLike, tokens_per_second: ArrayLike) -> UsdPerTokenArray:
    """Cost of a token made at `tokens_per_second` per chip that costs `usd_per_hour`; broadcasts.

    >>> round(float(usd_per_token(1.41, 739.0)) * 1e6, 2)
    0.53
    """
    price, rate = _positive("the price", usd_per_hour, allow_zero=True), _positive("the token rate", tokens_per_second)
    return np.asarray(price / HOUR / rate)


def token_cost(
    usd_per_hour: ArrayLike,
    prefill_tokens_per_second: ArrayLike,
    decode_tokens_per_second: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
) -> TokenCost:
    """Cost of queries of given lengths, allocated by chip time.

    The rates are per chip while it does nothing else: input tokens per second of prefill, output tokens per second of decode.
    Lengths are tokens per query. Broadcasts. Raises InputError for rates and lengths that are not positive.

    >>> cost = token_cost(3.60, 10_000, 1_000, 1_000, 200)
    >>> [round(float(part) * 1e6, 3) for part in (cost.input, cost.output, cost.blended, cost.query)]
    [0.1, 1.0, 0.25, 300.0]
    """
    made_in = usd_per_token(usd_per_hour, prefill_tokens_per_second)
    made_out = usd_per_token(usd_per_hour, decode_tokens_per_second)
    taken, given = _positive("the input length", input_tokens), _positive("the output length", output_tokens)
    query = made_in * taken + made_out * given
    prefill_time = taken / np.asarray(prefill_tokens_per_second, dtype=np.float64)
    decode_time = given / np.asarray(decode_tokens_per_second, dtype=np.float64)
    share = prefill_time / (prefill_time + decode_time)
    arrays = np.broadcast_arrays(made_in, made_out, query / (taken + given), query, share)
    return TokenCost(input=arrays[0], output=arrays[1], blended=arrays[2], query=arrays[3], prefill_share=arrays[4])


def shared_cost(
    usd_per_hour: ArrayLike,
    output_tokens_per_second: ArrayLike,
    prefill_share: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
) -> TokenCost:
    """The same from one measured rate: output tokens per second per chip of a deployment that also prefills.

    `prefill_share`, in [0, 1), is the share of chip time that prefill takes; that share of the cost goes to the input tokens.

    >>> cost = shared_cost(3.60, 1_000, 0.25, 1_000, 250)
    >>> [round(float(part) * 1e6, 3) for part in (cost.input, cost.output, cost.blended, cost.query)]
    [0.062, 0.75, 0.2, 250.0]
    """
    taken, given = _positive("the input length", input_tokens), _positive("the output length", output_tokens)
    share = np.asarray(prefill_share, dtype=np.float64)
    if not (np.all(share >= 0) and np.all(share < 1)):
        raise InputError("the prefill share of chip time lies in [0, 1)", given=prefill_share)
    query = usd_per_token(usd_per_hour, output_tokens_per_second) * given
    arrays = np.broadcast_arrays(query * share / taken, query * (1 - share) / given, query / (taken + given), query, share)
    return TokenCost(input=arrays[0], output=arrays[1], blended=arrays[2], query=arrays[3], prefill_share=arrays[4])


def usd_per_query(cost: TokenCost, input_tokens: ArrayLike, output_tokens: ArrayLike) -> Annotated[Array, Unit("USD/query")]:
    """Cost of a query of other lengths at the token costs of `cost`.

    >>> cost = token_cost(3.60, 10_000, 1_000, 1_000, 200)
    >>> round(float(usd_per_query(cost, 2_000, 500)) * 1e3, 3)
    0.7
    """
    return np.asarray(cost.input * np.asarray(input_tokens, dtype=np.float64) + cost.output * np.asarray(output_tokens, dtype=np.float64))


def token_cost_band(
    usd_per_hour: tuple[ArrayLike, ArrayLike, ArrayLike], tokens_per_second: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> TokenCostBand:
    """Cost of a token from a price and a rate that each have value, low and high (80 % bands); broadcasts.

    Price and rate count as independent: their log half widths are added as root of the sum of squares, each side apart (a high
    price with a low rate makes the high cost). The percentiles take the logarithm as normal on either side of the middle.

    >>> band = token_cost_band((3.6, 1.8, 7.2), (1000, 1000, 1000))
    >>> [round(float(end) * 1e6, 3) for end in (band.low, band.value, band.high, band.p5, band.p95)]
    [0.5, 1.0, 2.0, 0.411, 2.434]
    """
    price, price_low, price_high = (_positive("the price", part) for part in usd_per_hour)
    rate, rate_low, rate_high = (_positive("the token rate", part) for part in tokens_per_second)
    if not (np.all(price_low <= price) and np.all(price <= price_high) and np.all(rate_low <= rate) and np.all(rate <= rate_high)):
        raise InputError("a band needs low <= value <= high", given=f"price {usd_per_hour}, rate {tokens_per_second}")
    value = usd_per_token(price, rate)
    down = np.hypot(np.log(price / price_low), np.log(rate_high / rate))
    up = np.hypot(np.log(price_high / price), np.log(rate / rate_low))
    stretch = _Z90 / _Z80
    return TokenCostBand(
        value=value,
        low=value * np.exp(-down),
        high=value * np.exp(up),
        p5=value * np.exp(-down * stretch),
        p95=value * np.exp(up * stretch),
    )


def joules_per_token(power: ArrayLike, load: ArrayLike, pue: ArrayLike, tokens_per_second: ArrayLike) -> Annotated[Array, Unit("J/token")]:
    """Energy at the meter per token: rated `power` of the chip with its share of the host (W) x load x PUE / tokens per second.

    >>> round(float(joules_per_token(1000, 0.8, 1.25, 500)), 3)
    2.0
    """
    rate = _positive("the token rate", tokens_per_second)
    return np.asarray(np.asarray(power, dtype=np.float64) * np.asarray(load) * np.asarray(pue) / rate)


def joules_per_query(
    active_parameters: ArrayLike, tokens: ArrayLike, flops_per_second: ArrayLike, power: ArrayLike, load: ArrayLike, pue: ArrayLike
) -> Annotated[Array, Unit("J/query")]:
    """Energy of a query that is compute-bound at `flops_per_second` achieved: 2 x active parameters x tokens / rate x power x load x PUE.

    Reproduces the published estimate of 0.3 Wh for a GPT-4o query: 100 billion active parameters, 500 tokens, 10 % of 989
    TFLOP/s, 1,275 W at 70 % load, PUE 1.2 [epoch-query-energy-sheet].

    >>> round(float(joules_per_query(100e9, 500, 0.10 * 989e12, 1275, 0.7, 1.2)) / 3600, 3)
    0.301
    """
    seconds = 2 * np.asarray(active_parameters, dtype=np.float64) * np.asarray(tokens) / _positive("the FLOP rate", flops_per_second)
    return np.asarray(seconds * np.asarray(power) * np.asarray(load) * np.asarray(pue))


def _positive(name: str, given: ArrayLike, *, allow_zero: bool = False) -> Array:
    array = np.asarray(given, dtype=np.float64)
    if not (np.all(np.isfinite(array)) and np.all(array >= 0 if allow_zero else array > 0)):
        raise InputError(f"{name} must be finite and {'not negative' if allow_zero else 'positive'}", given=given)
    return array
