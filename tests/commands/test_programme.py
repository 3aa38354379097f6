import json

from typer.testing import CliRunner

from tapeout.cli import app

RUN = CliRunner()


def test_programme_prints_rows_and_writes_a_page(tmp_path):
    result = RUN.invoke(app, ["programme", "--draws", "500", "--modes", "own-team,licence", "-o", "json", "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [row["mode"] for row in rows] == ["own-team", "licence"]
    assert (tmp_path / "out" / "programmes.html").read_text().startswith("<!DOCTYPE html>")


def test_programme_prints_a_table():
    result = RUN.invoke(app, ["programme", "--draws", "200", "--node", "tsmc-5", "--modes", "design-partner"])
    assert result.exit_code == 0, result.output
    assert "design-partner" in result.stdout
