"""A design in words: what its tokens cost, why it wins or loses against the chips on offer, when it breaks even, and which limit binds."""

from __future__ import annotations

import math

import numpy as np

from tapeout.design.search import Aim
from tapeout.design.sweep import STAGING
from tapeout.hardware.chip import NumberFormat
from tapeout.hardware.densities import supplies
from tapeout.hardware.designs import highest_clock, supply_range
from tapeout.performance.best import NotServed
from tapeout.report.design_break_even import BreakEven
from tapeout.report.design_run import Against, Designed
from tapeout.report.design_view import HOURLY, MILLION_TOKENS, NO_ROOM, best_rival, binding_limits
from tapeout.report.numbers import COMPACT, PERCENT

AT_FLOOR = 1e-3
"""Share above the lowest supply of the node up to which a design counts as being at it."""


def verdict(found: Designed) -> tuple[str, ...]:
    """Sentences, the answer first."""
    certificate = found.found.certificate
    return (
        _answer(found),
        *_reasons(found),
        *_even(found),
        *_limits(found),
        f"Of {certificate.combinations:,} designs on the grid {certificate.candidates:,} can be built and serve all workloads; smaller "
        f"steps around the best looked at {found.looked_at:,} more. Both go by mean latencies; what is compared here is under traffic.",
    )


def _answer(found: Designed) -> str:
    volume, rival = found.brief.question.economics.volume, best_rival(found)
    unserved = [
        f"{one.name}: {each.reason}"
        for one, each in zip(found.brief.question.workloads, found.goodput.servings, strict=True)
        if isinstance(each, NotServed)
    ]
    if unserved:
        return f"The best chip found by mean latencies does not serve all workloads under traffic: {'; '.join(unserved)}."
    cost = (
        f"The {'cheapest' if found.found.aim is Aim.COST else 'thriftiest'} chip found makes a million output tokens for "
        f"{MILLION_TOKENS.show(found.usd_per_token)} at {volume:,.0f} chips, its "
        f"one-off cost of ${found.best.one_off / 1e6:,.0f} million included."
    )
    if rival is None:
        return f"{cost} No chip on offer serves all of the workloads."
    ratio = rival.usd_per_token / found.usd_per_token
    share = (
        ""
        if found.even is None
        else f" It is the cheaper one in {PERCENT.show(float(np.mean(found.even.own < found.even.rival)))} of the draws."
    )
    return (
        f"{cost} It {'wins' if ratio > 1 else 'loses'}: on {rival.rival.chip.name}, the cheapest of the chips on offer, they cost "
        f"{MILLION_TOKENS.show(rival.usd_per_token)}, {_times(ratio)} as much.{share}"
    )


def _reasons(found: Designed) -> list[str]:
    rival, best = best_rival(found), found.best
    if rival is None or not math.isfinite(found.goodput.seconds):
        return []
    bare = float(found.brief.question.economics.own_usd_per_hour(best.unit_cost, 0.0, best.power))
    chip, own = rival.rival.chip, found.chip
    alike = [name for name in NumberFormat if name in chip.peak and name in own.peak]
    peak = f" and {_times(chip.peak[alike[-1]].value / own.peak[alike[-1]].value)} the peak in {alike[-1]}" if alike else ""
    why = (
        f"An hour of {chip.name} costs {_times(rival.rival.hour / best.hour)} as much, and it serves "
        f"{_times(found.goodput.seconds / rival.goodput.seconds)} as many tokens: it has "
        f"{_times(chip.memory.bandwidth.value / own.memory.bandwidth.value)} the memory bandwidth{peak}. Of the "
        f"{HOURLY.show(best.hour)} of the design's hour {HOURLY.show(best.hour - bare)} pay its one-off cost."
    )
    return [why, *_steady(found, rival)]


def _steady(found: Designed, rival: Against) -> list[str]:
    """Whether mean latencies alone would give another answer."""
    steady = found.steady_rival
    if steady is None:
        return []
    wins, wins_by_means = found.usd_per_token < rival.usd_per_token, found.best.usd_per_token < steady.steady_usd_per_token
    costs = (
        f"{MILLION_TOKENS.show(found.best.usd_per_token)} against {MILLION_TOKENS.show(steady.steady_usd_per_token)} on "
        f"{steady.rival.chip.name}"
    )
    if wins != wins_by_means:
        return [f"Traffic decides it: by mean latencies alone the design would {'win' if wins_by_means else 'lose'}, {costs}."]
    if steady is not rival:
        return [f"By mean latencies alone it would be {costs}: another chip on offer, and the same verdict."]
    return [f"By mean latencies alone it would be {costs}: the same verdict."]


def _even(found: Designed) -> list[str]:
    needed = f"The peak of the plan needs {found.brief.peak * found.goodput.seconds:,.0f} of them."
    if found.even is None:
        return [needed] if math.isfinite(found.goodput.seconds) else []
    if not math.isfinite(found.even.middle):
        return [f"At no volume does it break even: its recurring cost alone is above that. {_odds(found.even)} {needed}"]
    return [f"It breaks even from {found.even.middle:,.0f} chips on. {_odds(found.even)} {needed}"]


def _odds(even: BreakEven) -> str:
    share = float(np.mean(np.isfinite(even.draws)))
    low, high = (float(np.percentile(even.draws, end, method="higher")) for end in (5, 95))
    ends = " to ".join(f"{end:,.0f}" if math.isfinite(end) else "never" for end in (low, high))
    return (
        f"Drawn over unit cost, one-off cost, the rival's price and the error of both speeds it does so in {PERCENT.show(share)} of the "
        f"draws (5 to 95 %: {ends})."
    )


def _limits(found: Designed) -> list[str]:
    binding = binding_limits(found)
    rule = next((one for one in found.margins if one.name == STAGING and one.margin <= NO_ROOM), None)
    named = "; ".join(f"{one.name} ({one.given}; {one.allowed}; {one.source})" for one in binding)
    words = [f"The limit{' that binds is' if len(binding) == 1 else 's that bind are'} {named}."]
    if rule is not None:
        words.append(f"On-chip memory, {rule.given}, is what a rule of the search asks for ({rule.allowed}): no more is rewarded.")
    designs, voltage = found.built.designs, found.built.voltage
    lowest = supply_range(designs)[0]
    if float(voltage[0]) <= float(lowest[0]) * (1 + AT_FLOOR):
        fact = supplies()[found.best.parameters.node]
        words.append(
            f"The supply stands at the lowest of the node, {float(lowest[0]):.3g} V ({fact.grade}: {fact.source}), which allows "
            f"{float(highest_clock(designs, lowest)[0]) / 1e9:.2f} GHz: a slower clock would save no more voltage."
        )
    return words


def _times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 100 else f"{COMPACT.show(ratio)} times"
