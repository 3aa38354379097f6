"""How the commands print tables. Heavy imports stand inside, so that help is instant."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from tapeout.console import Output

if TYPE_CHECKING:
    from tapeout.report.tables import Table


def print_table(table: Table, output: Output) -> None:
    """Print the table on standard output, for people or as its rows."""
    from tapeout.report.tables import to_csv, to_json

    if output is Output.JSON:
        typer.echo(to_json(table), nl=False)
    elif output is Output.CSV:
        typer.echo(to_csv(table), nl=False)
    else:
        from rich.console import Console

        from tapeout.report.terminal import to_rich

        # A pipe has no width of its own; a narrow guess would fold the columns of a file.
        Console(width=None if sys.stdout.isatty() else 200).print(to_rich(table))
