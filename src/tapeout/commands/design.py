"""The command `design`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.clusters import ClusterOption, cluster_at
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, today


class Objective(StrEnum):
    """What `design` minimises."""

    COST = "cost"
    ENERGY = "energy"


def design(
    scenario: Annotated[Path, typer.Argument(help="The scenario file (YAML), with an own chip to take formats, fabric and limits from.")],
    out: Annotated[Path, typer.Option(help="The folder to write chip.toml, design.json, front.csv, tables and design.html to.")],
    chip: Annotated[str | None, typer.Option(help="Name of the own chip; the scenario's first by default.")] = None,
    volume: Annotated[float | None, typer.Option(help="Chips that share the one-off cost; what the plan needs by default.")] = None,
    objective: Annotated[Objective, typer.Option(help="What an output token should have least of: dollars or joules.")] = Objective.COST,
    workers: Annotated[int | None, typer.Option(help="Processes at work; one for each processor by default.", min=1)] = None,
    cluster: ClusterOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Search a grid of a million chips for the one that serves the scenario's models most cheaply, and say why it wins or loses."""
    from tapeout.design.search import Aim
    from tapeout.report import design_page, design_run, design_view, design_words, files
    from tapeout.report.tables import dump_json

    files.prepare_folder(out)
    with cluster_at(cluster, workers) as elsewhere:
        found = design_run.designed(
            scenario,
            name=chip,
            volume=volume,
            aim=Aim(objective),
            workers=workers,
            cluster=elsewhere,
            keep_in=out,
            version=__version__,
            say=say,
        )
    written = files.write_files(out, design_page.design_files(found, version=__version__, date=today()))
    say(f"wrote {len(written)} files to {out}; open {out / 'design.html'}")
    if output is Output.JSON:
        typer.echo(dump_json(design_view.design_row(found)), nl=False)
        return
    print_table(design_view.parameter_table(found), output)
    if output is Output.TABLE:
        print_table(design_view.rival_table(found), output)
        print_table(design_view.limit_table(found), output)
        for sentence in design_words.verdict(found):
            typer.echo(sentence)
