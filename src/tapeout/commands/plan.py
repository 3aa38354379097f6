"""The command `plan`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.clusters import ClusterOption, cluster_at
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, seconds, today
from tapeout.errors import CancelledError, InputError, LimitNotMetError, Place


class Meaning(StrEnum):
    """How far `plan` looks into what its numbers mean."""

    NOT = "none"
    QUICK = "quick"
    THOROUGH = "thorough"


def plan(
    scenario: Annotated[Path, typer.Argument(help="The scenario file (YAML).")],
    out: Annotated[Path, typer.Option(help="The folder to write inputs, tables, plan.json and report.html to.")],
    gap: Annotated[
        float | None,
        typer.Option(help="Stop when proven within this share of the optimum; 1 % by default, 0.1 % where nothing is uncertain."),
    ] = None,
    time_limit: Annotated[str, typer.Option(help="Stop the search after this time.")] = "300 s",
    scenarios: Annotated[
        int | None, typer.Option(min=1, help="Plan for so many scenarios of the world; as the file says by default, 1 is their mean.")
    ] = None,
    meaning: Annotated[
        Meaning, typer.Option(help="How far to look into what the numbers mean: prices, worths, alternatives, fresh futures.")
    ] = Meaning.QUICK,
    workers: Annotated[int | None, typer.Option(help="Processes at work; one for each processor by default.", min=1)] = None,
    cluster: ClusterOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Plan what to rent, buy, lease, build and design, when and how sure, and write the report."""
    from tapeout import study
    from tapeout.design.store import store_in
    from tapeout.report import files, plan_run

    if gap is not None and not 0 < gap < 1:
        raise InputError("--gap must lie between 0 and 1", given=gap)
    folder = files.prepare_folder(out)
    store = store_in(folder, f"plan {_text(scenario)} {gap} {scenarios}", __version__)
    with cluster_at(cluster, workers) as elsewhere:
        wanted = study.Wanted(
            gap=gap, time_limit=seconds("--time-limit", time_limit), scenarios=scenarios, workers=workers, cluster=elsewhere,
            store=store, appraised=study.Appraised(meaning.value),
        )  # fmt: skip
        found = study.plan(scenario, wanted, say)
    written = files.write_run(folder, plan_run.run(found, version=__version__, date=today()))
    print_table(plan_run.summary_table(found), output)
    say(f"wrote {len(written)} files to {folder}; open {folder / 'report.html'}")
    if found.plan.status == "cancelled":
        raise CancelledError(f"stopped; what was written is the best plan so far, proven within {found.plan.gap:.2%} of the optimum")
    if found.stopped:
        raise CancelledError("stopped; what was written is the plan, without all that its numbers mean")
    if found.plan.status != "optimal":
        raise LimitNotMetError(
            f"the search stopped at a gap of {found.plan.gap:.2%}, above {wanted.gap_on(found.problem):.2%}; "
            "the same command with a longer --time-limit goes on from there, or allow a larger --gap"
        )
    store.clear()


def _text(scenario: Path) -> str:
    try:
        return scenario.read_bytes().hex()
    except OSError as error:
        raise InputError("cannot read the scenario", place=Place(file=str(scenario)), hint=error.strerror) from error
