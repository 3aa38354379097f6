"""The command `goodput`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from typing import Annotated

import typer

from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, say, whole_numbers
from tapeout.errors import CancelledError, LimitNotMetError


def goodput(
    model: Annotated[str, typer.Argument(help="A model id, or the path of a config.json.")],
    on: Annotated[str, typer.Option(help="Chips, such as nvidia-h100-sxm:8.")],
    traffic: Annotated[str, typer.Option(help="A rule such as poisson:5, the name of a trace, or a file; at any rate.")] = "poisson:1",
    slo: Annotated[str, typer.Option(help="Limits such as 2s/50ms (TTFT/TPOT), or a preset: mlperf-server.")] = "common",
    precision: Annotated[str, typer.Option(help="bf16, fp8, int8 or fp4.")] = "fp8",
    isl: Annotated[int | None, typer.Option(min=1, help="Prompt tokens of a request; 1024 unless a trace says.")] = None,
    osl: Annotated[int | None, typer.Option(min=1, help="Answer tokens of a request; 256 unless a trace says.")] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="Requests of a trace; 10000, or all of a file.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Traces of a rule, for the confidence interval.")] = 3,
    token_budgets: Annotated[str, typer.Option(help="Tokens of a step to try, such as 512,2048; the chip's own by default.")] = "",
    sequences: Annotated[str, typer.Option(help="Sequences of an engine to try, such as 64,256; the chip's own by default.")] = "",
    disaggregate: Annotated[bool, typer.Option("--disaggregate", help="Also try prefill apart from decode, at several ratios.")] = False,
    every: Annotated[bool, typer.Option("--every", help="Search every fleet to the end, also where it cannot be the best.")] = False,
    policy: Annotated[list[str] | None, typer.Option(help="A setting of the scheduler as KEY=VALUE; may be given again.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; as many as processors by default.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Search the deployment that carries most requests inside the limits."""
    from tapeout.report import goodput_run
    from tapeout.report.tables import dump_json
    from tapeout.serving.compiled import waiting_for_translation
    from tapeout.traffic.rules import RULES

    for line in waiting_for_translation():
        say(line)
    ruled = traffic.partition(":")[0] in RULES
    found = goodput_run.searched(
        goodput_run.Asked(
            model=model, on=on, traffic=traffic, slo=slo, precision=precision, prompt=isl, output=osl,
            requests=requests or (10_000 if ruled else None), seeds=seeds, token_budgets=whole_numbers("--token-budgets", token_budgets),
            most_sequences=whole_numbers("--sequences", sequences), disaggregation=disaggregate, every=every, policy=tuple(policy or ()),
            workers=workers,
        )
    )  # fmt: skip
    if output is Output.JSON:
        typer.echo(dump_json([dict(row) for row in found.rows]), nl=False)
    else:
        print_table(goodput_run.goodput_table(found), output)
    if found.found.partial:
        raise CancelledError(f"stopped; {len(found.rows)} of {found.fleets} fleets were searched, and the best of these was printed")
    if not found.found.best.goodput.rate:
        raise LimitNotMetError("no deployment keeps the limits at any rate")
