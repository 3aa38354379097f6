"""One offline HTML page from text, figures and tables: no request leaves it, and every text in it is escaped.

The page carries the chart library, its styles and its data. Its content security policy allows only the two scripts whose
hashes it names and no connection at all, so a scenario's text can neither run nor call out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tapeout.report.echarts import echarts_source
from tapeout.report.figures import Figure
from tapeout.report.numbers import COMPACT_STEPS
from tapeout.report.palette import DARK, LIGHT
from tapeout.report.tables import Table, plain, to_csv

TEMPLATES = Path(__file__).parent / "templates"
OPEN_ROWS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One number of the first screen, already written as text; `note` says in a few words what it is measured against."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page: heading, paragraphs, then figures, then tables."""

    id: str
    heading: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: `question` is its headline, `lead` the answer in sentences, `colophon` the lines at its foot (version, date, hashes)."""

    title: str
    question: str
    lead: tuple[str, ...]
    key_figures: tuple[KeyFigure, ...]
    sections: tuple[Section, ...]
    colophon: tuple[str, ...] = ()


def render(page: Page) -> str:
    """The page as HTML, complete in itself; raises EchartsError where the chart library is not the reviewed one.

    Figure, table and section ids must be unique in a page, since they are its anchors.
    """
    scripts = (echarts_source(), (TEMPLATES / "page.js").read_text(encoding="utf-8"))
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            policy=_policy(scripts),
            library=Markup(scripts[0]),
            script=Markup(scripts[1]),
            style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
            light=LIGHT,
            dark=DARK,
            figures=_script_json([_figure_data(figure) for section in page.sections for figure in section.figures]),
            steps=_script_json(COMPACT_STEPS),
            open_rows=OPEN_ROWS,
        )
    )


def csv_link(table: Table) -> str:
    """The table's CSV as a data address, so that a link saves it without a server or a script."""
    return "data:text/csv;charset=utf-8," + quote(to_csv(table), safe="")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["csv_link"] = csv_link
    return environment


def _policy(scripts: tuple[str, ...]) -> str:
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def _figure_data(figure: Figure) -> dict[str, Any]:
    across = asdict(figure.across) if figure.across else None
    return {"id": figure.id, "option": figure.option, "style": asdict(figure.style), "across": across, "total": figure.total}


def _script_json(value: Any) -> Markup:
    """JSON that is safe inside a script element: no character that HTML or a script parser could act on is left."""
    text = json.dumps(plain(value), allow_nan=False)  # ASCII, so U+2028 and U+2029 are escaped too
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
