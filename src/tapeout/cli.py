"""The command line: arguments in, tables and files out; the only place that turns an error into an exit code.

Results go to standard output, talk to standard error. Heavy imports stand inside the commands, so that help is instant.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.backtest import backtest
from tapeout.commands.compare import compare
from tapeout.commands.cost import cost
from tapeout.commands.design import design
from tapeout.commands.export import export
from tapeout.commands.goodput import goodput
from tapeout.commands.plan import plan
from tapeout.commands.price import price
from tapeout.commands.printing import print_table
from tapeout.commands.programme import programme
from tapeout.commands.simulate import simulate
from tapeout.console import Output, OutputOption, say, seconds, today
from tapeout.errors import CancelledError, InputError, LimitNotMetError, Place, TapeoutError

app = typer.Typer(
    help="Should we tape out our own AI chip; which one, when; and what do we run on until it arrives?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class GroupBy(StrEnum):
    """What `validate` groups rows by."""

    CHIP = "chip"
    MODEL = "model"
    PRECISION = "precision"
    KIND = "kind"
    SOURCE = "source"


class Kind(StrEnum):
    """What `catalog` lists."""

    CHIPS = "chips"
    MODELS = "models"
    PRICES = "prices"
    SOURCES = "sources"


EfficienciesOption = Annotated[
    Path | None, typer.Option(help="A file of coefficients such as `tapeout calibrate` writes, in the place of those that ship.")
]


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    """Handle the options of the program itself."""
    if version:
        typer.echo(f"tapeout {__version__}")
        raise typer.Exit


app.command()(plan)
app.command()(price)


app.command()(simulate)
app.command()(cost)
app.command()(design)


@app.command()
def frontier(
    model: Annotated[str, typer.Argument(help="A model id, or the path of a config.json.")],
    on: Annotated[str, typer.Option(help="Chips, such as nvidia-h100-sxm:8.")],
    slo: Annotated[str, typer.Option(help="Limits such as 2s/50ms (TTFT/TPOT), or a preset.")] = "common",
    precision: Annotated[str, typer.Option(help="bf16, fp8, int8 or fp4.")] = "fp8",
    isl: Annotated[int, typer.Option(min=1, help="Prompt tokens of a request.")] = 1024,
    osl: Annotated[int, typer.Option(min=1, help="Answer tokens of a request.")] = 256,
    requests: Annotated[int, typer.Option(min=1, help="Requests of a point, at least.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="What decides all chance.")] = 1,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tokens/s per chip against tokens/s per user, over deployments and loads."""
    from tapeout.report import simulation_run, simulation_view, simulation_wanted
    from tapeout.report.tables import dump_json

    wanted = simulation_wanted.Wanted(
        model=model, on=(on,), traffic="", users=None, slo=slo, precision=precision, prompt=isl, output=osl, requests=requests,
        speed=1.0, seed=seed, parallel=None, policy=(),
    )  # fmt: skip
    title, points = simulation_run.frontier_points(wanted)
    if output is Output.JSON:
        typer.echo(dump_json(simulation_view.frontier_rows(points)), nl=False)
    else:
        print_table(simulation_view.frontier_table(title, points), output)


app.command()(export)
app.command()(goodput)
app.command()(programme)
app.command()(compare)
app.command()(backtest)


@app.command()
def predict(
    cases: Annotated[Path, typer.Argument(help="Cases as CSV.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The CSV file to write.")],
    efficiencies: EfficienciesOption = None,
) -> None:
    """Predict TTFT, TPOT and tokens/s per chip for a table of cases, with 80 % bands."""
    from tapeout.performance.efficiency import read_efficiencies
    from tapeout.report import case_files

    failed, total = case_files.predict_file(cases, out, read_efficiencies(efficiencies) if efficiencies else None)
    say(f"{total - failed} of {total} cases answered, written to {out}")
    if failed:
        raise LimitNotMetError(f"{failed} of {total} cases have no answer; their status says why")


@app.command()
def validate(
    cases: Annotated[Path | None, typer.Option(help="Measured cases as CSV; by default the published results that come along.")] = None,
    by: Annotated[GroupBy, typer.Option(help="What the printed scores are grouped by.")] = GroupBy.CHIP,
    out: Annotated[Path | None, typer.Option(help="The folder to write the rows (CSV, JSON) and validation.html to.")] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Predict each chip by coefficients fitted on the rows of all other chips.")
    ] = False,
    simulate: Annotated[bool, typer.Option("--simulate", help="Drive the online rows through the simulator, as measured.")] = False,
    efficiencies: EfficienciesOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Compare predictions with measured results: errors, bias and band coverage by group."""
    from tapeout.calibration.validation import Group
    from tapeout.performance.efficiency import read_efficiencies
    from tapeout.report import files, validation_run

    if leave_one_out and simulate:
        raise InputError("--leave-one-out and --simulate exclude each other")
    folder = files.prepare_folder(out) if out else None
    coefficients = read_efficiencies(efficiencies) if efficiencies else None
    if leave_one_out:
        found = validation_run.left_out_validation(cases, coefficients, say)
    elif simulate:
        found = validation_run.simulated_validation(cases, coefficients)
    else:
        found = validation_run.validation(cases, coefficients)
    if folder:
        written = files.write_files(folder, validation_run.files(found, version=__version__, date=today()))
        say(f"wrote {len(written)} files to {folder}; open {folder / 'validation.html'}")
    print_table(validation_run.printed(found, Group(by)), output)
    if found.excluded:
        say(f"{found.excluded} of {len(found.measurements)} rows are not scored; with --out, validation.html lists them with the reason")
    if found.unanswered:
        raise LimitNotMetError(f"{found.unanswered} rows have no answer; with --out, rows.csv says why")


@app.command()
def measure(
    out: Annotated[Path, typer.Option(help="The CSV file of measurements; rows that it holds are not measured again.")],
    device: Annotated[str, typer.Option(help="A device as PyTorch names it: cuda:0, xpu:0, cpu; by default the first accelerator.")] = "",
    chip: Annotated[str, typer.Option(help="The chip's id, or a chip file; by default what the device's name says.")] = "",
    operators: Annotated[str, typer.Option(help="Operators, separated by commas; all by default.")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="A few shapes of each operator instead of hundreds.")] = False,
    budget: Annotated[str, typer.Option(help="Stop after this time; a further run goes on.")] = "10 min",
) -> None:
    """Measure this machine's operators through PyTorch, for `calibrate --measurements`."""
    from tapeout.calibration import benchmark_chip, benchmark_plan, operator_table
    from tapeout.hardware import catalog
    from tapeout.report.writing import write_text

    wanted = benchmark_plan.operators(operators)
    time_limit = seconds("--budget", budget)
    if out.suffix.lower() != ".csv" or not out.resolve().parent.is_dir():
        raise InputError("cannot write the measurements", place=Place(file=str(out)), hint="give a .csv file in an existing folder")
    earlier = operator_table.read(out) if out.exists() else operator_table.table({}, 0)
    # Rows name a chip file by its path, by which `calibrate` finds it.
    named = dataclasses.replace(catalog.chip(chip), id=chip) if chip else None
    try:
        from tapeout.calibration import benchmark_torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        hint = "pip install torch for this device, or pip install 'tapeout[measure]'"
        raise InputError("measuring needs PyTorch, which is not installed", hint=hint) from None
    found = benchmark_torch.find_device(device)
    known = named or benchmark_chip.guessed_chip(found.name, found.memory, catalog.chips().values())
    peers = benchmark_torch.numbers_of_peers(found)
    trials = benchmark_plan.plan(wanted, benchmark_plan.QUICK if quick else benchmark_plan.FULL, peers)
    say(f"{len(trials)} trials on {found.id}, {found.name}, as {known.id}, for {budget} at most")
    outcome = benchmark_torch.measure_on(
        found, trials, earlier, known, time_limit, say=say, save=lambda rows: write_text(out, operator_table.to_csv(rows))
    )
    for line in outcome.summary():
        say(line)
    if outcome.stopped:
        raise CancelledError(f"stopped; {outcome.measured} new rows are in {out}")
    if not len(outcome.rows):
        raise LimitNotMetError("nothing could be measured")
    typer.echo(f"{len(outcome.rows)} rows, {outcome.measured} of them new, in {out}")


@app.command()
def calibrate(
    out: Annotated[Path, typer.Option(help="The folder to write efficiencies.toml and fit.json to.")],
    tables: Annotated[Path | None, typer.Option(help="The folder of an unpacked aiconfigurator-core.")] = None,
    measurements: Annotated[list[Path] | None, typer.Option(help="Operators measured by `tapeout measure`; may be given again.")] = None,
    chip: Annotated[list[Path] | None, typer.Option(help="The file of a chip that is not in the catalogue; may be given again.")] = None,
    left_out: Annotated[bool, typer.Option(help="Also fit each chip without its own rows.")] = True,
    serving: Annotated[
        bool | None,
        typer.Option("--serving/--no-serving", help="Then fit what stacks add, on published results; by default without --measurements."),
    ] = None,
    efficiencies: EfficienciesOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Fit what chips achieve to measured operators, for `--efficiencies` of the other commands."""
    from tapeout.performance.efficiency import read_efficiencies
    from tapeout.report import calibration_run, files

    folder = files.prepare_folder(out)
    start = read_efficiencies(efficiencies) if efficiencies else None
    second = not measurements if serving is None else serving
    found = calibration_run.calibration(tables, measurements or [], chip or [], start, left_out, second, say)
    written = files.write_files(folder, calibration_run.files(found))
    print_table(calibration_run.printed(found) if output is Output.TABLE else calibration_run.score_table(found), output)
    say(f"wrote {len(written)} files to {folder}; use them by --efficiencies {folder / 'efficiencies.toml'}")


@app.command()
def catalog(
    kind: Annotated[Kind, typer.Argument(help="What to list.")],
    identifier: Annotated[str, typer.Argument(metavar="[ID]", help="One entry, with every number's source.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """List chips, models, prices and sources, or all about one of them."""
    from tapeout.report.catalog_view import KINDS

    print_table(KINDS[kind](identifier or None), output)


@app.command()
def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from tapeout.report.tables import dump_json
    from tapeout.scenario.schema import export_schema

    typer.echo(dump_json(export_schema()), nl=False)


def _usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "tapeout"
    say(f"{path}: {error.format_message()}")
    say(f"try '{path} --help'")


def main() -> None:
    """Run the program; every understood error becomes one message on standard error and its exit code."""
    try:
        code = app(standalone_mode=False) or 0
        if code == CancelledError.exit_code:  # what Typer makes of Ctrl-C
            say("tapeout: stopped")
    except typer.TyperException as error:
        _usage(error)
        code = 2
    except TapeoutError as error:
        say(f"tapeout: {error}")
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("tapeout: stopped")
        code = CancelledError.exit_code
    except BrokenPipeError:
        # The reader of the pipe has gone; what was asked for is no longer wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()
