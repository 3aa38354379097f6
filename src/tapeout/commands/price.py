"""The command `price`. Heavy imports stand inside it, so that help is instant."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tapeout.commands.printing import print_table
from tapeout.console import Output, OutputOption, iso_date, limit, say, share, today
from tapeout.errors import LimitNotMetError


class PriceBasis(StrEnum):
    """Whose price of a chip-hour `price` takes."""

    RENT = "rent"
    RESERVED = "reserved"
    OWN = "own"


def price(
    model: Annotated[str, typer.Argument(help="A model id, or the path of a config.json.")],
    chips: Annotated[str, typer.Option(help="Chip ids, separated by commas; all of the catalogue by default.")] = "",
    precision: Annotated[str, typer.Option(help="bf16, fp8, int8 or fp4.")] = "fp8",
    isl: Annotated[int, typer.Option(min=1, help="Prompt tokens of a query.")] = 1024,
    osl: Annotated[int, typer.Option(min=1, help="Answer tokens of a query.")] = 256,
    ttft: Annotated[str, typer.Option(help="Limit on the time to the first token, such as 2s; 'none' for no limit.")] = "2s",
    tpot: Annotated[str, typer.Option(help="Limit on the time per further token, such as 50ms; 'none' for no limit.")] = "50ms",
    attainment: Annotated[
        str, typer.Option(help="Share of the queries that must keep both under traffic, such as 99%; 'mean' for means in steady state.")
    ] = "90%",
    basis: Annotated[PriceBasis, typer.Option("--price", help="Rented on demand, reserved for a year, or owned.")] = PriceBasis.RENT,
    date: Annotated[str, typer.Option(help="Date of the prices (ISO); today by default.")] = "",
    efficiencies: Annotated[
        Path | None, typer.Option(help="A file of coefficients such as `tapeout calibrate` writes, in the place of those that ship.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Rank chips by the cost of a model's tokens inside the latency limits."""
    from tapeout.hardware import catalog
    from tapeout.performance.best import Demand
    from tapeout.performance.efficiency import read_efficiencies
    from tapeout.report import price_view
    from tapeout.report.tables import dump_json
    from tapeout.serving.compiled import waiting_for_translation
    from tapeout.sourcing.quotes import Basis, quotes
    from tapeout.workload.catalog import model as find_model

    wanted = [catalog.chip(name.strip()) for name in chips.split(",") if name.strip()] or list(catalog.chips().values())
    demand = Demand(
        model=find_model(model), precision=precision, prompt=isl, output=osl, ttft=limit("--ttft", ttft), tpot=limit("--tpot", tpot)
    )
    kept = None if attainment.strip().lower() == "mean" else share("--attainment", attainment)
    day = iso_date(date) if date else today()
    if kept is not None and (demand.ttft or demand.tpot):
        for line in waiting_for_translation():
            say(line)
    coefficients = read_efficiencies(efficiencies) if efficiencies else None
    found = quotes(demand, wanted, Basis(basis), day, attainment=kept, efficiencies=coefficients)
    limits = f"TTFT {ttft}, TPOT {tpot} " + ("on the mean" if kept is None else f"for {100 * kept:.4g} % of queries")
    title = f"{demand.model.name} at {precision}, {isl} tokens in, {osl} out, {limits}: {basis} prices of {day}"
    ranked, refused = price_view.price_table(title, found, str(efficiencies or "")), price_view.refusal_table(found)
    if output is Output.JSON:
        typer.echo(dump_json(price_view.price_rows(found)), nl=False)
    else:
        print_table(ranked, output)
        if refused.rows and output is Output.TABLE:
            print_table(refused, output)
    if not ranked.rows:
        raise LimitNotMetError("no chip serves the model inside the limits")
