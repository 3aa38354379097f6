"""The command `backtest`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, seconds, today
from tapeout.errors import InputError, LimitNotMetError
from tapeout.units import QUARTER


def backtest(
    scenario: Annotated[Path, typer.Argument(help="The scenario file (YAML).")],
    every: Annotated[str, typer.Option(help="How often a plan is made, in whole quarters, such as 1 year.")] = "1 year",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Draw what happens from what the scenario says to be uncertain; without it, its own values.")
    ] = None,
    scenarios: Annotated[int, typer.Option(min=1, help="With --seed: plan for so many futures instead of their mean.")] = 1,
    gap: Annotated[float, typer.Option(help="Stop when a plan is proven within this share of the optimum.")] = 1e-2,
    time_limit: Annotated[str, typer.Option(help="Stop the solver after this time, at each date.")] = "60 s",
    out: Annotated[Path | None, typer.Option(help="The folder to write backtest.html, backtest.json and the tables to.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Plan at each date with what was known then, pay what then happened, and compare with foresight and simple policies."""
    from tapeout.report import backtest_page, backtest_run, backtest_view, files
    from tapeout.report.tables import dump_json

    if not 0 < gap < 1:
        raise InputError("--gap must lie between 0 and 1", given=gap)
    quarters = seconds("--every", every) / QUARTER
    if abs(quarters - round(quarters)) > 1e-6 or quarters < 1:
        raise InputError("--every must be whole quarters", given=every, allowed="a time such as 1 quarter or 1 year")
    folder = files.prepare_folder(out) if out else None
    limit = seconds("--time-limit", time_limit)
    wanted = backtest_run.Wanted(every=round(quarters), seed=seed, scenarios=scenarios, gap=gap, time_limit=limit)
    found = backtest_run.backtest(scenario, wanted, say)
    if folder:
        written = files.write_files(folder, backtest_page.backtest_files(found, version=__version__, date=today()))
        say(f"wrote {len(written)} files to {folder}; open {folder / 'backtest.html'}")
    if output is Output.JSON:
        typer.echo(dump_json(backtest_page.backtest_record(found)), nl=False)
    else:
        print_table(backtest_view.policies_table(found), output)
    if output is Output.TABLE:
        print_table(backtest_view.dates_table(found), output)
    if found.gap > gap * (1 + 1e-6):
        raise LimitNotMetError(f"the solver stopped at a gap of {found.gap:.2%}, above {gap:.2%}; raise --time-limit or --gap")
