"""Quotes as a ranked table: the chips that serve, cheapest output token first, then those that do not, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tapeout.fleet.best import Carried
from tapeout.performance.best import Serving
from tapeout.report.numbers import NumberStyle
from tapeout.report.tables import Column, Table
from tapeout.sourcing.quotes import NoQuote, Quote

USD_PER_MTOKEN = NumberStyle(prefix="$", digits=3)
COLUMNS = (
    Column(key="chip", heading="Chip"),
    Column(key="deployment", heading="Best deployment"),
    Column(key="goodput_requests_per_s", heading="Requests/s", style=NumberStyle(digits=3)),
    Column(key="tokens_per_s_per_chip", heading="Tokens/s per chip", style=NumberStyle(digits=3)),
    Column(key="slo_attainment", heading="Keep limits", style=NumberStyle(digits=3, scale=100, suffix=" %")),
    Column(key="ttft_ms", heading="TTFT ms", style=NumberStyle(digits=3)),
    Column(key="tpot_ms", heading="TPOT ms", style=NumberStyle(digits=3)),
    Column(key="binding", heading="Bound by"),
    Column(key="usd_per_chip_hour", heading="$/chip-hour", style=USD_PER_MTOKEN),
    Column(key="usd_per_million_output_tokens.p50", heading="$/Mtok out", style=USD_PER_MTOKEN),
    Column(key="usd_per_million_output_tokens.p5", heading="p5", style=USD_PER_MTOKEN),
    Column(key="usd_per_million_output_tokens.p95", heading="p95", style=USD_PER_MTOKEN),
    Column(key="usd_per_million_blended_tokens", heading="blended", style=USD_PER_MTOKEN),
    Column(key="price_grade", heading="Price grade", tag=True),
)

MONEY = "$/Mtok out charges the whole query to its output tokens; p5 to p95 from price spread and prediction band."
UNDER_TRAFFIC = (
    "Requests/s are Poisson arrivals at one replica among several, at the highest rate at which enough queries keep the limits;",
    "TTFT and TPOT are what that share of them stays below.",
)


def price_rows(quotes: Sequence[Quote | NoQuote]) -> list[dict[str, Any]]:
    """One row a chip, with every number unrounded; a chip without a quote has a status that says why."""
    return [_quoted(quote) if isinstance(quote, Quote) else _unquoted(quote) for quote in quotes]


def price_table(title: str, quotes: Sequence[Quote | NoQuote], coefficients: str = "") -> Table:
    """The chips with a quote, ranked; the note says what the columns mean, and of which file `coefficients` are.

    It also says on which chips the weights are unpacked, because they lack the format.
    """
    rows = [row for row in price_rows(quotes) if row["status"] == "ok"]
    emulated: dict[str, list[str]] = {}
    for row in rows:
        emulated.setdefault(row["emulation"], []).append(row["chip"])
    columns = [column for column in COLUMNS if any(row.get(column.key.partition(".")[0]) is not None for row in rows)]
    loaded = any(row["measure"] == "goodput" for row in rows)
    said = [f"{', '.join(chips)}: {words}." for words, chips in emulated.items() if words]
    said += [f"Coefficients from {coefficients}."] if coefficients else []
    return Table(
        id="price",
        title=title,
        columns=tuple(columns) if rows else COLUMNS,
        rows=rows,
        note=" ".join([*(UNDER_TRAFFIC if loaded else ()), MONEY, *said]),
    )


def refusal_table(quotes: Sequence[Quote | NoQuote]) -> Table:
    """The chips without a quote, and why."""
    columns = (Column(key="chip", heading="Chip"), Column(key="status", heading="Why not"))
    return Table(id="not-served", title="No quote", columns=columns, rows=[row for row in price_rows(quotes) if row["status"] != "ok"])


def _quoted(quote: Quote) -> dict[str, Any]:
    serving, found = quote.serving, quote.serving.prediction
    deployment = found.deployment
    rate = serving.rate
    return {
        "chip": serving.chip.id,
        "status": "ok",
        "chips": serving.chips,
        "tp": deployment.tensor,
        "pp": deployment.pipeline,
        "ep": deployment.expert,
        "dp": deployment.data,
        "deployment": deployment.label,
        "concurrency": serving.users,
        "tokens_per_s_per_chip": rate.value,
        "tokens_per_s_per_chip_low": rate.low,
        "tokens_per_s_per_chip_high": rate.high,
        **traffic(serving),
        "binding": found.binding,
        "emulation": found.emulation,
        "usd_per_chip_hour": quote.hour.value,
        "usd_per_million_output_tokens": {
            "p5": quote.output_token_p5 * 1e6,
            "p50": quote.output_token * 1e6,
            "p95": quote.output_token_p95 * 1e6,
        },
        "usd_per_million_input_tokens": quote.input_token * 1e6,
        "usd_per_million_blended_tokens": quote.blended_token * 1e6,
        "usd_per_query": quote.query,
        "price_rule": quote.hour.rule,
        "price_grade": quote.hour.grade,
        "price_sources": list(quote.hour.sources),
    }


def traffic(serving: Serving) -> dict[str, Any]:
    """The load of a serving and its latencies: under traffic, or means in a closed loop, which know of no requests."""
    return _under_traffic(serving) if isinstance(serving, Carried) else _in_steady_state(serving)


def _under_traffic(serving: Carried) -> dict[str, Any]:
    """The load and what the wanted share of requests stays below."""
    policy = serving.fleet.engine.policy
    return {
        "measure": "goodput",
        "goodput_requests_per_s": serving.replica_rate,
        "slo_attainment": serving.attainment,
        "slo_attainment_wanted": serving.level.attainment,
        "ttft_ms": serving.ttft * 1e3,
        "tpot_ms": serving.tpot * 1e3,
        "token_budget": policy.token_budget,
        "most_sequences": policy.most_sequences,
    }


def _in_steady_state(serving: Serving) -> dict[str, Any]:
    """The same keys for means in a closed loop, which have neither a rate of requests nor a share of them that keeps limits."""
    names = ("goodput_requests_per_s", "slo_attainment", "slo_attainment_wanted")
    found = serving.prediction
    return {
        "measure": "steady state",
        **dict.fromkeys(names),
        "ttft_ms": found.ttft.value * 1e3,
        "tpot_ms": found.tpot.value * 1e3,
        "token_budget": None,
        "most_sequences": None,
    }


def _unquoted(quote: NoQuote) -> dict[str, Any]:
    return {"chip": quote.chip.id, "status": quote.reason}
