import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.cost.draws import Draws, percentiles
from tapeout.cost.nre import Deal, acquisitions, cost_at_volume, one_off_cost
from tapeout.cost.programme import MODES, Payment, design_cost_draws, modes, programme
from tapeout.errors import InputError, UnknownNameError
from tapeout.hardware.process import process, processes
from tapeout.units import MONTH, QUARTER

DRAWS = Draws(count=20_000, seed=5)
AREA = 800e-6


@pytest.fixture(scope="module", params=sorted(MODES))
def drawn(request):
    return MODES[request.param](process("tsmc-3"), AREA, DRAWS)


def test_the_probability_of_volume_rises_and_ends_at_one_less_the_failures(drawn):
    chance = drawn.in_volume(drawn.quarters)
    assert np.all(np.diff(chance) >= 0)
    assert chance[0] == 0
    assert chance[-1] == pytest.approx(1 - drawn.failure, abs=1e-12)


def test_it_fails_as_often_as_its_mode_is_cancelled(drawn):
    fact = drawn.mode.cancellation
    share = float(DRAWS.share_of(fact, "how often programmes are cancelled").mean())
    assert fact.low <= drawn.failure <= fact.high
    assert abs(drawn.failure - share) < 5 * np.sqrt(share * (1 - share) / DRAWS.count)


def test_expected_cash_is_the_sum_over_the_phases(drawn):
    cash = drawn.cash(drawn.quarters)
    assert cash.shape == (DRAWS.count, drawn.quarters)
    assert np.all(cash >= -1e-6)
    assert float(cash.sum(axis=1).mean()) == pytest.approx(sum(float(phase.mean()) for phase in drawn.paid().values()), rel=1e-9)
    np.testing.assert_allclose(cash.sum(axis=1), sum(drawn.paid().values()))


def test_a_programme_that_runs_through_pays_all_that_was_planned_and_a_stopped_one_less(drawn):
    through = np.isinf(drawn.stopped)
    planned, paid = sum(drawn.planned().values()), sum(drawn.paid().values())
    np.testing.assert_allclose(paid[through], planned[through])
    assert np.all(paid[~through] < planned[~through])
    assert np.all(drawn.stopped[~through] <= drawn.calendar.volume[~through])


def test_one_off_cost_of_the_own_team_holds_the_published_ones():
    # Reuters: 500 million USD for OpenAI's first, up to twice that with software; SemiconductorX: 300 to 500 million at 5 nm
    three, five = (
        sum(MODES["own-team"](process(node), area, DRAWS).planned().values()) for node, area in (("tsmc-3", 8e-4), ("tsmc-5", 7e-4))
    )
    assert percentiles(three).p5 < 500e6 < percentiles(three).p50 < 1000e6 < percentiles(three).p95
    assert percentiles(five).p5 < 400e6 < percentiles(five).p95


def test_the_range_of_an_old_node_spans_what_was_published():
    # 16 nm: 12 to 35 million observed (SemiEngineering), 106 million by IBS, for the design of 300 mm2
    spread = percentiles(DRAWS.of(process("tsmc-16").design_cost, "design cost of the node"))
    assert spread.p5 == pytest.approx(12e6, rel=0.04)
    assert spread.p95 == pytest.approx(106e6, rel=0.04)


def test_the_middle_is_above_the_cost_of_the_plan_by_the_skew_of_the_ranges():
    known = one_off_cost(process("tsmc-3"), AREA)
    drawn = percentiles(design_cost_draws(process("tsmc-3"), AREA, DRAWS))
    assert drawn.p5 < known.design < drawn.p50 < 1.25 * known.design


@settings(max_examples=20, deadline=None)
@given(node=st.sampled_from(sorted(processes())), area=st.floats(50e-6, 700e-6), more=st.floats(1.05, 1.2))
def test_a_larger_die_never_costs_less_to_design(node, area, more):
    draws = Draws(count=200)
    assert np.all(design_cost_draws(process(node), area * more, draws) > design_cost_draws(process(node), area, draws))


def test_the_design_cost_is_told_apart_and_stays_whole():
    # IBS, 2 nm: of 725 million USD 314 are software and 154 verification
    payments = MODES["own-team"](process("tsmc-2"), AREA, DRAWS).payments
    parts = {name: payments[name].amount for name in ("design", "verification", "software")}
    np.testing.assert_allclose(sum(parts.values()), design_cost_draws(process("tsmc-2"), AREA, DRAWS))
    whole = float(np.median(sum(parts.values())))
    assert float(np.median(parts["software"])) / whole == pytest.approx(314 / 725, rel=0.05)
    assert float(np.median(parts["verification"])) / whole == pytest.approx(154 / 725, rel=0.05)
    assert all(np.all(amount >= 0) for amount in parts.values())


def test_modes_differ_as_their_facts_say():
    ways = {name: find(process("tsmc-3"), AREA, DRAWS) for name, find in MODES.items()}
    assert set(ways) == set(modes())
    design = {name: float(np.median(way.payments["design"].amount)) for name, way in ways.items()}
    assert design["own-team"] > design["design-partner"] > design["licence"]
    months = {name: percentiles(way.calendar.volume).p50 / MONTH for name, way in ways.items()}
    assert months["design-partner"] < months["own-team"]
    assert np.all(ways["own-team"].margin == 0)
    assert percentiles(ways["design-partner"].margin).p5 == pytest.approx(0.5, abs=0.01)
    assert {"fee"} == set(ways["licence"].payments) - set(ways["own-team"].payments)
    assert {"price", "retention"} == set(ways["acquisition"].payments) - set(ways["own-team"].payments)


def test_a_firm_costs_what_one_of_the_known_ones_did():
    price = MODES["acquisition"](process("tsmc-3"), AREA, DRAWS).payments["price"]
    deals = [deal.price for deal in acquisitions() if deal.deal is not Deal.LICENCE]
    assert np.median(price.amount) == pytest.approx(np.median([deal.value for deal in deals]), rel=0.2)
    assert price.amount.max() < 1.5 * max(deal.high for deal in deals)
    assert np.all(price.until(QUARTER) == price.amount)
    assert any(deal.deal is Deal.LICENCE and deal.target == "Groq" for deal in acquisitions())


def test_money_is_paid_evenly():
    payment = Payment(amount=np.array([100.0]), begin=np.array([QUARTER]), end=np.array([3 * QUARTER]))
    assert [float(payment.until(time)[0]) for time in (0, QUARTER, 2 * QUARTER, 3 * QUARTER, np.inf)] == [0, 0, 50, 100, 100]


def test_one_off_cost_does_not_ask_for_the_volume_and_its_share_falls_with_it():
    one_off = percentiles(sum(MODES["own-team"](process("tsmc-3"), AREA, DRAWS).planned().values())).p50
    shares = [cost_at_volume(3000.0, one_off, volume) for volume in (1e4, 1e5, 1e6)]
    assert shares == sorted(shares, reverse=True)
    assert cost_at_volume(3000.0, one_off, 1e15) == pytest.approx(3000.0)
    with pytest.raises(InputError, match="volume must be positive"):
        cost_at_volume(3000.0, one_off, 0)


@pytest.mark.parametrize("area", [0.0, -1e-6, 900e-6])
def test_a_die_that_no_reticle_holds_is_refused_with_the_limit_and_its_source(area):
    with pytest.raises(InputError, match=r"858 mm2, the reticle limit \[catch-layer-definitions\]"):
        MODES["own-team"](process("tsmc-3"), area, DRAWS)


def test_a_misspelt_mode_is_hinted():
    with pytest.raises(UnknownNameError, match="did you mean own-team"):
        programme("own-teem")
