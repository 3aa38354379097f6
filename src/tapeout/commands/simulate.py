"""The command `simulate`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tapeout import __version__
from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, today
from tapeout.errors import CancelledError, InputError


def simulate(
    model: Annotated[str, typer.Argument(help="A model id, or the path of a config.json.")],
    on: Annotated[list[str], typer.Option(help="Chips, such as nvidia-h100-sxm:8; may be given again for another kind.")],
    traffic: Annotated[str, typer.Option(help="A rule such as poisson:5 (requests/s), the name of a trace, or a file.")] = "",
    users: Annotated[int | None, typer.Option(min=1, help="A closed loop of so many users in the place of traffic.")] = None,
    slo: Annotated[str, typer.Option(help="Limits such as 2s/50ms (TTFT/TPOT), or a preset: mlperf-server.")] = "common",
    precision: Annotated[str, typer.Option(help="bf16, fp8, int8 or fp4.")] = "fp8",
    isl: Annotated[int | None, typer.Option(min=1, help="Prompt tokens of a request; 1024 unless a trace says.")] = None,
    osl: Annotated[int | None, typer.Option(min=1, help="Answer tokens of a request; 256 unless a trace says.")] = None,
    lengths: Annotated[str | None, typer.Option(help="A trace or file to draw lengths from, instead of --isl and --osl.")] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Requests; 1000, or all of a trace.")] = None,
    speed: Annotated[float, typer.Option(help="Factor on the rate of the traffic.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="What decides all chance.")] = 1,
    tp: Annotated[int | None, typer.Option(min=1, help="Tensor parallelism; by default the deployment that keeps most limits.")] = None,
    pp: Annotated[int, typer.Option(min=1, help="Pipeline stages.")] = 1,
    ep: Annotated[int, typer.Option(min=1, help="Expert parallelism.")] = 1,
    dp: Annotated[int, typer.Option(min=1, help="Attention ranks of one replica.")] = 1,
    policy: Annotated[list[str] | None, typer.Option(help="A setting of the scheduler as KEY=VALUE; may be given again.")] = None,
    routing: Annotated[str, typer.Option(help="How requests find a replica: least-loaded, round-robin or prefix.")] = "least-loaded",
    disaggregate: Annotated[str, typer.Option(help="Chips for prompts and for what follows, as PREFILL:DECODE, such as 4:4.")] = "",
    decode_tp: Annotated[int | None, typer.Option(min=1, help="Tensor parallelism of the decoding chips, where it is not --tp.")] = None,
    speculate: Annotated[str, typer.Option(help="Drafts, as TOKENS:CHANCE[:DRAFT_MODEL], such as 3:0.7.")] = "",
    autoscale: Annotated[str, typer.Option(help="Replicas as LEAST:MOST:REQUESTS_OF_EACH:START_UP, such as 1:8:32:2min.")] = "",
    failures: Annotated[str, typer.Option(help="Failures of each replica as BETWEEN:RESTART, such as 100h:10min.")] = "",
    noise: Annotated[float, typer.Option(min=0, max=1, help="Standard deviation of the logarithm of a step's time.")] = 0.0,
    goodput: Annotated[bool, typer.Option("--goodput", help="Search the highest rate that keeps the limits, over five seeds.")] = False,
    out: Annotated[Path | None, typer.Option(help="The folder to write simulation.html, the requests and the timeline to.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Simulate a fleet under traffic: latencies, goodput inside limits, and what a token costs at this load."""
    from tapeout.fleet import cluster_settings
    from tapeout.report import files, simulation_files, simulation_run, simulation_view
    from tapeout.report.simulation_wanted import Wanted
    from tapeout.report.tables import dump_json

    if tp is None and (pp, ep, dp) != (1, 1, 1):
        raise InputError("--pp, --ep and --dp need --tp", hint="give --tp as well, or none of them")
    wanted = Wanted(
        model=model, on=tuple(on), traffic=traffic, users=users, slo=slo, precision=precision, prompt=isl, output=osl, lengths=lengths,
        requests=requests, speed=speed, seed=seed, parallel=None if tp is None else (tp, pp, ep, dp), policy=tuple(policy or ()),
        routing=cluster_settings.routing(routing), split=cluster_settings.split(disaggregate) if disaggregate else None,
        decode_tensor=decode_tp, drafts=cluster_settings.drafts(speculate) if speculate else None,
        autoscaling=cluster_settings.autoscaling(autoscale) if autoscale else None,
        outages=cluster_settings.outages(failures) if failures else None, noise=noise,
    )  # fmt: skip
    folder = files.prepare_folder(out) if out else None
    found = simulation_run.simulation(wanted, date=today(), search=goodput, say=say)
    row = simulation_view.simulation_row(found)
    if folder:
        written = files.write_files(folder, simulation_files.files(found, row, version=__version__, date=today()))
        say(f"wrote {len(written)} files to {folder}; open {folder / 'simulation.html'}")
    if output is Output.JSON:
        typer.echo(dump_json(row), nl=False)
    elif output is Output.CSV:
        print_table(simulation_view.run_table(found.title, row), output)
    else:
        print_table(simulation_view.latency_table(found.title, row), output)
        print_table(simulation_view.load_table(row), output)
    if found.interrupted:
        raise CancelledError(f"stopped: {simulation_view.interruption(row)}")
