"""The command `compare`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, seconds, today
from tapeout.errors import InputError, LimitNotMetError


def compare(
    first: Annotated[Path, typer.Argument(help="A folder that `tapeout plan` wrote, or a scenario file, which is planned on the way.")],
    second: Annotated[Path, typer.Argument(help="Another.")],
    out: Annotated[Path | None, typer.Option(help="The folder to write comparison.html, comparison.json and the tables to.")] = None,
    gap: Annotated[float, typer.Option(help="Plan scenarios to this share of the optimum.")] = 1e-2,
    time_limit: Annotated[str, typer.Option(help="Stop the solver after this time.")] = "60 s",
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare two plans: what differs in their assumptions, in what they decide, and in what they cost."""
    from tapeout.report import compare_page, compare_sides, compare_view, files

    if not 0 < gap < 1:
        raise InputError("--gap must lie between 0 and 1", given=gap)
    folder = files.prepare_folder(out) if out else None
    limit = seconds("--time-limit", time_limit)
    sides = compare_sides.sides(first, second, gap=gap, time_limit=limit, say=say)
    found = compare_view.Comparison(first=sides[0], second=sides[1])
    tables = compare_view.tables(found)
    if folder:
        written = files.write_files(folder, compare_page.compare_files(found, version=__version__, date=today()))
        say(f"wrote {len(written)} files to {folder}; open {folder / 'comparison.html'}")
    if output is not Output.TABLE:
        print_table(compare_view.long_table(tables, found), output)
    for table in tables if output is Output.TABLE else ():
        if table.rows:
            print_table(table, output)
    open_gaps = [side.record["gap"] for path, side in zip((first, second), sides, strict=True) if path.is_file()]
    if max(open_gaps, default=0.0) > gap * (1 + 1e-6):
        raise LimitNotMetError(f"the solver stopped at a gap of {max(open_gaps):.2%}, above {gap:.2%}; raise --time-limit or --gap")
