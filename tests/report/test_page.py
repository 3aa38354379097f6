"""The page: offline, safe against what a scenario says, every chart with its table and its download."""

import html
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tapeout.provenance import Grade
from tapeout.report import echarts
from tapeout.report.assumptions import Assumption, assumptions_table
from tapeout.report.figures import cost_per_query_figure, fleet_figure, supplier_figure
from tapeout.report.numbers import CENTS, COUNT, PERCENT, NumberStyle
from tapeout.report.page import KeyFigure, Page, Section, csv_link, render
from tapeout.report.tables import Column, Table, to_csv

HOSTILE = "</script><img src=x onerror=alert(1)>"


def wide(identifier: str, style: NumberStyle, name: str = "chip-a") -> Table:
    columns = (Column(key="quarter", heading="Quarter"), Column(key=name, heading=name, style=style))
    return Table(id=identifier, title=identifier, columns=columns, rows=[{"quarter": f"2026Q{q}", name: float(q)} for q in (1, 2, 3)])


def page(text: str = "plain") -> str:
    figures = (fleet_figure(wide("fleet", COUNT, text)), supplier_figure(wide("suppliers", PERCENT), 0.7))
    section = Section(id="charts", heading=text, paragraphs=(text,), figures=figures, tables=(wide("numbers", COUNT, text),))
    return render(Page(title=text, question=text, lead=(text,), key_figures=(KeyFigure(label=text, value=text),), sections=(section,)))


def test_nothing_is_fetched() -> None:
    body = re.sub(r"<script.*?</script>", "", page(), flags=re.DOTALL)
    assert re.findall(r"""(?:src|href)\s*=\s*["']?(https?:|//)""", body) == []
    assert "default-src 'none'" in html.unescape(page())
    assert "url(" not in body.replace("url(data:", "")


def test_hostile_text_stays_text() -> None:
    made = page(HOSTILE)
    assert made.count("<script") == made.count("</script>") == page().count("<script")
    assert "<img src=x" not in made
    assert html.escape(HOSTILE)[:20] in made


def test_every_figure_has_its_table_and_its_download() -> None:
    made = page()
    links = [unquote(html.unescape(link)) for link in re.findall(r'href="(data:text/csv[^"]*)"', made)]
    assert len(links) == 3
    for identifier, style in (("fleet", COUNT), ("suppliers", PERCENT)):
        assert any(to_csv(wide(identifier, style, "plain" if identifier == "fleet" else "chip-a")) in link for link in links)
    assert made.count("<details") >= 2


def test_a_download_is_the_table_itself() -> None:
    table = wide("fleet", COUNT, 'a "b", c')
    assert unquote(csv_link(table)).partition(",")[2] == to_csv(table)


def test_charts_hold_no_number_that_is_none() -> None:
    table = wide("cost", CENTS)
    broken = Table(id="cost", title="cost", columns=table.columns, rows=[{"quarter": "2026Q1", "chip-a": float("nan")}, *table.rows])
    figure = cost_per_query_figure(broken)
    section = Section(id="charts", heading="h", figures=(figure,))
    made = render(Page(title="t", question="q", lead=(), key_figures=(), sections=(section,)))
    data = re.findall(r"<script[^>]*application/json[^>]*>(.*?)</script>", made, flags=re.DOTALL)
    assert any(json.loads(text) for text in data)
    assert [text for text in data if "NaN" in text] == []


@pytest.mark.parametrize(("values", "kind"), [((1.0, 2.0, 3.0), "value"), ((0.001, 0.01, 6.0), "log")])
def test_costs_that_span_far_get_a_logarithmic_axis(values: tuple[float, ...], kind: str) -> None:
    columns = (Column(key="quarter", heading="Quarter"), Column(key="m", heading="m", style=CENTS))
    table = Table(id="cost", title="cost", columns=columns, rows=[{"quarter": str(q), "m": value} for q, value in enumerate(values)])
    assert cost_per_query_figure(table).option["yAxis"]["type"] == kind


def test_guesses_come_first() -> None:
    grades = [Grade.VENDOR, Grade.GUESS, Grade.MEASURED, Grade.ESTIMATE]
    rows = assumptions_table(Assumption(name="n", value="1", low="1", high="2", grade=grade, source="s") for grade in grades).rows
    assert [row["grade"] for row in rows] == [Grade.GUESS, Grade.ESTIMATE, Grade.VENDOR, Grade.MEASURED]


def test_another_chart_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "e.js").write_text("alert(1)")
    with pytest.raises(echarts.EchartsError, match="SHA-256"):
        echarts.echarts_source(tmp_path / "e.js")
    with pytest.raises(echarts.EchartsError, match="cannot read"):
        echarts.echarts_source(tmp_path / "none.js")
    assert echarts.VERSION in echarts.echarts_source()
