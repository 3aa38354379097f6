"""Programmes and sites over time: how a programme goes, with its probability, and from when power is there."""

import pytest

from tapeout.report.plan_courses import courses
from tapeout.report.plan_gantt import HELD, ON_OFFER, ORDERED, UNDER_WAY, gantt_figure, programmes_table
from tests.report.plan_case import HIGH, one_path, plan


def test_a_programme_goes_each_of_its_ways() -> None:
    time, failed = courses(plan())
    assert (time.outcome, time.start, time.first_orders, time.serves, time.stop) == ("on time", 1, 3, 3, None)
    assert (failed.outcome, failed.start, failed.first_orders, failed.serves) == ("failed", 1, None, None)
    assert (time.probability, failed.probability) == pytest.approx((0.75 * HIGH, 0.25 * HIGH))
    assert time.spend == failed.spend == 1e6


def test_bars_begin_and_end_with_the_programme_its_chips_and_the_power() -> None:
    figure = gantt_figure(plan())
    assert figure is not None
    bars = {(row["row"], row["kind"]): (row["first"], row["last"]) for row in figure.table.rows}
    assert bars["tapeout: on time", UNDER_WAY] == ("Q1", "Q2")
    assert bars["tapeout: on time", ON_OFFER] == ("Q3", "Q7")
    assert bars["tapeout: failed", UNDER_WAY] == ("Q1", "Q2")
    assert ("tapeout: failed", ON_OFFER) not in bars
    assert bars["hall", ORDERED] == ("Q2", "Q2")
    assert bars["hall", HELD] == ("Q3", "Q7")
    held = next(row for row in figure.table.rows if row["kind"] == HELD)
    assert (held["probability"], held["power_w"]) == pytest.approx((HIGH, HIGH * 1e5))
    assert figure.option["yAxis"]["data"] == ["tapeout: on time", "tapeout: failed", "hall"]


def test_what_is_never_started_is_in_the_table_with_its_plan() -> None:
    rows = programmes_table(plan(), [("tapeout", 1e6), ("other", 5e6)]).rows
    assert [(row["programme"], row["started"], row["probability"]) for row in rows[2:]] == [
        ("tapeout", False, pytest.approx(1 - HIGH)),
        ("other", False, 1),
    ]
    (sure,) = programmes_table(one_path(), [("tapeout", 1e6)]).rows
    assert (sure["started"], sure["quarter"], sure["first_orders"], sure["probability"]) == (True, "Q1", "Q3", 1)
