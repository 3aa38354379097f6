"""The page of a validation: every point with its case, both axes of one range, whole without answers, safe against what a file says."""

import html
import json
import re
from dataclasses import replace

import pytest

from tapeout.calibration.measurements import Measurement, Quantity, published
from tapeout.calibration.scores import scores
from tapeout.calibration.validation import Comparison, Group, checked, compared
from tapeout.report.tables import flat
from tapeout.report.validation_figures import coverage_figure, error_figure, scatter_figures, within_figure
from tapeout.report.validation_page import validation_page
from tapeout.report.validation_view import excluded_table, rows_table, sources_table, summary_table, unanswered_table, worst_table

HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def rows() -> list[Measurement]:
    return checked(published())


@pytest.fixture(scope="module")
def found(rows: list[Measurement]) -> list[Comparison]:
    return compared(rows)


def page(rows: list[Measurement], found: list[Comparison]) -> str:
    return validation_page(title="t", measurements=rows, comparisons=found, colophon="c")


def test_every_answered_row_is_a_point_with_its_case(found: list[Comparison]) -> None:
    figures = {figure.id: figure for figure in scatter_figures(found)}
    assert list(figures) == ["scatter-ttft-ms", "scatter-tpot-ms", "scatter-output-tokens-per-s-per-chip"]
    for quantity, figure in zip(Quantity, figures.values(), strict=True):
        of_quantity = [one for one in found if one.quantity is quantity]
        points = [point for series in figure.option["series"] if series["type"] == "scatter" for point in series["data"]]
        assert len(points) == len(of_quantity) == len(figure.table.rows)
        assert {dict(point["lines"])["row"] for point in points} == {one.measurement.name for one in of_quantity}
        ratios = sorted(point["value"][1] / point["value"][0] for point in points)
        assert ratios == pytest.approx(sorted(one.ratio or 0.0 for one in of_quantity))


def test_the_diagonal_is_one_because_both_axes_have_one_range(found: list[Comparison]) -> None:
    for figure in scatter_figures(found):
        ends = [(figure.option[axis]["min"], figure.option[axis]["max"]) for axis in ("xAxis", "yAxis")]
        assert ends[0] == ends[1]
        values = [
            value for series in figure.option["series"] if series["type"] == "scatter" for p in series["data"] for value in p["value"]
        ]
        assert ends[0][0] <= min(values) <= max(values) <= ends[0][1]
        assert figure.option["series"][0]["data"] == [[ends[0][0]] * 2, [ends[0][1]] * 2]


def test_chips_keep_their_colour_from_chart_to_chart(found: list[Comparison]) -> None:
    colours: dict[str, set[str]] = {}
    for figure in scatter_figures(found):
        for key in figure.keys[:-2]:
            colours.setdefault(key.name, set()).add(key.colour)
    assert all(len(seen) == 1 for seen in colours.values())
    assert {colour for seen in colours.values() for colour in seen} >= {"@series-0", "@other"}


def test_boxes_and_bars_are_the_scores(found: list[Comparison]) -> None:
    by_chip = {(one.group, one.quantity): one for one in scores(found, Group.CHIP)}
    for series, quantity in zip(error_figure(found).option["series"], Quantity, strict=True):
        for box in series["data"]:
            one = by_chip.get((box["name"], quantity))
            expected = ["-"] * 5 if one is None else [one.least, one.lower, one.bias, one.upper, one.most]
            assert box["value"] == expected
    for series, quantity in zip(coverage_figure(found).option["series"], Quantity, strict=True):
        for bar in series["data"]:
            one = by_chip.get((bar["name"], quantity))
            assert bar["value"] == ("-" if one is None else one.coverage)


def test_the_closed_form_stands_beside_what_was_simulated(rows: list[Measurement], found: list[Comparison]) -> None:
    other = [replace(one, ratio=None if one.ratio is None else 1 + 2 * (one.ratio - 1)) for one in found]
    assert all("closed_form_error" not in row for row in summary_table(found, Group.CHIP, "t").rows)
    table = summary_table(found, Group.CHIP, "t", closed_form=other)
    headings = [column.heading for column in table.columns]
    assert headings.index("Closed form") == headings.index("Median error") + 1
    for row in table.rows:
        assert row["closed_form_error"] == pytest.approx(2 * row["median_error"])
    text = validation_page(title="t", measurements=rows, comparisons=found, colophon="c", closed_form=other)
    assert text.count(">Closed form<") == 1 + len(Group)
    assert ">Closed form<" not in page(rows, found)


def test_rows_within_an_error_grow_to_all(found: list[Comparison]) -> None:
    table = within_figure(found).table
    for quantity in Quantity:
        shares = [row[quantity] for row in table.rows]
        assert shares == sorted(shares)
        errors = [one.error for one in found if one.quantity is quantity and one.error is not None]
        assert shares[1] == sum(error <= 0.1 for error in errors) / len(errors)


def test_tables_hold_what_they_say(rows: list[Measurement], found: list[Comparison]) -> None:
    assert len(rows_table(found).rows) == len(found)
    assert len(excluded_table(rows).rows) == sum(bool(one.excluded) for one in rows) > 0
    assert all(row["excluded"] for row in excluded_table(rows).rows)
    worst = [max(1 + row["error"], 1 / (1 + row["error"])) for row in worst_table(found).rows]
    assert worst == sorted(worst, reverse=True)
    assert worst[0] == pytest.approx(max(max(one.ratio, 1 / one.ratio) for one in found if one.ratio))
    assert sum(row["rows"] for row in sources_table(rows).rows) == len(rows)
    assert all(row["title"] and row["licence"] for row in sources_table(rows).rows)
    first = flat(rows_table(found).rows[0])
    assert first["measured"] == pytest.approx(1e3 * (found[0].measurement.ttft or found[0].measurement.tpot or 0))


def test_far_too_small_is_worse_than_twice_too_large(found: list[Comparison]) -> None:
    rows = [replace(found[index], ratio=ratio) for index, ratio in enumerate((2.0, 0.2, 1.0))]
    assert [row["error"] for row in worst_table(rows).rows] == pytest.approx([-0.8, 1.0, 0.0])


def test_the_summary_has_all_rows_first(found: list[Comparison]) -> None:
    table = summary_table(found, Group.PRECISION, "t")
    assert [row["group"] for row in table.rows[:3]] == ["all"] * 3
    counts = {quantity: [row["rows"] for row in table.rows if row["quantity"] == quantity] for quantity in Quantity}
    assert all(first == sum(rest) for first, *rest in counts.values())


def test_a_page_is_offline_and_its_text_stays_text(rows: list[Measurement], found: list[Comparison]) -> None:
    hostile = [replace(one, name=HOSTILE, software=HOSTILE, source=HOSTILE, cells=one.cells | {"case": HOSTILE}) for one in rows[:3]]
    made = page(hostile, compared(hostile))
    assert made.count("<script") == made.count("</script>") == page(rows, found).count("<script")
    assert "<img src=x" not in made
    assert html.escape(HOSTILE)[:20] in made
    body = re.sub(r"<script.*?</script>", "", page(rows, found), flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(https?:|//)""", body) == []
    data = re.findall(r"<script[^>]*application/json[^>]*>(.*?)</script>", made, flags=re.DOTALL)
    assert all(json.loads(text) for text in data)


def test_a_page_without_any_answer_says_so(rows: list[Measurement]) -> None:
    nothing = [replace(rows[0], case=None, problem="unknown chip", excluded="")]
    found = compared(nothing)
    made = page(nothing, found)
    assert "No row has an answer." in made
    assert "not known: unknown chip" in made
    assert len(unanswered_table(found).rows) == 1
