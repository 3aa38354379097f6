"""The command `programme`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, today


def programme(
    node: Annotated[str, typer.Option(help="The process node, such as tsmc-3.")] = "tsmc-3",
    area: Annotated[str, typer.Option(help="The area of one compute die.")] = "800mm2",
    modes: Annotated[str, typer.Option(help="own-team, design-partner, acquisition, licence, by comma; all by default.")] = "",
    draws: Annotated[int, typer.Option(min=1, max=1_000_000, help="Draws of every fact.")] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="What decides all chance.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The folder to write rows, tables and programmes.html to.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Draw chip programmes: one-off cost, cash by quarter and the time to volume, by mode."""
    from tapeout.cost.draws import Draws
    from tapeout.report import cost_programme_run, cost_programme_view, files
    from tapeout.report.tables import dump_json

    folder = files.prepare_folder(out) if out else None
    found = cost_programme_run.programmes(node, area, modes, Draws(count=draws, seed=seed))
    if folder:
        written = files.write_files(folder, cost_programme_run.files(found, version=__version__, date=today()))
        say(f"wrote {len(written)} files to {folder}; open {folder / 'programmes.html'}")
    if output is Output.JSON:
        typer.echo(dump_json(list(found.rows)), nl=False)
    else:
        print_table(cost_programme_run.printed(found), output)
    if output is Output.TABLE:
        print_table(cost_programme_view.outcome_table(found.rows), output)
