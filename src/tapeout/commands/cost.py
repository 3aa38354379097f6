"""The command `cost`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, today


def cost(
    chip: Annotated[str, typer.Argument(help="A chip of the catalogue, or the path of a chip file that ends in .toml.")],
    volume: Annotated[
        int | None, typer.Option(help="Chips that share the programme's one-off cost; without it, the next chip's cost.")
    ] = None,
    year: Annotated[int | None, typer.Option(help="Year of the defects and prices; by default facts stand as they are.")] = None,
    draws: Annotated[int, typer.Option(help="Draws of every uncertain fact.")] = 100_000,
    seed: Annotated[int, typer.Option(help="What decides all chance.")] = 0,
    owner: Annotated[str, typer.Option(help="Who owns the chip in its hour: hyperscaler, neocloud or lab.")] = "hyperscaler",
    site: Annotated[
        str,
        typer.Option(help="Where it stands in its hour: own-build-us, abilene-lease, colocation-us, cloud-region, or others like them."),
    ] = "own-build-us",
    electricity: Annotated[str | None, typer.Option(help="Region of the electricity, such as virginia; by default the site's.")] = None,
    utilisation: Annotated[
        float | None, typer.Option(help="Share of the hours that are used, 0 to 1; adds what a useful hour costs.")
    ] = None,
    tokens_per_s: Annotated[float | None, typer.Option(help="Tokens a second that one chip gives, for carbon per million tokens.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write cost.html, cost.json and the tables to.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Build up what a chip costs to make, sells for and costs its owner an hour, as p5, p50 and p95, and what moves it."""
    from tapeout.report import cost_carbon_view, cost_page, cost_run, cost_view, files
    from tapeout.report.tables import dump_json

    folder = files.prepare_folder(out) if out else None
    asked = cost_run.Asked(
        chip=chip, volume=volume, year=year, draws=draws, seed=seed, owner=owner, site=site, date=today(),
        tokens_per_second=tokens_per_s, electricity=electricity, utilisation=utilisation,
    )  # fmt: skip
    found = cost_run.costed(asked)
    if folder:
        written = files.write_files(folder, cost_page.cost_files(found, version=__version__, date=today()))
        say(f"wrote {len(written)} files to {folder}; open {folder / 'cost.html'}")
    if output is Output.JSON:
        typer.echo(dump_json(cost_view.cost_row(found)), nl=False)
        return
    print_table(cost_view.component_table(found), output)
    if output is Output.TABLE:
        print_table(cost_view.influence_table(found), output)
        hour = cost_view.hour_table(found)
        if hour is not None:
            print_table(hour, output)
        print_table(cost_carbon_view.carbon_table(cost_view.cost_row(found)["carbon"]), output)
